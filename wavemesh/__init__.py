"""WaveMesh: pictures of an object become a 3D mesh through diffusion over wavelet coefficients.

Importing the package does no work: the names below are loaded when they are first used (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wavemesh.diffusion.gaussian import GaussianDiffusion as GaussianDiffusion
    from wavemesh.errors import InputError as InputError
    from wavemesh.geometry.camera import Camera as Camera
    from wavemesh.models.coarse_triplane import CoarseTriplaneGen as CoarseTriplaneGen
    from wavemesh.models.detail_diffusion import DetailDiffusion as DetailDiffusion
    from wavemesh.models.multiview_encoder import MultiViewEncoder as MultiViewEncoder
    from wavemesh.models.triplane_renderer import TriplaneRenderer as TriplaneRenderer
    from wavemesh.models.wavelet_triplane import WaveletTriplaneDiffusion as WaveletTriplaneDiffusion
    from wavemesh.models.wavemesh_unet import WaveMeshUNet as WaveMeshUNet
    from wavemesh.pipelines.triplane import TriplanePipeline as TriplanePipeline
    from wavemesh.pipelines.views import View as View
    from wavemesh.pipelines.wavemesh import WaveMeshPipeline as WaveMeshPipeline
    from wavemesh.wavelets.transform import WaveletTransform as WaveletTransform

__version__ = "0.1.0"

_EXPORTS = {
    "Camera": "wavemesh.geometry.camera",
    "CoarseTriplaneGen": "wavemesh.models.coarse_triplane",
    "DetailDiffusion": "wavemesh.models.detail_diffusion",
    "GaussianDiffusion": "wavemesh.diffusion.gaussian",
    "InputError": "wavemesh.errors",
    "MultiViewEncoder": "wavemesh.models.multiview_encoder",
    "TriplanePipeline": "wavemesh.pipelines.triplane",
    "TriplaneRenderer": "wavemesh.models.triplane_renderer",
    "View": "wavemesh.pipelines.views",
    "WaveMeshPipeline": "wavemesh.pipelines.wavemesh",
    "WaveMeshUNet": "wavemesh.models.wavemesh_unet",
    "WaveletTransform": "wavemesh.wavelets.transform",
    "WaveletTriplaneDiffusion": "wavemesh.models.wavelet_triplane",
}

__all__ = [
    "Camera",
    "CoarseTriplaneGen",
    "DetailDiffusion",
    "GaussianDiffusion",
    "InputError",
    "MultiViewEncoder",
    "TriplanePipeline",
    "TriplaneRenderer",
    "View",
    "WaveMeshPipeline",
    "WaveMeshUNet",
    "WaveletTransform",
    "WaveletTriplaneDiffusion",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
