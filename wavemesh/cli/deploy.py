"""The page as a Space on Hugging Face, a folder of weights as a model there, or a prepared set as a data set.

Alone it uploads the app, the package, the bundled weights and the examples in one commit; the README's header and
packages.txt say the rest. With --weights, `from_pretrained("OWNER/NAME")` and `generate --weights OWNER/NAME` find
them. With --data, `train --data hf://datasets/OWNER/NAME` streams the set. Log in first with `hf auth login`, or set
HF_TOKEN.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
from pathlib import Path

from wavemesh.errors import InputError
from wavemesh.weights import HUB_ID, ask_hub, hub_files, push_to_hub

EXAMPLE = """examples, a data set and weights for the Hub, and a Space that runs on a CPU:
  python -m wavemesh deploy OWNER/NAME --data data/furniture --dry-run
  python -m wavemesh deploy OWNER/NAME --weights runs/release/weights --dry-run
  python -m wavemesh deploy OWNER/NAME --dry-run
  python -m wavemesh deploy OWNER/NAME --private
"""

# What a Space needs; anything else of the checkout stays where it is.
FILES = ("app.py", "README.md", "LICENSE", "requirements.txt", "packages.txt")
FOLDERS = ("wavemesh", "assets", "examples")
IGNORED = ("*/__pycache__/*", "*.pyc", "*/.*")
# What the page never asks for: commands, training, timing, and the photographs that evaluation puts objects into.
UNUSED = (
    "/wavemesh/cli/*", "/wavemesh/training/*", "/wavemesh/procedural/*", "/wavemesh/bench/*", "/assets/backgrounds/*",
)  # fmt: skip
_NEEDED = ("app.py", "README.md", "requirements.txt", "packages.txt", "wavemesh/ui/app.py")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("space", metavar="OWNER/NAME", help="Space, model or data set, made where it does not exist")
    others = parser.add_mutually_exclusive_group()
    others.add_argument("--weights", type=Path, metavar="FOLDER", help="upload these weights as a model, no Space")
    others.add_argument("--data", type=Path, metavar="FOLDER", help="upload this prepared set as a data set, no Space")
    parser.add_argument("--dry-run", action="store_true", help="list what would be uploaded, and its size")
    parser.add_argument("--private", action="store_true", help="make a new one private")
    parser.add_argument(
        "--message", help="of the commit; default: Deploy WaveMesh, the weights' fingerprint, or a count"
    )
    parser.add_argument("--folder", type=Path, default=Path.cwd(), metavar="FOLDER", help="the checkout; default: here")


def run(args: argparse.Namespace) -> None:
    """Upload the Space, the weights or the data set, or list the files."""
    if not HUB_ID.fullmatch(args.space):
        raise InputError(f"A Space, model or data set is named OWNER/NAME, not {args.space!r}.")
    if args.data is not None:
        from wavemesh.data import hub

        folder, files, kind = args.data, [name for name in hub.set_files(args.data) if name != hub.CARD], "datasets/"
    elif args.weights is not None:
        folder, files, kind = args.weights, hub_files(args.weights), ""
    else:
        folder, files, kind = args.folder, space_files(args.folder), "spaces/"
    address = f"https://huggingface.co/{kind}{args.space}"
    size = sum((folder / name).stat().st_size for name in files)
    summary = f"{len(files)} files, {size / 2**20:.1f} MiB"
    if args.dry_run:
        for name in files:
            sys.stdout.write(f"{(folder / name).stat().st_size:>10,}  {name}\n")
        sys.stdout.write(f"{summary} would go to {address}\n")
        return
    private = True if args.private else None
    if args.data is not None:
        commit = hub.push_to_hub(folder, args.space, private, args.message)
    elif args.weights is not None:
        commit = push_to_hub(folder, args.space, private, args.message)
    else:
        commit = ask_hub(lambda: _upload(args, files), f"The Space {args.space} could not be deployed")
    sys.stdout.write(f"{commit}\n{summary}: {address}\n")


def space_files(folder: Path) -> list[str]:
    """The files of a checkout that a Space needs, as paths inside it, sorted; InputError where the app is not there."""
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder} is no checkout of WaveMesh: it has no {missing[0]}.")
    paths = [folder / name for name in FILES]
    for part in FOLDERS:
        paths += (folder / part).rglob("*")
    names = (path.relative_to(folder).as_posix() for path in paths if path.is_file())
    left_out = (*IGNORED, *UNUSED)
    return sorted(name for name in names if not any(fnmatch.fnmatchcase(f"/{name}", pattern) for pattern in left_out))


def _upload(args: argparse.Namespace, files: list[str]) -> str:
    """The address of the commit."""
    from huggingface_hub import HfApi

    api, private = HfApi(), True if args.private else None
    api.create_repo(args.space, repo_type="space", space_sdk="gradio", private=private, exist_ok=True)
    commit = api.upload_folder(
        repo_id=args.space,
        repo_type="space",
        folder_path=args.folder,
        allow_patterns=list(files),
        delete_patterns=[f"{part}/*" for part in FOLDERS],  # what an earlier version left
        commit_message=args.message or "Deploy WaveMesh",
    )
    return str(commit)
