"""Where the bundled weights and examples lie: inside an installed package, or beside the package in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _folder(name: str, in_checkout: str, package: Path = _PACKAGE) -> Path:
    """The folder that setup.py put into the package, where it did; else the one of the checkout, there or not."""
    installed = package / "bundled_files" / name
    return installed if installed.is_dir() else package.parent / in_checkout


WEIGHTS = _folder("weights", "assets/weights")  # a folder for each system
EXAMPLES = _folder("examples", "examples")
