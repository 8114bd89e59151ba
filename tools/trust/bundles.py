"""Figures of docs/trust.md: hostile bundles against a server, and what calls leave in its memory.

python tools/trust_figures.py bundles      each endpoint with bundles that mean harm: answered, longest, peak memory
python tools/trust_figures.py calls        memory of the server before and after 200 calls

With --count only so many calls are made: of the bundles' evenly chosen ones. Seconds are those of the clock and, where
the machine does other things as well, those of the processor, of the server and all that it starts. A server of its own
is started with `python app.py`; nothing else is needed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]


class Server:
    """The running page, its address, and the most memory that it and its children have had so far."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "OMP_NUM_THREADS": "1"}
        log = Path(tempfile.mkdtemp(prefix="trust-")) / "log"
        self.process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log.open("w"), stderr=subprocess.STDOUT
        )
        self.address = f"http://127.0.0.1:{port}/"
        self.peak = 0
        threading.Thread(target=self._watch, daemon=True).start()
        while True:
            try:
                urllib.request.urlopen(self.address, timeout=20).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit(log.read_text()) from None
                time.sleep(0.5)

    def memory(self) -> int:
        """Resident bytes of the server and all that it started, now."""
        root, total = psutil.Process(self.process.pid), 0
        for each in [root, *root.children(recursive=True)]:
            try:
                total += each.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total

    def cpu_s(self) -> float:
        """Seconds of the processor that the server has used, and its children that have ended."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system + times.children_user + times.children_system

    def _watch(self) -> None:
        while self.process.poll() is None:
            self.peak = max(self.peak, self.memory())
            time.sleep(0.5)

    def upload(self, name: str, content: bytes) -> str:
        """The path that the server gave a file."""
        head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        request = urllib.request.Request(f"{self.address}gradio_api/upload", head + content + b"\r\n--x--\r\n", kind)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)[0]

    def call(self, endpoint: str, arguments: dict[str, Any]) -> str:
        """All that a call streams; an error where nothing comes in ten minutes."""
        body, kind = json.dumps(arguments).encode(), {"Content-Type": "application/json"}
        place = f"{self.address}gradio_api/call"
        with urllib.request.urlopen(urllib.request.Request(f"{place}/v2/{endpoint}", body, kind), timeout=60) as begun:
            event = json.load(begun)["event_id"]
        with urllib.request.urlopen(f"{place}/{endpoint}/{event}", timeout=600) as answer:
            return answer.read().decode()


def example() -> dict[str, bytes]:
    """The members of a bundle that the page ships."""
    path = next(iter(sorted((ROOT / "examples").rglob("*.zip"))), None)
    if path is None:
        from wavemesh.geometry.isosurface import sdf_to_mesh
        from wavemesh.pipelines.record import RunRecord
        from wavemesh.settings import WaveMeshSettings
        from wavemesh.wavelets.sparse import SparseCoefficients

        axis = (np.arange(128) + 0.5) / 64 - 1
        x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
        sdf = (np.sqrt(x**2 + y**2 + z**2) - 0.7).clip(-0.09, 0.09).astype(np.float32)
        from PIL import Image

        from wavemesh.geometry.camera import Camera
        from wavemesh.pipelines.outputs import StepReport
        from wavemesh.pipelines.record import Recorder

        coefficients, recorder = SparseCoefficients.from_sdf(sdf), Recorder()
        recorder(StepReport("detail", 0, 1, 999, 1.0, sdf, len(coefficients.coords), None, 1.0, coefficients))
        record = RunRecord(
            WaveMeshSettings().filled(), [Image.new("RGBA", (128, 128), (200, 0, 0, 255))], [Camera()], [False],
            recorder.steps, coefficients, sdf, sdf_to_mesh(sdf),
        )  # fmt: skip
        content = record.to_bytes()
    else:
        content = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def hostile(members: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Bundles that mean harm, by name."""

    def packed(**changes: bytes) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in {**members, **changes}.items():
                archive.writestr(name, content)
        return buffer.getvalue()

    def npy(array: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, array)
        return buffer.getvalue()

    def sdf(array: np.ndarray) -> bytes:
        return packed(**{"arrays/sdf.npy": npy(array)})

    def mesh(vertices: np.ndarray, faces: np.ndarray) -> dict[str, bytes]:
        arrays = {"vertices": vertices, "faces": faces, "colours": np.full((len(vertices), 4), 200, np.uint8)}
        return {f"arrays/{name}.npy": npy(array) for name, array in arrays.items()}

    for side in (128, 256):
        parity = np.indices((side,) * 3, dtype=np.int8).sum(axis=0, dtype=np.int8) % 2
        yield f"checkerboard {side}", sdf((parity * 0.1 - 0.05).astype(np.float32))
    yield "field 640 half", sdf(np.zeros((640, 640, 640), np.float16))
    yield "empty field", sdf(np.zeros((0, 0, 0), np.float32))
    yield "infinite field", sdf(np.full((128,) * 3, np.inf, np.float32))
    noise = np.random.default_rng(0).normal(size=(128,) * 3).astype(np.float32)
    yield "noise 128", sdf(noise)
    # As many crossings as are let through: the longest that is not refused.
    thin = np.where(np.arange(128)[:, None, None] % 8 < 4, 0.05, -0.05) * np.ones((128,) * 3)
    yield "layers 128", sdf(thin.astype(np.float32))
    faces = np.random.default_rng(0).integers(0, 1000, (900_000, 3)).astype(np.int32)
    yield "900,000 faces", packed(**{"arrays/faces.npy": npy(faces)})
    yield "500,000 faces", packed(**{"arrays/faces.npy": npy(faces[:500_000])})
    yield "ribbon", packed(**mesh(*ribbon(200_000)))
    yield "4,000 cubes", packed(**mesh(*cubes(4000)))
    yield "10,000,000 faces", packed(**{"arrays/faces.npy": npy(np.zeros((10_000_000, 3), np.int32))})
    for name in ("bundle.json", "arrays/vertices.npy", "pictures/0.png"):
        yield f"half of {name}", packed(**{name: members[name][: len(members[name]) // 2]})
        yield f"no {name}", packed(**{name: b""})
    facts = json.loads(members["bundle.json"])
    for place, value in (("settings", None), ("cameras", [3]), ("steps", {}), ("resolution", 2**40), ("bank", [])):
        yield f"facts {place}", packed(**{"bundle.json": json.dumps({**facts, place: value}).encode()})
    if facts["steps"]:
        many = [{**facts["steps"][0], "step": number} for number in range(2000)]
        own = {name: content for name, content in members.items() if name.startswith("arrays/step0.")}
        steps = {
            name.replace("step0.", f"step{number}.", 1): content
            for number in range(2000)
            for name, content in own.items()
        }
        yield "2,000 steps", packed(**{"bundle.json": json.dumps({**facts, "steps": many}).encode(), **steps})


def ribbon(length: int) -> tuple[np.ndarray, np.ndarray]:
    """A strip of triangles around a cylinder: one boundary that passes all of its vertices."""
    along = np.arange(length // 2)
    turns = np.arange(length // 2 + 1) * 0.01
    edge = np.stack([0.5 * np.cos(turns), 1e-5 * np.arange(len(turns)) - 0.5, 0.5 * np.sin(turns)], axis=1)
    vertices = np.stack([edge, edge + np.array([0.0, 5e-6, 0.0])], axis=1).reshape(-1, 3)
    first = np.stack([2 * along, 2 * along + 1, 2 * along + 2], axis=1)
    return vertices, np.concatenate([first, first + np.array([1, 2, 0])]).astype(np.int32)


def cubes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Small cubes side by side, none of which touches another."""
    import trimesh

    box = trimesh.creation.box((0.03, 0.03, 0.03))
    side = int(np.ceil(count ** (1 / 3)))
    places = np.stack(np.unravel_index(np.arange(count), (side,) * 3), axis=1) * 0.1 - 0.8
    vertices = (places[:, None] + np.asarray(box.vertices)).reshape(-1, 3)
    faces = (np.arange(count)[:, None, None] * len(box.vertices) + np.asarray(box.faces)).reshape(-1, 3)
    return vertices, faces.astype(np.int32)


def bundles(server: Server, count: int | None) -> None:
    """One line a call, and the figures so far."""
    import trimesh

    truth = server.upload("truth.stl", trimesh.creation.icosphere(subdivisions=3, radius=0.8).export(file_type="stl"))
    cases: list[tuple[str, dict[str, Any]]] = [
        ("reshape", {"level": 0.02}),
        ("reshape", {"max_faces": 5000, "texture": True}),
        ("reshape", {"repaired": True}),
        ("edit_wavelets", {"gains": {"1 ddd": 0.0, "2 aaa": 0.0}}),
        ("step", {"number": 1}),
        ("turntable", {"max_faces": 2000}),
        ("compare", {"mesh": {"path": truth, "orig_name": "truth.stl", "meta": {"_type": "gradio.FileData"}}}),
    ]
    every = 1 if count is None else max(1, 24 * len(cases) // count)
    number, longest, most, done = 0, 0.0, 0.0, 0
    for name, content in hostile(example()):
        chosen = [case for place, case in enumerate(cases, number) if place % every == 0]
        number += len(cases)
        if not chosen:
            continue
        path = server.upload("run.zip", content)
        bundle = {"path": path, "orig_name": "run.zip", "meta": {"_type": "gradio.FileData"}}
        for endpoint, case in chosen:
            begin, before = time.perf_counter(), server.cpu_s()
            said = server.call(endpoint, {"bundle": bundle, **case})
            took, worked = time.perf_counter() - begin, server.cpu_s() - before
            longest, most, done = max(longest, took), max(most, worked), done + 1
            words = f"{said.splitlines()[0]} {said[-160:].strip()!r:.150}"
            sys.stdout.write(f"{took:6.1f} s  {worked:5.1f} s of processor  {name}  {endpoint} {case}: {words}\n")
            sys.stdout.write(
                f"  so far: {done} calls, server alive {server.process.poll() is None}, longest {longest:.1f} s, "
                f"most {most:.1f} s of processor, peak {server.peak / 1e9:.2f} GB\n"
            )
            sys.stdout.flush()


def calls(server: Server, count: int | None) -> None:
    """What refused calls leave behind."""
    count = count or 200
    for _ in range(20):
        server.call("step", {"bundle": None, "number": 1})
    before = server.memory()
    for _ in range(count):
        server.call("step", {"bundle": None, "number": 1})
    kept = (server.memory() - before) / count
    sys.stdout.write(f"{count} calls keep {kept / 1e6:.3f} MB each; the server has {server.memory() / 1e9:.2f} GB\n")


def main() -> None:
    """Run one measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("bundles", "calls"))
    parser.add_argument("--count", type=int, metavar="N", help="calls to make; all of them, or 200, if left out")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server ends with it
    server = Server()
    try:
        {"bundles": bundles, "calls": calls}[asked.what](server, asked.count)
    finally:
        server.process.terminate()
        server.process.wait(60)


if __name__ == "__main__":
    main()
