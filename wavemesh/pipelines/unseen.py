"""What a run assumes about the sides that no picture shows: mirror images, roundness, a body as deep as it is wide."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from wavemesh.models.inflation import Normal, plane_to_inflate_about
from wavemesh.models.posed_pictures import PosedPictures
from wavemesh.models.symmetry import POSSIBLE, ROOM_AROUND, ROUND, mirrors_by_likelihood, room
from wavemesh.models.symmetry_head import Symmetries
from wavemesh.models.wavemesh import WaveMeshModel
from wavemesh.pipelines.views import (
    MAX_VIEWS,
    PreparedView,
    binding_views,
    mirror_images,
    network_tensors,
    views_around,
)
from wavemesh.settings import WaveMeshSettings


@dataclass(frozen=True)
class Assumed:
    """views: the given ones, then what else the object must look like. likenesses: how many of these, None where
    nothing was asked. is_round: about the vertical axis. plane: that the silhouette of the only picture is inflated
    about, None where the network is believed alone. guesses: how many there were at the likenesses.
    """

    views: list[PreparedView]
    likenesses: int | None = None
    is_round: bool = False
    plane: Normal | None = None
    guesses: int = 1


def assume(model: WaveMeshModel, views: list[PreparedView], settings: WaveMeshSettings) -> Assumed:
    """What the seed assumes of the object in the views; 0 takes what is likeliest, others what comes next.

    What is round, and what is inflated, is told from a single picture. Mirror images need given cameras: by an
    estimated one they err by twice as much (docs/LOG.md, "Mirror images"). With a given one the network knows at least
    as well as what is inflated.
    """
    binding, single = binding_views(views), len(views) == 1
    if not binding:
        return Assumed(views)
    device = next(model.parameters()).device
    pictures = PosedPictures(*(each.to(device) for each in network_tensors([views[index] for index in binding])))
    most = MAX_VIEWS // len(binding) - 1 if not any(view.estimated for view in views) else 0
    asks = settings.symmetry != "off" and (most > 0 or single)
    inflates = single and (settings.inflation == "on" or (settings.inflation == "auto" and views[0].estimated))
    if not (asks or inflates):
        return Assumed(views)
    found = model.symmetries(pictures.images[0], pictures.poses[0], pictures.intrinsics[0])
    chosen = _likenesses(views, binding, pictures, found, most, settings.seed) if asks else Assumed(views)
    if inflates and not chosen.is_round:
        plane = plane_to_inflate_about(found.inflated, found.doubt, always=settings.inflation == "on")
        if settings.inflation == "auto" and settings.seed // chosen.guesses % 2:
            # The contrary: the network alone, or what is inflated though the network is sure.
            plane = None if plane else plane_to_inflate_about(found.inflated, math.inf)
        return replace(chosen, plane=plane)
    return chosen


def _likenesses(
    views: list[PreparedView],
    binding: list[int],
    pictures: PosedPictures,
    found: Symmetries,
    most: int,
    seed: int,
) -> Assumed:
    """The views with mirror images of those that bind, at most so many of each, or with how something round looks from
    all around. pictures: of the views that bind.
    """
    bound = [replace(views[index], binds=True) for index in binding]
    turned = views_around(bound[0])
    guesses: list[list[PreparedView]] = [views]
    if most:
        known = [replace(view, binds=index in binding) for index, view in enumerate(views)]
        mirrors = mirrors_by_likelihood(pictures, (found.sides, found.depths), most)
        guesses = [[*known, *mirror_images(bound, each)] for each in mirrors]
    may_be_round = len(views) == 1 and found.around >= POSSIBLE
    if may_be_round and room(PosedPictures(*network_tensors(turned)), ())[0] >= ROOM_AROUND:
        guesses.insert(0 if found.around >= ROUND else len(guesses), turned)
    chosen = guesses[seed % len(guesses)]
    return Assumed(chosen, len(chosen) - len(views), is_round=chosen is turned, guesses=len(guesses))
