"""Cached results on the page, in Chromium: a first visit, another example, and pictures of one's own; no model runs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image
from playwright.sync_api import expect

from tests.ui.conftest import SHIPPED, FakeTriplanePipeline, open_tab, opened
from wavemesh.geometry.export import mesh_bytes
from wavemesh.ui.studio import Studio

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def studio(pipeline: Any, examples_folder: Path, tmp_path: Path) -> Studio:
    """Both examples have a cached result: a red ball, a green cube and a crumb beside it."""
    cube, crumb = trimesh.creation.box((1, 1, 1)), trimesh.creation.box((0.1, 0.1, 0.1)).apply_translation((0.7, 0, 0))
    shapes = {
        "ball": trimesh.creation.icosphere(subdivisions=3, radius=0.8),
        "cube": trimesh.util.concatenate([cube, crumb]),
    }
    for (name, mesh), colour in zip(shapes.items(), ((220, 30, 30, 255), (20, 190, 40, 255)), strict=True):
        mesh.visual.vertex_colors = np.tile(np.array(colour, dtype=np.uint8), (len(mesh.vertices), 1))
        (examples_folder / name / "mesh.glb").write_bytes(mesh_bytes(mesh, ".glb"))
        Image.new("RGBA", (8, 8)).save(examples_folder / name / "preview.webp")
        facts = {"manifest": "0" * 16, "faces": len(mesh.faces)}
        (examples_folder / name / "result.json").write_text(json.dumps(facts))
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    factories = {"wavemesh": lambda: pipeline, "triplane": lambda: FakeTriplanePipeline(pipeline)}
    return Studio(factories, workspace, examples_folder, SHIPPED)


@pytest.fixture
def page(chromium: Any, served: str) -> Iterator[Any]:
    with opened(chromium, served) as page:
        yield page


def wait_for_colour(page: Any, strong: int, weak: int) -> None:
    """Wait until the viewer shows pixels whose channel `strong` stands out from `weak`."""
    share = 0.0
    for _ in range(60):
        pixels = np.asarray(Image.open(io.BytesIO(page.locator("#mesh canvas").screenshot())).convert("RGB")).astype(
            int
        )
        share = float((pixels[..., strong] > pixels[..., weak] + 40).mean())
        if share > 0.03:
            return
        page.wait_for_timeout(500)
    raise AssertionError(f"only {share:.1%} of the viewer's pixels have the colour")


def test_a_visit_begins_with_a_finished_example(page: Any, pipeline: Any, pictures: list[Path]) -> None:
    page.wait_for_selector("#mesh canvas")
    wait_for_colour(page, 0, 1)
    page.wait_for_selector("#card-1 img")
    expect(page.locator("#card-2")).to_be_hidden()
    expect(page.locator("#facts")).to_contain_text("1,280 triangles")
    expect(page.locator("#credit")).to_contain_text("Ball, by A. Maker, CC0")
    expect(page.locator("#generate-button")).to_be_visible()
    # Another example shows its own result at once.
    page.locator("#examples button:has(img)").nth(1).click()
    page.wait_for_selector("#card-3 img")
    wait_for_colour(page, 1, 0)
    expect(page.locator("#facts")).to_contain_text("24 triangles")
    assert pipeline.calls == []
    # A picture of one's own is another object.
    page.locator("#upload input[type=file]").first.set_input_files([str(pictures[0])])
    page.wait_for_selector("#mesh canvas", state="hidden")
    page.wait_for_selector("text=The mesh appears here.")
    expect(page.locator("#card-1")).to_be_hidden()
    # The shown example is what Generate runs on.
    page.locator("#examples button:has(img)").nth(0).click()
    page.wait_for_selector("#card-1 img")
    page.locator("#generate-button").dispatch_event("click")
    page.wait_for_selector("#facts:has-text('seed 0')")
    assert [view.camera.azimuth_deg for view in pipeline.calls[0]["views"]] == [0.0, 90.0]


CONTENT = {
    "Steps": "#step-shape img",
    "Wavelets": "#edit-mesh .wm-viewer[data-state=ready]",
    "Triplane": "#plane-XY img",
    "Result": "#health table",
    "Compare": "#guidance-button",
}


def test_a_first_visit_finds_no_empty_tab(page: Any, pipeline: Any) -> None:
    page.wait_for_selector("#card-1 img")
    open_tab(page, "Result")
    page.wait_for_selector(CONTENT["Result"])
    page.wait_for_selector("#result-mesh .wm-viewer[data-state=ready]")
    expect(page.locator("#iso-level input[type=number]")).to_be_disabled()
    assert pipeline.calls == []
    # The run that the other tabs look at is made once; the triplane's own where somebody asks for it.
    pipeline.goes_on.clear()
    open_tab(page, "Wavelets")
    page.wait_for_selector("#progress-here .wm-progress-text")
    expect(page.locator("#stop-here")).to_be_visible()
    pipeline.goes_on.set()
    for name in ("Wavelets", "Steps", "Triplane", "Compare", "Result"):
        open_tab(page, name)
        if name == "Triplane":
            page.locator("#own-run").click()
        page.wait_for_selector(CONTENT[name])
    expect(page.locator("#iso-level input[type=number]")).to_be_enabled()
    assert [len(call["views"]) for call in pipeline.calls] == [2, 2]
    open_tab(page, "Generate")
    expect(page.locator("#facts")).to_contain_text("seed 0")


def test_what_would_be_printed_is_told_and_crumbs_are_dropped(page: Any) -> None:
    page.wait_for_selector("#card-1 img")
    page.locator("#examples button:has(img)").nth(1).dispatch_event("click")
    page.wait_for_selector("#facts:has-text('24 triangles')")
    open_tab(page, "Result")
    verdict = page.locator("#health .wm-verdict")
    expect(verdict).to_contain_text("in 2 separate pieces")
    page.locator("#repair input").click()
    expect(page.locator("#repair-summary")).to_contain_text("1 loose piece was dropped")
    expect(verdict).to_have_text("Ready to print: one closed solid.")


def test_no_tab_shows_another_object_once_an_example_is_picked(page: Any, pipeline: Any) -> None:
    page.wait_for_selector("#card-1 img")
    open_tab(page, "Wavelets")
    page.wait_for_selector(CONTENT["Wavelets"])
    open_tab(page, "Generate")
    page.locator("#examples button:has(img)").nth(1).dispatch_event("click")
    page.wait_for_selector("#facts:has-text('24 triangles')")
    for name in ("Steps", "Wavelets", "Triplane", "Compare"):
        open_tab(page, name)
        page.wait_for_selector("text=No run to inspect yet >> visible=true")
        expect(page.locator(CONTENT[name])).to_be_hidden()
    # A second run of an example is made where somebody asks for it; a tab that is open shows it when it is there.
    assert len(pipeline.calls) == 1
    open_tab(page, "Wavelets")
    page.locator("#run-here").click()
    page.wait_for_selector(CONTENT["Wavelets"])
    expect(page.locator("#run-here")).to_be_hidden()
    assert [len(call["views"]) for call in pipeline.calls] == [2, 4]
