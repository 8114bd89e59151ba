"""Runs as a person meets them, in Chromium: presets, an uploaded mesh, the steps of its run, and comparisons."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image
from playwright import sync_api as playwright

from wavemesh.pipelines.bundle import read_bundle

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]

WAIT_MS = 60_000


@pytest.fixture
def page(served: str) -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(WAIT_MS)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(served)
        page.wait_for_selector("#generate-button")
        yield page
        assert errors == []
        browser.close()


def value(page: Any, name: str) -> str:
    return page.locator(f"#{name} input[type=number]").input_value()


def shot(page: Any, selector: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")).astype(int)


def test_presets_set_the_sliders_and_sliders_the_preset(page: Any) -> None:
    assert (value(page, "coarse-steps"), value(page, "detail-steps")) == ("4", "2")
    page.locator("#preset label", has_text="Fine").click()
    page.wait_for_function("document.querySelector('#coarse-steps input[type=number]').value === '12'")
    assert page.locator("#preset input:checked").get_attribute("value") == "fine"
    assert value(page, "detail-steps") == "4"
    page.locator("#lattice button").first.click()
    assert page.locator("#turns input:checked").get_attribute("value") == "4"
    page.locator("#turns label", has_text="2").click()
    page.wait_for_function("document.querySelectorAll('#preset input:checked').length === 0")
    page.locator("#preset label", has_text="Fast").click()
    page.wait_for_function("document.querySelector('#coarse-steps input[type=number]').value === '1'")
    page.wait_for_function("document.querySelector('#turns input:checked').value === '4'")
    page.locator("#turns label", has_text="1").click()  # one step in one frame is no preset
    page.wait_for_function("document.querySelectorAll('#preset input:checked').length === 0")
    page.locator("#preset label", has_text="Balanced").click()
    page.wait_for_function("document.querySelector('#coarse-steps input[type=number]').value === '4'")
    page.wait_for_timeout(500)
    assert page.locator("#preset input:checked").get_attribute("value") == "balanced"
    page.locator("#preset label", has_text="Balanced").click()
    page.wait_for_timeout(500)
    assert page.locator("#preset input:checked").get_attribute("value") == "balanced"
    page.locator("#coarse-steps input[type=number]").fill("7")
    page.locator("#coarse-steps input[type=number]").press("Tab")
    page.wait_for_function("document.querySelectorAll('#preset input:checked').length === 0")
    assert "first run measures" in page.locator("#estimate-time").inner_text()


def test_a_mesh_is_rendered_generated_walked_through_and_compared(page: Any, pipeline: Any, tmp_path: Path) -> None:
    mesh = tmp_path / "ball.ply"
    trimesh.creation.icosphere(subdivisions=3).export(mesh)
    page.locator("#render-mesh button").first.click()
    page.locator("#mesh-file input[type=file]").first.set_input_files(str(mesh))
    page.wait_for_selector("#mesh-file td[aria-label='ball.ply']")  # the name alone is only in the progress bar
    page.locator("#render-button").dispatch_event("click")
    page.wait_for_selector("#card-3 img")
    page.locator("#generate-button").dispatch_event("click")
    page.wait_for_selector("#facts", state="visible")
    # In the end the strip has every step, and the curves a line for each stage.
    page.wait_for_function("document.querySelectorAll('#watch .wm-film img').length === 6")
    assert page.locator("#watch polyline").count() == 4
    assert "7 active sites" in page.locator("#watch").inner_text()
    with page.expect_download() as download:
        page.locator("#download-zip").click()
    download.value.save_as(tmp_path / "run.zip")
    assert len(read_bundle(tmp_path / "run.zip").steps) == 6
    runs = len(pipeline.calls)

    page.get_by_role("tab", name="Steps").click()
    page.wait_for_selector("#step-shape img")
    page.wait_for_selector("#step-bands img")
    last = shot(page, "#step-shape img")
    assert page.locator("#step-bands img").count() == 15
    page.locator("#step input[type=number]").fill("1")
    page.locator("#step input[type=number]").press("Tab")
    page.wait_for_selector("#step-facts >> text=Coarse stage, step 1 of 4")
    page.wait_for_function("document.querySelectorAll('#step-bands img').length === 8")
    page.wait_for_timeout(500)
    first = shot(page, "#step-shape img")
    clay = [float((np.ptp(each, axis=2) > 8).mean()) for each in (first, last)]
    assert clay[0] < 0.5 * clay[1]  # the fake's spheres grow
    assert len(pipeline.calls) == runs

    page.get_by_role("tab", name="Compare").click()
    page.wait_for_selector("#truth-note >> text=rendered from a mesh")
    page.locator("#leave-button").dispatch_event("click")
    page.wait_for_selector("#leave-2 img")
    assert "Mean displacement 0.0000" in page.locator("#leave-words").inner_text()  # the fake looks at no picture
    assert len(pipeline.calls) == runs + 1
    assert len(pipeline.calls[-1]["views"]) == 3


def test_a_comparison_can_be_stopped(page: Any, pipeline: Any) -> None:
    page.locator("#examples button:has(img)").first.click()
    page.wait_for_selector("#card-1 img")
    page.locator("#generate-button").dispatch_event("click")
    page.wait_for_selector("#facts >> text=seed 0")
    page.get_by_role("tab", name="Compare").click()
    page.wait_for_selector("#guidance-button")
    page.wait_for_timeout(1000)  # the tab has just been drawn, and its buttons act a moment later
    pipeline.pause_s, before = 3.0, pipeline.steps_done
    page.locator("#guidance-button").dispatch_event("click")
    page.wait_for_selector("#guidance-stop")
    page.wait_for_selector("#guidance-words >> text=Guidance 1")
    page.locator("#guidance-stop").dispatch_event("click")
    page.wait_for_selector("#guidance-button")
    assert "Stopped early at guidance 1" in page.locator("#guidance-words").inner_text()
    # What there was is shown, and the second run never began.
    page.wait_for_selector("#guidance-0 img")
    assert not page.locator("#guidance-1").is_visible()
    assert len(pipeline.calls) == 2
    assert 0 < pipeline.steps_done - before < 6


def test_an_example_picked_during_a_run_stays_when_the_run_ends(page: Any, pipeline: Any) -> None:
    pipeline.pause_s = 0.5
    page.locator("#examples button:has(img)").first.click()
    page.wait_for_selector("#card-1 img")
    page.locator("#generate-button").dispatch_event("click")
    page.wait_for_selector("#forming", state="visible")
    page.locator("#examples button:has(img)").nth(1).click()
    page.wait_for_selector("#card-3 img")
    page.wait_for_selector("text=pictures that are no longer here")
    assert pipeline.steps_done == 6
    assert not page.locator("#facts").is_visible()
    assert not page.locator("#download-zip").is_visible()
    assert "Cube" in page.locator("#credit").inner_text()
    page.get_by_role("tab", name="Steps").click()
    page.wait_for_selector("text=No run to inspect yet")


def test_a_bundled_mesh_is_rendered(page: Any) -> None:
    page.locator("#render-mesh button").first.click()
    page.locator("#mesh-bundled input").click()
    page.get_by_role("option", name="Ball").click()
    page.locator("#mesh-views input[type=number]").fill("3")
    page.locator("#mesh-views input[type=number]").press("Tab")
    page.locator("#render-button").dispatch_event("click")
    page.wait_for_selector("#card-2 img")
    assert not page.locator("#card-3").is_visible()
    assert "A. Maker" in page.locator("#credit").inner_text()
    assert value(page, "azimuth-1") == "150"
