"""Between sRGB, as pictures and vertex colours have it, and linear light, as lamps and glTF do (IEC 61966-2-1).

For arrays of numpy and of PyTorch alike: only what both have is used.
"""

from __future__ import annotations

from typing import Any


def to_linear(colour: Any) -> Any:
    """Linear light of sRGB values, both in [0, 1]: a float array or tensor like the one given."""
    dark = colour <= 0.04045
    return dark * (colour / 12.92) + ~dark * ((colour + 0.055) / 1.055) ** 2.4


def to_srgb(light: Any) -> Any:
    """sRGB values in [0, 1] of linear light, clipped at black and white: a float array or tensor like the one given."""
    light = light.clip(0.0, 1.0)
    dark = light <= 0.0031308
    return dark * (light * 12.92) + ~dark * (1.055 * light ** (1 / 2.4) - 0.055)
