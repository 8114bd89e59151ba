"""The deploy command, against a Hub that only takes notes, and what the Space would run with."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalTokenNotFoundError

from tests.cli.test_generate import refuse
from wavemesh.cli import main
from wavemesh.cli.deploy import space_files
from wavemesh.weights import fingerprint, hub_files

ROOT = Path(__file__).resolve().parents[2]


class FakeHub:
    """Stands in for `HfApi`."""

    calls: list[tuple[str, dict[str, Any]]] = []
    fails_with: Exception | None = None

    def __init__(self, token: str | None = None) -> None:
        assert token is None

    def create_repo(self, repo_id: str, **settings: Any) -> None:
        if FakeHub.fails_with is not None:
            raise FakeHub.fails_with
        FakeHub.calls.append(("create_repo", {"repo_id": repo_id, **settings}))

    def upload_folder(self, **settings: Any) -> str:
        FakeHub.calls.append(("upload_folder", settings))
        return "https://huggingface.co/spaces/me/mesh/commit/1"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> type[FakeHub]:
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeHub)
    monkeypatch.setattr(FakeHub, "calls", [])
    monkeypatch.setattr(FakeHub, "fails_with", None)
    return FakeHub


def test_a_dry_run_lists_and_sends_nothing(hub: type[FakeHub], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", "me/mesh", "--dry-run", "--folder", str(ROOT)]) == 0
    printed = capsys.readouterr().out
    assert hub.calls == []
    *lines, summary = printed.splitlines()
    sizes = {name: int(size.replace(",", "")) for size, name in (line.split(None, 1) for line in lines)}
    assert sizes["app.py"] == (ROOT / "app.py").stat().st_size
    assert summary.startswith(f"{len(sizes)} files, {sum(sizes.values()) / 2**20:.1f} MiB would go to")
    # A Space without a paid plan holds files under 1 GB; ours stays far below.
    assert sum(sizes.values()) < 40 * 2**20


def test_what_the_page_needs_goes_and_nothing_private_does(tmp_path: Path) -> None:
    files = set(space_files(ROOT))
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    offered = {name for name in tracked if name.split("/")[0] in ("wavemesh", "assets", "examples")}
    unused = ("wavemesh/cli/", "wavemesh/training/", "wavemesh/procedural/", "wavemesh/bench/", "assets/backgrounds/")
    needed = {name for name in offered if not name.startswith(unused)}
    assert len(offered) - len(needed) > 40
    assert needed | {"app.py", "README.md", "requirements.txt", "packages.txt"} <= files
    assert not (offered - needed) & files
    assert not any("__pycache__" in name or name.startswith(("tests/", ".venv/", "docs/")) for name in files)
    for name in (*("app.py", "README.md", "requirements.txt", "packages.txt"), "wavemesh/ui/app.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in (".env", "wavemesh/.secret", "wavemesh/__pycache__/x.pyc", "assets/.git/config", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert len(space_files(tmp_path)) == 5


def test_one_commit_with_exactly_those_files(hub: type[FakeHub], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", "me/mesh", "--private", "--folder", str(ROOT)]) == 0
    (made, repo), (sent, upload) = hub.calls
    assert (made, sent) == ("create_repo", "upload_folder")
    assert repo == {
        "repo_id": "me/mesh", "repo_type": "space", "space_sdk": "gradio", "private": True, "exist_ok": True
    }  # fmt: skip
    assert upload["allow_patterns"] == space_files(ROOT)
    assert (upload["repo_id"], upload["repo_type"], upload["folder_path"]) == ("me/mesh", "space", ROOT)
    assert "commit/1" in capsys.readouterr().out


def test_weights_go_as_a_model(hub: type[FakeHub], capsys: pytest.CaptureFixture[str]) -> None:
    folder = ROOT / "assets" / "weights" / "wavemesh"
    assert main(["deploy", "me/weights", "--weights", str(folder), "--dry-run"]) == 0
    *lines, summary = capsys.readouterr().out.splitlines()
    named = [line.split()[1] for line in lines]
    assert named == hub_files(folder)
    assert {"README.md", "manifest.json", "coarse-00.safetensors", "camera_head/manifest.json"} <= set(named)
    assert summary.endswith("would go to https://huggingface.co/me/weights")
    assert hub.calls == []
    assert main(["deploy", "me/weights", "--weights", str(folder), "--private"]) == 0
    (_, repo), (_, upload) = hub.calls
    assert (repo["repo_type"], repo["private"]) == ("model", True)
    assert upload["allow_patterns"] == named
    assert upload["commit_message"] == f"Weights {fingerprint(folder)}"
    assert "commit/1" in capsys.readouterr().out


def test_a_prepared_set_goes_as_a_data_set(
    hub: type[FakeHub], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = [("shard-000000.tar", "train"), ("shard-000001.tar", "val"), ("shard-000002.tar", "train")]
    index = [{"key": name, "shard": name, "split": split, "licence": "CC0 | 1.0"} for name, split in listed]
    (tmp_path / "index.json").write_text(json.dumps(index))
    for name in ("models/chair.tar", "cache-train/sdf.npy", "meshes/chair.npz", *(name for name, _ in listed)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"content")
    assert main(["deploy", "me/chairs", "--data", str(tmp_path), "--dry-run"]) == 0
    assert "5 files, " in capsys.readouterr().out
    assert not (tmp_path / "README.md").exists()
    assert main(["deploy", "me/chairs", "--data", str(tmp_path), "--private"]) == 0
    (_, repo), (_, upload) = hub.calls
    assert (repo["repo_id"], repo["repo_type"], repo["private"]) == ("me/chairs", "dataset", True)
    assert upload["allow_patterns"] == ["README.md", "index.json", "meshes/chair.npz", *(name for name, _ in listed)]
    assert upload["commit_message"] == "3 shapes"
    card = huggingface_hub.DatasetCard.load(tmp_path / "README.md")
    assert card.data["size_categories"] == ["n<1K"]
    (config,) = card.data["configs"]
    assert config["data_files"] == [
        {"split": "train", "path": ["shard-000000.tar", "shard-000002.tar"]},
        {"split": "validation", "path": ["shard-000001.tar"]},
    ]
    assert "2 train, 1 validation" in card.text
    assert "| CC0 / 1.0 | 3 |" in card.text
    (tmp_path / "README.md").write_text("My own words.")
    assert main(["deploy", "me/chairs", "--data", str(tmp_path)]) == 0
    assert (tmp_path / "README.md").read_text() == "My own words."
    assert capsys.readouterr().out.count("commit/1") == 2
    (tmp_path / "shard-000002.tar").unlink()
    assert "lacks shard-000002.tar, which its" in refuse(["deploy", "me/chairs", "--data", str(tmp_path)], capsys)
    (tmp_path / "index.json").unlink()
    assert "is no prepared data set" in refuse(["deploy", "me/chairs", "--data", str(tmp_path)], capsys)


def test_refusals(hub: type[FakeHub], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "OWNER/NAME, not 'mesh'" in refuse(["deploy", "mesh"], capsys)
    assert "no checkout of WaveMesh" in refuse(["deploy", "me/mesh", "--folder", str(tmp_path)], capsys)
    assert "no weights in" in refuse(["deploy", "me/mesh", "--weights", str(tmp_path)], capsys)
    hub.fails_with = LocalTokenNotFoundError("no token")
    assert "hf auth login" in refuse(["deploy", "me/mesh", "--folder", str(ROOT)], capsys)
    hub.fails_with = OSError("the network is down")
    assert "the network is down" in refuse(["deploy", "me/mesh", "--folder", str(ROOT)], capsys)


def test_the_space_runs_the_tested_gradio() -> None:
    header = (ROOT / "README.md").read_text(encoding="utf-8").split("---")[1]
    pinned = re.search(r"^gradio==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert f"sdk_version: {pinned[1]}\n" in header
    assert "app_file: app.py\n" in header
    assert set((ROOT / "packages.txt").read_text().split()) == {"libegl1", "libgl1-mesa-dri"}
