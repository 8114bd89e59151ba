"""Shapes as a user's photographs: the same in every call, masks that are true, cameras that phones have."""

from types import SimpleNamespace

import numpy as np
import pytest
import trimesh
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.evaluation.photographs import FOV_DEG, photograph_errors, photographs
from wavemesh.evaluation.samples import EvaluationSample
from wavemesh.geometry.camera import Camera


@pytest.fixture(scope="module")
def bottle() -> EvaluationSample:
    mesh = trimesh.creation.cylinder(0.3, 1.8).apply_transform(
        trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0])
    )
    mesh.visual.vertex_colors = np.tile((30, 90, 200, 255), (len(mesh.vertices), 1))
    return EvaluationSample("bottle", "", np.full((16, 16, 16), 0.09, np.float32), [], [], mesh)


def test_photographs_follow_from_the_key_and_walk_around_the_object(bottle: EvaluationSample) -> None:
    taken, again = photographs(bottle, 4), photographs(bottle, 4)
    for one, other in zip(taken, again, strict=True):
        np.testing.assert_array_equal(one.scene.picture, other.scene.picture)
    np.testing.assert_array_equal(photographs(bottle, 1)[0].scene.picture, taken[0].scene.picture)
    steps = np.diff([each.camera.azimuth_deg for each in taken])
    assert (np.abs(np.abs(steps) - 90.0) < 60.0).all()
    assert (np.sign(steps) == np.sign(steps[0])).all()
    assert len({each.camera.fov_deg for each in taken}) == 1
    assert all(FOV_DEG[0] <= each.camera.fov_deg <= FOV_DEG[1] for each in taken)
    assert all(0.0 <= each.camera.elevation_deg <= 45.0 for each in taken)
    assert all(0.02 < each.scene.mask.mean() < 0.6 for each in taken)
    # Within the mask the bottle is blue.
    pixels = taken[0].scene.picture[taken[0].scene.mask].mean(axis=0)
    assert pixels[2] > pixels[0] + 20


def test_errors_are_those_of_what_the_pipeline_prepares(bottle: EvaluationSample) -> None:
    masks = {each.scene.picture.tobytes(): each for each in photographs(bottle, 3)}

    class Knowing:
        """Sees the elevation five degrees too high."""

        model = SimpleNamespace(config=SimpleNamespace(encoder=SimpleNamespace(image_size=64)))

        def estimate_cameras(self, pictures: list[Image.Image], *_: object) -> list[Camera]:
            return [Camera(0.0, self.elevation + 5.0) for _ in pictures]

    pipeline = Knowing()
    errors = []
    for each in masks.values():
        pipeline.elevation = each.camera.elevation_deg
        errors.append(photograph_errors(pipeline, [bottle], 3))
    assert errors[0].pictures == 3
    assert 0.0 <= errors[0].below_80 <= 1.0
    assert errors[0].iou > 0.5
    assert min(each.elevation_deg for each in errors) == pytest.approx(5.0, abs=20.0)


def test_a_shape_without_surface_is_named() -> None:
    empty = EvaluationSample("nothing", "", np.full((16, 16, 16), 0.09, np.float32), [], [])
    with pytest.raises(InputError, match="nothing"):
        photographs(empty, 1)
