"""The page as a person meets it, in Chromium: a picture goes in, a shape forms, a mesh turns and can be saved."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image
from playwright.sync_api import expect

from tests.ui.conftest import opened

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(params=[1440, 390], ids=["wide", "narrow"])
def page(request: pytest.FixtureRequest, chromium: Any, served: str) -> Iterator[Any]:
    with opened(chromium, served, request.param) as page:
        yield page


def generate(page: Any) -> None:
    page.locator("#generate-button").dispatch_event("click")


def coloured_share(page: Any) -> float:
    """Share of the viewer's pixels that are the fake mesh's red."""
    pixels = np.asarray(Image.open(io.BytesIO(page.locator("#mesh canvas").screenshot())).convert("RGB")).astype(int)
    return float(((pixels[..., 0] > pixels[..., 2] + 30) & (pixels[..., 0] > 60)).mean())


def test_a_picture_becomes_a_mesh(page: Any, pictures: list[Path], pipeline: Any, tmp_path: Path) -> None:
    pipeline.pause_s = 0.3
    page.locator("#upload input[type=file]").first.set_input_files([str(path) for path in pictures[:2]])
    page.wait_for_selector("#card-1 img")
    expect(page.locator("#card-2")).to_be_hidden()
    expect(page.locator("#azimuth-0")).to_be_hidden()  # estimated: nothing to set
    generate(page)
    page.wait_for_selector("#stop-button", state="visible")
    page.wait_for_selector("#progress .wm-progress-fill")
    page.wait_for_selector("#mesh .wm-viewer[data-forming=true]")
    page.wait_for_selector("#mesh .wm-viewer[data-forming=false]")
    page.wait_for_selector("#generate-button", state="visible")
    for _ in range(120):
        if coloured_share(page) > 0.03:
            break
        page.wait_for_timeout(500)
    assert coloured_share(page) > 0.03
    expect(page.locator("#facts")).to_contain_text(re.compile(r"[\d,]+ vertices, [\d,]+ triangles"))
    for suffix in ("glb", "obj", "ply", "stl"):
        with page.expect_download() as download:
            page.locator(f"#download-{suffix}").click()
        path = tmp_path / f"saved.{suffix}"
        download.value.save_as(path)
        assert download.value.suggested_filename == f"disc-0-mesh.{suffix}"
        assert len(trimesh.load(path, force="mesh").faces) > 100
    for suffix in ("3mf", "usdz"):
        with page.expect_download() as download:
            page.locator(f"#download-{suffix}").click()
        download.value.save_as(tmp_path / f"saved.{suffix}")
        assert zipfile.is_zipfile(tmp_path / f"saved.{suffix}")
    # The estimate came back: the sliders show it, and are the person's once the switch is off.
    # The first picture is the front, wherever it was estimated to be.
    expect(page.locator("#azimuth-0 input[type=number]")).to_have_value("0")
    page.locator("#estimate input").click()
    page.wait_for_selector("#azimuth-0 input[type=number]:enabled")
    # Nothing is wider than the window.
    page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth + 1")


def test_an_example_brings_its_cameras_and_stop_keeps_the_shape(page: Any, pipeline: Any) -> None:
    pipeline.pause_s = 0.4
    page.locator("#examples button:has(img)").nth(1).click()
    page.wait_for_selector("#card-3 img")
    expect(page.locator("#azimuth-1 input[type=number]")).to_have_value("90")
    page.locator("#remove-3").click()
    page.wait_for_selector("#card-3", state="hidden")
    page.locator("#advanced button").first.click()
    coarse_steps = page.locator("#coarse-steps input[type=number]")
    expect(coarse_steps).to_have_value("4")
    coarse_steps.press("ControlOrMeta+a")
    coarse_steps.press_sequentially("40")
    coarse_steps.press("Tab")
    expect(page.locator("#preset input:checked")).to_have_count(0)  # no preset has so many
    before = page.locator("#seed input").input_value()
    page.locator("#dice").click()
    expect(page.locator("#seed input")).not_to_have_value(before)
    generate(page)
    page.wait_for_selector("#mesh .wm-viewer[data-forming=true]")
    page.locator("#stop-button").dispatch_event("click")
    page.wait_for_selector("#mesh .wm-viewer[data-forming=false]")
    expect(page.locator("#facts")).to_contain_text("Stopped early")
    assert len(pipeline.calls[0]["views"]) == 3
    assert (pipeline.calls[0]["coarse_steps"], pipeline.calls[0]["detail_steps"]) == (40, 2)


def test_a_file_that_is_no_picture_is_named_in_a_notice(page: Any, pictures: list[Path], tmp_path: Path) -> None:
    note = tmp_path / "note.png"
    note.write_text("hello")
    page.locator("#upload input[type=file]").first.set_input_files([str(note), str(pictures[0])])
    page.wait_for_selector("text=note.png (5 bytes) is not a PNG, JPEG or WebP picture.")
    expect(page.locator(".toast-body strong")).to_have_text("Left out")
    page.wait_for_selector("#card-0 img")


def test_generate_without_a_picture_says_so(page: Any) -> None:
    generate(page)
    page.wait_for_selector("text=No picture yet")
    expect(page.get_by_text("Warning", exact=True)).to_be_hidden()
    expect(page.locator(".toast-body strong")).to_have_text("This did not work")
    page.wait_for_selector("#generate-button", state="visible")
