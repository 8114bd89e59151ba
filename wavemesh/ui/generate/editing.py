"""A cut-out that a person corrects on the page, without gradio: the strokes so far, what is seen, and the way back."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from PIL import Image

from wavemesh import imaging
from wavemesh.errors import InputError
from wavemesh.imaging import FOREGROUND_ALPHA
from wavemesh.imaging.correction import Correction, Stroke
from wavemesh.ui.pictures import Picture, with_angles

MAX_UNDO = 20  # a session keeps this many masks while the editor is open
BY_HAND = "hand"
_DIMMED = 0.3  # of what was cut away
_OUTLINE = (226, 60, 150)  # of the object


@dataclass(frozen=True)
class Editing:
    """One picture in the editor. index: its place. steps: the corrections, the newest last; the first is untouched."""

    picture: Picture
    index: int
    steps: tuple[Correction, ...]

    @classmethod
    def of(cls, pictures: Sequence[Picture], index: int) -> Editing:
        """The picture at a place, nothing corrected yet; InputError where there is none."""
        if not 0 <= index < len(pictures):
            raise InputError(f"There is no picture {index + 1}.")
        picture = pictures[index]
        alpha = np.array(picture.cutout.getchannel("A"))
        return cls(picture, index, (Correction.of(picture.whole or picture.cutout, alpha),))

    def stroked(self, stroke: Stroke) -> Editing:
        """After one more stroke; InputError where it finds nothing."""
        steps = (*self.steps, self.steps[-1].stroked(stroke))
        # What nothing was done to stays, as "start over" goes back there.
        return replace(self, steps=steps if len(steps) <= MAX_UNDO + 1 else (steps[0], *steps[2:]))

    def undone(self) -> Editing:
        """Without the last stroke."""
        return replace(self, steps=self.steps[:-1] or self.steps) if len(self.steps) > 1 else self

    def restarted(self) -> Editing:
        """Without any stroke, an earlier correction's neither: as it was cut out by itself."""
        first = self.steps[0]
        if self.picture.cut_by == BY_HAND and self.picture.whole is not None:
            found = imaging.cut_out(self.picture.whole, name=self.picture.name).picture
            first = Correction.of(self.picture.whole, np.array(found.getchannel("A")))
        return replace(self, steps=(first,))

    def shown(self) -> str:
        """The picture as a data URI, with the object's outline, and dimmed where it is cut away."""
        now = self.steps[-1]
        alpha = np.maximum(now.alpha, np.round(now.picture[..., 3] * _DIMMED).astype(np.uint8))
        pixels = np.dstack([now.picture[..., :3], alpha])
        inside = (now.alpha >= FOREGROUND_ALPHA).astype(np.uint8)
        edge = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        pixels[edge] = (*_OUTLINE, 255)
        content = io.BytesIO()
        Image.fromarray(pixels, "RGBA").save(content, "WEBP", quality=85, method=1)
        return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"

    def put_back(self, pictures: Sequence[Picture], keeps_angles: bool = False) -> list[Picture]:
        """The pictures with the corrected one in its place; an estimated camera belonged to another cut-out.

        keeps_angles: whether the angles that it has are a person's, which stay.
        Raises InputError where nothing is left of the object, and where the picture is no longer there.
        """
        result = list(pictures)
        here = next((at for at, each in enumerate(result) if _is_same(each, self.picture)), None)
        if here is None:
            raise InputError(f"{self.picture.name} is no longer here, so its cut-out cannot be changed.")
        if len(self.steps) == 1 and np.array_equal(self.steps[0].alpha, np.asarray(self.picture.cutout)[..., 3]):
            return result
        whole = self.picture.whole or self.picture.cutout
        mask = Image.fromarray(self.steps[-1].alpha)
        cut = imaging.cut_out(whole, name=self.picture.name, mask=mask)
        corrected = replace(result[here], cutout=cut.picture, whole=whole, found=None, cut_by=BY_HAND, notes=cut.notes)
        azimuth, elevation = result[here].angles
        result[here] = with_angles([corrected], [azimuth], [elevation])[0] if keeps_angles else corrected
        return result


def strokes_of(sent: Any) -> list[Stroke]:
    """The strokes that the page sent, each with its tool, radius and points; InputError for anything else."""
    given = sent.get("strokes") if isinstance(sent, Mapping) else None
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_UNDO:
        raise InputError("No stroke came from the page.")
    try:
        return [
            Stroke(str(each["tool"]), tuple((float(x), float(y)) for x, y in each["points"]), float(each["radius"]))
            for each in given
        ]
    except (KeyError, TypeError, ValueError):
        raise InputError("A stroke has a tool, a radius and points, each of two numbers.") from None


def _is_same(one: Picture, other: Picture) -> bool:
    return one.name == other.name and one.example == other.example and one.cutout == other.cutout
