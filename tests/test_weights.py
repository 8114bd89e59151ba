"""Folders of weights: their name, where they are found, and the way to the Hub and back, without a network."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalTokenNotFoundError

from wavemesh import weights
from wavemesh.errors import InputError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write(folder: Path, **contents: bytes) -> Path:
    """A folder of weights with these files, the dots of their names as underscores, and a manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {name.replace("_", "."): content for name, content in contents.items()}
    for name, content in named.items():
        (folder / name).write_bytes(content)
    sums = {name: {"sha256": hashlib.sha256(content).hexdigest()} for name, content in named.items()}
    (folder / weights.MANIFEST).write_text(json.dumps({"format": 1, "networks": ["net"], "files": sums}))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "weights" / weights.CAMERA_HEAD, config_json=b"{}", head_safetensors=b"h")
    return write(tmp_path / "weights", net_safetensors=b"n", config_json=b"{}")


def test_the_fingerprint_is_that_of_the_sums_in_order(folder: Path) -> None:
    def lines(**contents: bytes) -> str:
        sums = {name.replace("_", "."): hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        return "".join(f"{name} {sums[name]}\n" for name in sorted(sums))

    own, head = lines(net_safetensors=b"n", config_json=b"{}"), lines(config_json=b"{}", head_safetensors=b"h")
    assert weights.fingerprint(folder) == hashlib.sha256(own.encode()).hexdigest()[:12]
    both = hashlib.sha256((own + head).encode()).hexdigest()[:12]
    assert weights.fingerprint(folder, weights.camera_head(folder)) == both


def test_the_fingerprint_follows_weights_and_configuration_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    before = weights.fingerprint(folder)
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "README.md").write_text("A card.")
    assert weights.fingerprint(tmp_path / "copy") == before
    assert weights.fingerprint(write(tmp_path / "other", net_safetensors=b"m", config_json=b"{}")) != before
    assert weights.fingerprint(write(tmp_path / "third", net_safetensors=b"n", config_json=b"{ }")) != before


@pytest.mark.parametrize("text", ["{}", '{"files": []}', '{"files": {"a": 1}}', '{"files": {"a": {}}}', "no JSON"])
def test_a_manifest_without_sums_is_one_sentence(folder: Path, text: str) -> None:
    (folder / weights.MANIFEST).write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json"):
        weights.fingerprint(folder)


def test_both_bundled_systems_have_a_name() -> None:
    names = weights.bundled_fingerprints()
    assert set(names) == {"wavemesh", "triplane"}
    assert all(len(name) == 12 and int(name, 16) >= 0 for name in names.values())


def test_resolve_takes_a_folder_as_it_is(folder: Path) -> None:
    assert weights.resolve(folder) == folder
    assert weights.resolve(str(folder)) == folder


def test_resolve_says_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="neither a folder nor a Hub id"):
        weights.resolve(tmp_path / "none")
    with pytest.raises(InputError, match="Unknown system 'mesh'"):
        weights.resolve(None, system="mesh")
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path)
    with pytest.raises(InputError, match=r"bundled weights are missing.* name a folder of weights or a Hub id"):
        weights.resolve(None)
    assert weights.bundled_fingerprints() == {}


def test_the_camera_head_is_the_folders_own_or_the_bundled_one(folder: Path) -> None:
    assert weights.camera_head(folder) == folder / "camera_head"
    shutil.rmtree(folder / "camera_head")
    assert weights.camera_head(folder) == weights.WEIGHTS / "wavemesh" / "camera_head"


def test_without_a_network_the_hub_is_said_not_to_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="no folder 'nobody/nothing'") as caught:
        weights.resolve("nobody/nothing")
    assert "\n" not in str(caught.value)


class FakeHub:
    """Stands in for `HfApi`: what is uploaded becomes a snapshot in the cache, as a download would leave it."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.made: list[dict[str, Any]] = []
        self.sent: dict[str, Any] = {}
        self.fails_with: Exception | None = None

    def __call__(self, token: str | None = None) -> FakeHub:
        return self

    def create_repo(self, repo_id: str, **settings: Any) -> None:
        if self.fails_with is not None:
            raise self.fails_with
        self.made.append({"repo_id": repo_id, **settings})

    def upload_folder(self, repo_id: str, folder_path: Path, allow_patterns: list[str], **settings: Any) -> str:
        self.sent = {"files": allow_patterns, **settings}
        repository = self.cache / f"models--{repo_id.replace('/', '--')}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text(COMMIT)
        for name in allow_patterns:
            target = repository / "snapshots" / COMMIT / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(folder_path) / name, target)
        return f"https://huggingface.co/{repo_id}/commit/{COMMIT}"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub(tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub, "HfApi", fake)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(fake.cache))
    return fake


def test_what_was_sent_to_the_hub_is_found_there(folder: Path, hub: FakeHub) -> None:
    (folder / "README.md").write_text("A card.")
    (folder / "notes.txt").write_text("stays here")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "secret.json").write_text("{}")
    assert weights.push_to_hub(folder, "me/mesh", private=True).endswith(COMMIT)
    assert hub.made == [{"repo_id": "me/mesh", "repo_type": "model", "private": True, "exist_ok": True}]
    assert hub.sent["commit_message"] == f"Weights {weights.fingerprint(folder)}"
    found = weights.resolve("me/mesh")
    assert found != folder
    assert weights.fingerprint(found, weights.camera_head(found)) == weights.fingerprint(folder, folder / "camera_head")
    assert sorted(path.relative_to(found).as_posix() for path in found.rglob("*") if path.is_file()) == [
        "README.md", "camera_head/config.json", "camera_head/head.safetensors", "camera_head/manifest.json",
        "config.json", "manifest.json", "net.safetensors",
    ]  # fmt: skip


def test_what_the_hub_does_not_get(folder: Path, tmp_path: Path, hub: FakeHub) -> None:
    with pytest.raises(InputError, match="OWNER/NAME, not 'mesh'"):
        weights.push_to_hub(folder, "mesh")
    with pytest.raises(InputError, match=r"no weights in .*empty"):
        weights.push_to_hub(tmp_path / "empty", "me/mesh")
    hub.fails_with = LocalTokenNotFoundError("no token")
    with pytest.raises(InputError, match="hf auth login"):
        weights.push_to_hub(folder, "me/mesh")
    hub.fails_with = OSError("the network is down")
    with pytest.raises(InputError, match="could not be sent to me/mesh: the network is down"):
        weights.push_to_hub(folder, "me/mesh")
    assert hub.sent == {}
