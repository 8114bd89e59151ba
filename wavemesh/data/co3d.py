"""CO3Dv2, turns around real objects: frames with masks, cameras and a point cloud, as its authors hand them out.

`<category>/frame_annotations.jgz` and `sequence_annotations.jgz` list what there is; pictures lie below
`<category>/<sequence>/`. Cameras come from structure from motion: the world has no upright axis and no known size, so
only what they say about one another can be compared. For the evaluation of cameras; there are no meshes to train on.

Conventions are PyTorch3D's: x_camera = x_world R + T with x to the left, y up and z into the picture; NDC (x left, y
up) reach from -1 to 1 over the shorter side ("ndc_isotropic") or over each side ("ndc_norm_image_bounds").
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float, UInt8
from PIL import Image

from wavemesh.errors import InputError

FRAMES, SEQUENCES = "frame_annotations.jgz", "sequence_annotations.jgz"
_FORMATS = ("ndc_isotropic", "ndc_norm_image_bounds")


@dataclass(frozen=True)
class CapturedFrame:
    """A frame: its files and its camera.

    pose: camera_to_world with columns right, up, backward, position, as of `geometry.camera`, in the sequence's world.
    focal_px, centre_px: of both axes, from the upper left corner. size: width and height in pixels.
    """

    picture: Path
    mask: Path | None
    pose: Float[np.ndarray, "3 4"]
    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    size: tuple[int, int]

    def project(self, points: Float[np.ndarray, "n 3"]) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n"]]:
        """Pixels of world points (x to the right, y down) and their depth, positive in front."""
        local = (points - self.pose[:, 3]) @ self.pose[:, :3]
        depth = -local[:, 2]
        down = local[:, :2] * (1.0, -1.0)
        return down / depth[:, None] * self.focal_px + self.centre_px, depth

    def square(self, side: int) -> tuple[UInt8[np.ndarray, "s s 4"], Float[np.ndarray, "3"]]:
        """The frame in the middle of a square of `side` pixels, alpha from its mask, and the camera's intrinsics there.

        Without a mask alpha is opaque. Raises InputError for files that cannot be read.
        """
        width, height = self.size
        longer = max(width, height)
        left, top = (longer - width) / 2.0, (longer - height) / 2.0
        rgba = _opened(self.picture).convert("RGBA")
        if rgba.size != self.size:
            raise InputError(f"The frame {self.picture} has {rgba.size} pixels, its annotation says {self.size}.")
        if self.mask is not None:
            rgba.putalpha(_opened(self.mask).convert("L").resize(self.size))
        canvas = Image.new("RGBA", (longer, longer))
        canvas.paste(rgba, (int(left), int(top)))
        focal = sum(self.focal_px) / longer  # the mean of both, in units of half a side
        x, y = self.centre_px[0] + int(left), self.centre_px[1] + int(top)
        intrinsics = np.array([focal, x / longer * 2.0 - 1.0, 1.0 - y / longer * 2.0], np.float32)
        return np.array(canvas.resize((side, side), Image.Resampling.LANCZOS)), intrinsics


@dataclass(frozen=True)
class CapturedObject:
    """A sequence of frames of one object, in their order; point_cloud: a PLY file, None where there is none."""

    name: str
    category: str
    frames: tuple[CapturedFrame, ...]
    point_cloud: Path | None = None

    def points(self) -> Float[np.ndarray, "n 3"]:
        """The points of the cloud. Raises InputError where there are none."""
        if self.point_cloud is None:
            raise InputError(f"The sequence {self.name} has no point cloud.")
        try:
            cloud = trimesh.load(self.point_cloud, process=False)
            return np.asarray(cloud.vertices, dtype=np.float64)
        except (OSError, ValueError, AttributeError, IndexError, KeyError) as error:
            raise InputError(f"The point cloud {self.point_cloud} cannot be read: {error}.") from error


def read_co3d(root: str | Path) -> list[CapturedObject]:
    """The sequences of all categories in a folder of CO3Dv2, or in one category's, sorted by category and name.

    Frames whose picture is not there are left out, as of a part of the set; so are sequences without any. Raises
    InputError where there is no annotation or no frame at all, and for annotations that say nothing usable.
    """
    root = Path(root)
    tables = sorted(root.glob(f"*/{FRAMES}")) or sorted(root.glob(FRAMES))
    if not tables:
        raise InputError(f"The folder {root} holds no <category>/{FRAMES}, as CO3Dv2 does.")
    found = [each for table in tables for each in _category(table.parent)]
    if not found:
        raise InputError(f"None of the frames that {root} lists is there.")
    return found


def _category(folder: Path) -> list[CapturedObject]:
    """Paths in the annotations begin with the category's folder."""
    root = folder.parent
    about = {str(entry.get("sequence_name")): entry for entry in _read(folder / SEQUENCES)}
    frames: dict[str, list[tuple[int, CapturedFrame]]] = defaultdict(list)
    for entry in _read(folder / FRAMES):
        try:
            picture = _inside(root, entry["image"]["path"])
            if picture is not None:
                frames[str(entry["sequence_name"])].append((int(entry["frame_number"]), _frame(root, picture, entry)))
        except InputError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"A frame in {folder / FRAMES} has no usable annotation: {error!r}.") from error
    found = []
    for name, listed in sorted(frames.items()):
        described = about.get(name, {})
        cloud = (described.get("point_cloud") or {}).get("path")
        ordered = tuple(frame for _, frame in sorted(listed, key=lambda each: each[0]))
        category = str(described.get("category") or folder.name)
        found.append(CapturedObject(name, category, ordered, _inside(root, cloud) if cloud else None))
    return found


def _frame(root: Path, picture: Path, entry: dict[str, Any]) -> CapturedFrame:
    height, width = (int(number) for number in entry["image"]["size"])
    view = entry["viewpoint"]
    kind = view.get("intrinsics_format", _FORMATS[1])
    if kind not in _FORMATS:
        raise InputError(f"Intrinsics of CO3D are {' or '.join(_FORMATS)}, not {kind!r}.")
    rotation, translation = np.array(view["R"], dtype=float), np.array(view["T"], dtype=float)
    if rotation.shape != (3, 3) or abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3:
        raise InputError(f"The R of a frame in {picture.parent} is no rotation: {rotation.tolist()}.")
    # Columns of R are the camera's axes (left, up, forward) in the world.
    pose = np.column_stack([rotation * (-1.0, 1.0, -1.0), -rotation @ translation])
    shorter = min(width, height)
    halves = (shorter / 2.0, shorter / 2.0) if kind == _FORMATS[0] else (width / 2.0, height / 2.0)
    (focal_x, focal_y), (right, up) = view["focal_length"], view["principal_point"]
    mask = (entry.get("mask") or {}).get("path")
    return CapturedFrame(
        picture,
        _inside(root, mask) if mask else None,
        pose,
        (float(focal_x) * halves[0], float(focal_y) * halves[1]),
        # NDC of PyTorch3D grow to the left and up, pixels to the right and down.
        (width / 2.0 - float(right) * halves[0], height / 2.0 - float(up) * halves[1]),
        (width, height),
    )


def _inside(root: Path, name: str) -> Path | None:
    """The file of that name below the root; None where it is not there. Raises InputError for one outside."""
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise InputError(f"The annotations in {root} name a file outside of it: {name}.")
    return path if path.is_file() else None


def _read(path: Path) -> list[dict[str, Any]]:
    """The entries of a gzipped JSON list; none where the file is missing."""
    if not path.is_file():
        return []
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            entries = json.load(file)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"{path} is no gzipped JSON: {error}.") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{path} holds no list of annotations.")
    return entries


def _opened(path: Path) -> Image.Image:
    try:
        with Image.open(path, formats=("JPEG", "PNG")) as picture:
            picture.load()
            return picture
    except (OSError, Image.DecompressionBombError) as error:
        raise InputError(f"The picture {path} cannot be read: {error}.") from error
