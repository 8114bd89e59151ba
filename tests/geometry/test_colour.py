"""sRGB and linear light against published values, for numpy and PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from wavemesh.geometry.colour import to_linear, to_srgb

# Bytes of sRGB and their linear light, from tables of the standard: black, both sides of the bend, mid grey, white.
SRGB = np.array([0, 10, 11, 128, 188, 255], dtype=np.float32) / 255.0
LINEAR = np.array([0.0, 0.0030353, 0.0033465, 0.2158605, 0.5028865, 1.0], dtype=np.float32)


@pytest.mark.parametrize("like", (np.asarray, torch.as_tensor))
def test_known_values(like: Callable[[np.ndarray], Any]) -> None:
    linear, srgb = to_linear(like(SRGB)), to_srgb(like(LINEAR))
    assert type(linear) is type(srgb) is type(like(SRGB))
    assert linear.dtype == srgb.dtype == like(SRGB).dtype
    np.testing.assert_allclose(linear, LINEAR, atol=1e-6)
    np.testing.assert_allclose(srgb, SRGB, atol=1e-5)


@pytest.mark.parametrize("like", (np.asarray, torch.as_tensor))
def test_they_are_inverses_and_light_is_clipped(like: Callable[[np.ndarray], Any]) -> None:
    values = np.linspace(0.0, 1.0, 1001)
    np.testing.assert_allclose(to_srgb(to_linear(like(values))), values, atol=1e-6)
    np.testing.assert_allclose(to_srgb(like(np.array([-0.5, 2.0]))), [0.0, 1.0], atol=1e-12)
