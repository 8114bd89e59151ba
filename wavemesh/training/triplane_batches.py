"""What every task of the triplane system trains on: batches of shapes with coloured points, and losses at points.

Shape, points, pictures and colours are augmented together: quarter turns and mirroring on the stored int8 grid, and one
change of colours for the points and all pictures of an object.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wavemesh.data.augment import colour_jitter, imperfect_masks, mirror, mirror_views, turn_poses, turn_quarter
from wavemesh.data.cache import SDF_SCALE
from wavemesh.data.colours import colour_volume, open_colours
from wavemesh.data.dataset import Shapes
from wavemesh.errors import InputError
from wavemesh.models.triplane_renderer import TriplaneRenderer
from wavemesh.training.wavemesh import ShapeBatches, TaskOptions

SURFACE_NOISE = 0.004  # world units: where the colour of the surface is asked for
NEAR_NOISE = 0.03
SIGN_TEMPERATURE = 0.25  # of the sign's cross-entropy, in truncations
FAR = 0.99  # truncations


@dataclass(frozen=True)
class TriplaneOptions(TaskOptions):
    """What a preset of the triplane system may set, besides what `TaskOptions` has.

    points: of each of the three kinds a shape is asked at in a step: on the surface, near it, and anywhere.
    drop_details: share of the objects whose triplane is LL alone. colour_weight, variation_weight, detail_weight: of
    the colours' L1, the planes' total variation and the details' L1, against the distances' loss.
    diffusion_weight: of the diffusion loss. field_weight: of the losses at points where another loss comes first;
    render_weight: of the rendered patches, of which each object has `patches` with `patch_size` squared rays,
    `ray_samples` on each and half as many more where they absorb light.
    """

    points: int = 2048
    drop_details: float = 0.2
    colour_weight: float = 2.0
    variation_weight: float = 1e-2
    detail_weight: float = 3e-4
    diffusion_weight: float = 0.5
    field_weight: float = 0.5
    render_weight: float = 2.0
    patches: int = 3
    patch_size: int = 16
    ray_samples: int = 32


class TriplaneBatches(ShapeBatches):
    """Endless batches of coloured shapes with posed pictures, each determined by the seed and its number.

    A batch holds sdf (B, n, n, n), volume (B, 4, n, n, n), points (B, P, 3), their colours (B, P, 3), and,
    with pictures, images (B, N, 4, h, w), poses and intrinsics. extra_views: drawn on top of the number of given ones.
    """

    def __init__(self, shapes: Shapes, options: TriplaneOptions, pictures: bool = True, extra_views: int = 0) -> None:
        if options.procedural_share > 0:
            raise InputError("The triplane system trains on prepared shapes alone: procedural_share must be 0.")
        super().__init__(shapes, options)
        self.coloured = open_colours(shapes)
        self.pictures, self.extra_views = pictures, extra_views

    def batch(self, seed: int, number: int) -> dict[str, Tensor]:
        """One batch, augmented."""
        rng = np.random.default_rng((seed, number, 2))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        indices = self.indices(seed, number)
        points, colours = self.coloured.points(indices), self.coloured.colours(indices)
        # Eight bits hold the stored steps exactly, and half as much memory moves as with float32.
        codes = self.shapes.sdf_codes(indices).to(torch.bfloat16)
        views = self._views(rng, indices, number)
        if self.options.augment:
            images = None if views is None else views["images"]
            colours, images = jitter_together(colours, images, generator)
            turns, mirrored = rng.integers(4, size=len(indices)), rng.random(len(indices)) < 0.5
            moves = [(int(count), bool(flip)) for count, flip in zip(turns, mirrored, strict=True)]
            codes = torch.stack(
                [turn_quarter(mirror(c) if flip else c, k) for c, (k, flip) in zip(codes, moves, strict=True)]
            )
            points = torch.stack([_moved(p, k, flip) for p, (k, flip) in zip(points, moves, strict=True)])
            if views is not None and images is not None:
                views["images"] = imperfect_masks(images, generator, self.options.mask_chance)
                views = _turned_views(views, moves)
        volume = colour_volume(points, colours, self.shapes.resolution)
        batch = {"sdf": codes.float() * SDF_SCALE, "volume": volume, "points": points, "colours": colours}
        return batch if views is None else {**batch, **views}

    def _views(self, rng: np.random.Generator, indices: list[int], number: int) -> dict[str, Tensor] | None:
        if not self.pictures:
            return None
        count = min(self.view_count(number) + self.extra_views, self.shapes.num_views)
        chosen = [rng.choice(self.shapes.num_views, count, replace=False).tolist() for _ in indices]
        poses, intrinsics = self.shapes.view_cameras(indices, chosen)
        return {"images": self.shapes.images(indices, chosen), "poses": poses, "intrinsics": intrinsics}


def jitter_together(
    colours: Float[Tensor, "b p 3"], images: Float[Tensor, "b v 4 h w"] | None, generator: torch.Generator
) -> tuple[Float[Tensor, "b p 3"], Float[Tensor, "b v 4 h w"] | None]:
    """The same random change of colours for an object's points and pictures: the points are its opaque pixels too."""
    count = colours.shape[1]
    pixels = torch.cat([colours, torch.ones_like(colours[..., :1])], dim=-1).transpose(1, 2)
    if images is not None:
        pixels = torch.cat([pixels, images.transpose(1, 2).flatten(2)], dim=2)
    changed = colour_jitter(pixels[:, None, :, None], generator)[:, 0, :, 0]
    colours = changed[:, :3, :count].transpose(1, 2)
    if images is None:
        return colours, None
    return colours, changed[:, :, count:].unflatten(2, (images.shape[1], *images.shape[3:])).transpose(1, 2)


def _moved(points: Float[Tensor, "p 3"], turns: int, mirrored: bool) -> Float[Tensor, "p 3"]:
    """The points of the object that is mirrored first and turned then, as `turn_poses` turns cameras."""
    rotation = turn_poses(torch.eye(3, 4), turns)[:, :3]
    return points * points.new_tensor([-1.0 if mirrored else 1.0, 1.0, 1.0]) @ rotation.T


def _turned_views(views: dict[str, Tensor], moves: list[tuple[int, bool]]) -> dict[str, Tensor]:
    rows = []
    for index, (count, flip) in enumerate(moves):
        row = (views["images"][index], views["poses"][index], views["intrinsics"][index])
        images, poses, intrinsics = mirror_views(*row) if flip else row
        rows.append((images, turn_poses(poses, count), intrinsics))
    names = ("images", "poses", "intrinsics")
    return {name: torch.stack(parts) for name, parts in zip(names, zip(*rows, strict=True), strict=True)}


@dataclass
class FieldSamples:
    """Points (B, N, 3) at which a field is asked for, with its true distances (B, N) in world units.

    The first K of them lie on the surface, where colours (B, K, 3) are known, the next K near it, the others anywhere.
    """

    points: Tensor
    sdf: Tensor
    colours: Tensor


def draw_samples(batch: dict[str, Tensor], count: int, generator: torch.Generator) -> FieldSamples:
    """`count` points on each object's surface, as many near it, and as many anywhere in [-1, 1]^3."""
    known, size = batch["points"], len(batch["points"])

    def drawn(kind: str) -> Tensor:
        draw = torch.randn if kind == "normal" else torch.rand
        return draw(size, count, 3, generator=generator, device=generator.device).to(known.device)

    # Stored points come in no order, so that a run of them from anywhere is a random choice.
    start = int(torch.randint(known.shape[1], (), generator=generator, device=generator.device))
    chosen = torch.arange(start, start + 2 * count, device=known.device) % known.shape[1]
    near = known[:, chosen[count:]] + NEAR_NOISE * drawn("normal")
    surface = known[:, chosen[:count]] + SURFACE_NOISE * drawn("normal")
    points = torch.cat([surface, near, 2.0 * drawn("uniform") - 1.0], dim=1).clamp(-1.0, 1.0)
    return FieldSamples(points, field_at(batch["sdf"], points), batch["colours"][:, chosen[:count]])


def field_at(sdf: Float[Tensor, "b n n n"], points: Float[Tensor, "b p 3"]) -> Float[Tensor, "b p"]:
    """The grid's values at points of [-1, 1]^3, trilinear; the axes of the grid are x, y, z."""
    place = points.flip(-1)[:, None, None]
    return F.grid_sample(sdf[:, None], place, padding_mode="border", align_corners=False)[:, 0, 0, 0]


@dataclass
class FieldLosses:
    """Losses (B,) of each object: distance (L1 in truncations), sign (cross-entropy), overlap (one minus the soft
    overlap of the solids), colour (L1).
    """

    distance: Tensor
    sign: Tensor
    overlap: Tensor
    colour: Tensor

    def total(self, colour_weight: float) -> Tensor:
        """Their weighted sum."""
        return self.distance + self.sign + self.overlap + colour_weight * self.colour


def field_losses_at(renderer: TriplaneRenderer, triplane: Tensor, samples: FieldSamples) -> FieldLosses:
    """How far the field that a triplane decodes to is from the truth, at each object's sample points (B,).

    Without the overlap, what is solid only probably is left empty, and shapes become shells.
    """
    decoded = renderer.decode(triplane, samples.points)
    truncation, known = renderer.truncation, samples.colours.shape[1]
    distance = (decoded.sdf - samples.sdf).abs() / truncation
    logits = -decoded.sdf / (SIGN_TEMPERATURE * truncation)
    solid = (samples.sdf < 0).to(logits.dtype)
    sign = F.binary_cross_entropy_with_logits(logits, solid, reduction="none")
    colour = (decoded.rgb[:, :known] - samples.colours).abs()
    anywhere = slice(2 * known, None)
    # Far from both surfaces each of very many points would add its small remainder to the union.
    near = torch.minimum(decoded.sdf.detach().abs(), samples.sdf.abs())[:, anywhere] < FAR * truncation
    solid = solid[:, anywhere]
    probability = torch.sigmoid(logits[:, anywhere]) * torch.maximum(near.to(logits.dtype), solid)
    both, either = probability * solid, probability + solid - probability * solid
    overlap = 1.0 - both.sum(dim=1) / either.sum(dim=1).clamp_min(1.0)
    return FieldLosses(distance.mean(dim=1), sign.mean(dim=1), overlap, colour.mean(dim=(1, 2)))


def total_variation(planes: Float[Tensor, "b p c h w"]) -> Float[Tensor, ""]:
    """The mean absolute difference of neighbouring cells."""
    rows, columns = planes.diff(dim=-2).abs().mean(), planes.diff(dim=-1).abs().mean()
    return rows + columns
