"""Weight folders: what is saved comes back, and any damage is found before it is used."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from wavemesh import checkpoint
from wavemesh.errors import InputError


@pytest.fixture
def weights() -> dict[str, dict[str, Tensor]]:
    shared = torch.randn(4, 4)
    return {
        "coarse": {f"layer{i}.weight": torch.randn(64, 1024) for i in range(5)} | {"steps": torch.tensor([3, 2**40])},
        "encoder": {"a": shared, "b": shared, "strided": torch.randn(6, 8)[:, ::2], "flag": torch.tensor([True])},
    }


@pytest.fixture
def folder(tmp_path: Path, weights: dict[str, dict[str, Tensor]]) -> Path:
    return checkpoint.save_weights(tmp_path / "weights", weights, {"width": 3}, max_file_bytes=470_000)


def test_what_is_saved_comes_back_in_single_precision(folder: Path, weights: dict[str, dict[str, Tensor]]) -> None:
    loaded, config = checkpoint.load_weights(folder)
    assert config == {"width": 3}
    assert {name: set(state) for name, state in loaded.items()} == {name: set(state) for name, state in weights.items()}
    for name, state in weights.items():
        for key, tensor in state.items():
            if tensor.is_floating_point():
                assert loaded[name][key].dtype == torch.float32
                torch.testing.assert_close(loaded[name][key], tensor.half().float(), rtol=0, atol=0)
            else:
                assert torch.equal(loaded[name][key], tensor)
                assert loaded[name][key].dtype == tensor.dtype


def test_files_are_half_precision_shards_under_the_limit(folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        "coarse-00.safetensors",
        "coarse-01.safetensors",
        "config.json",
        "encoder-00.safetensors",
        "manifest.json",
    ]
    assert all(path.stat().st_size <= 470_000 for path in folder.iterdir())
    assert safetensors.torch.load_file(folder / "coarse-00.safetensors")["layer0.weight"].dtype == torch.float16
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in folder.iterdir())


def test_the_manifest_holds_sha256_sums_and_sizes(folder: Path) -> None:
    files = json.loads((folder / "manifest.json").read_text())["files"]
    assert set(files) == {path.name for path in folder.iterdir()} - {"manifest.json"}
    for name, entry in files.items():
        content = (folder / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_single_precision_on_request(tmp_path: Path) -> None:
    value = torch.tensor([1.0 + 2.0**-20])
    checkpoint.save_weights(tmp_path / "w", {"net": {"v": value}}, {}, dtype=torch.float32)
    assert torch.equal(checkpoint.load_weights(tmp_path / "w")[0]["net"]["v"], value)


def test_saving_again_replaces_weights_and_keeps_the_model_card(folder: Path) -> None:
    (folder / "README.md").write_text("card")
    (folder / "pictures").mkdir()
    (folder / "pictures" / "a.txt").write_text("x")
    checkpoint.save_weights(folder, {"only": {"v": torch.ones(1)}}, {"width": 4})
    loaded, config = checkpoint.load_weights(folder)
    assert list(loaded) == ["only"]
    assert config == {"width": 4}
    assert (folder / "README.md").read_text() == "card"
    assert (folder / "pictures" / "a.txt").read_text() == "x"
    assert [path.name for path in folder.parent.iterdir()] == ["weights"]


@pytest.mark.parametrize("file", ["coarse-01.safetensors", "config.json"])
def test_one_flipped_bit_is_found_and_named(folder: Path, file: str) -> None:
    content = bytearray((folder / file).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / file).write_bytes(bytes(content))
    with pytest.raises(InputError, match=f"damaged.*{file}"):
        checkpoint.load_weights(folder)


@pytest.mark.parametrize("file", ["coarse-01.safetensors", "config.json", "manifest.json"])
def test_a_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(InputError, match=f"{file} is missing"):
        checkpoint.load_weights(folder)


def test_a_truncated_file_is_named(folder: Path) -> None:
    os.truncate(folder / "encoder-00.safetensors", 100)
    with pytest.raises(InputError, match=r"damaged.*encoder-00\.safetensors"):
        checkpoint.load_weights(folder)


def test_weights_that_the_manifest_does_not_list_are_refused(folder: Path) -> None:
    (folder / "coarse-02.safetensors").write_bytes((folder / "coarse-01.safetensors").read_bytes())
    with pytest.raises(InputError, match=r"coarse-02\.safetensors.*not listed"):
        checkpoint.load_weights(folder)


def test_a_file_with_the_right_sum_that_is_no_safetensors_is_refused(folder: Path) -> None:
    content = b"not tensors"
    (folder / "encoder-00.safetensors").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["encoder-00.safetensors"] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"encoder-00\.safetensors cannot be read"):
        checkpoint.load_weights(folder)


def test_a_manifest_cannot_reach_outside_its_folder(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../secret"] = {"sha256": "", "bytes": 0}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="plain file name"):
        checkpoint.load_weights(folder)


@pytest.mark.parametrize("text", ["{}", "[]", '{"format": 2, "files": {}, "networks": []}', "nonsense"])
def test_a_manifest_of_another_kind_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json"):
        checkpoint.load_weights(folder)


def test_a_value_beyond_half_precision_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"net\.v.*1e\+05|net\.v.*100000"):
        checkpoint.save_weights(tmp_path / "w", {"net": {"v": torch.tensor([1e5])}}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_makes_no_file_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'a/b'"):
        checkpoint.save_weights(tmp_path / "w", {"a/b": {}}, {})


def test_a_failure_while_swapping_keeps_the_old_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.rename

    def broken(source: Path, target: Path) -> None:
        if Path(target) == folder and not Path(source).name.endswith("-old"):
            raise OSError("interrupted")
        rename(source, target)

    monkeypatch.setattr(checkpoint.os, "rename", broken)
    with pytest.raises(OSError, match="interrupted"):
        checkpoint.save_weights(folder, {"only": {"v": torch.ones(1)}}, {})
    assert set(checkpoint.load_weights(folder)[0]) == {"coarse", "encoder"}
    assert [path.name for path in folder.parent.iterdir()] == ["weights"]


@dataclasses.dataclass(frozen=True)
class Size:
    width: int = 2
    height: int = 3


def linear(size: Size) -> torch.nn.Module:
    return torch.nn.ModuleDict({"net": torch.nn.Linear(size.width, size.height)})


def load(folder: Path, name: str = "net") -> torch.nn.Module:
    return checkpoint.load_module(folder, Size, linear, lambda module: {name: module["net"]})


def test_a_module_comes_back_with_its_weights_and_younger_settings_by_default(tmp_path: Path) -> None:
    module = linear(Size(4))
    checkpoint.save_weights(tmp_path / "w", {"net": module["net"].state_dict()}, {"width": 4}, dtype=torch.float32)
    loaded = load(tmp_path / "w")
    assert torch.equal(loaded["net"].weight, module["net"].weight)
    assert not loaded.training


def test_weights_that_do_not_fit_are_one_sentence(tmp_path: Path) -> None:
    weights = {"net": linear(Size())["net"].state_dict()}
    checkpoint.save_weights(tmp_path / "w", weights, {"width": 7})
    with pytest.raises(InputError, match=r"'net' in .*w do not fit"):
        load(tmp_path / "w")
    checkpoint.save_weights(tmp_path / "w", weights, {})
    with pytest.raises(InputError, match=r"have no part 'other', only \['net'\]"):
        load(tmp_path / "w", "other")
