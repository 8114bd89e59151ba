"""Names of models as keys, and what stands upright."""

from __future__ import annotations

import numpy as np
import pytest

from wavemesh.data.sources import UPRIGHT, file_key, slug


@pytest.mark.parametrize(
    ("text", "expected"), [("sideTable", "side-table"), ("a  b__C.1", "a-b-c-1"), ("Übung", "bung"), ("---", "model")]
)
def test_slugs_are_safe_as_keys(text: str, expected: str) -> None:
    assert slug(text) == expected


def test_keys_of_files_differ_and_depend_on_nothing_else() -> None:
    paths = ["a/chair.obj", "a/chair.glb", "b/chair.obj", "стул.obj", "椅子.obj", "a chair.obj"]
    keys = [file_key("My Meshes", path) for path in paths]
    assert len(set(keys)) == len(paths)
    assert keys[0].startswith("my-meshes_chair-")
    assert keys[3].startswith("my-meshes_model-")
    assert file_key("My Meshes", paths[0]) == keys[0]


def test_z_up_is_turned_so_that_up_and_front_are_ours() -> None:
    rotation = np.array(UPRIGHT["z"]).reshape(3, 3)
    np.testing.assert_array_equal(rotation @ [0, 0, 1], [0, 1, 0])
    np.testing.assert_array_equal(rotation @ [0, -1, 0], [0, 0, 1])
    assert np.linalg.det(rotation) == 1.0
