"""The command line as a whole: every command explains itself, at once."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import wavemesh
from tests.pipelines.triplane_model import tiny_triplane
from wavemesh import cli
from wavemesh.cli.arguments import cameras_for
from wavemesh.cli.outputs import fill_table
from wavemesh.errors import InputError
from wavemesh.weights import bundled_fingerprints


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_ends_with_an_example_of_the_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert f"python -m wavemesh {command}" in out.strip().splitlines()[-1]
    assert "CPU" in out[out.rindex("\nexample") :]


@pytest.mark.parametrize("arguments", [[], ["fly"], ["generate"]])
def test_a_command_line_without_sense_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def command_lines() -> list[str]:
    """Every `python -m wavemesh ...` of README, documents and the helps' examples; the log keeps those of its day."""
    root = Path(__file__).resolve().parents[2]
    files = [root / "README.md", *sorted(set((root / "docs").glob("*.md")) - {root / "docs" / "LOG.md"})]
    pages = [path.read_text(encoding="utf-8") for path in files]
    helps = [importlib.import_module(f"wavemesh.cli.{name}").EXAMPLE for name in cli.COMMANDS]
    return re.findall(r"python -m (wavemesh [a-z][^`#\n]*)", "\n".join([*pages, *helps]))


@pytest.mark.parametrize("line", command_lines())
def test_written_command_lines_are_understood(line: str) -> None:
    cli.build_parser().parse_args(shlex.split(line)[1:])


def test_help_and_a_wrong_argument_do_not_load_torch() -> None:
    script = (
        "import sys\nfrom wavemesh.cli import main\n"
        "try:\n    main(['generate', 'x.png', '-o', 'x.glb', '--steps', '0'])\n"
        "except SystemExit as stop:\n    assert stop.code == 2\n"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_does_no_work() -> None:
    script = "import sys, wavemesh; dir(wavemesh); sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0


def test_the_module_runs_as_a_program_and_names_its_weights() -> None:
    done = subprocess.run([sys.executable, "-m", "wavemesh", "--version"], capture_output=True, text=True, timeout=60)
    version, *weights = done.stdout.splitlines()
    assert version == f"wavemesh {wavemesh.__version__}"
    assert weights == [f"weights of {system}: {name}" for system, name in bundled_fingerprints().items()]
    assert len(weights) == 2


def test_the_version_is_told_without_torch_and_without_weights() -> None:
    script = (
        "import sys, pathlib, wavemesh.weights\nfrom wavemesh.cli import main\n"
        "wavemesh.weights.WEIGHTS = pathlib.Path('nowhere')\n"
        "try:\n    main(['--version'])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["weights of wavemesh: missing", "weights of triplane: missing"]


@pytest.mark.parametrize("name", wavemesh.__all__)
def test_every_export_is_there(name: str) -> None:
    assert getattr(wavemesh, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Nothing"):
        wavemesh.Nothing  # noqa: B018


def test_stopping_by_the_keyboard_has_its_own_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wavemesh.cli.shapes.run", interrupted)
    assert cli.main(["shapes"]) == 130
    assert capsys.readouterr().err == "Stopped.\n"


def test_one_elevation_serves_all_pictures() -> None:
    cameras = cameras_for(2, [0.0, 90.0], [10.0], 3.0, 50.0)
    angles = [(c.azimuth_deg, c.elevation_deg, c.distance, c.fov_deg) for c in cameras if c is not None]
    assert angles == [(0.0, 10.0, 3.0, 50.0), (90.0, 10.0, 3.0, 50.0)]
    assert cameras_for(3, None, None, None, None) == [None] * 3


def test_shapes_lists_every_stage(capsys: pytest.CaptureFixture[str], weights: Path) -> None:
    assert cli.main(["shapes", "--views", "3", "--weights", str(weights)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "pictures                          (1, 3, 4, 32, 32)" in lines
    assert "decoded field                     (1, 32, 32, 32)" in lines


def test_shapes_lists_the_stages_of_the_triplane(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tiny_triplane().save(tmp_path / "weights")
    arguments = ["shapes", "--methods", "triplane", "--views", "2", "--triplane-weights", str(tmp_path / "weights")]
    assert cli.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    for line in (
        "pictures                          (1, 2, 4, 32, 32)",
        "triplane_LL                       (1, 3, 2, 8, 8)",
        "triplane_details                  (1, 3, 6, 8, 8)",
        "detail diffusion, planes in batch (3, 6, 8, 8)",
        "triplane_highres                  (1, 3, 2, 16, 16)",
        "rendered_image                    (1, 3, 64, 64)",
        "features at 1000 points           (1, 1000, 6)",
    ):
        assert line in lines
    assert cli.main(["shapes", "--methods", "triplane", "--triplane-weights", "nowhere"]) == 2


def test_a_table_is_put_between_its_marks(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("a\n<!-- table:bench -->\nold\n<!-- end -->\nb\n<!-- table:evaluation -->\n<!-- end -->\n")
    for _ in range(2):
        fill_table(path, "bench", "| x |\n")
    text = "a\n<!-- table:bench -->\n\n| x |\n\n<!-- end -->\nb\n<!-- table:evaluation -->\n<!-- end -->\n"
    assert path.read_text() == text
    with pytest.raises(InputError, match="'speed'"):
        fill_table(path, "speed", "")


@pytest.mark.parametrize("option", ["--docs", "--readme"])
def test_a_missing_place_for_a_table_is_found_before_the_work(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.md").write_text("no mark")
    for command in (["evaluate", "--data", "nowhere", "-o", str(tmp_path / "out")], ["bench"]):
        assert cli.main([*command, option, str(tmp_path / "page.md")]) == 2
        assert "has no place for the table" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["prepare", "nowhere", "-o", "out"], "nowhere"),
        (["train", "--preset", "huge", "--data", "nowhere", "-o", "out"], "'huge'"),
        (["train", "--preset", "tiny", "--data", "nowhere", "-o", "out"], "nowhere"),
        (["train", "--preset", "cpu-depth", "--data", "nowhere", "-o", "out", "--depth", "d"], "--depth needs --init"),
        (["train", "--preset", "cpu-depth", "--data", "x", "-o", "out", "--init", "gone", "--depth", "d"], "gone"),
        (["evaluate", "--data", "nowhere", "-o", "out", "--only-baselines"], "nowhere"),
        (["figures", "-o", "out", "--triplane-weights", "nowhere"], "--only visualize_generation"),
        (["figures", "-o", "out", "--example", "spoon"], "'spoon'"),
        (["figures", "a.png", "-o", "out", "--example", "teapot"], "not both"),
        (["figures", "-o", "out", "--losses", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_of_the_other_commands_is_one_sentence(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert said in err
