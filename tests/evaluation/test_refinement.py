"""What refining cameras brings: errors that were put in come out, quarter turns are mended, tables add up."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh

from tests.evaluation.conftest import RING, sphere_sample, sphere_sdf
from wavemesh.errors import InputError
from wavemesh.evaluation import refinement
from wavemesh.evaluation.metrics import Scores
from wavemesh.evaluation.refinement import ROWS, CameraRow, camera_row, pictured, quarter_turns_known, shape_rows, table
from wavemesh.geometry.camera import Camera
from wavemesh.pipelines.wavemesh import WaveMeshPipeline

SCORES = Scores(*(0.5 for _ in Scores.__dataclass_fields__))


def moved(camera: Camera, azimuth: float = 0.0, elevation: float = 0.0, unit: float = 1.0) -> Camera:
    fov = float(np.degrees(2.0 * np.arctan(1.0 / (camera.focal * unit))))
    return Camera(camera.azimuth_deg + azimuth, camera.elevation_deg + elevation, camera.distance, fov, camera.offset)


def test_errors_put_in_come_out() -> None:
    found = [moved(camera, 90.0 + 4.0, -3.0, 1.02) for camera in RING]
    row = camera_row(found, RING, SCORES, 2.0)
    assert row.azimuth_deg == pytest.approx(4.0)
    assert row.elevation_deg == pytest.approx(3.0)
    assert row.scale == pytest.approx(np.log(1.02))
    assert row.offset == 0.0
    assert row.turns == 1.0  # all turned alike: against each other they stand rightly
    assert (row.f_score, row.iou, row.seconds) == (SCORES.f_score_005, SCORES.iou, 2.0)


def test_one_picture_on_a_wrong_side_spoils_its_pairs() -> None:
    found = [*RING[:3], moved(RING[3], 180.0)]
    assert camera_row(found, RING, SCORES).turns == pytest.approx(0.5)
    mended = quarter_turns_known([moved(camera, 7.0) for camera in found], RING)
    assert camera_row(mended, RING, SCORES).turns == 1.0
    assert mended[0].azimuth_deg == pytest.approx(RING[0].azimuth_deg + 7.0)


class Refining(WaveMeshPipeline):
    """Estimates are five degrees too high, which refining mends; a wrong height makes the solid smaller."""

    def __init__(self) -> None:
        pass

    model = SimpleNamespace(config=SimpleNamespace(encoder=SimpleNamespace(image_size=64)))

    def estimate_cameras(self, pictures: list, *_: object) -> list[Camera]:
        return [moved(camera, elevation=5.0) for camera in RING[: len(pictures)]]

    def refine(self, views: list, free: list[bool] | None = None) -> list:
        assert free in (None, [False] * len(views))
        return [replace(view, camera=moved(view.camera, elevation=-5.0)) for view in views]

    def __call__(self, views: list) -> SimpleNamespace:
        error = abs(views[0].camera.elevation_deg - RING[0].elevation_deg)
        radius = 0.6 - 0.02 * error
        return SimpleNamespace(sdf=sphere_sdf(radius), mesh=trimesh.creation.icosphere(3, radius))


def test_rows_of_a_shape_follow_its_cameras() -> None:
    rows = shape_rows(Refining(), sphere_sample("ball", 0.6), 4)
    assert tuple(rows) == ROWS
    known, estimated, refined, slotted, both = rows.values()
    assert known.elevation_deg == refined.elevation_deg == both.elevation_deg == pytest.approx(0.0, abs=1e-4)
    assert estimated.elevation_deg == slotted.elevation_deg == pytest.approx(5.0, abs=1e-4)
    assert known.f_score == pytest.approx(refined.f_score, abs=0.01)
    assert estimated.f_score < known.f_score - 0.3


def test_the_table_says_what_is_lost() -> None:
    def row(score: float, azimuth: float) -> CameraRow:
        return CameraRow(azimuth, 1.0, 0.02, 0.01, 1.0, score, 0.4)

    shapes = [{name: row(0.8 if name == "known" else 0.6, azimuth) for name in ROWS} for azimuth in (1.0, 2.0, 9.0)]
    lines = table(shapes).splitlines()
    assert len(lines) == 2 + len(ROWS)
    assert lines[2].startswith("| known | 2.0° | 1.0° | 2.0% | 0.010 | 100% | 0.800 | 0.0% |")
    assert lines[3].startswith("| estimated | 2.0° | 1.0° | 2.0% | 0.010 | 100% | 0.600 | 25.0% |")


def test_a_set_without_the_split_is_refused(tmp_path: object) -> None:
    with pytest.raises(InputError):
        refinement.samples(tmp_path, "val", 4, "canonical", 4)


def test_pictures_of_each_kind_are_from_where_they_say() -> None:
    sample = replace(sphere_sample("ball", 0.6), mesh=trimesh.creation.box((1.0, 0.6, 0.4)))
    assert pictured(sample, "canonical", 4) is sample
    repeated = pictured(sample, "repeated", 3)
    assert [camera.azimuth_deg for camera in repeated.cameras] == [sample.cameras[0].azimuth_deg] * 3
    assert all(np.array_equal(each, sample.pictures[0]) for each in repeated.pictures)
    for kind, step in (("beside", 15.0), ("turntable", 45.0)):
        found = pictured(sample, kind, 8)
        azimuths = np.array([camera.azimuth_deg for camera in found.cameras])
        assert np.allclose((np.diff(azimuths) + 180.0) % 360.0 - 180.0, step)
        widths = [(each[..., 3] > 127).any(axis=0).sum() for each in found.pictures]
        assert len(set(widths)) > 2  # a box is not as wide from everywhere
