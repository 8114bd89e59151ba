"""The install lines of README find a wheel of every package on every platform that they name; asks the registry."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
GLIBC = [f"manylinux_2_{minor}" for minor in (28, 27, 26, 24, 17, 12, 5)] + ["manylinux2014"]
# What pip calls wheels, and what the markers of requirements call the system, on 3.11 and 3.12.
PLATFORMS = {
    "Linux": ([f"{each}_x86_64" for each in GLIBC], {"sys_platform": "linux", "platform_machine": "x86_64"}),
    "Linux on ARM": ([f"{each}_aarch64" for each in GLIBC], {"sys_platform": "linux", "platform_machine": "aarch64"}),
    "Windows": (["win_amd64"], {"sys_platform": "win32", "platform_machine": "AMD64"}),
    "Apple": (["macosx_14_0_arm64"], {"sys_platform": "darwin", "platform_machine": "arm64"}),
}

COMPILED = {"Linux on ARM": {"PyMCubes", "xatlas"}}  # README says so


def wanted(system: dict[str, str]) -> list[str]:
    """The packages that a platform installs from requirements.txt."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return [str(each).split(";")[0] for each in found if each.marker is None or each.marker.evaluate(dict(system))]


def test_readme_names_what_has_to_be_compiled() -> None:
    said = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, packages in COMPILED.items():
        assert f"On {name} pip compiles {' and '.join(sorted(packages))}" in said


def test_readme_pins_the_torch_that_was_tested() -> None:
    pinned = re.search(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned
    for file in ("README.md", "Dockerfile"):
        said = re.findall(r"torch==([\d.]+\d)", (ROOT / file).read_text(encoding="utf-8"))
        assert set(said) <= {pinned[1]}


def test_a_second_caster_stands_in_where_the_first_has_no_wheel() -> None:
    assert not [each for each in wanted(PLATFORMS["Linux on ARM"][1]) if each.startswith("embreex")]
    for name in ("Linux", "Windows", "Apple"):
        assert [each for each in wanted(PLATFORMS[name][1]) if each.startswith("embreex")]


def hashed() -> dict[str, tuple[str, list[str]]]:
    """The version and the hashes of each package that `hashes.txt` pins."""
    text = (ROOT / "hashes.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.partition(" --hash=") for line in text.splitlines() if not line.startswith("#")]
    pinned = {canonicalize_name(Requirement(pin).name): (Requirement(pin), rest) for pin, _, rest in lines}
    return {
        name: (str(pin.specifier).removeprefix("=="), rest.split(" --hash=")) for name, (pin, rest) in pinned.items()
    }


def test_hashes_are_of_the_tested_versions() -> None:
    """Where this fails, a list has changed: run `make hashes.txt`."""
    pinned = hashed()
    tested = [Requirement(line) for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()[1:]]
    for each in tested:
        version, _ = pinned.get(canonicalize_name(each.name), (None, []))
        assert version is None or each.specifier.contains(version), each
    for _, system in PLATFORMS.values():
        assert {canonicalize_name(Requirement(each).name) for each in wanted(system)} <= set(pinned)
    for name, (_, hashes) in pinned.items():
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each.strip()) for each in hashes), name
    assert "://" not in (ROOT / "hashes.txt").read_text(encoding="utf-8")


@pytest.mark.slow
def test_pip_takes_files_with_these_hashes_alone(tmp_path: Path) -> None:
    version, hashes = hashed()["networkx"]
    for sums, status in ((hashes, 0), (["sha256:" + "0" * 64], 1)):
        listed = tmp_path / "one.txt"
        listed.write_text(f"networkx=={version} " + " ".join(f"--hash={each.strip()}" for each in sums))
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "-r", listed]
        done = subprocess.run([*command, "-d", tmp_path / "files"], capture_output=True, text=True, check=False)
        if "NewConnectionError" in done.stderr or "name resolution" in done.stderr:
            pytest.skip("no registry is at hand")
        assert done.returncode == status, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("version", ["3.11", "3.12"])
@pytest.mark.parametrize("name", PLATFORMS)
def test_every_package_has_a_wheel(name: str, version: str, tmp_path: Path) -> None:
    tags, system = PLATFORMS[name]
    packages = [each for each in wanted(system) if Requirement(each).name not in COMPILED.get(name, ())]
    options = [option for tag in tags for option in ("--platform", tag)]
    report = tmp_path / "report.json"
    command = [
        sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--ignore-installed",
        "--only-binary=:all:", "--target", str(tmp_path / "target"), "--report", str(report), "--python-version",
        version, *options, "-c", str(ROOT / "constraints.txt"), *packages,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "NewConnectionError" in done.stderr or "name resolution" in done.stderr:
        pytest.skip("no registry is at hand")
    assert done.returncode == 0, done.stderr[-2000:]
    found = {each["metadata"]["name"].lower() for each in json.loads(report.read_text(encoding="utf-8"))["install"]}
    assert len(found) == len(packages)
