"""The viewer's divider and measures in Chromium: a picture on its mesh, the shape before an edit, other runs, walls."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image
from playwright.sync_api import expect

from tests.ui.conftest import SHIPPED, open_tab, opened
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.export import mesh_bytes
from wavemesh.rendering import RaycastRenderer
from wavemesh.ui.studio import Studio

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]

# Nothing about it is as the viewer would have it by itself.
CAMERA = Camera(30.0, 20.0, 3.2, 48.0, (0.15, -0.1))


@pytest.fixture
def examples_folder(tmp_path: Path) -> Path:
    """One example: a red body with one arm, and its picture, in which it is green."""
    folder = tmp_path / "examples" / "arm"
    folder.mkdir(parents=True)
    arm = trimesh.creation.box((0.9, 0.2, 0.2), trimesh.transformations.translation_matrix((0.45, 0.3, 0.0)))
    mesh = trimesh.util.concatenate([trimesh.creation.icosphere(subdivisions=3, radius=0.5), arm])
    for name, colour in (("picture", (30, 190, 40, 255)), ("mesh", (210, 40, 30, 255))):
        mesh.visual.vertex_colors = np.tile(np.array(colour, dtype=np.uint8), (len(mesh.vertices), 1))
        if name == "picture":
            Image.fromarray(RaycastRenderer(mesh).view(CAMERA, 256).rgba).save(folder / "view0.webp", lossless=True)
    (folder / "mesh.glb").write_bytes(mesh_bytes(mesh, ".glb"))
    Image.new("RGBA", (8, 8)).save(folder / "preview.webp")
    (folder / "result.json").write_text(json.dumps({"manifest": "0" * 16, "faces": len(mesh.faces)}))
    (folder / "cameras.json").write_text(json.dumps([asdict(CAMERA)]))
    (folder / "about.json").write_text(json.dumps({"name": "Arm", "creator": "A. Maker", "licence": "CC0"}))
    return folder.parent


@pytest.fixture
def studio(pipeline: Any, examples_folder: Path, tmp_path: Path) -> Studio:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    return Studio({"wavemesh": lambda: pipeline}, workspace, examples_folder, SHIPPED)


@pytest.fixture
def page(chromium: Any, served: str) -> Iterator[Any]:
    with opened(chromium, served, 1440) as page:
        yield page


def told(page: Any, viewer: str) -> dict[str, str]:
    """What the viewer says about itself."""
    return dict(page.locator(viewer).evaluate("root => ({...root.dataset})"))


def drawn(page: Any, viewer: str) -> np.ndarray:
    """The pixels of the canvas, RGBA, with transparency where nothing is drawn."""
    with page.expect_download() as download:
        page.locator(f"{viewer} [data-tool=picture]").click()
    return np.asarray(Image.open(download.value.path()).convert("RGBA")).astype(int)


def on_screen(page: Any, viewer: str) -> np.ndarray:
    """What a person sees of the canvas and of all that lies over it, RGB."""
    page.wait_for_timeout(600)  # a view that rests is drawn finely
    shot = page.screenshot(clip=page.locator(f"{viewer} canvas").bounding_box())
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


def colours_left_and_right(page: Any, viewer: str, strong: int, weak: int) -> tuple[int, int]:
    """How many pixels have this colour on both sides of the divider."""
    found = on_screen(page, viewer)
    at = round(float(told(page, viewer)["split"]) * found.shape[1])
    mask = found[..., strong] > found[..., weak] + 60
    grip = 16  # blue, and white around it
    return int(mask[:, : at - grip].sum()), int(mask[:, at + grip :].sum())


def drag_divider(page: Any, viewer: str, share: float) -> None:
    """Drag it by the pointer, which must find it there, to this share of the width; away from its middle, anywhere."""
    box = page.locator(f"{viewer} canvas").bounding_box()
    x, y = box["x"] + float(told(page, viewer)["split"]) * box["width"], box["y"] + 0.8 * box["height"]
    hit = page.evaluate("([x, y]) => document.elementFromPoint(x, y).className", [x, y])
    assert hit == "wm-viewer-divider"
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(box["x"] + share * box["width"], y, steps=4)
    page.mouse.up()
    assert float(told(page, viewer)["split"]) == pytest.approx(share, abs=0.02)


def test_the_picture_lies_on_the_mesh_to_the_pixel(page: Any, examples_folder: Path) -> None:
    viewer = "#mesh .wm-viewer"
    page.wait_for_selector(f"{viewer}[data-state=ready]")
    button = page.get_by_role("button", name="Compare with the picture")
    expect(button).to_have_text("Picture")
    button.click()
    page.wait_for_selector(f"{viewer}[data-compared=picture]")
    alpha = drawn(page, viewer)[..., 3] == 255
    side = min(alpha.shape)
    top, left = (alpha.shape[0] - side) // 2, (alpha.shape[1] - side) // 2
    mask = Image.open(examples_folder / "arm" / "view0.webp").getchannel("A").resize((side, side))
    mesh, picture = alpha[top : top + side, left : left + side], np.asarray(mask) > 127
    assert (mesh & picture).sum() / (mesh | picture).sum() > 0.97
    # Green on the left, red on the right, and the other way round nothing.
    green, red = (colours_left_and_right(page, viewer, *pair) for pair in ((1, 0), (0, 1)))
    assert min(green[0], red[1]) > 2000 > 20 > max(green[1], red[0])
    drag_divider(page, viewer, 0.75)
    assert colours_left_and_right(page, viewer, 0, 1)[1] < red[1]
    divider = page.get_by_role("slider", name="Divider: Picture on the left, Mesh on the right")
    divider.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert divider.get_attribute("aria-valuetext") == "1% Picture"
    # Looks stay in it, whoever turns it leaves it.
    page.locator(f"{viewer} [data-mode=clay]").click()
    assert told(page, viewer)["compared"] == "picture"
    page.locator(f"{viewer} canvas").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(viewer)).to_have_attribute("data-compared", "")
    expect(divider).to_be_hidden()
    assert told(page, viewer)["azimuth"] == "20.0"


def test_walls_and_the_shape_before_are_seen_in_one_viewer(page: Any, pictures: list[Path]) -> None:
    page.locator("#upload input[type=file]").first.set_input_files([str(pictures[0])])
    page.wait_for_selector("#card-0 img")
    page.locator("#generate-button").dispatch_event("click")
    page.wait_for_selector("#mesh .wm-viewer[data-forming=false]")
    page.wait_for_selector("#mesh [data-tool=compare]")  # a run has its picture as well
    open_tab(page, "Result")
    viewer = "#result-mesh .wm-viewer"
    page.wait_for_selector(f"{viewer}[data-measures=thickness]")
    page.locator(f"{viewer} canvas").focus()
    page.keyboard.press("ArrowRight")
    azimuth = told(page, viewer)["azimuth"]
    own = on_screen(page, viewer)
    took = page.locator(f"{viewer} [data-mode=thickness]").evaluate(
        "node => { const begin = performance.now(); node.click(); return performance.now() - begin; }"
    )
    assert took < 100
    expect(page.locator(f"{viewer} .wm-viewer-legend")).to_contain_text("0.18 and more")
    # A ball is thick everywhere: yellow instead of red.
    assert (np.abs(on_screen(page, viewer) - own)[..., 1] > 60).mean() > 0.2
    # Nothing was changed, so there is nothing to compare with.
    expect(page.locator(f"{viewer} [data-tool=compare]")).to_be_hidden()
    page.locator("#iso-level input[type=number]").fill("-0.06")
    page.locator("#iso-level input[type=number]").press("Tab")
    button = page.get_by_role("button", name="Compare with the shape before")
    expect(button).to_have_text("Before")
    button.click()
    page.wait_for_selector(f"{viewer}[data-compared=before]")
    page.wait_for_selector(f"{viewer}[data-mode=thickness]")  # it is measured again, and the look was kept
    page.locator(f"{viewer} [data-mode=shaded]").click()
    left, right = colours_left_and_right(page, viewer, 0, 2)
    assert left > 1.05 * right > 1000
    page.locator(f"{viewer} canvas").focus()
    page.keyboard.press("ArrowRight")
    assert told(page, viewer)["compared"] == "before"
    assert float(told(page, viewer)["azimuth"]) == float(azimuth) + 10.0
    drag_divider(page, viewer, 0.3)
    page.locator("#reset-shape").click()
    expect(page.locator(f"{viewer} [data-tool=compare]")).to_be_hidden()
    expect(page.locator(viewer)).to_have_attribute("data-compared", "")


def test_another_run_stands_beside_this_one_on_a_phone(chromium: Any, served: str, studio: Studio) -> None:
    viewer = "#result-mesh .wm-viewer"
    with opened(chromium, served, 390, 844) as page:
        page.wait_for_selector("#mesh .wm-viewer[data-state=ready]")
        for seed in ("0", "5"):
            page.locator("#seed input").fill(seed)
            page.locator("#seed input").press("Tab")
            page.locator("#generate-button").dispatch_event("click")
            page.wait_for_selector(f"#facts >> text=seed {seed}")
        page.wait_for_selector("#runs a:nth-child(2)")
        open_tab(page, "Result")
        page.wait_for_selector(f"{viewer}[data-measures=thickness]")
        choice = page.get_by_role("combobox", name="Compare with")

        def choose(words: str) -> None:
            """By keys alone: down the list until this one is marked."""
            choice.focus()
            marked = page.locator("[role=option].active")
            for _ in range(8):
                before = marked.inner_text() if marked.count() else ""
                page.keyboard.press("ArrowDown")
                page.wait_for_function(
                    "before => (document.querySelector('[role=option].active')?.innerText ?? before) !== before",
                    arg=before,
                )
                if words in marked.inner_text():
                    break
            page.keyboard.press("Enter")

        def sides() -> list[str]:
            """What stands over the canvas, where a person can see it."""
            return page.locator(f"{viewer} .wm-viewer-sides span").evaluate_all(
                "spans => spans.map((span) => { const box = span.getBoundingClientRect();"
                " span.parentElement.style.pointerEvents = span.style.pointerEvents = 'auto';"
                " const hit = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);"
                " span.parentElement.style.pointerEvents = span.style.pointerEvents = '';"
                " return hit === span && box.x >= 0 && box.right <= innerWidth ? span.textContent : ''; })"
            )

        choose("made earlier")
        page.wait_for_selector(f"{viewer}[data-compared=before]")
        page.locator(viewer).scroll_into_view_if_needed()
        assert sides() == ["Made earlier", "This mesh"]
        earlier = colours_left_and_right(page, viewer, 0, 2)
        choose("seed 0")
        expect(page.locator(f"{viewer} .wm-viewer-sides span").first).to_have_text("Arm, seed 0")
        page.wait_for_function(f"document.querySelector('{viewer}').dataset.compared === 'before'")
        page.locator(viewer).scroll_into_view_if_needed()
        run = colours_left_and_right(page, viewer, 0, 2)
        # The runs' ball is larger than the example's body, and they look alike.
        assert run[0] > 1.2 * earlier[0] > 1000
        assert run[1] == pytest.approx(earlier[1], rel=0.02)
        choose("Nothing")
        expect(page.locator(viewer)).to_have_attribute("data-compared", "")
        expect(page.locator(f"{viewer} .wm-viewer-sides")).to_be_hidden()
        studio.runs._runs.clear()
        choose("seed 0")
        expect(page.get_by_text("That run is no longer kept on the server")).to_be_visible()
        expect(choice).to_have_value("Nothing")
