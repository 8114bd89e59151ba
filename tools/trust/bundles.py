"""Run bundles that mean harm: fields that become millions of faces, meshes that take hours, facts that lie."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from tools.trust.server import Server, Tally

NUM_BUNDLES = 26
CASES = (
    ("reshape", {"level": 0.02}),
    ("reshape", {"max_faces": 5000, "texture": True}),
    ("reshape", {"repaired": True}),
    ("edit_wavelets", {"gains": {"1 ddd": 0.0, "2 aaa": 0.0}}),
    ("step", {"number": 1}),
    ("turntable", {"max_faces": 2000}),
    ("turntable", {}),
    ("compare", {}),
)


def example() -> dict[str, bytes]:
    """The members of the bundle of a ball."""
    from PIL import Image

    from wavemesh.geometry.camera import Camera
    from wavemesh.geometry.isosurface import sdf_to_mesh
    from wavemesh.pipelines.outputs import StepReport
    from wavemesh.pipelines.record import Recorder, RunRecord
    from wavemesh.settings import WaveMeshSettings
    from wavemesh.wavelets.sparse import SparseCoefficients

    axis = (np.arange(128) + 0.5) / 64 - 1
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    sdf = (np.sqrt(x**2 + y**2 + z**2) - 0.7).clip(-0.09, 0.09).astype(np.float32)

    coefficients, recorder = SparseCoefficients.from_sdf(sdf), Recorder()
    recorder(StepReport("detail", 0, 1, 999, 1.0, sdf, len(coefficients.coords), None, 1.0, coefficients))
    record = RunRecord(
        WaveMeshSettings().filled(), [Image.new("RGBA", (128, 128), (200, 0, 0, 255))], [Camera()], [False],
        recorder.steps, coefficients, sdf, sdf_to_mesh(sdf),
    )  # fmt: skip
    content = record.to_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: dict[str, bytes], /, **changes: bytes) -> bytes:
    """A bundle of the members, some of them changed or added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**members, **changes}.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def hostile(members: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Bundles that mean harm, by name."""
    from wavemesh.geometry.isosurface import sdf_to_mesh

    def npy(array: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, array)
        return buffer.getvalue()

    def sdf(array: np.ndarray) -> bytes:
        return packed(members, **{"arrays/sdf.npy": npy(array)})

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
    yield "900,000 faces", packed(members, **{"arrays/faces.npy": npy(faces)})
    yield "500,000 faces", packed(members, **{"arrays/faces.npy": npy(faces[:500_000])})
    yield "ribbon", packed(members, **mesh(*ribbon(200_000)))
    yield "4,000 cubes", packed(members, **mesh(*cubes(4000)))
    corners = np.random.default_rng(0).uniform(-0.9, 0.9, (300_000, 3)).astype(np.float32)
    yield (
        "soup",
        packed(members, **mesh(corners, np.random.default_rng(1).integers(0, 300_000, (590_000, 3)).astype(np.int32))),
    )
    # A run's own surface, with nearly as many faces as any may have.
    wide = (np.where(np.arange(128)[:, None, None] % 16 < 8, 0.05, -0.05) * np.ones((128,) * 3)).astype(np.float32)
    layers = sdf_to_mesh(wide)
    yield (
        "largest surface",
        packed(
            members,
            **mesh(np.asarray(layers.vertices), np.asarray(layers.faces, np.int32)),
            **{"arrays/sdf.npy": npy(wide)},
        ),
    )
    yield "10,000,000 faces", packed(members, **{"arrays/faces.npy": npy(np.zeros((10_000_000, 3), np.int32))})
    for name in ("bundle.json", "arrays/vertices.npy", "pictures/0.png"):
        yield f"half of {name}", packed(members, **{name: members[name][: len(members[name]) // 2]})
        yield f"no {name}", packed(members, **{name: b""})
    facts = json.loads(members["bundle.json"])
    for place, value in (("settings", None), ("cameras", [3]), ("steps", {}), ("resolution", 2**40), ("bank", [])):
        yield f"facts {place}", packed(members, **{"bundle.json": json.dumps({**facts, place: value}).encode()})
    if facts["steps"]:
        many = [{**facts["steps"][0], "step": number} for number in range(60)]
        own = {name: content for name, content in members.items() if name.startswith("arrays/step0.")}
        steps = {
            name.replace("step0.", f"step{number}.", 1): content
            for number in range(60)
            for name, content in own.items()
        }
        yield "60 steps", packed(members, **{"bundle.json": json.dumps({**facts, "steps": many}).encode(), **steps})


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


def bundles(server: Server, count: int) -> str:
    """Evenly chosen ones of all bundles at all endpoints."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.8)
    truth = server.upload("truth.stl", ball.export(file_type="stl"))
    members, tally = example(), Tally(server)
    every = max(1, NUM_BUNDLES * len(CASES) // count)
    for number, (name, content) in enumerate(hostile(members)):
        places = [place for place in range(len(CASES)) if (number * len(CASES) + place) % every == 0]
        bundle = server.upload("run.zip", content) if places else None
        for place in places:
            endpoint, options = CASES[place]
            given: dict[str, Any] = {"bundle": bundle, **options}
            if endpoint == "compare":
                given["mesh"] = truth
            tally.call(f"{name}, {endpoint} {options}", endpoint, given)
    return f"{tally}; over 30 s of processor: {tally.over}"
