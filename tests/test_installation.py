"""What an installation brings: the extras' lists, what runs without which, and a wheel with weights and examples."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import wavemesh
from wavemesh import bundled
from wavemesh.cli import main
from wavemesh.cli.deploy import space_files
from wavemesh.errors import InputError
from wavemesh.extras import EXTRAS, missing
from wavemesh.models.multiview_encoder import DinoBackbone
from wavemesh.rendering import pyrender_view

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FILES = sorted((ROOT / "wavemesh").rglob("*.py"))
# Which extras a room may use, be it in a function only; the others use none.
ALLOWED = {
    "ui": {"app"},
    "cli": {"train"},
    "training": {"train"},
    "data": {"dask", "ray", "train"},
    "evaluation": {"train"},
    "geometry": {"step"},
    "models": {"train"},
    "rendering": {"app", "render"},
}


def normal(requirement: str) -> str:
    """The name of a requirement as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!; ]", requirement)[0]).lower()


def test_what_a_space_installs_is_the_library_and_the_page() -> None:
    """Where this fails, pyproject.toml has changed: run `make requirements.txt`."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    listed = [line for line in lines if not line.startswith("#")]
    assert listed == PROJECT["dependencies"] + PROJECT["optional-dependencies"]["app"]
    assert listed[0].startswith("torch")
    assert (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()[-1] == "-e .[dev]"


def test_the_table_of_extras_is_that_of_the_project() -> None:
    distributions = packages_distributions()
    # Not all of them are installed; those that only slow tests need are called like their modules.
    named = {(normal(distributions.get(module, [module])[0]), extra) for module, extra in EXTRAS.items()}
    lists = PROJECT["optional-dependencies"]
    extras = set(EXTRAS.values())
    assert extras == {"app", "dask", "ray", "render", "step", "stream", "train"}
    assert named == {(normal(each), extra) for extra in extras for each in lists[extra]}


def test_each_room_imports_what_its_extras_bring() -> None:
    for path in FILES:
        roots = {name.partition(".")[0] for name in imports_of(path, False)}
        used = {EXTRAS[name] for name in roots if name in EXTRAS}
        assert used <= ALLOWED.get(path.relative_to(ROOT).parts[1], set()), path


def imports_of(path: Path, at_once: bool) -> set[str]:
    """The modules that a file imports; at_once: as it is imported itself, not in a function or for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [
        node for node in (tree.body if at_once else ast.walk(tree)) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def extras_at_once(start: set[str]) -> dict[str, str]:
    """What of the extras is imported as soon as what these modules may call is imported, with a file that does it."""
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES}
    modules |= {name.removesuffix(".__init__"): path for name, path in modules.items()}
    reached, waiting, found = set(), set(start), {}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        found |= {
            module: name for each in imports_of(modules[name], True) if (module := each.partition(".")[0]) in EXTRAS
        }
        waiting |= (imports_of(modules[name], False) & set(modules)) - reached
    # torch and huggingface_hub bring these two in any case.
    return {module: name for module, name in found.items() if module not in ("filelock", "tqdm")}


def test_the_library_and_generate_need_no_extra() -> None:
    assert extras_at_once({"wavemesh.cli.generate", "wavemesh.cli.replay", *wavemesh._EXPORTS.values()}) == {}


def test_a_space_has_whatever_the_page_may_import() -> None:
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES}
    modules |= {name.removesuffix(".__init__"): path for name, path in modules.items()}
    reached, waiting = set(), {name for name, path in modules.items() if "ui" in path.parts}
    while waiting:
        name = waiting.pop()
        reached.add(modules[name].relative_to(ROOT).as_posix())
        found = imports_of(modules[name], False) & set(modules)
        waiting |= {each for each in found if modules[each].relative_to(ROOT).as_posix() not in reached}
    assert len(reached) > 100
    assert reached <= set(space_files(ROOT))


def test_the_page_needs_its_own_extra_alone() -> None:
    pages = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES if "ui" in path.parts}
    assert {EXTRAS[module] for module in extras_at_once(pages - {"wavemesh.ui.__init__"})} == {"app"}


@pytest.mark.parametrize(
    ("command", "module", "extra"),
    [
        (["app"], "gradio", "app"),
        (["train", "--preset", "tiny", "--data", "nowhere", "-o", "out"], "accelerate", "train"),
        (["prepare", "nowhere", "-o", "out"], "joblib", "train"),
    ],
)
def test_a_missing_extra_is_one_sentence(
    command: list[str],
    module: str,
    extra: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    for room in ("wavemesh.ui.app", "wavemesh.data.prepare"):
        monkeypatch.delitem(sys.modules, room, raising=False)
    assert main(command) == 2
    assert capsys.readouterr().err == f'This needs the package {module}: pip install "wavemesh[{extra}]".\n'


def test_renderer_and_backbone_name_their_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'pyrender'", name="pyrender")

    monkeypatch.setattr(pyrender_view, "PyrenderRenderer", absent)
    problem = pyrender_view.pyrender_problem.__wrapped__()
    assert problem == 'This needs the package pyrender: pip install "wavemesh[render]"'
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"transformers: pip install .wavemesh\[train\]"):
        DinoBackbone("facebook/dinov2-small")


def test_a_package_of_no_extra_is_no_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: object) -> None:
        raise ModuleNotFoundError("No module named 'surprise'", name="surprise")

    monkeypatch.setattr("wavemesh.cli.shapes.run", run)
    with pytest.raises(ModuleNotFoundError, match="surprise"):
        main(["shapes"])
    assert isinstance(missing(ModuleNotFoundError(name="joblib.parallel")), InputError)


def test_bundled_files_of_an_installed_package_come_first(tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "wavemesh"
    (package.parent / "examples").mkdir(parents=True)  # of somebody else
    assert bundled._folder("examples", "examples", package) == package.parent / "examples"
    (package / "bundled_files" / "examples").mkdir(parents=True)
    assert bundled._folder("examples", "examples", package) == package / "bundled_files" / "examples"
    assert bundled.WEIGHTS == ROOT / "assets" / "weights"


@pytest.mark.slow
def test_the_wheel_has_weights_examples_and_attribution(tmp_path: Path) -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in tracked:
        if name.startswith(("wavemesh/", "assets/", "examples/")) or "/" not in name:
            (tmp_path / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "checkout" / name).write_bytes((ROOT / name).read_bytes())
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-build-isolation",
        "--no-deps",
        "-w",
        tmp_path,
        tmp_path / "checkout",
    ]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=200)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"wavemesh-{wavemesh.__version__}-py3-none-any")
    assert wheel.stat().st_size < 48 * 2**20
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    placed = {"assets/weights/": "wavemesh/bundled_files/weights/", "examples/": "wavemesh/bundled_files/examples/"}
    for name in tracked:
        for folder, target in placed.items():
            assert not name.startswith(folder) or target + name.removeprefix(folder) in names
        assert not name.startswith("wavemesh/") or name in names
    assert any(name.endswith("licenses/assets/ATTRIBUTION.md") for name in names)
    assert not any(name.startswith(("tests/", "examples/", "assets/")) for name in names)
