"""The viewer as a person sees and reaches it, in Chromium: framed, lit, in four looks, by mouse, keys and fingers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.ui.conftest import open_tab, opened

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]

VIEWER = "#mesh .wm-viewer"


@pytest.fixture
def page(chromium: Any, served: str, pictures: list[Path]) -> Iterator[Any]:
    """A finished run of one picture."""
    with opened(chromium, served, 1440) as page:
        generate(page, pictures[0])
        yield page


def generate(page: Any, picture: Path) -> None:
    page.locator("#upload input[type=file]").first.set_input_files([str(picture)])
    page.wait_for_selector("#card-0 img")
    page.locator("#generate-button").dispatch_event("click")
    page.wait_for_selector(f"{VIEWER}[data-state=ready]")


def told(page: Any) -> dict[str, float]:
    """Where the view is, as the viewer says it."""
    facts = page.locator(VIEWER).evaluate("root => ({...root.dataset})")
    return {name: float(facts[name]) for name in ("azimuth", "elevation", "zoom")}


def drawn(page: Any) -> np.ndarray:
    """The pixels of the canvas, RGBA, with transparency where nothing is drawn."""
    with page.expect_download() as download:
        page.locator(f"{VIEWER} [data-tool=picture]").click()
    assert download.value.suggested_filename.endswith("-view.png")
    return np.asarray(Image.open(download.value.path()).convert("RGBA")).astype(int)


def reachable(page: Any, selector: str) -> bool:
    """Whether the middle of it is on the screen, and nothing lies over it."""
    return bool(
        page.locator(selector).first.evaluate(
            "node => { const box = node.getBoundingClientRect(); const hit = document.elementFromPoint("
            "box.x + box.width / 2, box.y + box.height / 2); return !!hit && (node === hit || node.contains(hit)); }"
        )
    )


def test_the_object_is_large_and_lit_and_seen_from_the_pictures_side(page: Any) -> None:
    box = page.locator(VIEWER).bounding_box()
    assert box["width"] * box["height"] > 0.34 * 1440 * 900
    pixels = drawn(page)
    solid = pixels[..., 3] == 255
    assert solid.mean() > 0.35
    assert 0 < (pixels[..., 3] > 8)[~solid].mean() < 0.6  # a shadow on the ground, and no more
    # The fake's mesh is a red ball: not burnt out, with a bright and a dark side.
    red = pixels[solid][:, 0]
    assert (pixels[solid].min(axis=1) > 250).mean() < 0.001
    assert np.quantile(red, 0.95) - np.quantile(red, 0.05) > 60
    # The picture's camera is estimated at 40 and 25 degrees, and the first picture is the front.
    assert told(page) == {"azimuth": 0.0, "elevation": 25.0, "zoom": 1.0}


def test_looks_change_at_once_and_keep_the_view(page: Any) -> None:
    page.locator(f"{VIEWER} canvas").focus()
    page.keyboard.press("ArrowRight")
    view, shots = told(page), {}
    for look in ("clay", "normals", "wireframe", "shaded"):
        button = f"{VIEWER} [data-mode={look}]"
        assert reachable(page, button)
        took = page.locator(button).evaluate(
            "node => new Promise(done => { const begin = performance.now(); node.click(); "
            "done([node.closest('.wm-viewer').dataset.mode, performance.now() - begin]); })"
        )
        assert took[0] == look
        assert took[1] < 100
        shots[look] = drawn(page)
        assert told(page) == view
    clay, normals, wires, shaded = (shots[look] for look in ("clay", "normals", "wireframe", "shaded"))
    solid = shaded[..., 3] == 255
    assert np.ptp(clay[solid][:, :3], axis=1).mean() < 60 < np.ptp(shaded[solid][:, :3], axis=1).mean()
    assert normals[solid][:, :3].std(axis=0).min() > 25
    assert 0.02 < (np.abs(wires - shaded)[solid][:, :3].max(axis=1) > 25).mean() < 0.9


def test_mouse_and_keys_turn_it_and_reset_goes_back(page: Any) -> None:
    first = told(page)
    box = page.locator(f"{VIEWER} canvas").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 340, steps=4)
    page.mouse.up()
    assert told(page)["azimuth"] == pytest.approx(first["azimuth"] - 35.0, abs=1.0)
    assert told(page)["elevation"] == pytest.approx(first["elevation"] + 14.0, abs=1.0)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("+")
    assert told(page)["azimuth"] == pytest.approx(first["azimuth"] - 45.0, abs=1.0)
    assert told(page)["zoom"] < 0.9
    assert "seen from 45° to the left" in page.locator(f"{VIEWER} canvas").get_attribute("aria-label")
    page.keyboard.press("r")
    assert told(page) == first
    page.keyboard.press("ArrowUp")
    assert reachable(page, f"{VIEWER} [data-tool=reset]")
    page.locator(f"{VIEWER} [data-tool=reset]").click()
    assert told(page) == first


def test_a_new_shape_keeps_the_view(page: Any) -> None:
    open_tab(page, "Result")
    viewer = "#result-mesh .wm-viewer"
    page.wait_for_selector(f"{viewer}[data-state=ready]")
    page.locator(f"{viewer} canvas").focus()
    page.keyboard.press("ArrowLeft")
    turned = page.locator(viewer).get_attribute("data-azimuth")
    before = page.locator(viewer).get_attribute("data-triangles")
    page.locator("#face-budget input[type=number]").fill("1000")
    page.locator("#face-budget input[type=number]").press("Tab")
    expect(page.locator(viewer)).not_to_have_attribute("data-triangles", before)
    assert int(page.locator(viewer).get_attribute("data-triangles")) <= 1000
    assert page.locator(viewer).get_attribute("data-azimuth") == turned


def test_a_phone_scrolls_with_one_finger_and_turns_with_two(chromium: Any, served: str, pictures: list[Path]) -> None:
    with opened(chromium, served, 390, 844, has_touch=True, is_mobile=True) as page:
        generate(page, pictures[0])
        page.locator(VIEWER).scroll_into_view_if_needed()
        page.wait_for_timeout(800)  # the page scrolls to the run by itself
        first, scrolled = told(page), page.evaluate("scrollY")
        box = page.locator(f"{VIEWER} canvas").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        touch = page.context.new_cdp_session(page)

        def swipe(fingers: int, dx: float, dy: float) -> None:
            for step in range(9):
                at = [{"x": x + dx * step / 8 + 60 * n, "y": y + dy * step / 8, "id": n} for n in range(fingers)]
                kind = "touchMove" if step else "touchStart"
                touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})
            touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
            page.wait_for_timeout(400)

        swipe(1, 0, 160)
        assert abs(page.evaluate("scrollY") - scrolled) > 60
        assert told(page) == first
        page.locator(VIEWER).scroll_into_view_if_needed()
        page.wait_for_timeout(300)
        scrolled = page.evaluate("scrollY")
        box = page.locator(f"{VIEWER} canvas").bounding_box()
        x, y = box["x"] + box["width"] / 3, box["y"] + box["height"] / 2
        swipe(2, 80, 40)
        assert page.evaluate("scrollY") == scrolled
        assert told(page)["azimuth"] != first["azimuth"]


def test_it_turns_by_itself_until_it_is_touched(chromium: Any, served: str, pictures: list[Path]) -> None:
    with opened(chromium, served, 800, 700, reduced_motion="no-preference") as page:
        generate(page, pictures[0])
        # A slow machine stops soon, yet not before it has turned.
        page.wait_for_function("root => document.querySelector(root).dataset.azimuth !== '0.0'", arg=VIEWER)
        turn = page.locator(f"{VIEWER} [data-tool=turn]")
        page.locator(f"{VIEWER} canvas").focus()
        page.keyboard.press("ArrowUp")
        expect(turn).to_have_attribute("aria-pressed", "false")
        still = told(page)
        page.wait_for_timeout(600)
        assert told(page) == still


def test_dark_and_light_stand_out_from_the_object(page: Any) -> None:
    def ground() -> np.ndarray:
        shot = Image.open(io.BytesIO(page.locator(f"{VIEWER} canvas").screenshot())).convert("RGB")
        return np.asarray(shot).astype(int)[5, 5]

    light = ground()
    page.evaluate("document.body.classList.add('dark')")
    dark = ground()
    assert 170 < light.mean() < 245  # a white object can be told from it
    assert 20 < dark.mean() < 110


def test_a_run_forms_where_its_mesh_will_stand_and_its_steps_come_back(
    chromium: Any, served: str, pictures: list[Path], pipeline: Any
) -> None:
    pipeline.pause_s = 0.6
    pipeline.goes_on.clear()
    with opened(chromium, served, 1440) as page:
        page.locator("#upload input[type=file]").first.set_input_files([str(pictures[0])])
        page.wait_for_selector("#card-0 img")
        page.locator("#generate-button").dispatch_event("click")
        page.wait_for_selector(f"{VIEWER}[data-forming=true]")
        # The processor draws, and the run needs it: a shape that gives way soon is not drawn finely.
        page.wait_for_timeout(1000)
        canvas, dots = page.locator(f"{VIEWER} canvas"), "canvas => canvas.width / canvas.clientWidth"
        assert canvas.evaluate(dots) == pytest.approx(1.0, abs=0.02)
        pipeline.goes_on.set()
        canvas.focus()
        page.keyboard.press("ArrowRight")
        chosen = told(page)["azimuth"]
        assert chosen != 0.0
        page.wait_for_selector(f"{VIEWER}[data-forming=false]")
        assert told(page)["azimuth"] == chosen  # the view that was chosen while it formed
        fine = (
            "node => { const {width, clientWidth} = document.querySelector(node); return width > 1.9 * clientWidth; }"
        )
        page.wait_for_function(fine, arg=f"{VIEWER} canvas")
        final = page.locator(VIEWER).get_attribute("data-triangles")
        second = page.locator("#watch [data-viewer-step='1']")
        second.scroll_into_view_if_needed()
        assert reachable(page, "#watch [data-viewer-step='1']")
        second.click()
        page.wait_for_selector(f"{VIEWER}[data-step='1']")
        assert int(page.locator(VIEWER).get_attribute("data-triangles")) < int(final)
        slider = page.locator(f"{VIEWER} .wm-viewer-steps input")
        assert slider.get_attribute("aria-valuetext") == "coarse 2"
        slider.focus()
        page.keyboard.press("End")
        page.wait_for_selector(f"{VIEWER}[data-step='']")
        assert page.locator(VIEWER).get_attribute("data-triangles") == final
        assert told(page)["azimuth"] == chosen
