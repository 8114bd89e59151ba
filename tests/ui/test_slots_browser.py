"""Sides, the order of the pictures and the map of their cameras, in Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.ui.conftest import FakePipeline, draw_object, opened, pixels

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]

SIZES = [(1280, 900), (390, 844)]


def upload(page: Any, pictures: list[Path]) -> None:
    page.locator("#upload input[type=file]").first.set_input_files([str(path) for path in pictures])
    page.wait_for_selector(f"#card-{len(pictures) - 1} img")
    expect(page.locator(f"#card-{len(pictures)}")).to_be_hidden()


def sides(page: Any, count: int) -> list[str]:
    return [page.locator(f"#side-{number} input").input_value() for number in range(count)]


def mark(page: Any, number: int) -> Any:
    return page.locator(f'#orbit-map [data-picture="{number}"]')


def centre(page: Any, number: int) -> tuple[float, float]:
    """The middle of a mark in the window, which nothing else may lie over."""
    box = mark(page, number).locator("circle").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    found = "([x, y]) => document.elementFromPoint(x, y).closest('.wm-mark')?.dataset.picture"
    assert page.evaluate(found, [x, y]) == str(number)
    return x, y


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_four_pictures_get_their_sides_and_change_places(
    chromium: Any, served: str, pipeline: FakePipeline, tmp_path: Path, width: int, height: int
) -> None:
    with opened(chromium, served, width, height) as page:
        upload(page, [draw_object(tmp_path / f"disc {number}.png") for number in range(4)])
        assert sides(page, 4) == ["Unknown"] * 4
        expect(page.locator("#orbit-map")).to_be_hidden()
        page.locator("#sides-in-order").click()
        expect(page.locator("#side-3 input")).to_have_value("Left")
        assert sides(page, 4) == ["Front", "Right", "Back", "Left"]
        expect(mark(page, 1)).to_have_attribute("transform", "rotate(-90)")
        expect(page.locator("#orbit-map [tabindex]")).to_have_count(0)  # nothing is estimated yet
        # With the keyboard, and by dragging one card on another.
        expect(page.locator("#earlier-0")).to_be_disabled()
        page.locator("#later-0").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#side-0 input")).to_have_value("Right")
        page.locator("#card-3 img").drag_to(page.locator("#card-0 img"))
        expect(page.locator("#side-0 input")).to_have_value("Left")
        assert sides(page, 4) == ["Left", "Right", "Front", "Back"]
        page.locator("#side-3 input").click()
        page.get_by_role("option", name="Top").click()
        expect(mark(page, 3)).to_have_attribute("aria-label", "Picture 4: the top, still to be estimated")
        page.locator("#generate-button").click()
        expect(page.locator("#orbit-map [tabindex]")).to_have_count(4)
        assert [view.side for view in pipeline.calls[0]["views"]] == ["left", "right", "front", "top"]
        page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth + 1")


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_cameras_are_moved_on_the_map_and_by_typing(
    chromium: Any, served: str, pictures: list[Path], width: int, height: int
) -> None:
    with opened(chromium, served, width, height) as page:
        upload(page, pictures[:2])
        page.locator("#generate-button").click()
        expect(mark(page, 1)).to_have_attribute("aria-valuenow", "0")
        page.locator("#orbit-map").scroll_into_view_if_needed()
        before = pixels(page, "#card-1")
        box = page.locator("#orbit-map svg").bounding_box()
        page.mouse.move(*centre(page, 1))
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.85, box["y"] + box["height"] / 2, steps=4)
        page.mouse.up()
        azimuth = page.locator("#azimuth-1 input[type=number]")
        # Whoever moves a camera knows it.
        expect(azimuth).to_have_value("90")
        expect(azimuth).to_be_enabled()
        expect(page.locator("#estimate input")).not_to_be_checked()
        expect(page.locator("#azimuth-0 input[type=number]")).to_have_value("0")
        centre(page, 0)
        mark(page, 1).focus()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        expect(azimuth).to_have_value("88")
        expect(mark(page, 1)).to_be_focused()

        azimuth.fill("-30")
        azimuth.press("Tab")
        expect(mark(page, 1)).to_have_attribute("aria-valuenow", "-30")
        page.locator("#azimuth-1 input[type=range]").press("ArrowRight")
        expect(mark(page, 1)).to_have_attribute("aria-valuenow", "-29")
        assert not np.array_equal(pixels(page, "#card-1"), before)
        page.locator("#cut-background input").click()
        expect(page.locator("#cut-background input")).not_to_be_checked()
        page.wait_for_timeout(500)
        expect(azimuth).to_have_value("-29")
        expect(mark(page, 1)).to_have_attribute("aria-valuenow", "-29")
