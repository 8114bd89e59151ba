"""One mesh becomes one sample: quantised distances, pictures, lights, and reasons for refusal."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from wavemesh.data.cache import SDF_SCALE
from wavemesh.data.prepare_model import (
    SampleSettings,
    prepare_mesh,
    quantise,
    sample_lights,
    silhouette_iou,
)
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera

TINY = SampleSettings(num_views=3, image_size=32, resolution=32)


@given(arrays.arrays(np.float32, (3, 3, 3), elements=st.floats(-0.25, 0.25, width=32)))
def test_quantised_distances_keep_their_signs_and_are_right_to_a_step(sdf: np.ndarray) -> None:
    steps = quantise(sdf)
    assert steps.dtype == np.int8
    np.testing.assert_array_equal(steps < 0, sdf < 0)
    assert np.abs(steps * SDF_SCALE - sdf.clip(-0.09, 0.09)).max() <= 0.09 / 127 * 1.001


def test_lights_depend_on_the_key_and_canonical_views_have_the_default() -> None:
    lights = sample_lights("key", 8)
    assert len(lights) == 8
    assert len(set(lights[:4])) == 1
    assert len(set(lights[4:])) == 4
    assert sample_lights("key", 8) == lights
    assert sample_lights("other", 8)[4:] != lights[4:]
    assert sample_lights("key", 2) == lights[:2]
    for light in lights[4:]:
        assert np.linalg.norm(light.direction) == pytest.approx(1.0)
        assert light.direction[1] > 0


def test_silhouettes() -> None:
    large, small = (trimesh.creation.icosphere(subdivisions=3, radius=radius) for radius in (0.8, 0.4))
    assert silhouette_iou(large, large, 64) == 1.0
    # The tangent cones of the two balls, on the picture plane: tan(asin(r / d)).
    ratio = (0.4 / np.sqrt(4.56**2 - 0.4**2)) / (0.8 / np.sqrt(4.56**2 - 0.8**2))
    assert silhouette_iou(small, large, 64) == pytest.approx(ratio**2, abs=0.01)
    below, above = (trimesh.creation.icosphere(subdivisions=1, radius=0.15) for _ in range(2))
    above.apply_translation((0.0, 0.9, 0.0))
    assert silhouette_iou(below, above, 32) == 0.0


def test_a_sample_of_a_coloured_ball() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.9)
    ball.visual.vertex_colors = np.tile((220, 30, 20, 255), (len(ball.vertices), 1))
    sample = prepare_mesh(ball, "ball", {"name": "A ball"}, TINY)
    views, full = [f"view{n:02d}.webp" for n in range(3)], [f"canonical{n:02d}.webp" for n in range(4)]
    assert sorted(sample.files) == sorted(["meta.json", "sdf.npz", *views, *full])
    sdf = np.load(io.BytesIO(sample.files["sdf.npz"]))["sdf"] * SDF_SCALE
    centres = (np.arange(32) + 0.5) / 32 * 2 - 1
    x, y, z = np.meshgrid(centres, centres, centres, indexing="ij")
    exact = (np.sqrt(x**2 + y**2 + z**2) - 0.9).clip(-0.09, 0.09)
    assert np.abs(sdf - exact).max() < 0.25 * 2 / 32
    meta = json.loads(sample.files["meta.json"])
    assert meta["name"] == "A ball"
    assert meta["mesh_stats"]["faces"] == len(ball.faces)
    assert meta["mesh_stats"]["silhouette_iou"] > 0.95
    for names, listed in ((views, meta["cameras"]), (full, meta["canonical_cameras"])):
        for name, values in zip(names, listed, strict=True):
            picture = np.array(Image.open(io.BytesIO(sample.files[name])))
            camera = Camera(**{**values, "offset": tuple(values["offset"])})
            opaque = picture[..., 3] > 127
            covered = np.linalg.norm(np.cross(*camera.rays(picture.shape[0])), axis=-1) < 0.9
            assert (opaque != covered).mean() < 0.03
            assert picture[opaque][:, 0].mean() > 2 * picture[opaque][:, 1].mean()


def test_a_mesh_that_leaves_no_solid_cell_is_refused_with_a_reason() -> None:
    speck = trimesh.creation.icosphere(subdivisions=1, radius=0.01)
    with pytest.raises(InputError, match="cells of the grid are solid"):
        prepare_mesh(speck, "speck", {}, TINY)


@pytest.mark.parametrize("values", [{"num_views": 0}, {"image_size": 0}, {"resolution": 8}, {"resolution": 257}])
def test_settings_out_of_range_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(values))}={next(iter(values.values()))}"):
        SampleSettings(**values)
