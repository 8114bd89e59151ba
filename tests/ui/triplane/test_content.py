"""What the tab Triplane does, on a triplane whose field is known: a ball written into the planes by hand."""

from __future__ import annotations

import pickle
import sys
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pywt
import torch

from wavemesh.errors import InputError
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.models.triplane_renderer import TriplaneRenderer
from wavemesh.pipelines.outputs import TriplaneArrays
from wavemesh.pipelines.record import RunRecord
from wavemesh.settings import TriplaneSettings
from wavemesh.ui.accelerator import Accelerator
from wavemesh.ui.triplane.content import (
    BAND_NAMES,
    Gains,
    TriplaneEditor,
    band_arrays,
    edited_planes,
    plane_pictures,
)
from wavemesh.ui.triplane.decoder import PlaneDecoder

CHANNELS, SIDE = 4, 8


def bands(seed: int = 0) -> TriplaneArrays:
    random = np.random.default_rng(seed)
    ll = random.normal(size=(3, CHANNELS, SIDE, SIDE)).astype(np.float32)
    details = random.normal(size=(3, 3, CHANNELS, SIDE, SIDE)).astype(np.float32)
    return TriplaneArrays(ll, details)


def record(triplane: TriplaneArrays | None) -> RunRecord:
    axis = (np.arange(12) + 0.5) / 6 - 1
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    sdf = (np.sqrt(x**2 + y**2 + z**2) - 0.5).astype(np.float32)
    return RunRecord(TriplaneSettings(), [], [], [], [], None, sdf, sdf_to_mesh(sdf), triplane)


def small_renderer() -> TriplaneRenderer:
    torch.manual_seed(0)
    renderer = TriplaneRenderer(CHANNELS, 8).eval()
    with torch.no_grad():
        renderer.mlp[-1].weight.normal_(std=2.0)
        renderer.mlp[-1].bias[0] += 0.05
    return renderer


@pytest.fixture
def accelerator() -> Accelerator:
    return Accelerator()


@pytest.fixture
def editor(accelerator: Accelerator) -> TriplaneEditor:
    held, pipeline = record(bands()), SimpleNamespace(model=SimpleNamespace(renderer=small_renderer()))
    return TriplaneEditor(lambda folder: held, PlaneDecoder(lambda: pipeline, accelerator))


@pytest.mark.parametrize("values", [(1.0, 1.0, 1.0, 1.0), (1.0, 0.0, 0.0, 0.0), (0.5, 2.0, -1.0, 0.0)])
def test_gains_are_pywavelets(values: tuple[float, ...]) -> None:
    held = bands()
    found = edited_planes(held, Gains(*values)).numpy()
    ll, lh, hl, hh = values
    details = (held.details[:, 0] * lh, held.details[:, 1] * hl, held.details[:, 2] * hh)
    expected = pywt.idwt2((held.ll * ll, details), "haar", mode="periodization", axes=(-2, -1))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_bands_are_shown_with_their_gains() -> None:
    held, gains = bands(), Gains(2.0, 3.0, 4.0, 5.0)
    assert np.array_equal(band_arrays(held, gains, "LL"), held.ll * 2.0)
    for index, name in enumerate(BAND_NAMES[1:]):
        assert np.array_equal(band_arrays(held, gains, name), held.details[:, index] * (3.0 + index))
    assert band_arrays(held, gains, "full").shape == (3, CHANNELS, 2 * SIDE, 2 * SIDE)
    with pytest.raises(InputError, match="LX"):
        band_arrays(held, gains, "LX")


def test_one_channel_is_drawn_upright_on_one_scale() -> None:
    planes = np.zeros((3, CHANNELS, SIDE, SIDE), dtype=np.float32)
    planes[0, 2, 7, 1] = 1.0  # second axis at its end, first near its beginning
    planes[1, 2, 0, 0] = -1.0
    (first, second, third), limit = plane_pictures(planes, 2)
    cell = len(first) // SIDE
    assert first[1, cell + 1, 0] > first[1, cell + 1, 2] + 50
    assert second[-2, 1, 2] > second[-2, 1, 0] + 50
    assert (third == 233).all()
    assert limit is not None
    with pytest.raises(InputError, match="not 4"):
        plane_pictures(planes, 4)


def test_components_tell_places_apart_that_differ_and_agree_across_planes() -> None:
    planes = np.zeros((3, CHANNELS, SIDE, SIDE), dtype=np.float32)
    planes[:, 0, :, :3] = 1.0
    planes[:, 1, :2, 3:] = 0.7
    pictures, limit = plane_pictures(planes, None)
    assert limit is None
    assert np.array_equal(pictures[0], pictures[1])
    assert len(np.unique(pictures[0].reshape(-1, 3), axis=0)) == 3


def test_renders_change_with_gains_and_camera(editor: TriplaneEditor) -> None:
    gains = Gains()
    picture = editor.picture("run", gains, 30, 20, 16)
    assert picture.shape == (16, 16, 4)
    assert (picture[..., 3] > 0).mean() > 0
    assert picture is editor.picture("run", gains, 30, 20, 16)
    smooth = editor.picture("run", Gains(1.0, 0.0, 0.0, 0.0), 30, 20, 16)
    behind = editor.picture("run", gains, 210, 20, 16)
    assert not np.array_equal(picture, smooth)
    assert not np.array_equal(picture, behind)


def test_the_edited_planes_have_a_coloured_surface(editor: TriplaneEditor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wavemesh.ui.triplane.content.MESH_RESOLUTION", 16)
    mesh = editor.mesh("run", Gains())
    assert len(mesh.faces) > 20
    assert mesh.visual.kind == "vertex"
    assert len(np.unique(np.asarray(mesh.visual.vertex_colors), axis=0)) > 10


def test_decoding_waits_for_its_turn_at_the_accelerator(
    editor: TriplaneEditor, accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    gains, pictures = Gains(), []
    monkeypatch.setattr("wavemesh.ui.accelerator.MAX_WAIT_S", 0.05)
    monkeypatch.setattr("wavemesh.ui.triplane.content.MESH_RESOLUTION", 16)
    with accelerator.turn() as waiting:
        assert list(waiting) == []
        with pytest.raises(InputError, match="busy with other runs"):
            editor.picture("run", gains, 30, 20, 16)
        with pytest.raises(InputError, match="busy with other runs"):
            editor.mesh("run", gains)
        monkeypatch.setattr("wavemesh.ui.accelerator.MAX_WAIT_S", 60.0)
        late = threading.Thread(target=lambda: pictures.append(editor.picture("run", gains, 30, 20, 16)))
        late.start()
        late.join(0.3)
        assert late.is_alive()
    late.join(30)
    assert len(pictures) == 1
    # What was drawn before is shown again at once, whoever is at work.
    with accelerator.turn() as waiting:
        assert list(waiting) == []
        assert editor.picture("run", gains, 30, 20, 16) is pictures[0]


def test_decoding_gets_a_gpu_where_one_is_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    lent: list[str] = []

    def lend(duration: int) -> Any:
        def decorate(function: Any) -> Any:
            def called(*arguments: Any) -> Any:
                lent.append(function.func.__name__)
                # Hugging Face sends arguments and results to another process and back.
                return pickle.loads(pickle.dumps(function(*pickle.loads(pickle.dumps(arguments)))))

            return called

        return decorate

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=lend))
    monkeypatch.setattr("wavemesh.ui.triplane.content.MESH_RESOLUTION", 16)
    held, pipeline = record(bands()), SimpleNamespace(model=SimpleNamespace(renderer=small_renderer()))
    editor = TriplaneEditor(lambda folder: held, PlaneDecoder(lambda: pipeline, Accelerator()))
    assert editor.picture("run", Gains(), 30, 20, 16).shape == (16, 16, 4)
    assert len(editor.mesh("run", Gains()).faces) > 20
    assert lent == ["_volume", "_surface"]


def test_what_cannot_be_shown_is_said() -> None:
    held = record(None)
    empty = TriplaneEditor(lambda folder: held, PlaneDecoder(lambda: None, Accelerator()))
    with pytest.raises(InputError, match="no triplane"):
        empty.bands("run")
    with pytest.raises(InputError, match="11"):
        Gains(ll=11.0)
    with pytest.raises(InputError, match="nan"):
        Gains(1.0, float("nan"), 1.0, 1.0)
