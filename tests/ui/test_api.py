"""The endpoints for programs through gradio_client: what they take, right answers, and arguments that they refuse."""

from __future__ import annotations

import json
import math
import re
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.ui.conftest import SHIPPED, FakeOutput, FakePipeline, sphere_sdf
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.pipelines.bundle import read_bundle
from wavemesh.pipelines.outputs import StepReport, TriplaneArrays
from wavemesh.settings import TriplaneSettings, WaveMeshSettings
from wavemesh.ui.compare import content as compare
from wavemesh.ui.studio import Studio

pytestmark = pytest.mark.filterwarnings("ignore")  # gradio and its client warn about themselves


def triplane_pipeline(views: list[Any], *, settings: TriplaneSettings, callback: Any) -> FakeOutput:
    """Has the interface of `TriplanePipeline`: a single stage, whose shape is a ball from the first step on."""
    sdf = sphere_sdf(0.5)
    num_steps = settings.steps or 0
    for step in range(num_steps):
        callback(StepReport("triplane", step, num_steps, 9, 0.5, sdf, 0, None, 0.01 * step))
    fake = WaveMeshSettings(coarse_steps=1, detail_steps=1).filled()
    output = FakePipeline()(views, settings=fake, callback=lambda _: False)
    output.mesh, output.sdf = sdf_to_mesh(sdf), sdf
    output.coefficients = None
    output.triplane = TriplaneArrays(np.zeros((3, 2, 4, 4), np.float32), np.zeros((3, 3, 2, 4, 4), np.float32))
    output.settings = settings
    return output


@pytest.fixture
def studio(pipeline: FakePipeline, tmp_path: Path) -> Studio:
    """A studio with both methods."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    factories = {"wavemesh": lambda: pipeline, "triplane": lambda: triplane_pipeline}
    return Studio(factories, workspace, tmp_path / "none", SHIPPED)


# Every argument in its place, with its default if it may be left out.
ARGUMENTS = {
    "/generate": "pictures: list[filepath], cameras: list[Any] = [], coarse_steps: int = 4, detail_steps: int = 2, "
    "guidance: float = 1.0, sampler: Literal['ddim', 'dpmpp_2m', 'ddpm'] = 'ddim', seed: int = 0, "
    "method: Literal['wavemesh', 'triplane'] = 'wavemesh', resolution: int = 128, threshold: float = 0.0, "
    "frames: int = 1, colours: None | Literal['views', 'mixed', 'triplane'] = None, "
    "background: Literal['auto', 'alpha', 'u2netp', 'rembg', 'grabcut', 'none'] = 'auto', steps: None | int = None, "
    "front: Literal['picture', 'frame'] = 'picture', refine: Literal['on', 'off'] = 'on', "
    "symmetry: Literal['auto', 'off'] = 'auto', inflation: Literal['auto', 'on', 'off'] = 'auto', "
    "sides: list[None | Literal['front', 'right', 'back', 'left', 'top']] = [], masks: list[None | filepath] = []",
    "/step": "bundle: filepath, number: int = 1",
    "/edit_wavelets": "bundle: filepath, gains: dict(str, float) = {}, threshold: float = 0.0, "
    "mode: Literal['hard', 'soft'] = 'hard', muted: list[int] = [], other: None | filepath = None, "
    "taken: list[int] = []",
    "/reshape": "bundle: filepath, level: float = 0.0, max_faces: int = 0, repaired: bool = False, "
    "suffix: Literal['.glb', '.obj', '.ply', '.stl', '.3mf', '.usdz'] = '.glb', texture: bool = False, "
    "size_mm: float = 0.0",
    "/turntable": "bundle: filepath, level: float = 0.0, max_faces: int = 0, repaired: bool = False, "
    "film_suffix: Literal['.gif', '.mp4'] = '.mp4'",
    "/render_views": "mesh: filepath, views: int = 4, azimuth: float = 30, elevation: float = 20",
    "/compare": "bundle: filepath, mesh: filepath",
    "/render_triplane": "bundle: filepath, ll: float = 1.0, lh: float = 1.0, hl: float = 1.0, hh: float = 1.0, "
    "azimuth: float = 30.0, elevation: float = 20.0, size: int = 256",
}


def told(parameter: dict[str, Any]) -> str:
    """A parameter as Python writes it."""
    line = f"{parameter['parameter_name']}: {parameter['python_type']['type']}"
    return f"{line} = {parameter['parameter_default']!r}" if parameter["parameter_has_default"] else line


@pytest.fixture
def client(served: str, tmp_path: Path) -> Client:
    return Client(served, verbose=False, download_files=str(tmp_path / "downloads"))


def generated(client: Client, pictures: list[Path], **settings: Any) -> list[Any]:
    """All that one call of "generate" streams: progress, mesh, bundle."""
    job = client.submit(pictures=[handle_file(str(path)) for path in pictures], api_name="/generate", **settings)
    job.result(timeout=60)
    return job.outputs()


def refusal(client: Client, name: str, **arguments: Any) -> str:
    """The sentence with which an endpoint refuses the arguments."""
    with pytest.raises(AppError) as error:
        client.predict(api_name=name, **arguments)
    return str(error.value)


def test_endpoints_and_their_arguments(client: Client) -> None:
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert {name: ", ".join(map(told, each["parameters"])) for name, each in endpoints.items()} == ARGUMENTS


def test_masks_are_files_and_cut_outs_are_told(client: Client, pictures: list[Path], tmp_path: Path) -> None:
    mask = np.zeros((96, 96), dtype=np.uint8)
    mask[20:76, :50] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    masks = [handle_file(str(tmp_path / "mask.png")), None]
    facts, _, bundle = generated(client, pictures[:2], masks=masks)[-1]
    assert [each["cut_by"] for each in facts["pictures"]] == ["mask", "u2netp"]
    assert read_bundle(bundle).cut_by == ["mask", "u2netp"]
    for bad in ([str(tmp_path / "mask.png")], "mask.png"):
        given = [handle_file(str(path)) for path in pictures[:1]]
        assert "The argument masks must be a list of files" in refusal(client, "/generate", pictures=given, masks=bad)


def test_only_files_that_were_sent_are_read(client: Client, served: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.zip"
    secret.write_text("hello")
    for given in (str(secret), {"path": str(secret)}, [str(secret)], {"path": str(secret), "meta": {"_type": "file"}}):
        assert "The argument bundle must be a file, not " in refusal(client, "/step", bundle=given)
    for given in (str(secret), [str(secret)], [{"path": str(secret)}]):
        assert "The argument pictures must be a list of files, not " in refusal(client, "/generate", pictures=given)
    # gradio_client would send the file itself; others may only claim that they did.
    body = json.dumps({"bundle": {"path": str(secret), "meta": {"_type": "gradio.FileData"}}}).encode()
    request = urllib.request.Request(f"{served}gradio_api/call/v2/step", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as event:
        call = json.load(event)["event_id"]
    with urllib.request.urlopen(f"{served}gradio_api/call/step/{call}", timeout=60) as answer:
        said = answer.read().decode()
    assert "event: error" in said
    assert "no run bundle" not in said


def test_generate_takes_resolution_threshold_and_method(client: Client, pictures: list[Path], pipeline: Any) -> None:
    outputs = generated(client, pictures[:1], coarse_steps=3, resolution=64, threshold=0.004, seed=2)
    call = pipeline.calls[0]
    assert (call["resolution"], call["detail_threshold"], call["seed"]) == (64, 0.004, 2)
    assert [state["stage"] for state, *_ in outputs if state["stage"]] == ["coarse"] * 3
    first, last = (state for state, *_ in (outputs[1], outputs[3]))
    assert first["change"] is None
    # The fake's field keeps growing, and its noise level is always the same.
    assert last["change"] > 0.0
    assert (last["noise_level"], last["active_sites"], last["guidance_norm"]) == (0.5, 7, None)
    state, mesh, bundle = outputs[-1]
    record = read_bundle(bundle)
    assert len(record.steps) == 3
    assert len(record.mesh.faces) == len(trimesh.load(mesh, force="mesh").faces) == state["faces"]
    assert all(mesh is None and bundle is None for _, mesh, bundle in outputs[:-1])

    other = generated(client, pictures[:1], method="triplane", coarse_steps=2)
    assert [state["stage"] for state, *_ in other if state["stage"]] == ["triplane"] * 2
    assert np.allclose(trimesh.load(other[-1][1], force="mesh").extents, 1.0, atol=0.05)
    assert read_bundle(other[-1][2]).method == "triplane"
    assert len(pipeline.calls) == 1

    for settings, words in (
        ({"method": "voxels"}, "There is no method 'voxels'; choose one of wavemesh, triplane."),
        ({"resolution": 100}, "The resolution must be one of 64, 128, not 100."),
        ({"threshold": 0.5}, "The sparsity threshold must be a number between 0 and 0.02, not 0.5."),
        ({"frames": 3}, "The frames must be one of 1, 2, 4, not 3."),
        ({"sampler": "euler"}, "The sampler must be one of ddim, dpmpp_2m, ddpm, not 'euler'."),
        ({"steps": 51}, "The coarse steps must be a whole number between 1 and 50, not 51."),
        ({"cameras": "none"}, "The argument cameras: input should be a valid list, not 'none'."),
    ):
        assert words in refusal(client, "/generate", pictures=[handle_file(str(pictures[0]))], **settings)
    white = handle_file(str(pictures[1]))
    assert "has no transparent background" in refusal(client, "/generate", pictures=[white], background="alpha")


def test_step_decodes_what_a_run_predicted(client: Client, pictures: list[Path], tmp_path: Path) -> None:
    bundle = generated(client, pictures[:1], coarse_steps=2, detail_steps=2)[-1][2]
    radii = []
    for number in range(1, 5):
        facts, path = client.predict(bundle=handle_file(bundle), number=number, api_name="/step")
        stage, step = ("coarse", number - 1) if number < 3 else ("detail", number - 3)
        assert (facts["stage"], facts["step"], facts["num_steps"]) == (stage, step, 2)
        radii.append(trimesh.load(path, force="mesh").extents.mean() / 2)
    # The fake's balls: 0.2 + 0.5 done / 4.
    assert radii == pytest.approx([0.325, 0.45, 0.575, 0.7], abs=0.03)
    note = tmp_path / "note.zip"
    note.write_text("hello")
    assert "The run has the steps 1 to 4, not 9." in refusal(client, "/step", bundle=handle_file(bundle), number=9)
    assert "note.zip" in refusal(client, "/step", bundle=handle_file(str(note)), number=1)
    assert "The argument bundle must be a file, not None." in refusal(client, "/step", bundle=None, number=1)


def test_views_rendered_from_a_mesh_make_a_run_that_can_be_compared(
    client: Client, tmp_path: Path, pipeline: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "NUM_POINTS", 1000)
    ball = tmp_path / "ball.ply"
    trimesh.creation.icosphere(subdivisions=4, radius=7.0).export(ball)
    paths, cameras = client.predict(
        mesh=handle_file(str(ball)), views=2, azimuth=10, elevation=-20, api_name="/render_views"
    )
    assert [(camera["azimuth_deg"], camera["elevation_deg"]) for camera in cameras] == [(10, -20), (190, -20)]
    for path in paths:
        alpha = np.asarray(Image.open(path).convert("RGBA"))[..., 3]
        radius = math.tan(math.asin(0.9 / 4.56)) / math.tan(math.radians(20.0)) * len(alpha) / 2
        assert (alpha > 127).sum() == pytest.approx(math.pi * radius**2, rel=0.02)

    # What it gives is what "generate" takes.
    pipeline.side = 128
    bundle = generated(client, [Path(path) for path in paths], cameras=cameras, coarse_steps=1, detail_steps=1)[-1][2]
    assert [view.camera.azimuth_deg for view in pipeline.calls[0]["views"]] == [10, 190]
    scores = client.predict(bundle=handle_file(bundle), mesh=handle_file(str(ball)), api_name="/compare")
    assert scores["points"] == 1000
    assert len(scores["steps"]) == 2
    # Every ball of the fake is too small: 0.45, then 0.7, against 0.9.
    assert [step["chamfer"] for step in scores["steps"]] == pytest.approx([0.45, 0.2], abs=0.03)
    assert scores["result"]["iou"] == pytest.approx((0.7 / 0.9) ** 3, abs=0.03)
    assert scores["codec_ceiling"]["iou"] > 0.97

    words = "The number of views must be a whole number between 1 and 8, not 9."
    mesh = handle_file(str(ball))
    assert words in refusal(client, "/render_views", mesh=mesh, views=9, azimuth=0, elevation=0)
    picture = handle_file(paths[0])
    assert re.search(
        r"A mesh to render must end in one of .*, not 'view0.png'",
        refusal(client, "/render_views", mesh=picture, views=1, azimuth=0, elevation=0),
    )
    assert "The argument bundle must be a file, not None." in refusal(client, "/compare", bundle=None, mesh=mesh)
