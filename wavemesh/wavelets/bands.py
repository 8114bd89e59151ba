"""The names of the subbands, without torch: a page can list them before anything heavy is loaded."""

from __future__ import annotations

from typing import NamedTuple

# The detail bands in the order in which they are stacked: a letter per axis, as PyWavelets writes them.
# In 2D this is PyWavelets' (cH, cV, cD), which the triplane system calls (LH, HL, HH).
DETAIL_KEYS_3D = ("aad", "ada", "add", "daa", "dad", "dda", "ddd")
DETAIL_KEYS_2D = ("da", "ad", "dd")
APPROXIMATION = "aaa"
LEVELS = 2  # of the pyramid of a signed distance field


class Band(NamedTuple):
    """One subband: its level (1 is the finest) and a letter per axis x, y, z, `a` for low and `d` for high pass."""

    level: int
    key: str

    @property
    def label(self) -> str:
        """How the band is written, such as "2 dad"."""
        return f"{self.level} {self.key}"


BANDS = (Band(LEVELS, APPROXIMATION), *[Band(level, key) for level in range(LEVELS, 0, -1) for key in DETAIL_KEYS_3D])
