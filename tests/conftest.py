"""What every test shares: checked tensor shapes, few threads, a fixed seed and no network."""

from __future__ import annotations

import ctypes.util
import os
import shutil

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

MACHINE = {
    "gpu": torch.cuda.is_available(),
    "browser": shutil.which("chromium") is not None,
    "opengl": ctypes.util.find_library("EGL") is not None,
}


def pytest_report_header() -> list[str]:
    return [f"left out here, no {name} on this machine" for name, present in MACHINE.items() if not present]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take out the tests that this machine cannot run; pytest counts them as deselected."""
    for item in items:
        if "pyrender" in item.nodeid:
            item.add_marker("opengl")
    absent = [name for name, present in MACHINE.items() if not present]
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in absent)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The global generator starts from the same place in every test, in any order."""
    torch.manual_seed(0)
