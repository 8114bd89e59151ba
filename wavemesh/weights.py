"""Weights as folders: where they lie, what they are called by, and the way to and from the Hub.

A folder of weights is described by its manifest, which lists the sha256 sum of every file; `checkpoint` writes and
reads the tensors. Nothing here needs torch, so that the command line can name its weights at once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from wavemesh.bundled import WEIGHTS
from wavemesh.errors import InputError
from wavemesh.files import read_json
from wavemesh.settings import METHODS

MANIFEST = "manifest.json"
CAMERA_HEAD = "camera_head"
SYSTEMS = ("wavemesh", "triplane", "cutout")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)

_ON_THE_HUB = ("*.safetensors", "*.json", "*.md")

Answer = TypeVar("Answer")


def fingerprint(*folders: str | Path) -> str:
    """The 12 hex digits by which weights are called: of the sha256 over the sums in the folders' manifests.

    They stand for weights and configuration together, whatever lies beside them. Reads nothing but the manifests;
    raises InputError where there is none or it is damaged.
    """
    digest = hashlib.sha256()
    for folder in map(Path, folders):
        if not (folder / MANIFEST).is_file():
            raise InputError(f"There are no weights in {folder}: the file {MANIFEST} is missing.")
        try:
            files = sorted(read_json(folder / MANIFEST)["files"].items())
            digest.update("".join(f"{name} {entry['sha256']}\n" for name, entry in files).encode())
        except (KeyError, TypeError, AttributeError):
            raise InputError(f"The file {folder / MANIFEST} lists no sha256 sums.") from None
    return digest.hexdigest()[:12]


def bundled_fingerprints() -> dict[str, str]:
    """What the bundled weights of each system are called, with the camera head that they use; without those missing."""
    folders = {method: WEIGHTS / method for method in METHODS}
    return {
        system: fingerprint(folder, camera_head(folder))
        for system, folder in folders.items()
        if (folder / MANIFEST).is_file()
    }


def resolve(source: str | Path | None, system: str = "wavemesh") -> Path:
    """The folder that holds the weights: the bundled ones for None, a folder as it is, else a download from the Hub.

    source: None, a folder, or a Hub id `owner/name`. Raises InputError if there is nothing there.
    """
    if system not in SYSTEMS:
        raise InputError(f"Unknown system {system!r}; there are {', '.join(SYSTEMS)}.")
    if source is None:
        if not (WEIGHTS / system / MANIFEST).is_file():
            raise InputError(
                f"The bundled weights are missing, there is no {MANIFEST} in {WEIGHTS / system}: install WaveMesh from "
                "a whole checkout or wheel, or name a folder of weights or a Hub id like owner/name."
            )
        return WEIGHTS / system
    if Path(source).is_dir():
        return Path(source)
    if not HUB_ID.fullmatch(str(source)):
        raise InputError(f"There are no weights at {str(source)!r}: neither a folder nor a Hub id like owner/name.")
    return _download(str(source))


def camera_head(folder: Path) -> Path:
    """The folder of the camera head that goes with triplane weights: their own, or else the bundled one."""
    own = folder / CAMERA_HEAD
    return own if own.is_dir() else resolve(None) / CAMERA_HEAD


def hub_files(folder: str | Path) -> list[str]:
    """What of a folder goes to the Hub: weights, configurations, manifests and the model card, as sorted paths inside.

    Parts in folders of their own (the camera head, a triplane) come along. Raises InputError where there are none.
    """
    fingerprint(folder)
    paths = [path for pattern in _ON_THE_HUB for path in Path(folder).rglob(pattern)]
    names = (path.relative_to(folder).as_posix() for path in paths if path.is_file())
    return sorted(name for name in names if not any(part.startswith(".") for part in name.split("/")))


def push_to_hub(
    folder: str | Path, repo_id: str, private: bool | None = None, message: str | None = None, token: str | None = None
) -> str:
    """The address of the commit that brought weights to the Hub, where `from_pretrained(repo_id)` finds them.

    The repository is made where it does not exist; private None: as the owner's settings say. message: of the commit,
    by default with the fingerprint. token: None for that of `hf auth login` or HF_TOKEN. Raises InputError for a
    repository that is no `owner/name`, a folder without weights, and where the Hub refuses or does not answer.
    """
    if not HUB_ID.fullmatch(repo_id):
        raise InputError(f"A repository of weights is named OWNER/NAME, not {repo_id!r}.")
    names = hub_files(folder)
    message = message or f"Weights {fingerprint(folder)}"
    left = ["*.safetensors", "*.json"]
    return ask_hub(
        lambda: sent_folder(folder, repo_id, "model", names, left, message, private, token),
        f"The weights could not be sent to {repo_id}",
    )


def sent_folder(
    folder: str | Path,
    repo_id: str,
    kind: str,
    names: list[str],
    left: list[str],
    message: str,
    private: bool | None,
    token: str | None,
) -> str:
    """The address of the commit that brought these files of a folder to a repository, which is made if need be.

    kind: "model" or "dataset". left: patterns of files of an earlier version, which go. Raises what the Hub's own
    package raises.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True)
    commit = api.upload_folder(
        repo_id=repo_id,
        repo_type=kind,
        folder_path=folder,
        allow_patterns=names,
        delete_patterns=left,
        commit_message=message,
    )
    return str(commit)


def _download(hub_id: str) -> Path:
    def snapshot() -> Path:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(hub_id, allow_patterns=list(_ON_THE_HUB)))

    return ask_hub(snapshot, f"There is no folder {hub_id!r}, and the Hub did not give its weights")


def ask_hub(call: Callable[[], Answer], failure: str) -> Answer:
    """What a call of the Hub comes to; InputError that begins with `failure` where it refuses or does not answer."""
    import httpx
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, LocalTokenNotFoundError

    try:
        return call()
    except LocalTokenNotFoundError:
        raise InputError("Nobody is logged in at Hugging Face: run `hf auth login` or set HF_TOKEN.") from None
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{failure}: {reason.rstrip('.')}.") from error
