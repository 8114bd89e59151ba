"""WaveMesh-Diff as one module: encoder, coarse and detail denoiser, and how a field becomes what they diffuse.

The whole story in one place: a truncated SDF of 128^3 is split into 32^3 x 8 coarse bands (LL and level-2 details) and
the level-1 details on the 64^3 grid; each band is divided by its standard deviation over the training set and diffused.
Training (`training/wavemesh.py`) and sampling (`pipelines/wavemesh.py`) both go through this class.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wavemesh.checkpoint import load_module, save_weights
from wavemesh.config import Cells, Count, Pixels, Positive, Width, Widths, to_dict
from wavemesh.diffusion import GaussianDiffusion
from wavemesh.errors import InputError
from wavemesh.geometry.frame import TRUNCATION
from wavemesh.models.denoiser import CoarseDenoiser, DenoiserConfig, DetailDenoiser
from wavemesh.models.depth_network import DEPTH_CHANNELS, DepthConfig, DepthNetwork
from wavemesh.models.islands import connected_field
from wavemesh.models.multiview_encoder import PYRAMID, DinoBackbone, MultiViewEncoder, ViewFeatures
from wavemesh.models.silhouettes import Silhouettes
from wavemesh.models.symmetry_head import Symmetries, SymmetryHead, SymmetryHeadConfig
from wavemesh.wavelets.sparse import active_sites, scatter_sites
from wavemesh.wavelets.transform import dwt3d, field_scale, idwt3d, wavedec3d


@dataclass(frozen=True)
class EncoderConfig:
    """Arguments of `MultiViewEncoder`; stored weights carry the architecture of a backbone that is no pyramid."""

    image_size: Pixels = 128
    feature_dim: Width = 192
    widths: Widths = (64, 128, 192)
    map_channels: Width = 48
    blocks: Count = 2
    token_blocks: Count = 2
    backbone: str = PYRAMID
    freeze_vision: bool = True
    scales: tuple[Pixels, ...] | None = None
    architecture: dict[str, Any] | None = None


@dataclass(frozen=True)
class DiffusionConfig:
    """Arguments of `GaussianDiffusion`."""

    timesteps: int = 1000
    beta_schedule: Literal["linear", "cosine"] = "cosine"
    prediction_type: Literal["epsilon", "x0", "v"] = "v"
    zero_terminal_snr: bool = True
    data_deviation: Positive = 1.0


@dataclass(frozen=True)
class SamplingConfig:
    """The shipped defaults of the pipeline.

    temperature: deviation of the coarse stage's starting noise. Below 1 the surfaces are smoother and closer to the
    truth, and seeds differ less.
    frames: quarter-turned frames (1, 2 or 4) that the coarse stage takes the mean of.
    """

    coarse_steps: int = 5
    detail_steps: int = 2
    guidance_scale: float = 1.0
    sampler: Literal["ddpm", "ddim", "dpmpp_2m"] = "ddim"
    temperature: float = 1.0
    frames: Literal[1, 2, 4] = 1


@dataclass(frozen=True)
class WaveMeshConfig:
    """Everything that the weights need to be used; stored beside them.

    coarse_scale, detail_scale: root mean squares of the bands over the training set, in the wavelets' units; that of
    the approximation is counted from `empty`.
    active_threshold: sites are also active where the coarse field is closer to the surface than this, world units.
    depth: a network whose answers are seen beside the encoder's maps, and whose bounds carve the visual hull; None:
    silhouettes alone do. symmetry: a network that tells from those answers whether objects are symmetric; None: nobody
    asks.
    """

    resolution: Cells = 128
    bank: str = "bior2.2"
    truncation: Positive = TRUNCATION
    conditioning: Literal["projective", "global"] = "projective"
    active_threshold: float | None = None
    coarse_scale: tuple[Positive, ...] = (0.35, *(0.04,) * 7)
    detail_scale: tuple[Positive, ...] = (0.01,) * 7
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    coarse: DenoiserConfig = field(default_factory=DenoiserConfig)
    detail: DenoiserConfig = field(
        default_factory=lambda: DenoiserConfig((32, 64, 96), (1, 1, 1), hidden=16, condition_channels=16, time_dim=128)
    )
    depth: DepthConfig | None = None
    symmetry: SymmetryHeadConfig | None = None
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    @property
    def empty(self) -> float:
        """The approximation coefficient of empty space; counted from there most of the data is zero."""
        return field_scale(2) * self.truncation

    def __post_init__(self) -> None:
        if len(self.coarse_scale) != 8 or len(self.detail_scale) != 7:
            raise InputError(
                f"Band scales need 8 and 7 values, not {len(self.coarse_scale)} and {len(self.detail_scale)}."
            )
        if self.resolution % 16:
            raise InputError(f"The resolution must be divisible by 16, not {self.resolution}.")
        if self.symmetry is not None and self.depth is None:
            raise InputError("A symmetry head needs a depth network, and the configuration has none.")


# The target of x_0 = hull at t = T: x_0 itself, or v = -x_0; the noise says nothing about it there.
HULL_SHARE = {"v": -1.0, "x0": 1.0, "epsilon": 0.0}


class WaveMeshModel(nn.Module):
    """Encoder, denoisers and the scaling of bands. Methods return tensors in world units unless they say "bands"."""

    coarse_scale: Tensor
    detail_scale: Tensor

    def __init__(self, config: WaveMeshConfig, backend: str = "auto") -> None:
        super().__init__()
        self.encoder = MultiViewEncoder(**vars(config.encoder))
        vision = self.encoder.vision_encoder
        if isinstance(vision, DinoBackbone):
            config = replace(config, encoder=replace(config.encoder, architecture=vision.architecture))
        self.config = config
        self.depth = None if config.depth is None else DepthNetwork(config.depth)
        self.symmetry = None if config.symmetry is None else SymmetryHead(config.symmetry)
        self.diffusion = GaussianDiffusion(**vars(config.diffusion))
        shared: dict[str, Any] = {
            "map_channels": config.encoder.map_channels + (0 if config.depth is None else DEPTH_CHANNELS),
            "context_dim": config.encoder.feature_dim,
            "truncation": config.truncation,
            "signal": self.diffusion.schedule.signal,
            "backend": backend,
        }
        self.coarse = CoarseDenoiser(
            config.coarse,
            config.resolution // 4,
            bank=config.bank,
            conditioning=config.conditioning,
            band_scale=config.coarse_scale,
            hull_share=HULL_SHARE[config.diffusion.prediction_type],
            **shared,
        )
        self.detail = DetailDenoiser(config.detail, config.resolution // 2, **shared)
        self.register_buffer("coarse_scale", torch.tensor(config.coarse_scale).view(1, 8, 1, 1, 1), persistent=False)
        self.register_buffer("detail_scale", torch.tensor(config.detail_scale).view(1, 7), persistent=False)

    def with_depth(self, network: DepthNetwork) -> WaveMeshModel:
        """The same model with a depth network, whose answers nothing has learnt to use yet."""
        model = WaveMeshModel(replace(self.config, depth=network.config))
        parts: dict[str, nn.Module] = {**self.networks(), "depth": network}
        for name, part in model.networks().items():
            state = parts[name].state_dict()
            seen = state.get("project.reduce.weight")
            if seen is not None and self.depth is None:
                state["project.reduce.weight"] = torch.cat(
                    [seen, seen.new_zeros(len(seen), DEPTH_CHANNELS, 1, 1)], dim=1
                )
            part.load_state_dict(state)
        return model

    def encode(
        self, images: Float[Tensor, "b n 4 h w"], poses: Float[Tensor, "b n 3 4"], intrinsics: Float[Tensor, "b n 3"]
    ) -> ViewFeatures:
        """What encoder and depth network know of posed views; see `MultiViewEncoder.encode`."""
        features = self.encoder.encode(images, poses, intrinsics)
        if self.depth is not None:
            with torch.no_grad():
                depths = self.depth.of_views(images, poses, intrinsics)
                maps = depths.maps(features.maps.shape[-1]).to(features.maps.dtype)
            features.maps = torch.cat([features.maps, maps], dim=2)
            features.bounds = depths.bounds()
        return features

    def symmetries(
        self, images: Float[Tensor, "n 4 h w"], poses: Float[Tensor, "n 3 4"], intrinsics: Float[Tensor, "n 3"]
    ) -> Symmetries:
        """How likely an object in n pictures is alike on its sides, and how much its inflated silhouettes are like it.

        The means over the pictures; 0 where nothing can tell.
        """
        if self.depth is None or self.symmetry is None:
            return Symmetries()
        alike, inflated = self.symmetry.probabilities(self.depth, images, poses, intrinsics)
        found = self.depth.of_views(images[None], poses[None], intrinsics[None])
        inside = (found.alpha > 0.5).expand_as(found.spread)
        doubt = float(found.spread[inside].log().mean().exp()) if inside.any() else 0.0
        sides, depths, around = alike.mean(dim=0).tolist()
        return Symmetries(sides, depths, around, tuple(inflated.mean(dim=0).tolist()), doubt)

    def analyse(self, sdf: Float[Tensor, "b n n n"]) -> tuple[Float[Tensor, "b 8 m m m"], Float[Tensor, "b 7 k k k"]]:
        """Scaled coarse bands and unscaled finest details of truncated SDFs."""
        pyramid = wavedec3d(sdf.unsqueeze(1), self.config.bank, 2)
        coarse = torch.cat([pyramid.approximation - self.config.empty, pyramid.details[0]], dim=1)
        return coarse / self.coarse_scale, pyramid.details[1]

    def coarse_field(self, bands: Float[Tensor, "b 8 m m m"]) -> Float[Tensor, "b k k k"]:
        """The field of half resolution that scaled coarse bands decode to, in world units."""
        return self.coarse_lowpass(bands)[:, 0] / 2.0**1.5

    def coarse_lowpass(self, bands: Float[Tensor, "b 8 m m m"]) -> Float[Tensor, "b 1 k k k"]:
        """The LL band of level 1: the field of half resolution in the wavelets' units."""
        unscaled = bands.float() * self.coarse_scale
        return idwt3d(unscaled[:, :1] + self.config.empty, unscaled[:, 1:], self.config.bank)

    def silhouettes(self, features: ViewFeatures) -> Silhouettes:
        """What the views of a single object prove about its coarse field; bounds of estimated depths are no proof."""
        return Silhouettes(
            replace(features, bounds=None), 2 * self.coarse.resolution, self.config.truncation, self.coarse.field_shift
        )

    def consistent_bands(
        self, bands: Float[Tensor, "b 8 m m m"], *silhouettes: Silhouettes
    ) -> Float[Tensor, "b 8 m m m"]:
        """The scaled coarse bands of the fields on which the silhouettes of their objects are imposed."""
        pairs = zip(silhouettes, self.coarse_field(bands), strict=True)
        return self._bands_of([each.corrected_field(field) for each, field in pairs])

    def connected_bands(
        self, bands: Float[Tensor, "1 8 m m m"], silhouettes: Silhouettes | None
    ) -> Float[Tensor, "1 8 m m m"]:
        """The scaled coarse bands of one object whose small islands are gone or joined, see `models.islands`."""
        return self._bands_of([connected_field(self.coarse_field(bands)[0], self.config.truncation, silhouettes)])

    def _bands_of(self, fields: list[Tensor]) -> Tensor:
        """The scaled coarse bands of fields of half resolution."""
        approximation, details = dwt3d(torch.stack(fields).unsqueeze(1) * field_scale(1), self.config.bank)
        return torch.cat([approximation - self.config.empty, details], dim=1) / self.coarse_scale

    def active_mask(self, field: Float[Tensor, "b k k k"]) -> Tensor:
        """(B, k, k, k) bool: the sites whose finest details are diffused."""
        return active_sites(field.unsqueeze(1), self.config.bank, threshold=self.config.active_threshold)

    def decode(self, bands: Float[Tensor, "b 8 m m m"], features: Tensor, coords: Tensor) -> Float[Tensor, "b n n n"]:
        """The SDF of scaled coarse bands and scaled details (M, 7) at coords (M, 4)."""
        low = self.coarse_lowpass(bands)
        n = low.shape[-1]
        details = scatter_sites(features.float() * self.detail_scale, coords, len(low), (n, n, n))
        return idwt3d(low, details, self.config.bank)[:, 0]

    def networks(self) -> dict[str, nn.Module]:
        """The parts that have weights, by the names that they are stored under."""
        parts: dict[str, nn.Module] = {"encoder": self.encoder, "coarse": self.coarse, "detail": self.detail}
        also = {"depth": self.depth, "symmetry": self.symmetry}
        return parts | {name: network for name, network in also.items() if network is not None}

    def save(self, folder: str | Path) -> None:
        """Write configuration, fp16 weights and manifest."""
        parts = {name: network.state_dict() for name, network in self.networks().items()}
        save_weights(folder, parts, to_dict(self.config))

    @classmethod
    def load(cls, folder: str | Path, backend: str = "auto") -> WaveMeshModel:
        """The model stored in a folder; nothing else is read, whatever its configuration names.

        Raises InputError where files are missing, damaged or do not fit.
        """

        def build(config: WaveMeshConfig) -> WaveMeshModel:
            encoder = config.encoder
            if encoder.backbone != PYRAMID and encoder.architecture is None:
                raise InputError(f"the encoder's backbone {encoder.backbone!r:.80} comes without its architecture.")
            return cls(config, backend)

        return load_module(folder, WaveMeshConfig, build, cls.networks)
