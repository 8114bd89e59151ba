"""CO3Dv2 in its layout, written here: cameras against PyTorch3D's documented projection, files, odd annotations."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image
from scipy.spatial.transform import Rotation

from wavemesh.data.co3d import CapturedObject, read_co3d
from wavemesh.errors import InputError

SIZES = [(120, 90), (90, 120), (100, 100)]  # width and height


def pytorch3d_pixels(points: np.ndarray, view: dict[str, Any], width: int, height: int) -> np.ndarray:
    """As its notes on cameras have it: X_cam = X R + T; NDC = focal X / Z + principal point, +x left and +y up.

    Screen coordinates are (width - 1) / 2 ... in old versions; since 0.5 x = width / 2 - scale / 2 * x_ndc.
    """
    camera = points @ np.array(view["R"]) + np.array(view["T"])
    ndc = np.array(view["focal_length"]) * camera[:, :2] / camera[:, 2:] + np.array(view["principal_point"])
    isotropic = view["intrinsics_format"] == "ndc_isotropic"
    scale = np.array([min(width, height)] * 2) if isotropic else np.array([width, height])
    return np.array([width, height]) / 2.0 - ndc * scale / 2.0


def looking_at(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R and T of a camera that looks at the origin: columns of R are left, up, forward."""
    forward = -position / np.linalg.norm(position)
    left = np.cross([0.1, 1.0, 0.2], forward)
    left /= np.linalg.norm(left)
    rotation = np.stack([left, np.cross(forward, left), forward], axis=1)
    return rotation, -position @ rotation


def write_table(path: Path, entries: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        json.dump(entries, file)


def write_set(root: Path, kind: str = "ndc_isotropic", frames: int = 3) -> list[dict[str, Any]]:
    """One sequence of a cube of points in the folder; its frame annotations come back."""
    cloud = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 3))
    entries = []
    for number in range(frames):
        width, height = SIZES[number % 3]
        rotation, translation = looking_at(Rotation.from_euler("y", 40 * number, degrees=True).apply([0.3, 0.8, 3.0]))
        view = {"R": rotation.tolist(), "T": translation.tolist(), "focal_length": [2.5, 2.6]}
        view |= {"principal_point": [0.05, -0.1], "intrinsics_format": kind}
        files = {
            name: f"apple/110_1/{name}s/frame{number:06d}.{end}" for name, end in (("image", "jpg"), ("mask", "png"))
        }
        for name, path in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            picture = np.zeros((height, width, 3) if name == "image" else (height, width), np.uint8)
            for x, y in pytorch3d_pixels(cloud, view, width, height):
                picture[max(0, int(y) - 1) : int(y) + 2, max(0, int(x) - 1) : int(x) + 2] = 255
            Image.fromarray(picture).save(root / path)
        named = {name: {"path": path} for name, path in files.items()}
        named["image"]["size"] = [height, width]
        entries.append({"sequence_name": "110_1", "frame_number": number, "viewpoint": view, **named})
    write_table(root / "apple" / "frame_annotations.jgz", entries[::-1])
    (root / "apple" / "110_1" / "pointcloud.ply").write_bytes(trimesh.PointCloud(cloud).export(file_type="ply"))
    sequence = {"sequence_name": "110_1", "category": "apple", "point_cloud": {"path": "apple/110_1/pointcloud.ply"}}
    write_table(root / "apple" / "sequence_annotations.jgz", [sequence])
    return entries


def only(root: Path) -> CapturedObject:
    (found,) = read_co3d(root)
    return found


@pytest.mark.parametrize("kind", ["ndc_isotropic", "ndc_norm_image_bounds"])
def test_cameras_project_as_pytorch3d_documents_it(tmp_path: Path, kind: str) -> None:
    entries = write_set(tmp_path, kind)
    found = only(tmp_path)
    assert (found.name, found.category, len(found.frames)) == ("110_1", "apple", 3)
    points = found.points()
    assert points.shape == (50, 3)
    for frame, entry in zip(found.frames, entries, strict=True):
        pixels, depth = frame.project(points)
        np.testing.assert_allclose(pixels, pytorch3d_pixels(points, entry["viewpoint"], *frame.size), atol=1e-4)
        assert (depth > 0).all()
        assert np.linalg.det(frame.pose[:, :3]) == pytest.approx(1.0)
        # It looks along its own -z at the origin.
        np.testing.assert_allclose(frame.pose[:, 2], frame.pose[:, 3] / np.linalg.norm(frame.pose[:, 3]), atol=1e-6)


@pytest.mark.parametrize("number", range(3))
def test_the_square_shows_the_points_where_its_intrinsics_say(tmp_path: Path, number: int) -> None:
    write_set(tmp_path)
    found = only(tmp_path)
    frame, side = found.frames[number], 480
    rgba, (focal, *offset) = frame.square(side)
    assert rgba.shape == (side, side, 4)
    local = (found.points() - frame.pose[:, 3]) @ frame.pose[:, :3]
    ndc = focal * local[:, :2] / -local[:, 2:] + offset
    columns, rows = ((ndc * (1, -1) + 1) / 2 * side).T
    inside = (columns > 0) & (columns < side) & (rows > 0) & (rows < side)
    assert inside.sum() > 40
    alpha = rgba[rows[inside].astype(int), columns[inside].astype(int), 3]
    assert (alpha > 128).mean() > 0.95
    assert (rgba[..., 3] > 128).mean() < 0.5


def test_a_part_of_the_set_is_enough(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "apple/110_1/images/frame000001.jpg").unlink()
    (tmp_path / "apple/110_1/masks/frame000000.png").unlink()
    (tmp_path / "apple/sequence_annotations.jgz").unlink()
    found = only(tmp_path)
    assert [frame.picture.name for frame in found.frames] == ["frame000000.jpg", "frame000002.jpg"]
    assert found.frames[0].mask is None
    assert (found.frames[0].square(64)[0][16:48, 16:48, 3] == 255).all()
    with pytest.raises(InputError, match="110_1 has no point cloud"):
        found.points()
    assert [each.name for each in read_co3d(tmp_path / "apple")] == ["110_1"]


def test_what_is_no_such_set_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no <category>/frame_annotations\.jgz"):
        read_co3d(tmp_path)
    entries = write_set(tmp_path)
    table = tmp_path / "apple" / "frame_annotations.jgz"
    for change, message in [
        ({"viewpoint": {**entries[0]["viewpoint"], "intrinsics_format": "opencv"}}, "not 'opencv'"),
        ({"viewpoint": {**entries[0]["viewpoint"], "R": [[2, 0, 0], [0, 1, 0], [0, 0, 1]]}}, "is no rotation"),
        ({"viewpoint": None}, "no usable annotation"),
        ({"image": {"path": "../../etc/passwd", "size": [1, 1]}}, "a file outside of it"),
        ({"image": {"path": "apple/none.jpg", "size": [1, 1]}}, "None of the frames"),
    ]:
        write_table(table, [{**entries[0], **change}])
        with pytest.raises(InputError, match=message):
            read_co3d(tmp_path)
    write_table(table, {"frames": []})
    with pytest.raises(InputError, match="holds no list"):
        read_co3d(tmp_path)
    table.write_bytes(b"plain text")
    with pytest.raises(InputError, match="is no gzipped JSON"):
        read_co3d(tmp_path)
    write_table(table, entries)
    (tmp_path / entries[0]["image"]["path"]).write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"frame000000\.jpg cannot be read"):
        only(tmp_path).frames[0].square(64)
