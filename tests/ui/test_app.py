"""The served page, through gradio_client: the endpoint's exact sequence, its refusals, and the server's limits."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from wavemesh.ui.studio import Studio

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings("ignore")  # gradio and its client warn about themselves


def generate(
    address: str, files: list[Path], tmp_path: Path, **settings: Any
) -> list[tuple[dict[str, Any], str | None]]:
    """All that one call of the endpoint streams."""
    client = Client(address, verbose=False, download_files=str(tmp_path / "downloads"))
    job = client.submit(pictures=[handle_file(str(file)) for file in files], api_name="/generate", **settings)
    job.result(timeout=60)
    return [output[:2] for output in job.outputs()]


def test_the_endpoint_streams_every_step_and_gives_a_mesh(
    served: str, pictures: list[Path], pipeline: Any, tmp_path: Path
) -> None:
    cameras = [{"azimuth_deg": 30, "elevation_deg": 10}, None]
    outputs = generate(served, pictures[:2], tmp_path, cameras=cameras, coarse_steps=3, detail_steps=1, seed=5)
    steps = [(state["stage"], state["step"], state["num_steps"]) for state, _ in outputs if state["stage"]]
    assert steps == [("coarse", 1, 3), ("coarse", 2, 3), ("coarse", 3, 3), ("detail", 1, 1)]
    assert outputs[0][0]["message"] == "Loading the model and reading the pictures"
    state, path = outputs[-1]
    assert path is not None
    assert Path(path).suffix == ".glb"
    mesh = trimesh.load(path, force="mesh")
    assert len(mesh.faces) == state["faces"]
    assert np.allclose(mesh.extents, 1.4, atol=0.05)
    call = pipeline.calls[0]
    assert call["seed"] == 5
    assert [view.camera and view.camera.azimuth_deg for view in call["views"]] == [30.0, None]


def test_refusals_are_one_sentence(served: str, pictures: list[Path], tmp_path: Path) -> None:
    note = tmp_path / "note.png"
    note.write_text("hello")
    refusals: list[tuple[list[Path], dict[str, Any], str]] = [
        ([note], {}, "note.png (5 bytes) is not a PNG, JPEG or WebP picture."),
        ([], {}, "No picture yet: upload one or choose an example first."),
        (pictures[:1], {"cameras": [None, None]}, "one entry for each of the 1 pictures, not 2."),
        (
            pictures[:1],
            {"cameras": [{"elevation_deg": 100}]},
            "Elevation must lie between -90 and 90 degrees, not 100.0.",
        ),
        (
            pictures[:1],
            {"coarse_steps": 0},
            "The coarse steps must be a whole number between 1 and 50, not 0.",
        ),
        (pictures[:1] * 9, {}, "At most 8 pictures can be used, not 9."),
    ]
    for files, settings, words in refusals:
        with pytest.raises(AppError) as error:
            generate(served, files, tmp_path, **settings)
        assert words in str(error.value)


def test_cancelling_ends_the_work(served: str, pictures: list[Path], pipeline: Any, tmp_path: Path) -> None:
    pipeline.pause_s = 0.2
    client = Client(served, verbose=False)
    job = client.submit(pictures=[handle_file(str(pictures[0]))], coarse_steps=50, api_name="/generate")
    assert pipeline.running.wait(20)
    time.sleep(0.5)
    job.cancel()
    deadline = time.monotonic() + 20
    while pipeline.running.is_set() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not pipeline.running.is_set()


def test_only_the_endpoints_are_public_and_monitoring_is_off(served: str) -> None:
    told = Client(served, verbose=False).view_api(return_format="dict")
    named = {"generate", "step", "edit_wavelets", "reshape", "turntable", "render_views", "compare"}
    assert set(told["named_endpoints"]) == {f"/{name}" for name in named}
    assert told["unnamed_endpoints"] == {}
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{served}monitoring/summary", timeout=10)
    assert error.value.code in (403, 404)
    error.value.close()


def test_too_large_an_upload_is_refused(served: str) -> None:
    boundary = "wavemesh"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="big.png"\r\n\r\n'.encode()
        + b"0" * (33 * 2**20)
        + f"\r\n--{boundary}--\r\n".encode()
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    request = urllib.request.Request(f"{served}gradio_api/upload", data=body, headers=headers)
    with pytest.raises(urllib.error.URLError) as error:
        urllib.request.urlopen(request, timeout=30)
    if isinstance(error.value, urllib.error.HTTPError):  # otherwise the server hung up while we were sending
        error.value.close()
        assert error.value.code == 413


def test_two_programs_at_once_take_turns(
    served: str, studio: Studio, pictures: list[Path], pipeline: Any, tmp_path: Path
) -> None:
    pipeline.pause_s = 0.1
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda: results.append(generate(served, pictures[:1], tmp_path, detail_steps=1)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 2
    assert all(outputs[-1][1] for outputs in results)


def test_building_the_page_loads_neither_torch_nor_weights(tmp_path: Path) -> None:
    code = (
        "import sys, json, pathlib\n"
        "from wavemesh.ui.app import build\n"
        "assert 'gradio' not in sys.modules\n"
        "from wavemesh.ui.studio import Studio\n"
        "factories = {'wavemesh': lambda: 1 / 0, 'triplane': lambda: 1 / 0}\n"
        f"page = build(Studio(factories, pathlib.Path({str(tmp_path)!r})))\n"
        "heavy = ['torch', 'transformers', 'diffusers', 'matplotlib', 'spconv', 'pyrender', 'plotly', 'pymanifold']\n"
        "heavy += ['trimesh', 'scipy', 'cv2', 'manifold3d', 'xatlas', 'mcubes', 'embreex', 'networkx']\n"
        "print(json.dumps([name for name in heavy if name in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
