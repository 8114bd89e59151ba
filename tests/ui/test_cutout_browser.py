"""The editor of cut-outs, in Chromium: two things, a click on one, brushes, undo, with the mouse, touch and keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import expect

from tests.ui.conftest import opened, pixels

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]

SHEET = "#cutout-sheet img"
# Whether a person can reach it: what lies on top at its middle is the element itself, or a part of it.
_REACHABLE = """(element) => {
  const box = element.getBoundingClientRect();
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  const inside = box.right <= innerWidth && box.bottom <= innerHeight;
  return !!top && inside && (element.contains(top) || top.contains(element));
}"""


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """A picture of a red disc, in its left half, and a blue box."""
    drawn = Image.new("RGB", (400, 300), (225, 225, 225))
    pen = ImageDraw.Draw(drawn)
    pen.ellipse((50, 90, 170, 210), fill=(190, 50, 40))
    pen.rectangle((240, 100, 340, 200), fill=(40, 80, 170))
    drawn.save(tmp_path / "pair.png")
    return tmp_path / "pair.png"


def open_editor(page: Any, picture: Path) -> None:
    page.locator("#upload input[type=file]").first.set_input_files([str(picture)])
    expect(page.locator("#notes-0")).to_contain_text("2 separate things stand out")
    page.locator("#edit-0").click()
    page.wait_for_selector(f"{SHEET}[src^=data]")
    page.wait_for_function("document.querySelector('#cutout-sheet canvas').clientWidth > 100")


def place(page: Any, x: float, y: float) -> tuple[float, float]:
    """Where on the screen a point of the picture is, given in shares of its sides."""
    box = page.locator("#cutout-sheet canvas").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def answered(page: Any, act: Any) -> tuple[bool, bool]:
    """Act, wait for the answer, and say whether the disc and the box are kept."""
    before = page.locator(SHEET).get_attribute("src")
    act()
    expect(page.locator(SHEET)).not_to_have_attribute("src", before)
    seen = page.evaluate("""async () => {
      const image = document.querySelector('#cutout-sheet img');
      await image.decode();
      const canvas = Object.assign(document.createElement('canvas'), {width: 400, height: 300});
      const pen = canvas.getContext('2d');
      pen.drawImage(image, 0, 0);
      return [[110, 190], [290, 150]].map(([x, y]) => pen.getImageData(x, y, 1, 1).data[3]);
    }""")
    return seen[0] > 200, seen[1] > 200


def stroke(page: Any, *points: tuple[float, float]) -> None:
    page.mouse.move(*place(page, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*place(page, *point), steps=4)
    page.mouse.up()


def kept(page: Any) -> tuple[bool, bool]:
    """Whether the card shows the disc and the box in what is used, its right half."""
    shown = pixels(page, "#card-0")[..., :]
    used = shown[:, -shown.shape[0] :]
    red = (used[..., 0] > used[..., 2] + 80) & (used[..., 3] > 200)
    blue = (used[..., 2] > used[..., 0] + 80) & (used[..., 3] > 200)
    return bool(red.mean() > 0.02), bool(blue.mean() > 0.02)


def test_one_of_two_things_is_picked_and_goes_to_the_run(chromium: Any, served: str, pair: Path, pipeline: Any) -> None:
    with opened(chromium, served) as page:
        open_editor(page, pair)
        expect(page.get_by_role("dialog", name="Edit the cut-out")).to_be_visible()
        expect(page.locator("#cutout-undo")).to_be_disabled()
        assert answered(page, lambda: page.mouse.click(*place(page, 0.275, 0.5))) == (True, False)
        assert answered(page, lambda: page.locator("#cutout-undo").click()) == (True, True)
        assert answered(page, lambda: page.mouse.click(*place(page, 0.275, 0.5))) == (True, False)
        page.locator("#cutout-tool label:has-text('Keep')").click()
        keep = ((0.62, 0.36), (0.72, 0.5), (0.82, 0.62))
        assert answered(page, lambda: stroke(page, *keep)) == (True, True)
        page.locator("#cutout-tool label:has-text('Remove')").click()
        assert answered(page, lambda: stroke(page, *keep)) == (True, False)
        page.locator("#cutout-done").click()
        page.wait_for_selector("#cutout-editor", state="hidden")
        expect(page.locator("#notes-0")).to_be_hidden()
        expect(page.locator("#edit-0")).to_be_focused()
        page.wait_for_timeout(500)
        assert kept(page) == (True, False)
        page.locator("#generate-button").click()
        page.wait_for_selector("#facts:has-text('triangles')")
        (view,) = pipeline.calls[0]["views"]
        alpha = np.asarray(view.image)[..., 3]
        assert (alpha[150, 110], alpha[150, 290], view.cut_by) == (255, 0, "hand")


def test_cancel_changes_nothing_and_keys_do_what_the_mouse_does(chromium: Any, served: str, pair: Path) -> None:
    with opened(chromium, served) as page:
        open_editor(page, pair)
        page.locator("#cutout-sheet canvas").focus()

        def pick() -> None:  # from the middle of the picture into the box
            for _ in range(20):
                page.keyboard.press("ArrowRight")
            page.keyboard.press("Enter")

        assert answered(page, pick) == (False, True)
        page.keyboard.press("Escape")
        page.wait_for_selector("#cutout-editor", state="hidden")
        assert kept(page) == (True, True)
        expect(page.locator("#notes-0")).to_contain_text("2 separate things")


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1440, 900)])
def test_all_of_the_editor_is_in_reach_and_answers_touch(
    chromium: Any, served: str, pair: Path, width: int, height: int
) -> None:
    with opened(chromium, served, width, height, has_touch=True, color_scheme="dark") as page:
        open_editor(page, pair)
        names = ("zoom-in", "zoom-out", "restart", "cancel", "done")
        parts = ("#cutout-tool label", "#cutout-brush input", "#cutout-sheet canvas")
        for selector in (*(f"#cutout-{name}" for name in names), *parts):
            assert page.locator(selector).first.evaluate(_REACHABLE), selector
        assert answered(page, lambda: page.touchscreen.tap(*place(page, 0.725, 0.5))) == (False, True)
        before = page.locator(SHEET).bounding_box()["width"]
        page.locator("#cutout-zoom-in").click()
        assert page.locator(SHEET).bounding_box()["width"] == pytest.approx(1.5 * before, rel=0.02)


def test_a_failed_upload_keeps_pictures_and_mesh(
    chromium: Any, served: str, pair: Path, tmp_path: Path, pipeline: Any
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with opened(chromium, served) as page:
        page.wait_for_selector("#examples button:has(img)")
        page.locator("#examples button:has(img)").first.click()
        page.wait_for_selector("#card-1 img")
        page.locator("#generate-button").click()
        page.wait_for_selector("#facts:has-text('triangles')")
        page.locator("#upload input[type=file]").first.set_input_files([str(broken)])
        expect(page.locator(".toast-body")).to_contain_text("broken.png")
        page.wait_for_timeout(500)
        expect(page.locator("#card-1 img")).to_be_visible()
        expect(page.locator("#facts")).to_contain_text("triangles")
        expect(page.locator("#mesh")).to_be_visible()
