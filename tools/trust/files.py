"""Hostile pictures and meshes: those of the tests, and good files with a few bytes changed, put in or cut off."""

from __future__ import annotations

import contextlib
import io
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from tests.ui import test_hostile_files as hostile
from tools.trust.server import Server, Tally, say
from wavemesh.cli import main
from wavemesh.machine import peak_resident_bytes

SUFFIXES = (".png", ".jpg", ".webp", ".glb", ".obj", ".ply", ".stl", ".off")
OVER_HTTP = 5  # one in so many: the page takes seconds for what can be read, the command line's reader does not
ASKED = {"steps": 1, "resolution": 64, "cameras": [{"azimuth_deg": 0.0}]}


def is_mesh(name: str) -> bool:
    """Whether a file is one for `render_views`."""
    return name.rpartition(".")[2] in ("glb", "obj", "ply", "stl", "off")


def made() -> Iterator[tuple[str, bytes]]:
    """Files that were made with harm in mind."""
    for group in (hostile.USABLE, hostile.REFUSED, hostile.MESHES):
        for name, make in group.items():
            yield name, make()
    corners = np.random.default_rng(0).uniform(-1.0, 1.0, (3 * 180_000, 3)).astype(np.float32)
    soup = trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False, validate=False)
    yield "soup.glb", soup.export(file_type="glb")
    ring = np.linspace(0.0, 2 * np.pi, 500_000, endpoint=False)
    points = "".join(f"v {x:.4f} {y:.4f} 0\n" for x, y in zip(np.cos(ring), np.sin(ring), strict=True))
    yield "polygon.obj", (points + "f " + " ".join(map(str, range(1, len(ring) + 1))) + "\n").encode()


def mutated(count: int) -> Iterator[tuple[str, bytes]]:
    """Good files, spoiled: the same ones every time."""
    dice = random.Random(0)
    ball = trimesh.creation.icosphere(subdivisions=3)
    pictures = {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP"}
    good = {suffix: hostile.encoded(hostile.disc("RGB"), kind) for suffix, kind in pictures.items()}
    for suffix in SUFFIXES[3:]:
        content = ball.export(file_type=suffix[1:])
        good[suffix] = content.encode() if isinstance(content, str) else content
    for number in range(count):
        suffix = SUFFIXES[number % len(SUFFIXES)]
        content = bytearray(good[suffix])
        for _ in range(dice.randint(1, 6)):
            place = dice.randrange(len(content) if dice.random() < 0.5 else min(200, len(content)))
            change = dice.choice(("set", "set", "put", "cut"))
            if change == "set":
                content[place] = dice.randrange(256)
            elif change == "put":
                content[place:place] = dice.randbytes(dice.randint(1, 40))
            elif dice.random() < 0.3:
                del content[max(place, 1) :]
        yield f"spoiled{number}{suffix}", bytes(content)


def files(server: Server, count: int) -> str:
    """All that were made to the page and one in five spoiled ones; the others to the command line."""
    tally, commands = Tally(server), Commands()
    special = list(made())
    for number, (name, content) in enumerate([*special, *mutated(count - len(special))]):
        if number >= len(special) and number % OVER_HTTP:
            commands.read(name, content)
            continue
        try:
            sent = server.upload(name, content)
        except OSError as error:
            say(f"  {name} could not be sent: {error}")
            continue
        given = {"mesh": sent, "views": 2} if is_mesh(name) else {"pictures": [sent], **ASKED}
        tally.call(name, "render_views" if is_mesh(name) else "generate", given)
    return f"page: {tally}; over 30 s of processor: {tally.over}\n{commands}"


class Commands:
    """`render` and `generate` in this process; of the latter, what comes before the networks."""

    def __init__(self) -> None:
        self.ended: Counter[str] = Counter()
        self.longest_s = 0.0
        self.odd: list[str] = []

    def read(self, name: str, content: bytes) -> None:
        """Run the command that takes such a file."""
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            path, said = Path(folder) / name, io.StringIO()
            path.write_bytes(content)
            patch.setattr("wavemesh.pipelines.registry.load_pipeline", lambda *_, **__: look)
            out = Path(folder) / "out"
            argv = ["generate", str(path), "-o", f"{out}.glb"]
            if is_mesh(name):
                argv = ["render", str(path), "-o", str(out), "--views", "1", "--size", "32", "--backend", "embree"]
            begin = time.process_time()
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
                try:
                    ended = str(main(argv))
                except SystemExit as error:
                    ended = str(error.code)
                except Exception as error:
                    ended = type(error).__name__
            self.longest_s = max(self.longest_s, time.process_time() - begin)
        self.ended[ended] += 1
        if ended not in ("0", "2") or said.getvalue().count("\n") > 1:
            self.odd.append(f"{name}: {ended} {said.getvalue()[:200]!r}")
            say(f"  {self.odd[-1]}")

    def __str__(self) -> str:
        return (
            f"command line: {sum(self.ended.values())} files ended with {dict(self.ended)}, {len(self.odd)} not in one "
            f"sentence, longest {self.longest_s:.1f} s of processor, peak {peak_resident_bytes() / 1e9:.2f} GB"
        )


def look(views: list[Any], **_: Any) -> None:
    """What stands in for a pipeline: the pictures are read, and that is all."""
    from wavemesh.errors import InputError
    from wavemesh.imaging.reading import read_picture

    for view in views:
        read_picture(view.image)
    raise InputError("Read; nothing else was asked for.")
