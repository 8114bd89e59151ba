"""What a person can see and reach, in Chromium: each test fails where a control is clipped, stuck, silent or lost.

A control counts as reached when `elementFromPoint` finds it in the window after ordinary scrolling of the page.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import open_tab, opened

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]

# Scrolls the window alone: what another box clips stays where no person gets to it.
_REACHED = """(selector) => {
  const node = document.querySelector(selector);
  const place = node.getBoundingClientRect();
  scrollBy(0, place.top + place.height / 2 - innerHeight / 2);
  const box = node.getBoundingClientRect();
  const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  return box.width > 0 && !!hit && node.contains(hit);
}"""
_PASTE = """async (data) => {
  const blob = await (await fetch('data:image/png;base64,' + data)).blob();
  const carried = new DataTransfer();
  carried.items.add(new File([blob], 'pasted.png', {type: 'image/png'}));
  const event = new ClipboardEvent('paste', {clipboardData: carried, bubbles: true, cancelable: true});
  document.body.dispatchEvent(event);
}"""


@pytest.fixture
def page(chromium: Any, served: str) -> Iterator[Any]:
    with opened(chromium, served, 1440, 900) as page:
        yield page


def generate(page: Any, picture: Path) -> None:
    page.locator("#upload input[type=file]").first.set_input_files([str(picture)])
    page.wait_for_selector("#card-0 img")
    page.locator("#generate-button").dispatch_event("click")
    page.wait_for_selector("#facts:has-text('triangles')")


@pytest.mark.parametrize("width", [1440, 390])
def test_webcam_and_clipboard_can_be_clicked(chromium: Any, served: str, width: int) -> None:
    with opened(chromium, served, width) as page:
        for name in ("Upload file", "Capture from camera", "Paste from clipboard"):
            page.wait_for_selector(f'#upload [aria-label="{name}"]')
            assert page.evaluate(_REACHED, f'#upload [aria-label="{name}"]'), name


def test_a_picture_is_pasted_with_the_keyboard(page: Any, pictures: list[Path]) -> None:
    page.evaluate(_PASTE, base64.b64encode(pictures[0].read_bytes()).decode())
    page.wait_for_selector("#card-0 img")
    page.wait_for_timeout(500)
    expect(page.locator("#card-1")).to_be_hidden()


def test_the_stage_stays_in_sight_while_settings_are_edited(page: Any, pictures: list[Path]) -> None:
    page.locator("#upload input[type=file]").first.set_input_files([str(picture) for picture in pictures])
    page.wait_for_selector("#card-2 img")
    page.evaluate("scrollTo(0, 0)")
    first = page.locator("#generate-button").bounding_box()["y"]
    page.evaluate("scrollTo(0, 400)")
    page.wait_for_timeout(200)
    assert 0 <= page.locator("#generate-button").bounding_box()["y"] < first
    assert page.evaluate("scrollY") > 200
    assert page.locator("#generate-button").evaluate(
        "node => { const box = node.getBoundingClientRect();"
        "return node.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)); }"
    )


def test_the_page_is_as_wide_in_every_tab(page: Any) -> None:
    widths = set()
    for name in ("Generate", "Steps", "Wavelets", "Result", "Compare"):
        open_tab(page, name)
        page.wait_for_timeout(200)
        widths.add(page.evaluate("document.querySelector('.gradio-container').getBoundingClientRect().width"))
    assert len(widths) == 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_slow_button_shows_at_once_that_it_works_and_is_pressed_once(
    page: Any, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def film(shapes: Any, shape: Any, suffix: str) -> bytes:
        made.append(suffix)
        time.sleep(2.0)
        return pictures[0].read_bytes()

    monkeypatch.setattr("wavemesh.ui.result.content.Shapes.turntable", film)
    generate(page, pictures[0])
    open_tab(page, "Result")
    page.wait_for_selector("#health table")
    button = "document.querySelector('#film-gif')"
    took = page.evaluate(
        f"async () => {{ const begin = performance.now(); {button}.click(); "
        f"while (getComputedStyle({button}).cursor !== 'progress' && performance.now() - begin < 5000) "
        f"await new Promise(r => setTimeout(r, 5)); "
        f"return performance.now() - begin; }}"
    )
    assert took < 200
    expect(page.locator("#film-gif")).to_have_text("Working…")
    page.evaluate(f"{button}.click()")
    page.wait_for_selector("#gif img")
    expect(page.locator("#film-gif")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#film-gif")).to_be_enabled()
    expect(page.locator("#film-gif")).to_have_text("GIF")
    assert made == [".gif"]
    # Another shape: the film would show the old one.
    page.locator("#face-budget input[type=number]").fill("1000")
    page.locator("#face-budget input[type=number]").press("Tab")
    expect(page.locator("#gif")).to_be_hidden()


def test_a_reload_comes_back_to_the_finished_run_and_its_tab(page: Any, pictures: list[Path], pipeline: Any) -> None:
    generate(page, pictures[0])
    facts = page.locator("#facts").inner_text()
    open_tab(page, "Result")
    page.wait_for_selector("#health table")
    page.wait_for_function("location.search.includes('run=') && location.search.includes('tab=result')")
    page.reload()
    page.wait_for_selector("#health table")
    page.wait_for_selector("#result-mesh .wm-viewer[data-state=ready]")
    open_tab(page, "Generate")
    page.wait_for_selector("#card-0 img")
    expect(page.locator("#facts")).to_have_text(facts)
    page.wait_for_selector("#mesh .wm-viewer[data-state=ready]")
    assert len(pipeline.calls) == 1
    # Another object takes its place in the address as well.
    page.locator("#examples button:has(img)").first.click()
    page.wait_for_selector("#card-1 img")
    page.wait_for_function("!location.search.includes('run=')")


def test_the_runs_of_a_visit_lead_back_to_each_with_its_settings(
    page: Any, pictures: list[Path], pipeline: Any
) -> None:
    for number, seed in enumerate((11, 12)):
        page.locator("#seed input").fill(str(seed))
        page.locator("#seed input").press("Tab")
        if number == 0:
            generate(page, pictures[0])
        else:
            page.locator("#generate-button").dispatch_event("click")
        page.wait_for_selector(f"#facts:has-text('seed {seed}')")
        page.wait_for_selector("#watch .wm-film button")
        expect(page.locator("#runs a")).to_have_count(number + 1)
        expect(page.locator("#runs a").first).to_be_visible(visible=number > 0)  # one run alone needs no list
    page.locator("#runs a").nth(1).scroll_into_view_if_needed()
    assert page.evaluate(_REACHED, "#runs a:nth-child(2)")
    page.locator("#runs a").nth(1).click()
    page.wait_for_selector("#facts:has-text('seed 11')")
    expect(page.locator("#seed input")).to_have_value("11")
    page.wait_for_selector("#card-0 img")
    assert len(pipeline.calls) == 2


def test_four_variants_are_made_at_once_and_each_has_its_seed(page: Any, pictures: list[Path], pipeline: Any) -> None:
    page.locator("#upload input[type=file]").first.set_input_files([str(pictures[0])])
    page.wait_for_selector("#card-0 img")
    page.locator("#advanced button").first.click()
    page.locator("#variants label", has_text="4").click()
    page.locator("#generate-button").dispatch_event("click")
    expect(page.locator("#facts")).to_contain_text("seed 0")
    expect(page.locator("#runs a")).to_have_count(4)
    assert [call["seed"] for call in pipeline.calls] == [0, 1, 2, 3]
    page.locator("#runs a").nth(2).click()
    expect(page.locator("#facts")).to_contain_text("seed 2")


def test_a_reload_in_the_middle_comes_back_to_the_running_run(page: Any, pictures: list[Path], pipeline: Any) -> None:
    pipeline.pause_s = 1.5
    page.locator("#upload input[type=file]").first.set_input_files([str(pictures[0])])
    page.wait_for_selector("#card-0 img")
    page.locator("#generate-button").dispatch_event("click")
    page.wait_for_selector("#progress .wm-progress-fill")
    page.wait_for_function("location.search.includes('run=')")
    page.reload()
    page.wait_for_selector("#stop-button")
    page.wait_for_selector("#progress .wm-progress-fill")
    page.wait_for_selector("#card-0 img")
    page.wait_for_selector("#facts:has-text('triangles')")
    page.wait_for_selector("#mesh .wm-viewer[data-state=ready]")
    assert len(pipeline.calls) == 1
    assert pipeline.steps_done == 6


def test_a_run_that_is_gone_is_told(chromium: Any, served: str) -> None:
    with opened(chromium, f"{served}?run=nothing") as page:
        page.wait_for_selector("text=no longer kept on the server")


def test_the_mesh_is_shown_before_its_bundle_is_written(
    page: Any, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from wavemesh.pipelines.record import RunRecord

    save = RunRecord.save

    def slow_save(self: RunRecord, *arguments: Any) -> Path:
        while not shown:
            time.sleep(0.05)
        return save(self, *arguments)

    shown: list[bool] = []
    monkeypatch.setattr(RunRecord, "save", slow_save)
    try:
        generate(page, pictures[0])
        page.wait_for_selector("#mesh .wm-viewer[data-state=ready]")
    finally:
        shown.append(True)
    with page.expect_download() as download:
        page.locator("#download-zip").click()
    assert download.value.suggested_filename == "run.zip"
