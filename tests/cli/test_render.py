"""`render`: pictures whose cameras.json says where they were taken from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wavemesh.cli import main
from wavemesh.config import from_dict
from wavemesh.geometry.camera import Camera


def test_pictures_and_cameras_agree(box_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "views"
    assert main(["render", str(box_file), "-o", str(out), "--views", "4", "--size", "64", "--backend", "embree"]) == 0
    data = json.loads((out / "cameras.json").read_text())
    assert sorted(path.name for path in out.iterdir()) == ["cameras.json", *(f"view{i}.png" for i in range(4))]
    corners = np.array([(x, y, z) for x in (-0.9, 0.9) for y in (-0.6, 0.6) for z in (-0.3, 0.3)])
    for index, entry in enumerate(data):
        camera = from_dict(Camera, entry)
        alpha = np.asarray(Image.open(out / f"view{index}.png"))[..., 3] > 127
        columns = np.flatnonzero(alpha.any(axis=0))
        ndc, _ = camera.project(corners)
        left, right = (ndc[:, 0].min() + 1) * 32, (ndc[:, 0].max() + 1) * 32
        assert columns[0] == pytest.approx(left, abs=1)
        assert columns[-1] + 1 == pytest.approx(right, abs=1)


def test_chosen_angles(box_file: Path, tmp_path: Path) -> None:
    arguments = ["render", str(box_file), "-o", str(tmp_path), "--size", "16", "--backend", "embree"]
    assert main([*arguments, "--azimuth", "30", "60", "--elevation", "-10"]) == 0
    views = json.loads((tmp_path / "cameras.json").read_text())
    assert [(view["azimuth_deg"], view["elevation_deg"]) for view in views] == [
        (30.0, -10.0),
        (60.0, -10.0),
    ]


@pytest.mark.parametrize("content", [None, b"", b"ply\nformat ascii 1.0\nelement vertex 0\nend_header\n", b"nonsense"])
def test_a_mesh_without_faces_is_one_sentence_and_leaves_nothing(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mesh, out = tmp_path / "mesh.ply", tmp_path / "views"
    if content is not None:
        mesh.write_bytes(content)
    assert main(["render", str(mesh), "-o", str(out)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "mesh.ply" in err
    assert not out.exists()
