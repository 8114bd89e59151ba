"""Ways into the page, in Chromium: pasting, dropping and photographing a picture, the keyboard, light and dark."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.ui.conftest import opened

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]

_BLOB = "const blob = await (await fetch('data:image/png;base64,' + data)).blob();"
_COPY = f"async (data) => {{ {_BLOB} await navigator.clipboard.write([new ClipboardItem({{'image/png': blob}})]); }}"
_DROP = f"""async (data) => {{ {_BLOB}
  const carried = new DataTransfer();
  carried.items.add(new File([blob], 'dropped.png', {{type: 'image/png'}}));
  const target = document.querySelector('#upload input[type=file]').closest('button');
  for (const name of ['dragenter', 'dragover', 'drop'])
    target.dispatchEvent(new DragEvent(name, {{bubbles: true, cancelable: true, dataTransfer: carried}}));
}}"""
# Relative luminance of the text's colour and of what lies behind it, as WCAG 2 defines contrast.
_CONTRAST = """(selector) => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const element = document.querySelector(selector);
  let behind = element;
  const clear = (node) => (channels(getComputedStyle(node).backgroundColor)[3] ?? 1) < 1;
  while (behind.parentElement && clear(behind)) behind = behind.parentElement;
  const text = light(channels(getComputedStyle(element).color).slice(0, 3));
  const ground = light(channels(getComputedStyle(behind).backgroundColor).slice(0, 3));
  return [ground, (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05)];
}"""


@pytest.fixture
def page(chromium: Any, served: str) -> Iterator[Any]:
    with opened(chromium, served, permissions=["clipboard-read", "clipboard-write", "camera"]) as page:
        yield page


def encoded(picture: Path) -> str:
    return base64.b64encode(picture.read_bytes()).decode()


def only_card(page: Any) -> None:
    """Wait for the card of a single picture, and see that it stays the only one."""
    page.wait_for_selector("#card-0 img")
    page.wait_for_timeout(700)
    expect(page.locator("#card-1")).to_be_hidden()


def test_a_picture_is_pasted_and_another_dropped(page: Any, pictures: list[Path]) -> None:
    page.evaluate(_COPY, encoded(pictures[0]))
    page.locator("#upload").get_by_label("Paste from clipboard").click()
    only_card(page)
    page.evaluate(_DROP, encoded(pictures[2]))
    page.wait_for_selector("#card-1 img")
    page.wait_for_timeout(700)
    expect(page.locator("#card-2")).to_be_hidden()


def test_a_background_is_cut_away_in_sight_and_can_stay(page: Any, pictures: list[Path], pipeline: Any) -> None:
    def card_with(condition: str) -> None:
        """Wait until the card's picture fulfils it, in terms of its own width `w` and height `h`."""
        page.wait_for_function(
            "(([w, h]) => w > 0 && " + condition + ")"
            "((image => [image?.naturalWidth, image?.naturalHeight])(document.querySelector('#card-0 img')))"
        )

    image, switch = page.locator("#card-0 img"), page.locator("#cut-background input")
    page.locator("#upload input[type=file]").first.set_input_files([str(pictures[1])])  # the disc on white
    card_with("w > 2 * h")  # as it came, and what is used of it
    before = image.get_attribute("src")
    switch.click()
    expect(image).not_to_have_attribute("src", before)
    page.locator("#generate-button").dispatch_event("click")
    page.wait_for_selector("#facts:has-text('triangles')")
    uncut = image.get_attribute("src")
    switch.click()
    expect(image).not_to_have_attribute("src", uncut)
    page.locator("#generate-button").dispatch_event("click")
    for _ in range(120):  # the run is too short for its Stop button to be seen for sure
        if len(pipeline.calls) == 2:
            break
        page.wait_for_timeout(250)
    page.wait_for_selector("#generate-button", state="visible")
    clear = [np.asarray(call["views"][0].image)[0, 0, 3] for call in pipeline.calls]
    assert clear == [255, 0]
    assert [call["background"] for call in pipeline.calls] == ["none", "none"]
    # Nothing was cut from a picture with transparency: nothing to compare, and nothing to switch.
    page.locator("#remove-0").click()
    page.wait_for_selector("#card-0", state="hidden")
    page.locator("#upload input[type=file]").first.set_input_files([str(pictures[0])])
    card_with("w === h")
    expect(page.locator("#cut-background")).to_be_hidden()


def test_a_photograph_is_taken_with_the_webcam(page: Any) -> None:
    page.locator("#upload").get_by_label("Capture from camera").click()
    page.locator("#upload [title='grant webcam access']").click()
    page.wait_for_function("document.querySelector('#upload video')?.videoWidth > 0")
    page.locator("#upload").get_by_label("capture photo").click()
    only_card(page)


def test_the_keyboard_reaches_examples_generate_and_stop(page: Any, pipeline: Any) -> None:
    pipeline.pause_s = 2.0
    page.wait_for_selector("#examples button:has(img)")
    page.locator("#advanced button").first.click()
    page.locator("#upload button").first.focus()
    tabbed_to(page, "#examples")
    page.keyboard.press("Enter")
    page.wait_for_selector("#card-1 img")
    reached = tabbed_to(page, "#generate-button")
    assert {"preset", "coarse-steps", "detail-steps", "guidance", "seed", "dice"} <= reached
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle !== 'none' || "
                         "getComputedStyle(document.activeElement).boxShadow !== 'none'")  # fmt: skip
    page.keyboard.press("Enter")
    page.wait_for_selector("#stop-button")
    page.locator("#stop-button").focus()
    page.keyboard.press("Space")
    page.wait_for_selector("#facts:has-text('Stopped early')")
    assert len(pipeline.calls) == 1


def tabbed_to(page: Any, selector: str, most: int = 120) -> set[str]:
    """Press Tab until the focus is inside the selector; the ids of everything that it passed, parents included."""
    passed: set[str] = set()
    for _ in range(most):
        page.keyboard.press("Tab")
        passed.update(
            page.evaluate(
                "() => { const ids = []; for (let e = document.activeElement; e; e = e.parentElement) "
                "if (e.id) ids.push(e.id); return ids; }"
            )
        )
        if page.evaluate("(selector) => !!document.activeElement.closest(selector)", selector):
            return passed
    raise AssertionError(f"{selector} was not reached; passed {sorted(passed)}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_light_and_dark(chromium: Any, served: str, scheme: str) -> None:
    with opened(chromium, served, color_scheme=scheme) as page:
        for selector in (".wm-header h1", ".wm-header p", ".wm-note", "#generate-button", "#preset label span"):
            ground, contrast = page.evaluate(_CONTRAST, selector)
            assert contrast >= 4.5, (selector, scheme, contrast)
            if selector == ".wm-header h1":
                assert ground < 0.1 if scheme == "dark" else ground > 0.8
