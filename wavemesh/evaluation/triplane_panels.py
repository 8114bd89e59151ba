"""What the figures of the triplane system show, as arrays: bands, colours of many channels, spectra, pictures, meshes.

Separate from the drawing in `triplane_figures`, so that what is shown can be checked without looking.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import trimesh
from jaxtyping import Float, UInt8

from wavemesh.errors import InputError
from wavemesh.evaluation.samples import sdf_mesh
from wavemesh.geometry.camera import Camera
from wavemesh.models.wavelet_triplane import WaveletTriplaneDiffusion

RENDER_PX, MESH_CELLS = 256, 128
COARSE_CELLS = 40  # of the mesh that stands between the planes, where every face is drawn one by one
NARROW_FOV_DEG = 32.0


@dataclass(frozen=True)
class Rendering:
    """What a triplane looks like. colour: (s, s, 3) on white. depth: (s, s), infinite where there is nothing."""

    colour: Float[np.ndarray, "s s 3"]
    depth: Float[np.ndarray, "s s"]
    mesh: trimesh.Trimesh | None


@dataclass(frozen=True)
class TriplanePanels:
    """One generated triplane with everything that the figures show of it.

    picture: the given one. camera: of all renderings. highres: (3, C, 2 n, 2 n), planes XY, XZ, YZ. ll: (3, C, n, n).
    details: (3, 3, C, n, n), planes first, then LH, HL, HH. lowpass, highpass: what `highres` is the sum of, made of LL
    and of the details alone. whole, coarse: renderings of `highres` and of `lowpass`. small_mesh: of few faces.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    camera: Camera
    highres: Float[np.ndarray, "3 c m m"]
    ll: Float[np.ndarray, "3 c n n"]
    details: Float[np.ndarray, "3 3 c n n"]
    lowpass: Float[np.ndarray, "3 c m m"]
    highpass: Float[np.ndarray, "3 c m m"]
    whole: Rendering
    coarse: Rendering
    small_mesh: trimesh.Trimesh | None

    @property
    def channel(self) -> int:
        """The channel whose details are strongest."""
        return int(np.square(self.details).sum(axis=(0, 1, 3, 4)).argmax())


@torch.inference_mode()
def triplane_panels(
    model: WaveletTriplaneDiffusion,
    highres: Float[np.ndarray, "3 c m m"],
    picture: UInt8[np.ndarray, "h w 3"],
    camera: Camera,
    size: int | None = None,
) -> TriplanePanels:
    """The panels of a triplane, rendered size x size (None: 256) from the camera's side.

    Raises InputError for other shapes.
    """
    size = RENDER_PX if size is None else size
    planes = torch.from_numpy(np.asarray(highres, np.float32))[None].to(next(model.parameters()).device)
    model.renderer.check_triplane(planes)
    ll, details = model.analyse(planes)
    lowpass = model.reconstruct(ll, torch.zeros_like(details))
    camera = Camera(camera.azimuth_deg, camera.elevation_deg, fov_deg=NARROW_FOV_DEG)
    small = model.renderer.sdf_grid(planes, COARSE_CELLS)[0].float().cpu().numpy()
    channels = model.config.triplane_channels
    return TriplanePanels(
        picture=picture,
        camera=camera,
        highres=_array(planes),
        ll=_array(ll),
        details=_array(details.unflatten(2, (3, channels))),
        lowpass=_array(lowpass),
        highpass=_array(planes - lowpass),
        whole=_rendering(model, planes, camera, size),
        coarse=_rendering(model, lowpass, camera, size),
        small_mesh=sdf_mesh(small),
    )


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor[0].float().cpu().numpy()


def _rendering(model: WaveletTriplaneDiffusion, planes: torch.Tensor, camera: Camera, size: int) -> Rendering:
    picture = model.renderer.render(planes, 96, size, camera, importance=32)[0]
    field = model.renderer.sdf_grid(planes, MESH_CELLS)[0].float().cpu().numpy()
    colour = picture.over("white").clamp(0.0, 1.0).permute(1, 2, 0).float().cpu().numpy()
    return Rendering(colour, picture.depth.float().cpu().numpy(), sdf_mesh(field))


def upright(planes: Float[np.ndarray, "3 *rest"]) -> list[np.ndarray]:
    """The planes (..., rows, columns) as they are drawn with their origin at the lower left.

    XY from the front (x right, y up), XZ from above (x right, z down the page), YZ from the left (z right, y up).
    """
    xy, xz, yz = planes
    return [xy, xz[..., ::-1, :], np.swapaxes(yz, -1, -2)]


class ChannelColours:
    """A map from C channels to colours: their first three principal components, the same for everything mapped.

    planes: (3, C, h, w), on which the components and their range (2nd to 98th percentile) are fixed. Components that
    the planes do not have stay grey.
    """

    def __init__(self, planes: Float[np.ndarray, "3 c h w"]) -> None:
        rows = np.moveaxis(planes, 1, -1).reshape(-1, planes.shape[1]).astype(np.float64)
        self._mean = rows.mean(axis=0)
        _, vectors = np.linalg.eigh(np.atleast_2d(np.cov(rows - self._mean, rowvar=False)))
        self._axes = vectors[:, ::-1][:, :3]
        found = (rows - self._mean) @ self._axes
        self._low, high = np.percentile(found, [2.0, 98.0], axis=0)
        self._range = np.maximum(high - self._low, 1e-9)

    def __call__(self, planes: Float[np.ndarray, "3 c h w"]) -> Float[np.ndarray, "3 h w 3"]:
        """The planes in colours in [0, 1]."""
        if planes.shape[1] != len(self._mean):
            raise InputError(f"These colours are for {len(self._mean)} channels, not {planes.shape[1]}.")
        found = (np.moveaxis(planes, 1, -1) - self._mean) @ self._axes
        colours = np.full((*found.shape[:-1], 3), 0.5)
        colours[..., : found.shape[-1]] = np.clip((found - self._low) / self._range, 0.0, 1.0)
        return colours


def radial_spectrum(planes: Float[np.ndarray, "*b m m"]) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (cycles per cell, up to 0.5) and the mean power at each, over directions, planes and channels."""
    size = planes.shape[-1]
    power = np.square(np.abs(np.fft.fft2(planes, norm="ortho"))).reshape(-1, size, size).mean(axis=0)
    frequency = np.fft.fftfreq(size)
    radius = np.rint(np.hypot(frequency[:, None], frequency[None, :]) * size).astype(int)
    rings = np.arange(1, size // 2 + 1)
    mean = np.array([power[radius == ring].mean() for ring in rings])
    return rings / size, mean
