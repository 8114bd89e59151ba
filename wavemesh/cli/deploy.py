"""The page as a Space on Hugging Face.

Uploads the app, the package, the bundled weights and the examples in one commit; the README's header and packages.txt
say the rest. Log in first with `hf auth login`, or set HF_TOKEN.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import sys
from pathlib import Path

from wavemesh.errors import InputError

EXAMPLE = """examples, for a Space that runs on a CPU:
  python -m wavemesh deploy OWNER/NAME --dry-run
  python -m wavemesh deploy OWNER/NAME --private
"""

# What a Space needs; anything else of the checkout stays where it is.
FILES = ("app.py", "README.md", "LICENSE", "requirements.txt", "packages.txt")
FOLDERS = ("wavemesh", "assets", "examples")
IGNORED = ("*/__pycache__/*", "*.pyc", "*/.*")
_NEEDED = ("app.py", "README.md", "requirements.txt", "packages.txt", "wavemesh/ui/app.py")
_SPACE = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("space", metavar="OWNER/NAME", help="the Space, which is made where it does not exist")
    parser.add_argument("--dry-run", action="store_true", help="list what would be uploaded, and its size")
    parser.add_argument("--private", action="store_true", help="make a new Space private")
    parser.add_argument("--message", default="Deploy WaveMesh", help="of the commit")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), metavar="FOLDER", help="the checkout; default: here")


def run(args: argparse.Namespace) -> None:
    """Upload the Space, or list its files."""
    if not _SPACE.fullmatch(args.space):
        raise InputError(f"A Space is named OWNER/NAME, not {args.space!r}.")
    files = space_files(args.folder)
    size = sum((args.folder / name).stat().st_size for name in files)
    summary = f"{len(files)} files, {size / 2**20:.1f} MiB"
    if args.dry_run:
        for name in files:
            sys.stdout.write(f"{(args.folder / name).stat().st_size:>10,}  {name}\n")
        sys.stdout.write(f"{summary} would go to https://huggingface.co/spaces/{args.space}\n")
        return
    sys.stdout.write(f"{_upload(args, files)}\n{summary}: https://huggingface.co/spaces/{args.space}\n")


def space_files(folder: Path) -> list[str]:
    """The files of a checkout that a Space needs, as paths inside it, sorted; InputError where the app is not there."""
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder} is no checkout of WaveMesh: it has no {missing[0]}.")
    paths = [folder / name for name in FILES]
    for part in FOLDERS:
        paths += (folder / part).rglob("*")
    names = (path.relative_to(folder).as_posix() for path in paths if path.is_file())
    return sorted(name for name in names if not any(fnmatch.fnmatchcase(f"/{name}", pattern) for pattern in IGNORED))


def _upload(args: argparse.Namespace, files: list[str]) -> str:
    """The address of the commit."""
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    api = HfApi()
    try:
        api.create_repo(
            args.space, repo_type="space", space_sdk="gradio", private=True if args.private else None, exist_ok=True
        )
        commit = api.upload_folder(
            repo_id=args.space,
            repo_type="space",
            folder_path=args.folder,
            allow_patterns=list(files),
            delete_patterns=[f"{part}/*" for part in FOLDERS],  # what an earlier version left
            commit_message=args.message,
        )
    except LocalTokenNotFoundError:
        raise InputError("Nobody is logged in at Hugging Face: run `hf auth login` or set HF_TOKEN.") from None
    except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"The Space {args.space} could not be deployed: {reason.rstrip('.')}.") from error
    return str(commit)
