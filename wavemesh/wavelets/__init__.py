"""Wavelets: filter banks, 2D and 3D transforms, and sparse coefficients of signed distance fields.

The names below are loaded when they are first used (PEP 562): who only wants the names of the bands pays for no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wavemesh.wavelets.bands import BANDS as BANDS
    from wavemesh.wavelets.bands import DETAIL_KEYS_2D as DETAIL_KEYS_2D
    from wavemesh.wavelets.bands import DETAIL_KEYS_3D as DETAIL_KEYS_3D
    from wavemesh.wavelets.bands import Band as Band
    from wavemesh.wavelets.filters import BANK_NAMES as BANK_NAMES
    from wavemesh.wavelets.filters import Bank as Bank
    from wavemesh.wavelets.filters import get_bank as get_bank
    from wavemesh.wavelets.sparse import SparseCoefficients as SparseCoefficients
    from wavemesh.wavelets.sparse import active_sites as active_sites
    from wavemesh.wavelets.sparse import create_sparse_tensor_from_wavelet as create_sparse_tensor_from_wavelet
    from wavemesh.wavelets.sparse import decode_coarse as decode_coarse
    from wavemesh.wavelets.sparse import gather_sites as gather_sites
    from wavemesh.wavelets.sparse import scatter_sites as scatter_sites
    from wavemesh.wavelets.sparse import sdf_to_sparse_wavelet as sdf_to_sparse_wavelet
    from wavemesh.wavelets.sparse import sparse_wavelet_to_sdf as sparse_wavelet_to_sdf
    from wavemesh.wavelets.transform import Pyramid as Pyramid
    from wavemesh.wavelets.transform import WaveletTransform as WaveletTransform
    from wavemesh.wavelets.transform import dwt2d as dwt2d
    from wavemesh.wavelets.transform import dwt3d as dwt3d
    from wavemesh.wavelets.transform import field_scale as field_scale
    from wavemesh.wavelets.transform import idwt2d as idwt2d
    from wavemesh.wavelets.transform import idwt3d as idwt3d
    from wavemesh.wavelets.transform import wavedec2d as wavedec2d
    from wavemesh.wavelets.transform import wavedec3d as wavedec3d
    from wavemesh.wavelets.transform import waverec2d as waverec2d
    from wavemesh.wavelets.transform import waverec3d as waverec3d

_EXPORTS = {
    "BANDS": "wavemesh.wavelets.bands",
    "DETAIL_KEYS_2D": "wavemesh.wavelets.bands",
    "DETAIL_KEYS_3D": "wavemesh.wavelets.bands",
    "Band": "wavemesh.wavelets.bands",
    "BANK_NAMES": "wavemesh.wavelets.filters",
    "Bank": "wavemesh.wavelets.filters",
    "get_bank": "wavemesh.wavelets.filters",
    "SparseCoefficients": "wavemesh.wavelets.sparse",
    "active_sites": "wavemesh.wavelets.sparse",
    "create_sparse_tensor_from_wavelet": "wavemesh.wavelets.sparse",
    "decode_coarse": "wavemesh.wavelets.sparse",
    "gather_sites": "wavemesh.wavelets.sparse",
    "scatter_sites": "wavemesh.wavelets.sparse",
    "sdf_to_sparse_wavelet": "wavemesh.wavelets.sparse",
    "sparse_wavelet_to_sdf": "wavemesh.wavelets.sparse",
    "Pyramid": "wavemesh.wavelets.transform",
    "WaveletTransform": "wavemesh.wavelets.transform",
    "dwt2d": "wavemesh.wavelets.transform",
    "dwt3d": "wavemesh.wavelets.transform",
    "field_scale": "wavemesh.wavelets.transform",
    "idwt2d": "wavemesh.wavelets.transform",
    "idwt3d": "wavemesh.wavelets.transform",
    "wavedec2d": "wavemesh.wavelets.transform",
    "wavedec3d": "wavemesh.wavelets.transform",
    "waverec2d": "wavemesh.wavelets.transform",
    "waverec3d": "wavemesh.wavelets.transform",
}

__all__ = [
    "BANDS",
    "BANK_NAMES",
    "DETAIL_KEYS_2D",
    "DETAIL_KEYS_3D",
    "Band",
    "Bank",
    "Pyramid",
    "SparseCoefficients",
    "WaveletTransform",
    "active_sites",
    "create_sparse_tensor_from_wavelet",
    "decode_coarse",
    "dwt2d",
    "dwt3d",
    "field_scale",
    "gather_sites",
    "get_bank",
    "idwt2d",
    "idwt3d",
    "scatter_sites",
    "sdf_to_sparse_wavelet",
    "sparse_wavelet_to_sdf",
    "wavedec2d",
    "wavedec3d",
    "waverec2d",
    "waverec3d",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
