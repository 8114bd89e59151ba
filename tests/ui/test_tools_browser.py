"""The tabs as a person uses them, in Chromium: muting a band changes the shape, a mesh is repaired and filmed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image
from playwright.sync_api import expect

from tests.ui.conftest import SHIPPED, FakeTriplanePipeline, open_tab, opened, pixels
from wavemesh.bundled import WEIGHTS
from wavemesh.settings import shipped_settings
from wavemesh.ui.studio import Studio
from wavemesh.ui.wavelets import content as wavelets

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def studio(studio: Studio, pipeline: Any, examples_folder: Path) -> Studio:
    """The studio of the other tests, with a second method."""
    factories = {"wavemesh": lambda: pipeline, "triplane": lambda: FakeTriplanePipeline(pipeline)}
    shipped = {**SHIPPED, "triplane": shipped_settings("triplane", WEIGHTS / "triplane")}
    return Studio(factories, studio.workspace, examples_folder, shipped)


@pytest.fixture
def page(chromium: Any, served: str) -> Iterator[Any]:
    with opened(chromium, served, 1440, 1000) as page:
        yield page


def generate(page: Any, picture: Path) -> None:
    page.locator("#upload input[type=file]").first.set_input_files([str(picture)])
    page.wait_for_selector("#card-0 img")
    page.locator("#generate-button").dispatch_event("click")
    page.wait_for_selector("#facts:has-text('triangles')")


def source(page: Any, selector: str) -> str:
    return str(page.locator(f"{selector} img").get_attribute("src"))


def changed(page: Any, selector: str, before: str) -> None:
    """Wait until the picture is another one."""
    expect(page.locator(f"{selector} img")).not_to_have_attribute("src", before)


def test_muting_a_level_changes_the_mesh_and_can_be_undone(
    page: Any, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(page, pictures[0])
    open_tab(page, "Wavelets")
    page.wait_for_selector("#edit-facts:has-text('0.000 at most')")
    viewer = "#edit-mesh .wm-viewer"
    page.wait_for_selector(f"{viewer}[data-state=ready]")
    expect(page.locator(f"{viewer} [data-tool=compare]")).to_be_hidden()
    page.wait_for_selector("#sites .js-plotly-plot")
    expect(page.locator("#energy tr")).to_have_count(15)
    old_slice, unedited = source(page, "#slice-z"), page.locator(viewer).get_attribute("data-triangles")
    page.locator("#muted input").nth(0).click()
    page.locator("#muted input").nth(1).click()
    page.wait_for_selector("#edit-facts:has-text('; 0 of ')")
    page.wait_for_selector(f"{viewer}[data-measures=change]")
    assert page.locator(viewer).get_attribute("data-triangles") != unedited
    page.locator(f"{viewer} [data-mode=change]").click()
    shot = Image.open(io.BytesIO(page.locator(f"{viewer} canvas").screenshot())).convert("RGB")
    change = np.asarray(shot).astype(int)
    assert (np.abs(change[..., 0] - change[..., 2]) > 40).mean() > 0.01  # blue and red
    page.get_by_role("button", name="Compare with the shape before").click()
    page.wait_for_selector(f"{viewer}[data-compared=before]")
    page.locator("#band-level input").nth(1).click()
    changed(page, "#slice-z", old_slice)
    with page.expect_download() as download:
        page.locator("#save-edit").click()
    download.value.save_as(tmp_path / "edited.glb")
    assert len(trimesh.load(tmp_path / "edited.glb", force="mesh").faces) > 100
    page.locator("#reset-edit").click()
    page.wait_for_selector("#edit-facts:has-text('0.000 at most')")
    page.wait_for_selector(f"{viewer}[data-measures=''][data-compared=''][data-mode=shaded]")
    # Without its approximation the shape is a surface around every cell, too large to be drawn, which is said.
    monkeypatch.setattr(wavelets, "MAX_VERTICES", 5000)
    page.locator("#gain-0 input[type=number]").fill("0")
    page.locator("#gain-0 input[type=number]").press("Tab")
    expect(page.locator(".toast-body")).to_contain_text("up to 5,000 are made of one")
    expect(page.locator("#edit-facts")).to_contain_text("0.000 at most")
    assert page.locator(viewer).get_attribute("data-triangles") == unedited


def test_the_result_is_reshaped_repaired_filmed_and_saved(page: Any, pictures: list[Path], tmp_path: Path) -> None:
    generate(page, pictures[0])
    open_tab(page, "Result")
    page.wait_for_selector("#result-mesh [data-state=ready]")
    page.wait_for_selector("#health:has-text('Ready to print')")
    of_volume = page.locator("#health tr:has-text('Volume') td").first
    volume = of_volume.inner_text()
    page.locator("#iso-level input[type=number]").fill("-0.05")
    page.locator("#iso-level input[type=number]").press("Tab")
    expect(of_volume).not_to_have_text(volume)
    assert 0 < float(of_volume.inner_text()) < float(volume)
    page.locator("#repair input").click()
    page.wait_for_selector("#repair-summary:has-text('Nothing had to be done')")
    # A repaired mesh keeps to the budget, and has the run's colours.
    viewer = page.locator("#result-mesh .wm-viewer")
    full = int(viewer.get_attribute("data-triangles"))
    page.locator("#face-budget input[type=number]").fill("1000")
    page.locator("#face-budget input[type=number]").press("Tab")
    expect(viewer).not_to_have_attribute("data-triangles", str(full))
    assert int(viewer.get_attribute("data-triangles")) <= 1000 < full
    expect(page.locator("#repair input")).to_be_checked()
    shot = Image.open(io.BytesIO(page.locator("#result-mesh canvas").screenshot())).convert("RGB")
    red, _, blue = np.moveaxis(np.asarray(shot).astype(int), 2, 0)
    assert (red > blue + 60).mean() > 0.1
    page.locator("#film-gif").click()
    page.wait_for_selector("#gif img")
    with page.expect_download() as download:
        page.locator("#save-stl").click()
    download.value.save_as(tmp_path / "mesh.stl")
    assert trimesh.load(tmp_path / "mesh.stl", force="mesh").extents.max() == pytest.approx(100.0, rel=1e-3)


def test_dragging_turns_the_volume_and_gains_change_it(page: Any, pictures: list[Path]) -> None:
    page.locator("#advanced button").first.click()
    page.locator("#method input").click()
    page.get_by_role("option").nth(1).click()
    # No two presets are the same under two names.
    presets, steps = page.locator("#preset label:visible"), page.locator("#steps input[type=number]")
    expect(steps).to_be_visible()
    found = set()
    for place in range(presets.count()):
        presets.nth(place).click()
        page.wait_for_timeout(300)
        expect(presets.nth(place).locator("input")).to_be_checked()
        found.add(steps.input_value())
    assert len(found) == presets.count() > 1
    presets.filter(has_text="Balanced").click()
    generate(page, pictures[0])
    open_tab(page, "Triplane")
    for selector in ("#orbit", "#orbit-ll", "#plane-XY", "#plane-YZ"):
        pixels(page, selector)
    page.wait_for_timeout(1500)
    before = source(page, "#orbit")
    box = page.locator("#orbit").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 80, steps=4)
    page.mouse.up()
    changed(page, "#orbit", before)
    expect(page.locator("#orbit-azimuth input[type=number]")).to_have_value("-30")
    plane = source(page, "#plane-XY")
    page.locator("#gain-LL input[type=number]").fill("0.2")
    page.locator("#gain-LL input[type=number]").press("Tab")
    changed(page, "#plane-XY", plane)
    # Another object takes the place of this one: its planes may not stay.
    open_tab(page, "Generate")
    page.locator("#examples button:has(img)").nth(1).dispatch_event("click")
    page.wait_for_selector("#card-3 img")
    open_tab(page, "Triplane")
    page.wait_for_selector("text=No run to inspect yet >> visible=true")
    expect(page.locator("#orbit")).to_be_hidden()
