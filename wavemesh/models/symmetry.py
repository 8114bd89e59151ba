"""Mirror images of the pictures as further views of an object that is the same on both sides of an upright plane.

Most things that people make, and animals, are; then a picture shows the unseen side as well. Two planes through the
frame's axis are tried, left to right and front to back, where a network takes them to be likely (`symmetry_head`). What
is round about the vertical axis looks the same from all around. An object that is not symmetric may contradict its own
silhouette: what the further views leave of the hull does not fill it. (Symmetry as a cue in single pictures: Thrun and
Wegbreit 2005; Wu, Rupprecht and Vedaldi 2020.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from wavemesh.geometry.camera import Camera
from wavemesh.models.posed_pictures import PosedPictures
from wavemesh.models.projection import MaskedViews, soft_hull
from wavemesh.rendering.rays import camera_rays

# What a mirror, or two, make of a point. Two mirrors are a half turn.
SIDES, DEPTHS, HALF_TURN = (-1.0, 1.0, 1.0), (1.0, 1.0, -1.0), (-1.0, 1.0, -1.0)
Mirror = tuple[float, float, float]
LIKELY = 0.7  # from this probability on a plane is tried: a wrong one gives a horse two heads
POSSIBLE = 0.1  # from this probability on, what is not the likeliest is still worth a look
ROUND = 0.7  # the same for what is round; its silhouette has to be alike on both sides as well
COPIES = 8  # views around what is round, the picture's own among them
ROOM = 0.999  # of the silhouettes' rays that must find a place in the mirrored hull
ROOM_AROUND = 0.95  # the same for what is round: nothing is quite so, and hulls of eight views are tight
OPAQUE, SOLID = 0.5, 0.4
RAYS, PLACES = 1200, 128  # looked at of each silhouette, and along each ray
BOX = 0.93  # half a side: objects fill .9 of the frame


def mirrors_of(views: MaskedViews, likely: Sequence[float] = (1.0, 1.0), most: int = 3) -> tuple[Mirror, ...]:
    """The mirrors of an object: those of both planes, else of the likelier one that the silhouettes allow, else none.

    likely: probabilities of symmetry between left and right, and between front and back. most: mirrors there may be.
    """
    ordered = sorted(zip(likely, (SIDES, DEPTHS), strict=True), key=lambda pair: -pair[0])
    planes = [plane for probability, plane in ordered if probability >= LIKELY]
    both = (SIDES, DEPTHS, HALF_TURN)
    if len(planes) == 2 and most >= len(both) and min(room(views, both)) >= ROOM:
        return both
    return next(((plane,) for plane in planes if min(room(views, (plane,))) >= ROOM), ())


def mirrors_by_likelihood(
    views: MaskedViews, likely: Sequence[float] = (1.0, 1.0), most: int = 3
) -> list[tuple[Mirror, ...]]:
    """What the mirrors of an object could be: those of `mirrors_of`, then the others, the likelier before.

    None at all is among them. The others are possible by the silhouettes and by a probability of at least POSSIBLE.
    """
    sides, depths = likely
    chances = {
        (): (1.0 - sides) * (1.0 - depths),
        (SIDES,): sides * (1.0 - depths),
        (DEPTHS,): (1.0 - sides) * depths,
        (SIDES, DEPTHS, HALF_TURN): sides * depths,
    }
    first = mirrors_of(views, likely, most)
    others = sorted(chances, key=lambda mirrors: -chances[mirrors])
    return [first] + [
        mirrors
        for mirrors in others
        if mirrors != first
        and (
            not mirrors or (chances[mirrors] >= POSSIBLE and len(mirrors) <= most and min(room(views, mirrors)) >= ROOM)
        )
    ]


def cameras_around(camera: Camera) -> list[Camera]:
    """The further cameras that what is round looks the same to, its axis in the middle of the picture."""
    return [camera.turned(360.0 * number / COPIES) for number in range(1, COPIES)]


def mirrored_camera(camera: Camera, mirror: Mirror) -> Camera:
    """The camera whose picture of the mirrored object is the mirrored picture, or for a half turn the same one."""
    if mirror == HALF_TURN:
        return camera.turned(180.0)
    x, y = camera.offset
    flipped = replace(camera, azimuth_deg=-camera.azimuth_deg, offset=(-x, y))
    return flipped if mirror == SIDES else flipped.turned(180.0)


def mirrored_pictures(views: PosedPictures, mirror: Mirror) -> PosedPictures:
    """The pictures in the mirror with the cameras that `mirrored_camera` has for them."""
    signs = views.poses.new_tensor(mirror)[:, None]
    if mirror == HALF_TURN:
        return PosedPictures(views.images, signs * views.poses, views.intrinsics)
    # A mirrored camera would be left-handed, so its x axis changes sign as well, and the principal point moves over.
    flip, offset = views.poses.new_tensor([-1.0, 1.0, 1.0, 1.0]), views.intrinsics.new_tensor([1.0, -1.0, 1.0])
    return PosedPictures(views.images.flip(-1), signs * views.poses * flip, views.intrinsics * offset)


def with_mirror_images(views: PosedPictures, mirrors: tuple[Mirror, ...]) -> PosedPictures:
    """The pictures, then their images in each of the mirrors."""
    parts = [views, *(mirrored_pictures(views, mirror) for mirror in mirrors)]
    images, poses, intrinsics = (
        torch.cat([getattr(part, name) for part in parts], dim=1) for name in ("images", "poses", "intrinsics")
    )
    return PosedPictures(images, poses, intrinsics)


def room(views: MaskedViews, mirrors: tuple[Mirror, ...]) -> list[float]:
    """The share of each silhouette that the hull and its mirror images leave, 0 to 1; of one object."""
    shares = []
    for view in range(views.poses.shape[1]):
        points = _along_rays(views, view)
        left = (points.abs() <= BOX).all(dim=-1)
        for mirror in ((1.0, 1.0, 1.0), *mirrors):
            placed = (points * points.new_tensor(mirror)).flatten(0, 1)
            left &= (soft_hull(views, placed)[0] > SOLID).view_as(left)
        shares.append(float(left.any(dim=1).float().mean()) if len(points) else 1.0)
    return shares


def _along_rays(views: MaskedViews, view: int) -> Float[Tensor, "r p 3"]:
    """Places along rays through opaque pixels of a view, inside the frame."""
    alpha, pose = views.alpha[0, view, 0], views.poses[0, view].float()
    pixels = (alpha.flatten() > OPAQUE).nonzero().flatten()
    pixels = pixels[:: max(1, len(pixels) // RAYS)]
    rays = camera_rays(pose, views.intrinsics[0, view].float(), alpha.shape[-1], pixels)
    distance, half = float(pose[:, 3].norm()), 3**0.5
    steps = torch.linspace(distance - half, distance + half, PLACES, device=pose.device)
    return rays.at(steps.expand(len(rays), -1))
