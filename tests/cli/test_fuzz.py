"""The command line under odd numbers, odd paths and odd streams: 0, 2, 130 or 141, one sentence, no input overwritten.

What takes long (networks, training, the server) is replaced by a refusal: everything before it is what is tested.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from wavemesh.cli import build_parser, main
from wavemesh.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "generate",
    "replay",
    "render",
    "train",
    "app",
    "shapes",
    "evaluate",
    "gate",
    "prepare",
    "figures",
    "ablate",
)
HEAVY = (
    "wavemesh.pipelines.registry.load_pipeline",
    "wavemesh.rendering.render_multiview",
    "wavemesh.cli.shapes._wavemesh",
    "wavemesh.cli.shapes._triplane",
    "wavemesh.ui.app.launch",
    "wavemesh.data.prepare.prepare",
)
ODD = [
    "", " ", "-1", "0", "1", "3", "65536", "99999", "1e300", "-1e300", "nan", "inf", "9" * 30, "9" * 5000, "1e-320",
    "x", "x" * 300, "x" * 5000, "/", ".", "..", "/dev/full", "/dev/null/x.glb", "/proc/1/mem", "missing.png",
    "missing/deep/out.glb", "picture.png", "./picture.png", "link.png", "out.glb", "out.obj", "OUT.STL", "ünïcödé.ply",
    "\udcff.glb", "a\nb.glb", "--", "-", "--steps", "note.txt", "folder", "loop", "b" * 250 + ".glb",
]  # fmt: skip


def refuse(*_: Any, **__: Any) -> NoReturn:
    raise InputError("Stopped here by the test.")


@pytest.fixture
def playground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return furnished(tmp_path, monkeypatch)


def furnished(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a picture, a link to it, a loop of links, a text and a folder; the process is in it."""
    Image.new("RGBA", (64, 64), (200, 0, 0, 255)).save(folder / "picture.png")
    (folder / "link.png").symlink_to("picture.png")
    (folder / "loop").symlink_to("loop")
    (folder / "note.txt").write_text("hello")
    (folder / "folder").mkdir()
    monkeypatch.chdir(folder)
    for name in HEAVY:
        with contextlib.suppress(AttributeError, ModuleNotFoundError):
            monkeypatch.setattr(name, refuse)
    return folder


@functools.cache
def options(command: str) -> list[argparse.Action]:
    commands = next(each for each in build_parser()._actions if isinstance(each, argparse._SubParsersAction))
    return [each for each in commands.choices[command]._actions if each.dest != "help"]


def lines(command: str, data: st.DataObject) -> Iterator[str]:
    """A command line: sensible where nothing was drawn, odd where something was."""
    yield command
    for action in options(command):
        required = action.required or not action.option_strings
        if not required and data.draw(st.integers(0, 3)):
            continue
        yield from action.option_strings[-1:]
        if action.nargs == 0:
            continue
        words = list(map(str, action.choices)) if action.choices else ["picture.png", "out.glb", "1", "30"]
        for _ in range(data.draw(st.integers(1, 2)) if action.nargs in ("+", "*") else 1):
            yield data.draw(st.one_of(st.sampled_from(words), st.sampled_from(ODD)))


def status(argv: list[str]) -> int:
    try:
        return main(argv)
    except SystemExit as error:
        return int(error.code or 0)


def fuzzed(playground: Path, capsys: pytest.CaptureFixture[str], examples: int) -> None:
    before = {name: (playground / name).read_bytes() for name in ("picture.png", "note.txt")}
    surroundings = dict(os.environ)

    @settings(
        max_examples=examples,
        derandomize=examples < 500,
        suppress_health_check=list(HealthCheck),
        database=None,
        deadline=None,
    )
    @given(st.data())
    def fuzz(data: st.DataObject) -> None:
        argv = list(lines(data.draw(st.sampled_from(COMMANDS)), data))
        ended = status(argv)
        said = capsys.readouterr().err
        assert ended in (0, 2), (argv, said)
        assert "Traceback" not in said
        for name, content in before.items():
            assert (playground / name).read_bytes() == content, argv
        assert not [path for path in playground.rglob(".*") if path.is_file() and path.name != ".lock"]
        assert dict(os.environ) == surroundings, argv  # what one command is told is no other's business

    fuzz()


def test_odd_command_lines_are_one_sentence(playground: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fuzzed(playground, capsys, 150)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_thousand_odd_command_lines(playground: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fuzzed(playground, capsys, 2000)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (
            ["generate", "picture.png", "-o", "out.glb", "--report", "picture.png"],
            "would replace the input picture.png",
        ),
        (["generate", "picture.png", "-o", "out.glb", "--report", "./link.png"], "would replace the input picture.png"),
        (["generate", "picture.png", "-o", "out.glb", "--report", "out.glb"], "are one file"),
        (["generate", "picture.png", "-o", "out.glb", "--bundle", "./out.glb"], "are one file"),
        (["generate", "picture.png", "-o", "b" * 250 + ".glb"], "File name too long"),
        (["generate", "picture.png", "-o", "loop/out.glb"], "cannot be written"),
        (["generate", "picture.png", "-o", "out.glb", "--azimuth", "1e300"], "Azimuth must lie between"),
        (["generate", "picture.png", "-o", "out.glb", "--azimuth", "0", "--distance", "1e300"], "at most 1000000"),
        (["generate", "picture.png", "-o", "out.glb", "--seed", "9" * 30], "at most 9223372036854775807"),
        (["generate", "picture.png", "-o", "out.glb", "--seed", "9" * 5000], "takes an integer"),
        (["train", "--preset", "tiny", "--data", "folder", "-o", "run", "--seed", "9" * 23], "at most 2147483647"),
        (["app", "--port", "99999"], "at most 65535"),
        (["shapes", "--views", "1000000"], "at most 64"),
        (["render", "missing.obj", "-o", "out", "--size", "1000000"], "at most 8192"),
        (["figures", "--procedural", "99999", "-o", "out.png"], "at most 400"),
        (["figures", "--count", "99999", "-o", "out.png"], "at most 400"),
        (["evaluate", "--views", "99999", "-o", "out"], "at most 64"),
        (["evaluate", "--points", "999999999", "-o", "out"], "at most 1000000"),
        (["prepare", "-o", "out", "--resolution", "99999"], "at most 512"),
        (["prepare", "-o", "out", "--size", "99999"], "at most 2048"),
    ],
)
def test_what_is_refused_and_how(
    argv: list[str], words: str, playground: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(argv) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said) < 500
    assert said.count("\n") == 1


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WM": f"{sys.executable} -m wavemesh"}
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, timeout=250, check=False
    )


def test_streams_that_are_closed_full_or_left(tmp_path: Path) -> None:
    left = shell("$WM --help | true; echo ${PIPESTATUS[0]}", tmp_path)
    assert (left.stdout, left.stderr) in (("141\n", ""), ("0\n", ""))
    closed = shell("$WM --version >&-; echo $?", tmp_path)
    assert (closed.stdout, closed.stderr) == ("0\n", "")
    full = shell("$WM --version >/dev/full; echo $?", tmp_path)
    assert full.stdout == "2\n"
    assert full.stderr == "What the command says cannot be read or written: No space left on device.\n"


@pytest.mark.whole
def test_a_table_of_which_only_the_head_is_read(tmp_path: Path) -> None:
    head = shell("$WM shapes --untrained --methods wavemesh | head -1; echo ${PIPESTATUS[0]}", tmp_path)
    assert head.stdout.splitlines()[0] == "WaveMesh-Diff"
    assert head.stdout.splitlines()[1] in ("141", "0")
    assert head.stderr == ""
