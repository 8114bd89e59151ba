"""Runs as a person meets them, in Chromium: presets, an uploaded mesh, the steps of its run, and comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from playwright.sync_api import expect

from tests.ui.conftest import open_tab, opened, pixels
from wavemesh.pipelines.bundle import read_bundle
from wavemesh.ui.compare import content as compare

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def page(chromium: Any, served: str) -> Iterator[Any]:
    with opened(chromium, served) as page:
        yield page


def number(page: Any, name: str) -> Any:
    return page.locator(f"#{name} input[type=number]")


def test_presets_set_the_sliders_and_sliders_the_preset(page: Any) -> None:
    coarse, detail = number(page, "coarse-steps"), number(page, "detail-steps")
    preset, frames = page.locator("#preset input:checked"), page.locator("#frames input:checked")

    def choose(group: str, label: str) -> None:
        page.locator(f"#{group} label", has_text=label).click()

    page.locator("#advanced button").first.click()
    expect(coarse).to_have_value("4")
    expect(detail).to_have_value("2")
    choose("preset", "Fine")
    expect(coarse).to_have_value("12")
    expect(detail).to_have_value("4")
    expect(preset).to_have_value("fine")
    expect(frames).to_have_value("4")
    choose("frames", "2")
    expect(preset).to_have_count(0)
    choose("preset", "Fast")
    expect(coarse).to_have_value("1")
    expect(frames).to_have_value("4")
    choose("frames", "1")  # one step in one frame is no preset
    expect(preset).to_have_count(0)
    for _ in range(2):  # chosen again, it stays
        choose("preset", "Balanced")
        expect(coarse).to_have_value("4")
        page.wait_for_timeout(500)
        expect(preset).to_have_value("balanced")
    coarse.fill("7")
    coarse.press("Tab")
    expect(preset).to_have_count(0)
    expect(page.locator("#estimate-time")).to_contain_text("first run measures")


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
    expect(page.locator("#watch .wm-film button img")).to_have_count(6)
    expect(page.locator("#watch polyline")).to_have_count(4)
    expect(page.locator("#watch")).to_contain_text("7 active sites")
    with page.expect_download() as download:
        page.locator("#download-zip").click()
    download.value.save_as(tmp_path / "run.zip")
    assert len(read_bundle(tmp_path / "run.zip").steps) == 6
    runs = len(pipeline.calls)

    open_tab(page, "Steps")
    page.wait_for_selector("#step-shape img")
    expect(page.locator("#step-bands img")).to_have_count(15)
    last = pixels(page, "#step-shape")
    shown = page.locator("#step-shape img").get_attribute("src")
    number(page, "step").fill("1")
    number(page, "step").press("Tab")
    page.wait_for_selector("#step-facts >> text=Coarse stage, step 1 of 4")
    expect(page.locator("#step-bands img")).to_have_count(8)
    expect(page.locator("#step-shape img")).not_to_have_attribute("src", shown)
    first = pixels(page, "#step-shape")
    clay = [float((np.ptp(each[..., :3], axis=2) > 8).mean()) for each in (first, last)]
    assert clay[0] < 0.5 * clay[1]  # the fake's spheres grow
    assert len(pipeline.calls) == runs

    open_tab(page, "Compare")
    page.wait_for_selector("#truth-note >> text=rendered from a mesh")
    page.locator("#leave-button").dispatch_event("click")
    page.wait_for_selector("#leave-2 img")
    expect(page.locator("#leave-words")).to_contain_text("Mean displacement 0.0000")  # the fake looks at no picture
    assert len(pipeline.calls) == runs + 1
    assert len(pipeline.calls[-1]["views"]) == 3

    # On a page of its own the saved run is there again, with its strip and its address.
    page.goto(page.url.split("?")[0])
    page.wait_for_selector("#examples img")
    page.get_by_test_id("Open a saved run-upload-button").set_input_files(tmp_path / "run.zip")
    expect(page.locator("#facts")).to_contain_text("triangles", timeout=20_000)
    expect(page.locator("#card-3 img")).to_be_visible()
    expect(page.locator("#watch .wm-film button img")).to_have_count(6)
    page.wait_for_function("new URL(location).searchParams.get('run')")


def test_a_run_is_measured_and_seen_with_its_errors(
    page: Any, pipeline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "NUM_POINTS", 1000)
    pipeline.side = 128  # in which the truth is measured
    mesh = tmp_path / "ball.ply"
    trimesh.creation.icosphere(subdivisions=3).export(mesh)
    page.locator("#render-mesh button").first.click()
    page.locator("#mesh-file input[type=file]").first.set_input_files(str(mesh))
    page.wait_for_selector("#mesh-file td[aria-label='ball.ply']")
    page.locator("#render-button").dispatch_event("click")
    page.wait_for_selector("#card-3 img")
    page.locator("#advanced button").first.click()
    for name in ("coarse-steps", "detail-steps"):
        number(page, name).fill("1")
        number(page, name).press("Tab")
    page.locator("#generate-button").dispatch_event("click")
    page.wait_for_selector("#facts:has-text('triangles')")
    open_tab(page, "Compare")
    page.locator("#measure-button:enabled").dispatch_event("click")
    page.wait_for_selector("#scores table")
    page.wait_for_selector("#error-mesh .wm-viewer[data-mode=error]")
    expect(page.locator("#error-mesh .wm-viewer-legend")).to_contain_text("0.10 and more")
    page.get_by_role("button", name="Compare with the true mesh").click()
    page.wait_for_selector("#error-mesh .wm-viewer[data-compared=before]")
    assert len(pipeline.calls) == 1


def test_a_distant_visitor_sees_the_whole_run_and_its_comparison(page: Any) -> None:
    """Half a second away the updates of a quick run arrive together, and of those the page may show the last alone."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    unlimited = {"downloadThroughput": -1, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", {"offline": False, "latency": 500, **unlimited})
    page.locator("#examples button:has(img)").first.click()
    page.wait_for_selector("#card-1 img")
    page.locator("#generate-button").dispatch_event("click")
    page.wait_for_selector("#facts >> text=seed 0")
    expect(page.locator("#watch .wm-film button img")).to_have_count(6)
    expect(page.locator("#generate-button")).to_be_visible()
    open_tab(page, "Compare")
    page.locator("#leave-button").click()
    for number in range(3):
        page.wait_for_selector(f"#leave-{number} img")
    expect(page.locator("#leave-button")).to_be_visible()


def test_a_comparison_can_be_stopped(page: Any, pipeline: Any) -> None:
    page.locator("#examples button:has(img)").first.click()
    page.wait_for_selector("#card-1 img")
    page.locator("#generate-button").dispatch_event("click")
    page.wait_for_selector("#facts >> text=seed 0")
    open_tab(page, "Compare")
    page.wait_for_selector("#guidance-button")
    pipeline.pause_s, before = 3.0, pipeline.steps_done
    page.locator("#guidance-button").dispatch_event("click")
    page.wait_for_selector("#guidance-stop")
    page.wait_for_selector("#guidance-words >> text=Guidance 1")
    page.locator("#guidance-stop").dispatch_event("click")
    page.wait_for_selector("#guidance-button")
    expect(page.locator("#guidance-words")).to_contain_text("Stopped early at guidance 1")
    # What there was is shown, and the second run never began.
    page.wait_for_selector("#guidance-0 img")
    expect(page.locator("#guidance-1")).to_be_hidden()
    assert len(pipeline.calls) == 2
    assert 0 < pipeline.steps_done - before < 6


def test_an_example_picked_during_a_run_stays_when_the_run_ends(page: Any, pipeline: Any) -> None:
    pipeline.pause_s = 1.5
    page.locator("#examples button:has(img)").first.click()
    page.wait_for_selector("#card-1 img")
    page.locator("#generate-button").dispatch_event("click")
    page.wait_for_selector("#progress .wm-progress-fill")
    page.locator("#examples button:has(img)").nth(1).click()
    page.wait_for_selector("#card-3 img")
    page.wait_for_selector("text=pictures that are no longer here")
    assert pipeline.steps_done == 6
    expect(page.locator("#facts")).to_be_hidden()
    expect(page.locator("#download-zip")).to_be_hidden()
    expect(page.locator("#credit")).to_contain_text("Cube")
    # The tabs that look at runs make that of what is shown.
    open_tab(page, "Steps")
    page.wait_for_selector("#step-shape img")
    assert [len(call["views"]) for call in pipeline.calls] == [2, 4]


def test_a_bundled_mesh_is_rendered(page: Any) -> None:
    page.locator("#render-mesh button").first.click()
    page.locator("#mesh-bundled input").click()
    page.get_by_role("option", name="Ball").click()
    number(page, "mesh-views").fill("3")
    number(page, "mesh-views").press("Tab")
    page.locator("#render-button").dispatch_event("click")
    page.wait_for_selector("#card-2 img")
    expect(page.locator("#card-3")).to_be_hidden()
    expect(page.locator("#credit")).to_contain_text("A. Maker")
    expect(number(page, "azimuth-1")).to_have_value("150")
