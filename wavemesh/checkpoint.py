"""Weights on disk: half-precision safetensors shards, a configuration and a manifest of sha256 sums.

safetensors loads a flipped byte without complaint, so every file is checked against the manifest before it is read.
Shards stay under the size that a Git host takes without large-file storage. Pipelines and training read and write here;
nothing in these folders can run code.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from wavemesh.config import from_dict, read_json
from wavemesh.errors import InputError

MANIFEST = "manifest.json"
CONFIG = "config.json"
FORMAT = 1
SYSTEMS = ("wavemesh", "triplane", "cutout")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_NAME = re.compile(r"[A-Za-z0-9_]+")

Config = TypeVar("Config")
Module = TypeVar("Module", bound=nn.Module)


def save_weights(
    folder: str | Path,
    weights: Mapping[str, Mapping[str, Tensor]],
    config: Mapping[str, Any],
    max_file_bytes: int = 9 * 2**20,
    dtype: torch.dtype = torch.float16,
) -> Path:
    """The folder, written whole: shards `<name>-00.safetensors`..., `config.json` and `manifest.json`.

    weights: a state_dict per network name. Floating tensors are stored as `dtype`, others as they are. A tensor larger
    than max_file_bytes gets a shard of its own. Weights that were there before are replaced in one step; other files of
    the folder, such as a model card, stay. Raises InputError for a value that `dtype` cannot hold or a name that makes
    no file name.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        staging.chmod(0o755)
        for name, state in weights.items():
            if not _NAME.fullmatch(name):
                raise InputError(f"{name!r} is no name for a network: use letters, digits and underscores.")
            stored = {key: _stored(f"{name}.{key}", tensor, dtype) for key, tensor in state.items()}
            for index, shard in enumerate(_shards(stored, max_file_bytes)):
                # Bytes rather than save_file, which makes files that only their owner may read.
                (staging / f"{name}-{index:02d}.safetensors").write_bytes(safetensors.torch.save(shard))
        (staging / CONFIG).write_text(json.dumps(config, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        files = {
            path.name: {"sha256": _sha256(path), "bytes": path.stat().st_size} for path in sorted(staging.iterdir())
        }
        manifest = {"format": FORMAT, "networks": list(weights), "files": files}
        (staging / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        _carry_over(folder, staging)
        _swap(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def load_weights(folder: str | Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """The state_dict of every network, floating tensors as float32 on the CPU, and the configuration.

    Raises InputError that names the file if one is missing, damaged, or holds weights the manifest does not list.
    """
    folder = Path(folder)
    manifest = _verified_manifest(folder)
    networks: dict[str, dict[str, Tensor]] = {name: {} for name in manifest["networks"]}
    for file in sorted(manifest["files"]):
        if not file.endswith(".safetensors"):
            continue
        name = file.rsplit("-", 1)[0]
        if name not in networks:
            raise InputError(f"The weights file {folder / file} belongs to no network of {MANIFEST}: {list(networks)}.")
        try:
            shard = safetensors.torch.load_file(folder / file)
        except (safetensors.SafetensorError, OSError) as error:
            raise InputError(f"The weights file {folder / file} cannot be read: {error}.") from None
        networks[name].update({key: t.float() if t.is_floating_point() else t for key, t in shard.items()})
    return networks, read_json(folder / CONFIG)


def fingerprint(*states: Mapping[str, Tensor]) -> str:
    """The first 16 hex digits of the sha256 over the names, shapes and values of networks' state_dicts.

    Equal for equal weights wherever they were loaded from; it says whether two results can be expected to agree.
    """
    digest = hashlib.sha256()
    for state in states:
        for name, tensor in sorted(state.items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype};".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def manifest_fingerprint(folder: str | Path) -> str:
    """The first 16 hex digits of the sha256 over the sums in a folder's manifest: weights and configuration together.

    Reads nothing but the manifest; raises InputError where there is none.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise InputError(f"There are no weights in {folder}: the file {MANIFEST} is missing.")
    files = read_json(path).get("files", {})
    sums = "".join(f"{name} {entry['sha256']}\n" for name, entry in sorted(files.items()))
    return hashlib.sha256(sums.encode()).hexdigest()[:16]


def load_module(
    folder: str | Path,
    config_type: type[Config],
    build: Callable[[Config], Module],
    networks: Callable[[Module], Mapping[str, nn.Module]],
) -> Module:
    """The module that `build` makes of the stored configuration, with the stored weights, in evaluation mode.

    networks: the parts of the module by the names that they are stored under. Settings that are younger than the
    weights take their defaults. Raises InputError where files are missing, damaged or do not fit.
    """
    weights, config = load_weights(folder)
    module = build(from_dict(config_type, config, fill_defaults=True))
    for name, network in networks(module).items():
        if name not in weights:
            raise InputError(f"The weights in {folder} have no part {name!r}, only {sorted(weights)}.")
        try:
            network.load_state_dict(weights[name])
        except RuntimeError as error:
            raise InputError(f"The weights of {name!r} in {folder} do not fit their configuration.") from error
    return module.eval()


def resolve(source: str | Path | None, system: str = "wavemesh") -> Path:
    """The folder that holds the weights: the bundled ones for None, a folder as it is, else a download from the Hub.

    source: None, a folder, or a Hub id `owner/name`. Raises InputError if there is nothing there.
    """
    if system not in SYSTEMS:
        raise InputError(f"Unknown system {system!r}; there are {', '.join(SYSTEMS)}.")
    if source is None:
        folder = Path(__file__).resolve().parent.parent / "assets" / "weights" / system
        if not (folder / MANIFEST).is_file():
            raise InputError(f"The bundled weights are missing: there is no {MANIFEST} in {folder}.")
        return folder
    if Path(source).is_dir():
        return Path(source)
    if not _HUB_ID.fullmatch(str(source)):
        raise InputError(f"There are no weights at {str(source)!r}: neither a folder nor a Hub id like owner/name.")
    return _download(str(source))


def _download(hub_id: str) -> Path:
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=["*.safetensors", "*.json"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"There is no folder {hub_id!r}, and the Hub did not give its weights: {reason}") from None


def _stored(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    # A copy in any case: safetensors refuses tensors that share memory, such as tied weights.
    tensor = tensor.detach().cpu()
    if not tensor.is_floating_point():
        return tensor.clone().contiguous()
    converted = tensor.to(dtype, copy=True).contiguous()
    if not bool(torch.isfinite(converted).all()):
        raise InputError(f"The tensor {name} has values that {dtype} cannot hold (largest: {tensor.abs().max()}).")
    return converted


def _shards(state: Mapping[str, Tensor], max_file_bytes: int) -> list[dict[str, Tensor]]:
    """The tensors in order, in groups that stay under the limit; at least one group."""
    budget = max_file_bytes - 64 * 1024  # room for the header
    shards: list[dict[str, Tensor]] = [{}]
    used = 0
    for key, tensor in state.items():
        size = tensor.numel() * tensor.element_size()
        if shards[-1] and used + size > budget:
            shards.append({})
            used = 0
        shards[-1][key] = tensor
        used += size
    return shards


def _verified_manifest(folder: Path) -> dict[str, Any]:
    if not (folder / MANIFEST).is_file():
        raise InputError(f"There are no weights in {folder}: the file {MANIFEST} is missing.")
    manifest = read_json(folder / MANIFEST)
    files, networks = manifest.get("files"), manifest.get("networks")
    if manifest.get("format") != FORMAT or not isinstance(files, dict) or not isinstance(networks, list):
        raise InputError(f"The file {folder / MANIFEST} is no manifest of format {FORMAT}.")
    if CONFIG not in files:
        raise InputError(f"The file {folder / MANIFEST} does not list {CONFIG}.")
    for name, entry in files.items():
        path = folder / name
        if Path(name).name != name:
            raise InputError(f"The file {folder / MANIFEST} lists {name!r}, which is not a plain file name.")
        if not path.is_file():
            raise InputError(f"The weights are not complete: the file {path} is missing.")
        if (
            not isinstance(entry, dict)
            or entry.get("bytes") != path.stat().st_size
            or entry.get("sha256") != _sha256(path)
        ):
            raise InputError(f"The weights are damaged: the file {path} does not match {MANIFEST}.")
    for path in sorted(folder.glob("*.safetensors")):
        if path.name not in files:
            raise InputError(f"The weights file {path} is not listed in {MANIFEST}.")
    return manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _carry_over(old: Path, new: Path) -> None:
    """Copy what is not weights (a model card, pictures) from the folder that is about to be replaced."""
    if not old.is_dir():
        return
    for path in old.iterdir():
        if path.suffix == ".safetensors" or path.name in (CONFIG, MANIFEST):
            continue
        if path.is_dir():
            shutil.copytree(path, new / path.name)
        else:
            shutil.copy2(path, new / path.name)


def _swap(staging: Path, folder: Path) -> None:
    """Put the staging folder in the place of the old one; an error in between brings the old one back."""
    retired = staging.with_name(staging.name + "-old")
    if folder.exists():
        os.rename(folder, retired)
    try:
        os.rename(staging, folder)
    except BaseException:
        if retired.exists():
            os.rename(retired, folder)
        raise
    shutil.rmtree(retired, ignore_errors=True)
