"""The page as a person meets it, in Chromium: a picture goes in, a shape forms, a mesh turns and can be saved."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import trimesh
from PIL import Image
from playwright import sync_api as playwright

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]

WAIT_MS = 60_000


@pytest.fixture
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[1440, 390], ids=["wide", "narrow"])
def page(request: pytest.FixtureRequest, browser: Any, served: str) -> Iterator[Any]:
    """An open page; in the end it must not have asked any other host for anything, nor logged an error."""
    page = browser.new_page(viewport={"width": request.param, "height": 900})
    page.set_default_timeout(WAIT_MS)
    hosts: set[str] = set()
    errors: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc or "inline"))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(served)
    page.wait_for_selector("#generate-button")
    yield page
    assert hosts <= {urlsplit(served).netloc, "inline", ""}
    assert errors == []
    page.close()


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
    assert page.locator("#card-2").count() == 0 or not page.locator("#card-2").is_visible()
    assert not page.locator("#azimuth-0").is_visible()  # estimated: nothing to set
    generate(page)
    page.wait_for_selector("#stop-button", state="visible")
    page.wait_for_selector("#progress .wm-progress-fill")
    page.wait_for_selector("#forming img")
    page.wait_for_selector("#mesh canvas")
    page.wait_for_selector("#generate-button", state="visible")
    for _ in range(40):
        if coloured_share(page) > 0.03:
            break
        page.wait_for_timeout(500)
    assert coloured_share(page) > 0.03
    assert re.search(r"[\d,]+ vertices, [\d,]+ triangles", page.locator("#facts").inner_text())
    for suffix in ("glb", "obj", "ply", "stl"):
        with page.expect_download() as download:
            page.locator(f"#download-{suffix}").click()
        path = tmp_path / f"saved.{suffix}"
        download.value.save_as(path)
        assert download.value.suggested_filename == f"disc-0-mesh.{suffix}"
        assert len(trimesh.load(path, force="mesh").faces) > 100
    # The estimate came back: the sliders show it, and are the person's once the switch is off.
    assert page.locator("#azimuth-0 input[type=number]").input_value() == "40"
    page.locator("#estimate input").click()
    page.wait_for_selector("#azimuth-0 input[type=number]:enabled")
    # Nothing is wider than the window.
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")


def test_an_example_brings_its_cameras_and_stop_keeps_the_shape(page: Any, pipeline: Any) -> None:
    pipeline.pause_s = 0.4
    page.locator("#examples button:has(img)").nth(1).click()
    page.wait_for_selector("#card-3 img")
    assert page.locator("#azimuth-1 input[type=number]").input_value() == "90"
    page.locator("#remove-3").click()
    page.wait_for_selector("#card-3", state="hidden")
    page.locator("#coarse-steps input[type=number]").fill("40")
    page.locator("#coarse-steps input[type=number]").press("Tab")
    before = page.locator("#seed input").input_value()
    page.locator("#dice").click()
    page.wait_for_function(f"document.querySelector('#seed input').value !== {before!r}")
    generate(page)
    page.wait_for_selector("#forming img")
    page.locator("#stop-button").dispatch_event("click")
    page.wait_for_selector("#mesh canvas")
    assert "Stopped early" in page.locator("#facts").inner_text()
    assert len(pipeline.calls[0]["views"]) == 3
    assert pipeline.calls[0]["num_inference_steps"] == (40, 2)


def test_a_file_that_is_no_picture_is_named_in_a_notice(page: Any, pictures: list[Path], tmp_path: Path) -> None:
    note = tmp_path / "note.png"
    note.write_text("hello")
    page.locator("#upload input[type=file]").first.set_input_files([str(note), str(pictures[0])])
    page.wait_for_selector("text=note.png (5 bytes) is not a PNG, JPEG or WebP picture.")
    page.wait_for_selector("#card-0 img")


def test_generate_without_a_picture_says_so(page: Any) -> None:
    generate(page)
    page.wait_for_selector("text=No picture yet")
    page.wait_for_selector("#generate-button", state="visible")
