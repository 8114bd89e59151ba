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
from torch.overrides import TorchFunctionMode

from wavemesh.config import from_dict
from wavemesh.errors import InputError
from wavemesh.files import read_json
from wavemesh.settings import modern
from wavemesh.weights import MANIFEST

CONFIG = "config.json"
FORMAT = 1
MAX_FILES = 1000
_NAME = re.compile(r"[A-Za-z0-9_]+")
_FILE = re.compile(r"[A-Za-z0-9_.-]{1,120}")
_FILLING = re.compile(r"[a-z]\w*[^_]_|__r?mul__|mul")
_DTYPES = ("F16", "BF16", "F32", "F64", "I32", "I64", "U8", "BOOL")

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
    for file in _shard_files(folder, manifest):
        name = _network(file)
        try:
            shard = safetensors.torch.load_file(folder / file)
        except (safetensors.SafetensorError, OSError) as error:
            raise InputError(f"The weights file {folder / file} cannot be read: {error}.") from None
        networks[name].update({key: t.float() if t.is_floating_point() else t for key, t in shard.items()})
    return networks, read_json(folder / CONFIG)


def state_digest(*states: Mapping[str, Tensor]) -> str:
    """16 hex digits of the sha256 over the names, shapes and values of networks' state_dicts.

    Bundles of November 2026 and before name their weights by it; since then `weights.fingerprint` does.
    """
    digest = hashlib.sha256()
    for state in states:
        for name, tensor in sorted(state.items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype};".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def load_module(
    folder: str | Path,
    config_type: type[Config],
    build: Callable[[Config], Module],
    networks: Callable[[Module], Mapping[str, nn.Module]],
) -> Module:
    """The module that `build` makes of the stored configuration, with the stored weights, in evaluation mode.

    networks: the parts of the module by the names that they are stored under. Settings that are younger than the
    weights take their defaults. A stranger's configuration may ask for any network: it is built without memory first,
    and only if its tensors have the shapes that the weights' headers tell is it built in earnest. Raises InputError
    where files are missing, damaged, hold numbers that are not finite, or do not fit.
    """
    folder = Path(folder)
    _manifest(folder)  # first, so that a folder of something else is told from one with damaged weights
    config = read_config(folder, config_type)
    shapes = _stored_shapes(folder)
    with _Weightless():
        skeleton = _built(build, config, folder)
    for name, network in networks(skeleton).items():
        if name not in shapes:
            raise InputError(f"The weights in {folder} have no part {name!r}, only {sorted(shapes)}.")
        if shapes[name] != {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}:
            raise InputError(f"The weights of {name!r} in {folder} do not fit their configuration.")
    module = _built(build, config, folder)
    weights, _ = load_weights(folder)
    for name, network in networks(module).items():
        for key, tensor in weights[name].items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise InputError(f"The weights in {folder} hold numbers that are not finite: {name}.{key}.")
        network.load_state_dict(weights[name])
    return module.eval()


def read_config(folder: str | Path, config_type: type[Config]) -> Config:
    """The configuration beside weights; InputError where it is missing, or holds what such weights cannot have."""
    data = read_json(Path(folder) / CONFIG)
    if isinstance(data.get("sampling"), dict):
        data["sampling"] = modern(data["sampling"])
    return from_dict(config_type, data, fill_defaults=True)


class _Weightless(TorchFunctionMode):
    """While open, what parameters are made of has a shape and no memory; tables that are computed from are real."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in (torch.empty, torch.randn):
            return torch.empty(*args, **{**(kwargs or {}), "device": "meta"})
        # What fills and scales has nothing to do here, and would take many seconds of imports.
        target = args[0] if args else (kwargs or {}).get("tensor")  # nn.init names it
        if _FILLING.fullmatch(function.__name__) and isinstance(target, Tensor) and target.is_meta:
            return target
        return function(*args, **(kwargs or {}))


def _built(build: Callable[[Config], Module], config: Config, folder: Path) -> Module:
    try:
        return build(config)
    except InputError as error:
        raise InputError(f"The configuration of the weights in {folder} makes no network: {error}") from None
    except (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"The configuration of the weights in {folder} makes no network: {reason}.") from error


def _stored_shapes(folder: Path) -> dict[str, dict[str, tuple[int, ...]]]:
    """The shapes of all tensors by network and name, from the headers of the files: nothing else of them is read."""
    manifest = _manifest(folder)
    shapes: dict[str, dict[str, tuple[int, ...]]] = {name: {} for name in manifest["networks"]}
    for file in _shard_files(folder, manifest):
        try:
            with safetensors.safe_open(folder / file, "pt") as shard:
                for key in shard.keys():  # noqa: SIM118, it is no dictionary
                    part = shard.get_slice(key)
                    if part.get_dtype() not in _DTYPES:
                        raise InputError(
                            f"The weights file {folder / file} has numbers of the kind {part.get_dtype()}."
                        )
                    shapes[_network(file)][key] = tuple(part.get_shape())
        except (safetensors.SafetensorError, OSError) as error:
            raise InputError(f"The weights file {folder / file} cannot be read: {error}.") from None
    return shapes


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


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of the folder, of the right form; the files are not looked at."""
    if not (folder / MANIFEST).is_file():
        raise InputError(f"There are no weights in {folder}: the file {MANIFEST} is missing.")
    manifest = read_json(folder / MANIFEST)
    files, networks = manifest.get("files"), manifest.get("networks")
    if manifest.get("format") != FORMAT or not isinstance(files, dict) or not isinstance(networks, list):
        raise InputError(f"The file {folder / MANIFEST} is no manifest of format {FORMAT}.")
    if CONFIG not in files:
        raise InputError(f"The file {folder / MANIFEST} does not list {CONFIG}.")
    if len(files) > MAX_FILES:
        raise InputError(f"The file {folder / MANIFEST} lists {len(files):,} files; up to {MAX_FILES:,} are read.")
    for name in networks:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InputError(f"The file {folder / MANIFEST} names a network {name!r:.80}.")
    for name in files:
        if not _FILE.fullmatch(name):
            raise InputError(f"The file {folder / MANIFEST} lists {name!r:.80}, which is not a plain file name.")
    return manifest


def _shard_files(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """The weights files of the manifest in order; InputError for one that belongs to none of its networks."""
    files = sorted(file for file in manifest["files"] if file.endswith(".safetensors"))
    for file in files:
        if _network(file) not in manifest["networks"]:
            raise InputError(
                f"The weights file {folder / file} belongs to no network of {MANIFEST}: {manifest['networks']!r:.80}."
            )
    return files


def _network(file: str) -> str:
    return file.rsplit("-", 1)[0]


def _verified_manifest(folder: Path) -> dict[str, Any]:
    manifest = _manifest(folder)
    files = manifest["files"]
    for name, entry in files.items():
        path = folder / name
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
