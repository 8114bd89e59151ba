"""Seconds of the wavelet transforms, against ptwt and PyWavelets in the same process."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import pywt
import torch
from torch import Tensor

from wavemesh.bench.timing import measure
from wavemesh.wavelets import transform

BANK = "bior2.2"


def bench_wavelets(repeats: int = 5) -> dict[str, Any]:
    """Forward and inverse transforms against ptwt and PyWavelets on the CPU: seconds, and ours divided by theirs.

    3D: (1, 1, 128^3), bior2.2, two levels. 2D: (3, 32, 128, 128), Haar, one level. ptwt, a development dependency, is
    left out where it is not installed; it has no periodization for these calls, so it runs with zero padding.
    """
    volume, planes = torch.randn(1, 1, 128, 128, 128), torch.randn(3, 32, 128, 128)
    cases = {
        "3d": _wavelet_case_3d(volume),
        "2d": _wavelet_case_2d(planes),
    }
    results = {}
    for name, variants in cases.items():
        with torch.inference_mode():
            seconds = measure(variants, repeats)
        ratios = {other: seconds["wavemesh"] / value for other, value in seconds.items() if other != "wavemesh"}
        results[name] = {"seconds": seconds, "ratio": ratios}
    return results


def _wavelet_case_3d(volume: Tensor) -> dict[str, Callable[[], Any]]:
    """There and back in three dimensions, by each library."""
    array = volume.numpy()
    options = {"mode": "periodization", "axes": (-3, -2, -1)}
    variants: dict[str, Callable[[], Any]] = {
        "wavemesh": lambda: transform.waverec3d(transform.wavedec3d(volume, BANK, 2), BANK),
        "pywt": lambda: pywt.waverecn(pywt.wavedecn(array, BANK, level=2, **options), BANK, **options),
    }
    if importlib.util.find_spec("ptwt") is not None:
        import ptwt

        variants["ptwt"] = lambda: ptwt.waverec3(ptwt.wavedec3(volume, BANK, level=2), BANK)
    return variants


def _wavelet_case_2d(planes: Tensor) -> dict[str, Callable[[], Any]]:
    """There and back in two dimensions, by each library."""
    array = planes.numpy()
    options = {"mode": "periodization", "axes": (-2, -1)}
    variants: dict[str, Callable[[], Any]] = {
        "wavemesh": lambda: transform.waverec2d(transform.wavedec2d(planes, "haar", 1), "haar"),
        "pywt": lambda: pywt.idwt2(pywt.dwt2(array, "haar", **options), "haar", **options),
    }
    if importlib.util.find_spec("ptwt") is not None:
        import ptwt

        variants["ptwt"] = lambda: ptwt.waverec2(ptwt.wavedec2(planes, "haar", level=1, mode="zero"), "haar")
    return variants
