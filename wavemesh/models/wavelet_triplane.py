"""Wavelet Triplane Diffusion as one module: pictures to a triplane to colours, density and pictures from anywhere.

    pictures -> CoarseTriplaneGen -> LL band (B, 3, C, 64, 64), its own surface painted with the pictures
             -> DetailDiffusion, beginning from the paint's own details
             -> details (B, 3, 3 C, 64, 64) -> inverse Haar transform
             -> triplane (B, 3, C, 128, 128) -> TriplaneRenderer

`forward` is one pass with the details predicted at the last timestep, which with velocity prediction and zero terminal
SNR is their mean: differentiable from the rendered picture to the input. `sample` runs the diffusion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from wavemesh.checkpoint import load_module, save_weights
from wavemesh.config import Cells, Pixels, Positive, Width, to_dict
from wavemesh.diffusion import GaussianDiffusion
from wavemesh.diffusion.guidance import Guidance
from wavemesh.diffusion.samplers import Callback, sample
from wavemesh.errors import InputError
from wavemesh.geometry.frame import TRUNCATION
from wavemesh.models.coarse_triplane import CoarseTriplaneGen
from wavemesh.models.colour_planes import colour_bands
from wavemesh.models.detail_diffusion import DetailDiffusion
from wavemesh.models.painted_surface import PAINTED_CHANNELS, painted_planes
from wavemesh.models.plane_bands import BANDS
from wavemesh.models.planes import PLANES, fold_planes, unfold_planes
from wavemesh.models.posed_pictures import posed_pictures
from wavemesh.models.triplane_renderer import TriplaneRenderer
from wavemesh.models.wavemesh import DiffusionConfig
from wavemesh.wavelets.transform import WaveletTransform

PARTS = ("coarse_gen", "detail_diffusion", "renderer")
# The seed of the noise that `forward` starts from where some signal is left at the last timestep. Where none is, the
# network does not see its noisy input there.
FORWARD_SEED = 0


@dataclass(frozen=True)
class TriplaneSampling:
    """The shipped defaults of sampling; guidance 1 is plain conditional."""

    steps: int = 1
    guidance_scale: float = 1.0
    sampler: str = "ddim"


@dataclass(frozen=True)
class TriplaneConfig:
    """Everything that the weights need to be used; stored beside them.

    triplane_channels: 16, 32 and 64 are the sizes of about 5, 15 and 60 million parameters. resolution: of the LL band.
    image_size: side in pixels that pictures are resized to. width: of both networks at full resolution, chosen by the
    channels if None. hidden_dim: of the decoder, four times the channels if None. detail_scale: standard deviations of
    the detail bands over the training set: one, one for each of LH, HL, HH, or one for each of the 3 C channels.
    """

    triplane_channels: Width = 32
    resolution: Cells = 64
    image_size: Pixels = 256
    width: Width | None = None
    time_embed_dim: Width = 128
    condition_dim: Width = 128
    hidden_dim: Width | None = None
    truncation: Positive = TRUNCATION
    detail_scale: tuple[Positive, ...] = (0.25,)
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    sampling: TriplaneSampling = field(default_factory=TriplaneSampling)

    def __post_init__(self) -> None:
        if self.triplane_channels < 1:
            raise InputError(f"A triplane needs at least one channel, not {self.triplane_channels}.")
        if len(self.detail_scale) not in (1, BANDS, BANDS * self.triplane_channels):
            raise InputError(
                f"The detail scale needs 1, {BANDS} or {BANDS * self.triplane_channels} values, "
                f"not {len(self.detail_scale)}."
            )
        if not all(0.0 < scale < float("inf") for scale in self.detail_scale):
            raise InputError(f"The detail scales must be positive numbers, not {self.detail_scale}.")


@dataclass
class DetailCondition:
    """What the detail stage is told: ll (B, 3, C, n, n), features (B, 3, F, n, n), and what it begins from.

    painted: details (B, 3, 3 C, n, n) of the colours that the pictures show on the surface at hand; the diffusion draws
    the difference to them. field: that surface, as signed distances (B, n, n, n).
    """

    ll: Tensor
    features: Tensor
    painted: Tensor
    field: Tensor


@dataclass
class TriplaneSample:
    """A sampled triplane (B, 3, C, 2 n, 2 n) with its bands: ll (B, 3, C, n, n), details (B, 3, 3 C, n, n)."""

    ll: Tensor
    details: Tensor
    triplane: Tensor


class TriplaneOutputs(dict[str, Tensor]):
    """What `WaveletTriplaneDiffusion` gives: a dictionary, in whose place a loss or any other operation of torch takes
    the rendered picture, so that both `outputs["triplane_LL"]` and `criterion(model(images), targets)` work.
    """

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        def picture(value: Any) -> Any:
            return value["rendered_image"] if isinstance(value, cls) else value

        named = {name: picture(value) for name, value in (kwargs or {}).items()}
        return function(*(picture(value) for value in args), **named)


class WaveletTriplaneDiffusion(nn.Module):
    """The complete pipeline in four stages.

    triplane_channels: C. num_diffusion_steps: training timesteps. config: all of it; where given it decides those two
    as well. checkpointing: compute activations again for the gradient instead of keeping them.
    """

    detail_scale: Tensor

    def __init__(
        self,
        triplane_channels: int = 32,
        num_diffusion_steps: int = 1000,
        config: TriplaneConfig | None = None,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if config is None:
            config = TriplaneConfig(triplane_channels, diffusion=DiffusionConfig(num_diffusion_steps))
        self.config = config
        channels = config.triplane_channels
        self.diffusion = GaussianDiffusion(**vars(config.diffusion))
        self.coarse_gen = CoarseTriplaneGen(
            triplane_channels=channels,
            resolution=config.resolution,
            image_size=config.image_size,
            width=config.width,
            condition_dim=config.condition_dim,
            checkpointing=checkpointing,
        )
        self.detail_diffusion = DetailDiffusion(
            triplane_channels=channels,
            time_embed_dim=config.time_embed_dim,
            feature_channels=self.coarse_gen.feature_channels + PAINTED_CHANNELS,
            width=config.width,
            signal=self.diffusion.schedule.signal,
            checkpointing=checkpointing,
        )
        self.wavelet = WaveletTransform()
        self.renderer = TriplaneRenderer(channels, config.hidden_dim or 4 * channels, config.truncation)
        scale = torch.tensor(config.detail_scale)
        scale = scale.repeat_interleave(channels) if len(scale) == BANDS else scale.expand(BANDS * channels)
        self.register_buffer("detail_scale", scale.reshape(-1, 1, 1).contiguous(), persistent=False)

    @classmethod
    def from_config(cls, config: TriplaneConfig, checkpointing: bool = False) -> WaveletTriplaneDiffusion:
        """An untrained model of a configuration."""
        return cls(config=config, checkpointing=checkpointing)

    def forward(
        self,
        images: Tensor,
        return_intermediate: bool = False,
        poses: Tensor | None = None,
        intrinsics: Tensor | None = None,
        render_size: int = 64,
        num_samples: int = 32,
    ) -> TriplaneOutputs:
        """A dictionary with `rendered_image` (B, 3, S, S), as seen by the camera of the first picture, on white.

        With return_intermediate also `input_images` as given, `triplane_LL` (B, 3, C, n, n), `triplane_details`
        (B, 3, 3 C, n, n) and `triplane_highres` (B, 3, C, 2 n, 2 n), so five keys. Losses take it for
        the picture. images, poses, intrinsics: as for `models.posed_pictures`. num_samples: on each ray.
        """
        pictures = posed_pictures(images, poses, intrinsics)
        coarse = self.planes(pictures.images, pictures.poses, pictures.intrinsics)
        details = self.mean_details(coarse)
        triplane = self.reconstruct(coarse.ll, details)
        rendered = self.renderer.render_volume(
            triplane,
            num_samples=num_samples,
            image_size=render_size,
            poses=pictures.poses[:, 0],
            intrinsics=pictures.intrinsics[:, 0],
        )
        if not return_intermediate:
            return TriplaneOutputs(rendered_image=rendered)
        return TriplaneOutputs(
            input_images=images,
            triplane_LL=coarse.ll,
            triplane_details=details,
            triplane_highres=triplane,
            rendered_image=rendered,
        )

    def planes(self, images: Tensor, poses: Tensor | None = None, intrinsics: Tensor | None = None) -> DetailCondition:
        """The LL band and all that the detail stage is told: the coarse stage's features and its painted surface.

        LL has the coarse stage's corrections to what the pictures show on their hull. The surface that it decodes to is
        closer to the object, so the hull's paint is replaced by that of this surface.

        Arguments as for `forward`. The painted surface passes no gradient on.
        """
        coarse = self.coarse_gen.planes(images, poses, intrinsics)
        with torch.no_grad(), torch.autocast(coarse.ll.device.type, enabled=False):
            # LL alone is a triplane of twice the band's resolution in which four cells each are half of LL's.
            field = self.renderer.sdf_grid(coarse.ll / 2.0, coarse.ll.shape[-1])
            paint = painted_planes(field, posed_pictures(images, poses, intrinsics))
            painted = colour_bands(paint.colours, self.config.triplane_channels)
        features = torch.cat([coarse.features, paint.features.to(coarse.features.dtype)], dim=2)
        return DetailCondition(coarse.ll - coarse.painted + painted.ll, features, painted.details, field)

    def detail_residual(self, details: Tensor, coarse: DetailCondition) -> Tensor:
        """What the diffusion has as x_0 for details in units of the bands: their scaled difference to the paint's."""
        return (details - coarse.painted) / self.detail_scale

    def details(self, x_0: Tensor, coarse: DetailCondition) -> Float[Tensor, "b 3 c n n"]:
        """The details in units of the bands that an x_0 of the diffusion stands for; inverts `detail_residual`."""
        return coarse.painted + x_0 * self.detail_scale

    def denoise(
        self, x_t: Float[Tensor, "b 3 c n n"], t: Int[Tensor, " b"], coarse: DetailCondition
    ) -> Float[Tensor, "b 3 c n n"]:
        """The detail network's raw prediction for the noisy, scaled details of all planes at timesteps t (B,)."""
        planes = (fold_planes(x_t), t.repeat_interleave(PLANES), fold_planes(coarse.ll), fold_planes(coarse.features))
        return unfold_planes(self.detail_diffusion(*planes))

    def mean_details(self, coarse: DetailCondition) -> Float[Tensor, "b 3 c n n"]:
        """The details that one pass at the last timestep predicts, in units of the bands."""
        last = self.diffusion.timesteps - 1
        batch, _, channels, height, width = coarse.ll.shape
        shape, device = (batch, PLANES, BANDS * channels, height, width), coarse.ll.device
        if self.diffusion.schedule.zero_terminal_snr:
            x_t = torch.zeros(shape, device=device)
        else:
            x_t = torch.randn(shape, generator=torch.Generator().manual_seed(FORWARD_SEED)).to(device)
        t = torch.full((batch,), last, device=device)
        return self.details(self.diffusion.convert(self.denoise(x_t, t, coarse), x_t, t).x_0, coarse)

    def reconstruct(self, ll: Tensor, details: Tensor) -> Float[Tensor, "b 3 c h w"]:
        """The triplane (B, 3, C, 2 n, 2 n) of an LL band and details in units of the bands; the inverse Haar transform.

        Raises InputError where the bands' shapes do not fit.
        """
        channels = self.config.triplane_channels
        if ll.ndim != 5 or ll.shape[1:3] != (PLANES, channels):
            raise InputError(f"The LL band must have the shape (B, {PLANES}, {channels}, n, n), not {tuple(ll.shape)}.")
        expected = (len(ll), PLANES, BANDS * channels, *ll.shape[3:])
        if tuple(details.shape) != expected:
            raise InputError(
                f"Details for an LL band of shape {tuple(ll.shape)} must have the shape {expected}, "
                f"not {tuple(details.shape)}."
            )
        lh, hl, hh = fold_planes(details).chunk(BANDS, dim=1)
        return unfold_planes(self.wavelet.idwt2d(fold_planes(ll), lh, hl, hh))

    def analyse(self, triplane: Float[Tensor, "b 3 c h w"]) -> tuple[Tensor, Tensor]:
        """LL band and details of a triplane, in units of the bands: the inverse of `reconstruct`."""
        ll, *details = self.wavelet.dwt2d(fold_planes(triplane))
        return unfold_planes(ll), unfold_planes(torch.cat(details, dim=1))

    @torch.no_grad()
    def sample(
        self,
        images: Tensor,
        steps: int | None = None,
        guidance_scale: float | None = None,
        poses: Tensor | None = None,
        intrinsics: Tensor | None = None,
        sampler: str | None = None,
        generator: torch.Generator | None = None,
        callback: Callback | None = None,
        guidance_interval: tuple[int, int] | None = None,
        on_coarse: Callable[[DetailCondition], None] | None = None,
    ) -> TriplaneSample:
        """A triplane whose details are drawn by the diffusion.

        steps, guidance_scale, sampler: the configuration's where None. Guidance goes against the details that the LL
        band alone suggests. callback: gets each step's `SamplerStep`, whose x_0 `details` turns into details;
        True stops and keeps them. on_coarse: gets the coarse stage's planes before the first step. images, poses,
        intrinsics: as for `forward`.
        """
        coarse = self.planes(images, poses, intrinsics)
        if on_coarse is not None:
            on_coarse(coarse)
        details = self.sample_details(coarse, steps, guidance_scale, sampler, generator, callback, guidance_interval)
        return TriplaneSample(coarse.ll, details, self.reconstruct(coarse.ll, details))

    @torch.no_grad()
    def sample_details(
        self,
        coarse: DetailCondition,
        steps: int | None = None,
        guidance_scale: float | None = None,
        sampler: str | None = None,
        generator: torch.Generator | None = None,
        callback: Callback | None = None,
        guidance_interval: tuple[int, int] | None = None,
    ) -> Float[Tensor, "b 3 c n n"]:
        """Details (B, 3, 3 C, n, n) in units of the bands, drawn for the coarse stage's planes; see `sample`."""
        defaults = self.config.sampling
        blind = replace(coarse, features=torch.zeros_like(coarse.features))
        scale = defaults.guidance_scale if guidance_scale is None else guidance_scale
        guidance = Guidance(lambda x_t, t: self.denoise(x_t, t, blind), scale, guidance_interval)
        batch, planes, channels, *space = coarse.ll.shape
        drawn = sample(
            lambda x_t, t: self.denoise(x_t, t, coarse),
            self.diffusion,
            (batch, planes, BANDS * channels, *space),
            defaults.steps if steps is None else steps,
            sampler or defaults.sampler,
            generator=generator,
            callback=callback,
            guidance=guidance,
            device=coarse.ll.device,
        )
        return self.details(drawn, coarse)

    def networks(self) -> dict[str, nn.Module]:
        """The parts that have weights, by the names that they are stored under."""
        return {name: getattr(self, name) for name in PARTS}

    def save(self, folder: str | Path) -> None:
        """Write configuration, fp16 weights and manifest."""
        parts = {name: network.state_dict() for name, network in self.networks().items()}
        save_weights(folder, parts, to_dict(self.config))

    @classmethod
    def load(cls, folder: str | Path) -> WaveletTriplaneDiffusion:
        """The model stored in a folder. Raises InputError where files are missing, damaged or do not fit."""
        return load_module(folder, TriplaneConfig, cls.from_config, cls.networks)
