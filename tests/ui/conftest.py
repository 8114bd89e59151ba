"""A pipeline that pretends: spheres that grow step by step, so that the page can be tested without weights."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import threading
import time
import warnings
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image, ImageDraw

from wavemesh.geometry.camera import Camera
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.imaging import Crop
from wavemesh.models.triplane_renderer import TriplaneRenderer
from wavemesh.pipelines.outputs import Output, StepReport, TriplaneArrays, front_of
from wavemesh.pipelines.views import PreparedView
from wavemesh.settings import TriplaneSettings, WaveMeshSettings
from wavemesh.ui.runner import running_steps
from wavemesh.ui.studio import Studio
from wavemesh.wavelets.sparse import SparseCoefficients

NO_FEATURES = torch.zeros(0, 7)
_CHANNELS, _SIDE = 4, 8  # of the fake's planes
SHIPPED = {"wavemesh": WaveMeshSettings(coarse_steps=4, detail_steps=2).filled()}
WAIT_MS = 90_000
# A moving picture of its own stands for a camera, and nobody is asked for leave.
_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


def outcome(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine gives, run in a thread of its own: in the test's the driver of Chromium may have a loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def sphere_sdf(radius: float, side: int = 24) -> np.ndarray:
    """A truncated distance field of a sphere."""
    axis = (np.arange(side) + 0.5) / side * 2 - 1
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    return (np.sqrt(x**2 + y**2 + z**2) - radius).clip(-0.09, 0.09).astype(np.float32)


@dataclass(kw_only=True)
class FakeOutput(Output):
    """The output of a run; planes can be given to it."""

    triplane: TriplaneArrays | None = None


class FakePipeline:
    """Has the interface of `WaveMeshPipeline` and notes what it was called with. side: cells of its grids.

    goes_on: without it a run waits behind its first step, so that a test can look at the page meanwhile.
    """

    def __init__(self, pause_s: float = 0.0, side: int = 24) -> None:
        self.pause_s = pause_s
        self.finishing_s = 0.0  # of making the mesh, after the steps
        self.side = side
        self.calls: list[dict[str, Any]] = []
        self.fails_with: Exception | None = None
        self.steps_done = 0
        self.running, self.goes_on = threading.Event(), threading.Event()
        self.goes_on.set()

    def __call__(self, views: list[Any], *, settings: WaveMeshSettings, callback: Any) -> FakeOutput:
        """Two stages of growing spheres; stops where the callback asks to."""
        self.calls.append({"views": views, **asdict(settings)})
        self.running.set()
        try:
            return self._run(views, settings, callback)
        finally:
            self.running.clear()

    def _run(self, views: list[Any], settings: WaveMeshSettings, callback: Any) -> FakeOutput:
        if self.fails_with is not None:
            raise self.fails_with
        prepared = [
            view
            if isinstance(view, PreparedView)
            else PreparedView(
                picture=view.image.resize((32, 32)),
                full=view.image,
                crop=Crop(16.0, 16.0, 64.0, 96.0, 96.0),
                camera=view.camera or Camera(40.0, 25.0),
                estimated=view.camera is None,
                cut_by=view.cut_by or "none",
                side=view.side,
            )
            for view in views
        ]
        guidance_norm = 0.5 if settings.guidance_scale != 1.0 else None
        start, done, stopped = time.perf_counter(), 0, False
        radius = 0.2
        stage_steps = running_steps(settings)
        for stage, steps in stage_steps.items():
            for step in range(steps):
                if stopped:
                    break
                time.sleep(self.pause_s)
                if done:
                    self.goes_on.wait(WAIT_MS / 1000)
                done += 1
                self.steps_done += 1
                radius = 0.2 + 0.5 * done / sum(stage_steps.values())
                elapsed = time.perf_counter() - start
                sdf = sphere_sdf(radius, self.side)
                coefficients = SparseCoefficients.from_sdf(sdf)
                if stage == "coarse":
                    coefficients = replace(coefficients, coords=coefficients.coords[:0], features=NO_FEATURES)
                    sdf = coefficients.coarse_field().numpy()
                report = StepReport(
                    stage,
                    step,
                    steps,
                    9,
                    0.5,
                    sdf,
                    7,
                    guidance_norm if stage == "coarse" else None,
                    elapsed,
                    coefficients,
                    prepared[0].camera,
                    front_of(prepared, settings),
                )
                stopped = bool(callback(report))
        time.sleep(self.finishing_s)
        final = sphere_sdf(radius, self.side)
        mesh = sdf_to_mesh(final)
        mesh.visual.vertex_colors = np.tile(np.array([200, 90, 60, 255], dtype=np.uint8), (len(mesh.vertices), 1))
        coefficients = SparseCoefficients.from_sdf(final)
        return FakeOutput(
            mesh=mesh,
            sdf=final,
            coefficients=coefficients,
            triplane=None,
            views=prepared,
            timings={"coarse": 0.1},
            settings=settings,
            provenance={"weights": "fake"},
            stopped=stopped,
        )


class FakeTriplanePipeline:
    """The fake pipeline's run with a triplane instead of coefficients."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        torch.manual_seed(0)
        renderer = TriplaneRenderer(_CHANNELS, 8).eval()
        with torch.no_grad():
            renderer.mlp[-1].weight.normal_(std=2.0)
            renderer.mlp[-1].bias[0] += 0.05
        self.model = SimpleNamespace(renderer=renderer)

    def __call__(self, views: list[Any], *, settings: TriplaneSettings, callback: Any) -> Any:
        output = self.inner(
            views, settings=WaveMeshSettings(coarse_steps=1, detail_steps=1).filled(), callback=callback
        )
        random = np.random.default_rng(0)
        shapes = (3, _CHANNELS, _SIDE, _SIDE), (3, 3, _CHANNELS, _SIDE, _SIDE)
        output.triplane = TriplaneArrays(*(random.normal(size=shape).astype(np.float32) for shape in shapes))
        output.coefficients = None
        output.settings = settings
        return output


def pixels(page: Any, selector: str) -> np.ndarray:
    """The pixels of a picture on the page as the server sends it, RGBA; without the label that lies over it."""
    page.wait_for_selector(f"{selector} img")
    content = page.request.get(page.locator(f"{selector} img").evaluate("image => image.src")).body()
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA")).astype(int)


def draw_object(path: Path, alpha: bool = True) -> Path:
    """A picture of a red disc, with a transparent or a white background."""
    picture = Image.new("RGBA", (96, 96), (255, 255, 255, 0 if alpha else 255))
    ImageDraw.Draw(picture).ellipse((20, 20, 75, 75), fill=(190, 50, 40, 255))
    picture.save(path)
    return path


@pytest.fixture
def pipeline() -> FakePipeline:
    return FakePipeline()


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    return [draw_object(tmp_path / f"disc {number}.png", alpha=number != 1) for number in range(3)]


@pytest.fixture
def examples_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "examples"
    for name, count in (("ball", 2), ("cube", 4)):
        example = folder / name
        example.mkdir(parents=True)
        cameras = []
        for number in range(count):
            draw_object(example / f"view{number}.webp")
            cameras.append(
                {"azimuth_deg": 90.0 * number, "elevation_deg": 20, "distance": 4.56, "fov_deg": 40, "offset": [0, 0]}
            )
        (example / "cameras.json").write_text(json.dumps(cameras))
        about = {"name": name.title(), "creator": "A. Maker", "licence": "CC0"}
        (example / "about.json").write_text(json.dumps(about))
    trimesh.creation.icosphere(subdivisions=3).export(folder / "ball" / "truth.glb")
    return folder


@pytest.fixture
def studio(pipeline: FakePipeline, examples_folder: Path, tmp_path: Path) -> Iterator[Studio]:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    return Studio({"wavemesh": lambda: pipeline}, workspace, examples_folder, SHIPPED)


def _free_port() -> int:
    """A port of the system's choice: test processes side by side would race for gradio's first free one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def gradio_without_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks as they are where a loop runs; without one gradio makes a loop for each, and closes none."""
    for name in ("utils.safe_get_lock", "queueing.safe_get_lock"):
        monkeypatch.setattr(f"gradio.{name}", asyncio.Lock)
    monkeypatch.setattr("gradio.utils.safe_get_stop_event", asyncio.Event)


@contextmanager
def serving(studio: Studio) -> Iterator[tuple[Any, str]]:
    """The page over a studio and its address, served by a thread of this process; nothing of it is left afterwards."""
    from fastapi.dependencies import models

    from wavemesh.ui.app import build, serve

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the server's own libraries deprecate each other
        page = build(studio)
        _, address, _ = serve(
            page, studio, prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", server_port=_free_port()
        )
        try:
            yield page, address
        finally:
            page.close(verbose=False)
            # FastAPI remembers thousands of routes, each of which holds its whole page and all runs of that.
            for each in vars(models).values():
                if hasattr(each, "cache_clear"):
                    each.cache_clear()


@pytest.fixture
def served(studio: Studio, monkeypatch: pytest.MonkeyPatch, gradio_without_loops: None) -> Iterator[str]:
    """The address of the page over `studio`, served by a thread of this process."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(studio.workspace))
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    with serving(studio) as (_, address):
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Chromium without a window. The page answers when it can: what follows from a click is awaited with `expect`."""
    from playwright import sync_api

    sync_api.expect.set_options(timeout=WAIT_MS)
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", *_CAMERA])
        yield browser
        browser.close()


@contextmanager
def opened(chromium: Any, address: str, width: int = 1280, height: int = 900, **options: Any) -> Iterator[Any]:
    """The page in a window of that size; in the end it must have raised no error and asked no other host.

    options: of a browser's context. A mesh turns by itself only with `reduced_motion="no-preference"`: without a
    graphics card that takes a whole core.
    """
    asked = {"reduced_motion": "reduce", **options}
    with chromium.new_context(viewport={"width": width, "height": height}, **asked) as context:
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        hosts: set[str] = set()
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        page.goto(address)
        page.wait_for_selector("#generate-button")
        yield page
        assert errors == []
        assert hosts <= {urlsplit(address).netloc, ""}


def open_tab(page: Any, name: str) -> None:
    """Open a tab of the page; those that look into a run lie inside another."""
    if name in ("Steps", "Wavelets", "Triplane", "Compare"):
        page.get_by_role("tab", name="Inspect", exact=True).first.click()
    page.get_by_role("tab", name=name, exact=True).first.click()
