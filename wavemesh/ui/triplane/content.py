"""What the tab "Triplane" shows and does, without gradio: pictures of planes and bands, gains, the volume rendered.

Gains act on the Haar bands of the planes; the inverse transform and the small decoder are all that runs afterwards, so
a picture takes a fraction of a second and no diffusion is repeated. Heavy imports stay inside the functions: the page
is laid out before torch is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8

from wavemesh.errors import InputError
from wavemesh.ui.pictures import Number
from wavemesh.ui.triplane.decoder import PlaneDecoder
from wavemesh.ui.widgets.slices import cells_picture, colour_limit, enlarged

if TYPE_CHECKING:
    import torch
    import trimesh

    from wavemesh.pipelines.outputs import TriplaneArrays
    from wavemesh.pipelines.record import RunRecord

BAND_NAMES = ("LL", "LH", "HL", "HH")
PLANE_NAMES = ("XY", "XZ", "YZ")
MESH_RESOLUTION = 128


@dataclass(frozen=True)
class Gains:
    """Factors for the four bands of all planes: LL is the smooth plane, the others its details."""

    ll: Number = 1.0
    lh: Number = 1.0
    hl: Number = 1.0
    hh: Number = 1.0

    def __post_init__(self) -> None:
        for name, gain in zip(BAND_NAMES, self.values, strict=True):
            if not np.isfinite(gain) or abs(gain) > 10.0:
                raise InputError(f"The gain of {name} must lie between -10 and 10, not {float(gain)}.")

    @property
    def values(self) -> tuple[Number, Number, Number, Number]:
        """In the order of BAND_NAMES."""
        return self.ll, self.lh, self.hl, self.hh


class TriplaneEditor:
    """Triplanes of finished runs, edited by gains, and what is drawn of them; what all sessions of a page share.

    load: the record of a run's folder (`Studio.record`). `planes(folder, gains)` are the edited planes (3, c, h, w);
    `picture(folder, gains, azimuth_deg, elevation_deg, size)` is their volume (s, s, 4) uint8 from a camera.
    """

    def __init__(self, load: Callable[[str], RunRecord], decoder: PlaneDecoder) -> None:
        self._load = load
        self._decoder = decoder
        self.planes = lru_cache(maxsize=6)(self._edited_planes)
        self.picture = lru_cache(maxsize=32)(self._volume_picture)

    def bands(self, folder: str) -> TriplaneArrays:
        """The bands of a run; InputError for a run of the other method."""
        return triplane_bands(self._load(folder))

    def mesh(self, folder: str, gains: Gains) -> trimesh.Trimesh:
        """The coloured surface of the edited planes; InputError where there is none."""
        from wavemesh.geometry.mesh import facing

        surface = self._decoder.surface(self.planes(folder, gains), MESH_RESOLUTION)
        return facing(surface, self._load(folder).front_deg)

    def _edited_planes(self, folder: str, gains: Gains) -> Float[torch.Tensor, "3 c h w"]:
        return edited_planes(self.bands(folder), gains)

    def _volume_picture(
        self, folder: str, gains: Gains, azimuth_deg: Number, elevation_deg: Number, size: int
    ) -> UInt8[np.ndarray, "s s 4"]:
        azimuth_deg += self._load(folder).front_deg
        return self._decoder.volume(self.planes(folder, gains), float(azimuth_deg), float(elevation_deg), size)


def triplane_bands(record: RunRecord) -> TriplaneArrays:
    """The bands of a run; InputError for a run of the other method."""
    if record.triplane is None:
        raise InputError(f"A {record.method} run has no triplane; its coefficients are in the tab Wavelets.")
    return record.triplane


def volume_picture(
    record: RunRecord, decoder: PlaneDecoder, gains: Gains, azimuth_deg: Number, elevation_deg: Number, size: int
) -> UInt8[np.ndarray, "s s 4"]:
    """The volume of a run from a camera, transparent around it. size: 16 to 512 pixels, else InputError."""
    if not 16 <= size <= 512:
        raise InputError(f"The picture must be 16 to 512 pixels wide, not {size}.")
    planes = edited_planes(triplane_bands(record), gains)
    return decoder.volume(planes, float(azimuth_deg + record.front_deg), float(elevation_deg), size)


def edited_planes(bands: TriplaneArrays, gains: Gains) -> Float[torch.Tensor, "3 c h w"]:
    """The planes at full resolution after the inverse Haar transform of the bands times their gains."""
    import torch

    from wavemesh.wavelets.transform import WaveletTransform

    ll, lh, hl, hh = gains.values
    low = torch.from_numpy(np.asarray(bands.ll, dtype=np.float32))
    details = torch.from_numpy(np.asarray(bands.details, dtype=np.float32))
    return WaveletTransform().idwt2d(low * ll, details[:, 0] * lh, details[:, 1] * hl, details[:, 2] * hh)


def band_arrays(bands: TriplaneArrays, gains: Gains, which: str) -> Float[np.ndarray, "3 c h w"]:
    """The three planes of "full" (after the inverse transform) or of one of BAND_NAMES, gains applied."""
    if which == "full":
        return edited_planes(bands, gains).numpy()
    if which not in BAND_NAMES:
        raise InputError(f"There is no band {which!r} of a triplane; choose full or one of {', '.join(BAND_NAMES)}.")
    index = BAND_NAMES.index(which)
    values = bands.ll if index == 0 else bands.details[:, index - 1]
    return np.asarray(values, dtype=np.float32) * gains.values[index]


def plane_pictures(
    planes: Float[np.ndarray, "3 c h w"], channel: int | None
) -> tuple[list[UInt8[np.ndarray, "s s 3"]], float | None]:
    """The three planes as pictures on one scale; also where that scale ends, None for PCA colours.

    channel: from 0, drawn blue to red; None for the three strongest principal components of all channels as red, green
    and blue, the same components for the three planes. Pictures have the plane's first axis to the right and its
    second one up. Raises InputError for a channel that there is not.
    """
    count = planes.shape[1]
    if channel is None:
        return [enlarged(plane[::-1]) for plane in _pca_colours(planes)], None
    if not 0 <= channel < count:
        raise InputError(f"The triplane has the channels 0 to {count - 1}, not {channel}.")
    values = planes[:, channel]
    limit = colour_limit(values)
    return [cells_picture(plane[::-1], limit) for plane in values], limit


def _pca_colours(planes: np.ndarray) -> UInt8[np.ndarray, "3 h w 3"]:
    """The three strongest components of the channels, each stretched over its 1st to 99th percentile."""
    number, channels, height, width = planes.shape
    vectors = planes.transpose(0, 2, 3, 1).reshape(-1, channels).astype(np.float64)
    vectors = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(vectors.T @ vectors)
    components = vectors @ axes[:, ::-1][:, :3]
    # The sign of a component means nothing: the larger half of its skew is made bright, so that runs look alike.
    components *= np.where((components**3).sum(axis=0) < 0.0, -1.0, 1.0)
    low, high = np.quantile(components, [0.01, 0.99], axis=0)
    share = ((components - low) / np.maximum(high - low, 1e-9)).clip(0.0, 1.0)
    colours = np.zeros((len(share), 3))
    colours[:, : share.shape[1]] = share
    return (colours * 255.0).round().astype(np.uint8).reshape(number, height, width, 3)
