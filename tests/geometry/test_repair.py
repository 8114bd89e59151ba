import time

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from wavemesh.errors import InputError
from wavemesh.geometry.health import mesh_health
from wavemesh.geometry.repair import boundary_loops, close_holes, repair


def without_faces(mesh: trimesh.Trimesh, dropped: list[int]) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices, np.delete(mesh.faces, dropped, axis=0), process=False)


def test_a_solid_stays_as_it_is() -> None:
    torus = trimesh.creation.torus(0.6, 0.2, 24, 12)
    result = repair(torus)
    assert result.summary == "Nothing had to be done."
    assert result.mesh.volume == pytest.approx(torus.volume)
    assert len(result.mesh.faces) == len(torus.faces)


def test_an_open_box_is_closed_flatly() -> None:
    box = trimesh.creation.box((1.0, 0.6, 0.4))
    result = repair(without_faces(box, [10, 11]))
    assert result.summary == "1 hole was closed."
    assert result.mesh.is_watertight
    assert result.mesh.volume == pytest.approx(0.24)


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_torn_and_turned_sphere_becomes_a_solid_again(data: st.DataObject) -> None:
    sphere = trimesh.creation.icosphere(2, 0.5)
    dropped = data.draw(st.sets(st.integers(0, len(sphere.faces) - 1), max_size=30))
    flipped = data.draw(st.sets(st.integers(0, len(sphere.faces) - 1), max_size=30))
    faces = np.array(sphere.faces)
    for index in flipped:
        faces[index] = faces[index][::-1]
    result = repair(trimesh.Trimesh(sphere.vertices, np.delete(faces, list(dropped), axis=0), process=False))
    assert mesh_health(result.mesh).printable
    # Fans lie inside the sphere and cut off little.
    assert 0.8 * sphere.volume < result.mesh.volume < 1.001 * sphere.volume or result.carved
    assert trimesh.Trimesh(result.mesh.vertices, result.mesh.faces).is_volume


def test_crumbs_go_and_large_pieces_stay() -> None:
    crumb = trimesh.creation.box((0.05, 0.05, 0.05)).apply_translation((0.8, 0, 0))
    second = trimesh.creation.box((0.5, 0.5, 0.5)).apply_translation((0, 0, 2))
    scene = trimesh.util.concatenate([trimesh.creation.box(), crumb, second])
    result = repair(scene)
    assert (result.crumbs, mesh_health(result.mesh).components) == (1, 2)
    assert result.mesh.volume == pytest.approx(1.125)
    assert repair(scene, crumb_share=0.5).mesh.volume == pytest.approx(1.0)
    assert repair(scene, crumb_share=0.0).mesh.volume == pytest.approx(1.125 + 0.05**3)


def test_overlapping_boxes_become_one() -> None:
    box = trimesh.creation.box()
    result = repair(trimesh.util.concatenate([box, box.copy().apply_translation((0.5, 0.1, 0.2))]))
    assert result.mesh.volume == pytest.approx(2.0 - 0.5 * 0.9 * 0.8)
    assert mesh_health(result.mesh).components == 1
    assert result.summary == "Overlapping pieces were joined."


def test_a_cavity_is_kept_and_a_small_one_filled() -> None:
    outer = trimesh.creation.box()
    for side, kept in ((0.6, True), (0.1, False)):
        inner = trimesh.creation.box((side,) * 3)
        inner.invert()
        result = repair(trimesh.util.concatenate([outer, inner]))
        assert result.mesh.volume == pytest.approx(1.0 - side**3 if kept else 1.0)


def test_an_inverted_mesh_is_turned() -> None:
    box = trimesh.creation.box()
    box.invert()
    assert repair(box).mesh.volume == pytest.approx(1.0)


def test_crossing_sheets_are_carved_into_a_solid_of_their_place_and_size() -> None:
    sheets = trimesh.Trimesh(
        np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, -1, -1]]) * 3.0 + 5.0,
        [[0, 1, 2], [0, 1, 3], [0, 1, 4]],
        process=False,
    )
    result = repair(sheets)
    assert result.carved
    assert mesh_health(result.mesh).printable
    np.testing.assert_allclose(result.mesh.bounds, sheets.bounds, atol=0.15)


def test_colours_come_along() -> None:
    box = trimesh.creation.box().subdivide()
    colours = np.where(np.asarray(box.vertices)[:, :1] > 0, [[255, 0, 0, 255]], [[0, 0, 255, 255]]).astype(np.uint8)
    coloured = trimesh.Trimesh(box.vertices, box.faces[1:], vertex_colors=colours, process=False)
    mesh = repair(coloured).mesh
    found = np.asarray(mesh.visual.vertex_colors)
    right = np.asarray(mesh.vertices)[:, 0] > 0.4
    assert (found[right] == [255, 0, 0, 255]).all()
    assert right.any()


def test_loops_run_along_the_faces_and_two_that_touch_are_two() -> None:
    box = trimesh.creation.box()
    (loop,) = boundary_loops(without_faces(box, [0]).faces)
    assert sorted(loop.tolist()) == sorted(box.faces[0].tolist())
    assert len(boundary_loops(box.faces)) == 0
    grid = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [-1, 0, 0], [-1, -1, 0]], dtype=float)
    touching = np.array([[0, 1, 2], [0, 3, 4]])  # a bow tie: both loops pass vertex 0
    assert sorted(sorted(loop.tolist()) for loop in boundary_loops(touching)) == [[0, 1, 2], [0, 3, 4]]
    closed, count = close_holes(trimesh.Trimesh(grid, touching, process=False))
    assert count == 2
    assert mesh_health(closed).open_edges == 0


@pytest.mark.parametrize(
    "mesh, said",
    [
        (trimesh.Trimesh(), "no faces"),
        (trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, float("nan"), 0]], [[0, 1, 2]], process=False), "not finite"),
    ],
)
def test_what_cannot_be_repaired_is_said(mesh: trimesh.Trimesh, said: str) -> None:
    with pytest.raises(InputError, match=said):
        repair(mesh)


def test_a_share_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match=r"1\.5"):
        repair(trimesh.creation.box(), 1.5)


def test_a_long_loop_takes_time_in_proportion_to_its_length() -> None:
    length = 60_000  # looking for a vertex in the chain so far would take minutes
    along = np.arange(length)
    ribbon = np.concatenate(
        [
            np.stack([2 * along, 2 * along + 1, 2 * along + 2], axis=1),
            np.stack([2 * along + 1, 2 * along + 3, 2 * along + 2], axis=1),
        ]
    )
    begin = time.thread_time()
    (loop,) = boundary_loops(ribbon)
    assert len(loop) == 2 * length + 2
    assert time.thread_time() - begin < 5.0


def test_what_would_take_too_long_is_refused_or_carved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wavemesh.geometry.repair.MAX_PIECES", 2)
    boxes = [trimesh.creation.box((0.2, 0.2, 0.2)) for _ in range(3)]
    for number, box in enumerate(boxes):
        box.apply_translation((0.4 * number - 0.4, 0, 0))
    with pytest.raises(InputError, match="3 separate pieces; up to 2"):
        repair(trimesh.util.concatenate(boxes))
    monkeypatch.setattr("wavemesh.geometry.repair.MAX_FACES_TO_CLOSE", 10)
    monkeypatch.setattr("wavemesh.geometry.repair._carved", lambda mesh: trimesh.creation.box((1.0, 1.0, 1.0)))
    assert repair(without_faces(trimesh.creation.box((1.0, 1.0, 1.0)), [0])).carved
