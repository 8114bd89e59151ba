"""What the tab Wavelets does, without a page: edits change the shape as they should, and pictures show it."""

from __future__ import annotations

import numpy as np
import pytest

from wavemesh.errors import InputError
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.pipelines.record import RunRecord
from wavemesh.settings import METHODS
from wavemesh.ui.wavelets.content import (
    Comparison,
    Decoded,
    WaveletEditor,
    energy_html,
    slice_pictures,
    strongest_sites,
    wavelet_coefficients,
)
from wavemesh.ui.wavelets.edit import Edit, band_gains
from wavemesh.ui.widgets.colours import diverging
from wavemesh.wavelets.bands import Band
from wavemesh.wavelets.sparse import SparseCoefficients

SIDE = 32


def ball(radius: float) -> SparseCoefficients:
    axis = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    field = (np.sqrt(x**2 + y**2 + z**2) - radius).clip(-0.09, 0.09).astype(np.float32)
    return SparseCoefficients.from_sdf(field)


def record(coefficients: SparseCoefficients | None, method: str = "wavemesh") -> RunRecord:
    sdf = ball(0.4).to_sdf().numpy()
    return RunRecord(METHODS[method](), [], [], [], [], coefficients, sdf, sdf_to_mesh(sdf))


@pytest.fixture
def editor() -> WaveletEditor:
    runs = {"small": record(ball(0.4)), "large": record(ball(0.7))}
    return WaveletEditor(runs.__getitem__)


def test_no_edit_changes_nothing(editor: WaveletEditor) -> None:
    same = editor.comparison("small", Edit(), None)
    assert np.abs(same.change).max() < 1e-6


def test_muting_moves_the_surface_and_the_change_says_where(editor: WaveletEditor) -> None:
    muted = editor.comparison("small", Edit(muted=(1, 2)), None)
    assert len(muted.after.coefficients.coords) == 0
    assert np.abs(muted.change).max() > 1e-3
    # The change is the distance from a ball's surface, which is its radius.
    radius = np.linalg.norm(muted.after.mesh.vertices, axis=1)
    assert muted.change == pytest.approx(radius - 0.4, abs=0.01)
    assert "0 of" in muted.facts


def test_a_change_outwards_is_red_and_one_inwards_blue(editor: WaveletEditor) -> None:
    small, large = editor.run("small"), editor.run("large")
    for before, after, strong, weak in ((small, large, 0, 2), (large, small, 2, 0)):
        comparison = Comparison(before, after)
        measure = comparison.measure
        assert (measure.scale, -measure.low, measure.high) == ("diverging", comparison.limit, comparison.limit)
        colours = diverging(comparison.change, measure.high).astype(int)
        assert (colours[:, strong] > colours[:, weak] + 40).all()


def test_details_of_another_run_are_taken(editor: WaveletEditor) -> None:
    taken = editor.comparison("small", Edit(taken=(1, 2)), "large")
    large = editor.run("large").coefficients
    assert taken.after.coefficients.coords.shape == large.coords.shape
    assert np.array_equal(taken.after.coefficients.details_coarse, large.details_coarse)
    with pytest.raises(InputError, match="run whose details"):
        editor.comparison("small", Edit(taken=(1,)), None)


def test_comparisons_are_kept_and_edits_come_in_order(editor: WaveletEditor) -> None:
    edit = Edit(gains=band_gains((1.1, 0.5, 1.0), [1.0] * 14))
    assert editor.comparison("small", edit, None) is editor.comparison("small", edit, None)
    assert editor.comparison("small", edit, None).before is editor.run("small")
    # The threshold sees coefficients before their gain.
    none_left = Edit(gains=band_gains((1.0, 50.0, 50.0), [1.0] * 14), threshold=1.0)
    assert len(none_left.applied(ball(0.4)).coords) == 0
    with pytest.raises(InputError, match="15 bands"):
        Edit(gains=(1.0,)).applied(ball(0.4))


def test_an_edit_without_a_surface_says_so(editor: WaveletEditor) -> None:
    with pytest.raises(InputError, match="no surface"):
        editor.comparison("small", Edit(gains=(0.0,) * 15), None)


def test_a_triplane_run_is_refused() -> None:
    with pytest.raises(InputError, match="triplane run"):
        wavelet_coefficients(record(None, "triplane"))


def test_slices_share_a_scale_and_lie_the_right_way() -> None:
    coefficients = ball(0.4)
    # One coefficient at the +x, +y end of level 2 in the middle of z.
    coefficients.details_coarse[:] = 0.0
    coefficients.details_coarse[6, 7, 6, 4] = 0.5
    coefficients.details_coarse[6, 0, 1, 4] = -0.25
    band = Band(2, "ddd")
    (x, y, z), limit = slice_pictures(coefficients, band, (0.99, 0.6, 0.1))
    cell = z.shape[0] // 8
    assert z.shape == (256, 256, 3)
    at = lambda picture, row, column: picture[row * cell + 1, column * cell + 1].astype(int)  # noqa: E731
    red = at(z, 1, 7)  # y up: row 7 - 6; x to the right
    assert red[0] > red[2] + 100
    blue = at(z, 6, 0)
    assert blue[2] > blue[0]
    assert (at(z, 4, 4) == 233).all()  # zero is grey
    assert at(x, 1, 4)[0] > 150  # across x at its right end: z to the right, y up
    assert at(y, 4, 7)[0] > 150  # from above: x to the right, z down
    assert 0.25 < limit <= 0.5


def test_energies_are_bars_that_follow_the_edit() -> None:
    before = ball(0.4)
    after = Edit(muted=(1,)).applied(before)
    table = energy_html(before, after)
    assert table.count("<tr>") == 15
    assert table.count("wm-bar-after") == 15
    assert table.count('wm-bar-after" style="width:0.0%"') == 7
    assert 'wm-bar-before" style="width:100.0%"' in table
    assert energy_html(before).count("wm-bar-after") == 0


def test_the_strongest_sites_are_at_the_surface() -> None:
    points, strength = strongest_sites(ball(0.6))
    assert np.abs(np.linalg.norm(points, axis=1) - 0.6).max() < 0.35
    assert len(points) == len(strength) > 100


def test_decoding_is_done_once() -> None:
    decoded = Decoded(ball(0.5))
    assert decoded.mesh is decoded.mesh
    assert decoded.mesh.volume == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=0.02)


def test_an_edit_that_leaves_noise_is_refused_before_its_surface_is_built(
    editor: WaveletEditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wavemesh.ui.wavelets.content.MAX_VERTICES", 1000)
    with pytest.raises(InputError, match="up to 1,000 are made of one"):
        editor.comparison("large", Edit(), None)
