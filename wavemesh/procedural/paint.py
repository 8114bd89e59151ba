"""What a surface looks like: two colours and how they mix over the primitive, evaluated at points.

A pattern is four numbers: which one, the local axis it runs along (0 to 2), its frequency in cycles per unit of length,
and how much of the second colour it mixes in. Patterns live in the primitive's own frame, so they turn with it.
"""

from __future__ import annotations

from enum import IntEnum

import torch
from jaxtyping import Float, Int
from torch import Tensor

from wavemesh.procedural.solids import Solids


class Pattern(IntEnum):
    """PLAIN: the first colour. STRIPES, CHECKS: both in turn. GRAIN: wavering lines. SPECKLE: spots. FADE: one wave."""

    PLAIN = 0
    STRIPES = 1
    CHECKS = 2
    GRAIN = 3
    SPECKLE = 4
    FADE = 5


def painted(solids: Solids, rows: Int[Tensor, "m"], points: Float[Tensor, "m 3"]) -> Float[Tensor, "m 3"]:
    """Colours (sRGB in [0, 1]) of the given primitives at one world point each."""
    local = solids.local(rows, points[:, None])[:, 0]
    pattern = solids.pattern[rows]
    kind, axis, frequency, amount = pattern[:, 0].long(), pattern[:, 1].long(), pattern[:, 2], pattern[:, 3]
    order = (axis[:, None] + torch.arange(3, device=axis.device)) % 3
    u, v, w = (local.gather(1, order) * (frequency * 2.0 * torch.pi)[:, None]).unbind(1)
    stripes = (u.sin() * 6.0).clamp(-1.0, 1.0)
    grain = (v + 0.9 * (0.31 * u).sin() + 0.6 * (0.7 * w + 0.23 * u).sin()).sin() * (2.3 * v + 0.17 * u + w).sin()
    speckle = ((u.sin() * v.sin() * w.sin() * 1.7 + (1.7 * u + 2.3 * v + 1.1 * w).sin() * 0.6) * 5.0 - 2.5).clamp(-1, 1)
    waves = {
        Pattern.STRIPES: stripes,
        Pattern.CHECKS: stripes * ((v.sin() * 6.0).clamp(-1.0, 1.0)) * ((w.sin() * 6.0).clamp(-1.0, 1.0)),
        Pattern.GRAIN: grain,
        Pattern.SPECKLE: speckle,
        Pattern.FADE: (0.5 * u).sin(),
    }
    mix = torch.zeros_like(u)
    for each, wave in waves.items():
        mix = torch.where(kind == each, (0.5 + 0.5 * wave) * amount, mix)
    first, second = solids.colours[rows].unbind(1)
    return first + (second - first) * mix[:, None]
