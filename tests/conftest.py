"""What every test shares: checked tensor shapes, few threads, a fixed seed and no network."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("MPLBACKEND", "Agg")

from jaxtyping import install_import_hook

# Before anything of the package is imported: from here on every annotated shape and type is checked at run time.
install_import_hook("wavemesh", "beartype.beartype")

import hypothesis  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)
hypothesis.settings.register_profile("wavemesh", deadline=None, max_examples=20, derandomize=True)
hypothesis.settings.load_profile("wavemesh")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The global generator starts from the same place in every test, in any order."""
    torch.manual_seed(0)
