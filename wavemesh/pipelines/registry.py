"""The methods that turn pictures into a mesh, by the names that settings, bundles and commands use."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch

from wavemesh.settings import settings_class

_PIPELINES = {
    "wavemesh": ("wavemesh.pipelines.wavemesh", "WaveMeshPipeline"),
    "triplane": ("wavemesh.pipelines.triplane", "TriplanePipeline"),
}


def load_pipeline(
    method: str, source: str | Path | None = None, device: str | torch.device = "auto", **options: Any
) -> Any:
    """The pipeline of a method with bundled weights (None), those of a folder, or those of a Hub id.

    options: what else its `from_pretrained` takes. Raises InputError for an unknown method and what that raises.
    """
    module, name = _PIPELINES[settings_class(method).method]
    return getattr(importlib.import_module(module), name).from_pretrained(source, device, **options)
