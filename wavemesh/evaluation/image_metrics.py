"""Scores of rendered views against reference pictures: PSNR, SSIM and FLIP. None of them needs downloaded weights."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Shaped

from wavemesh.errors import InputError

Picture = Shaped[np.ndarray, "..."]  # (h, w, 3): float in [0, 1] or uint8; checked by `_pair`


def _pair(pred: np.ndarray, gt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures as float32 (h, w, 3) in [0, 1]; uint8 is divided by 255."""
    pictures = []
    for picture in (pred, gt):
        picture = np.asarray(picture)
        if picture.ndim != 3 or picture.shape[2] != 3:
            raise InputError(f"A picture to be scored has the shape (h, w, 3), not {picture.shape}.")
        scaled = picture / np.float32(255.0) if picture.dtype == np.uint8 else picture
        pictures.append(np.clip(scaled, 0.0, 1.0).astype(np.float32))
    if pictures[0].shape != pictures[1].shape:
        raise InputError(f"Pictures of different sizes cannot be compared: {pred.shape} and {gt.shape}.")
    return pictures[0], pictures[1]


def psnr(pred: Picture, gt: Picture) -> float:
    """Peak signal-to-noise ratio in dB for values in [0, 1]; infinite for equal pictures. Higher is better."""
    first, second = _pair(pred, gt)
    error = float(np.mean((first.astype(np.float64) - second) ** 2))
    return -10.0 * math.log10(error) if error > 0.0 else math.inf


def ssim(pred: Picture, gt: Picture) -> float:
    """Structural similarity (Wang et al. 2004: Gaussian window of deviation 1.5), up to 1. Higher is better."""
    from skimage.metrics import structural_similarity

    first, second = _pair(pred, gt)
    return float(
        structural_similarity(
            first, second, channel_axis=2, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def flip(pred: Picture, gt: Picture) -> float:
    """Mean FLIP error of sRGB pictures at 67 pixels per degree (Andersson et al. 2020), 0 to 1. Lower is better."""
    import flip_evaluator

    first, second = _pair(pred, gt)
    return float(flip_evaluator.evaluate(np.ascontiguousarray(second), np.ascontiguousarray(first), "LDR")[1])
