"""The five figures of the quick reference: what they show of a ball made by hand, and that they can be written."""

import numpy as np
import pytest
import pywt
from PIL import Image

from tests.models.triplane_ball import RADIUS, ball_renderer, ball_triplane
from wavemesh.errors import InputError
from wavemesh.evaluation.figures import save_figure
from wavemesh.evaluation.triplane_figures import TRIPLANE_FIGURES
from wavemesh.evaluation.triplane_panels import (
    ChannelColours,
    TriplanePanels,
    radial_spectrum,
    triplane_panels,
    upright,
)
from wavemesh.geometry.camera import Camera
from wavemesh.models.wavelet_triplane import TriplaneConfig, WaveletTriplaneDiffusion

BALL = TriplaneConfig(triplane_channels=1, resolution=16, image_size=16, width=8, hidden_dim=2, time_embed_dim=8)


@pytest.fixture(scope="module")
def panels() -> TriplanePanels:
    model = WaveletTriplaneDiffusion(config=BALL).eval()
    model.renderer = ball_renderer()
    picture = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    return triplane_panels(model, ball_triplane(32)[0].numpy(), picture, Camera(30.0, 20.0), size=32)


def test_the_panels_hold_the_bands_of_the_triplane(panels: TriplanePanels) -> None:
    for plane in range(3):
        ll, (lh, hl, hh) = pywt.dwt2(panels.highres[plane, 0], "haar")
        for ours, theirs in ((panels.ll[plane, 0], ll), *zip(panels.details[plane, :, 0], (lh, hl, hh), strict=True)):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(panels.lowpass + panels.highpass, panels.highres, atol=1e-6)
    # The low part is constant on 2 x 2 cells, and the high part has no mean there.
    np.testing.assert_allclose(panels.lowpass[..., ::2, ::2], panels.lowpass[..., 1::2, 1::2], atol=1e-6)
    assert panels.channel == 0
    for rendering in (panels.whole, panels.coarse):
        assert rendering.mesh is not None
        np.testing.assert_allclose(np.linalg.norm(rendering.mesh.vertices, axis=1), RADIUS, atol=0.08)
        assert np.isfinite(rendering.depth[16, 16])
        assert (rendering.colour[0, 0] == 1.0).all()


def test_planes_are_turned_so_that_up_is_up() -> None:
    # One cell is marked at x = 1, y = 2, z = 3 of 4; rows of XY are y, of XZ and YZ z.
    planes = np.zeros((3, 4, 4))
    planes[0, 2, 1] = planes[1, 3, 1] = planes[2, 3, 2] = 1.0
    places = [tuple(int(i) for i in np.argwhere(plane)[0]) for plane in upright(planes)]
    assert places == [(2, 1), (0, 1), (2, 3)]  # (row from below, column): (y, x), (downwards z, x), (y, z)


def test_colours_are_principal_components_on_one_scale() -> None:
    rng = np.random.default_rng(1)
    sources = rng.normal(size=(3, 3, 20, 20)) * np.array([3.0, 2.0, 1.0])[None, :, None, None]
    mixing, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    planes = np.einsum("kc,pchw->pkhw", mixing[:, :3], sources) + 7.0
    colours = ChannelColours(planes)(planes)
    for component in range(3):
        relation = np.corrcoef(colours[..., component].ravel(), sources[:, component].ravel())[0, 1]
        assert abs(relation) > 0.95
    assert colours.min() == 0.0
    assert colours.max() == 1.0
    single = ChannelColours(planes[:, :1])(planes[:, :1])
    assert (single[..., 1:] == 0.5).all()
    with pytest.raises(InputError, match="5 channels, not 4"):
        ChannelColours(planes)(planes[:, :4])


def test_a_wave_has_its_power_at_its_frequency() -> None:
    wave = np.cos(2.0 * np.pi * 5 * np.arange(32) / 32)[None].repeat(32, axis=0)
    frequency, power = radial_spectrum(wave)
    assert frequency[power.argmax()] == pytest.approx(5 / 32)
    assert power[power.argmax()] > 1e6 * np.delete(power, power.argmax()).max()


@pytest.mark.parametrize("name", list(TRIPLANE_FIGURES))
def test_every_figure_is_labelled_and_can_be_written(name: str, panels: TriplanePanels, tmp_path) -> None:
    figure = TRIPLANE_FIGURES[name](panels)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    expected = {
        "wavelet_decomposition": ["LH, horizontal", "HL, vertical", "HH, diagonal"] * 2,
        "triplane_structure": [f"{part} {plane}" for part in ("LL", "Whole") for plane in ("XY", "XZ", "YZ")],
        "pipeline_outputs": ["input_images", "triplane_LL", "triplane_details", "triplane_highres", "rendered_image"],
        "frequency_separation": ["LL alone", "Details alone", "What the details change", "Spectrum"],
        "resolution_comparison": ["plane XY, 16²", "plane XY, 32²", "LL: rendered", "Whole: mesh"],
    }[name]
    for title in expected:
        assert any(title in shown for shown in titles), (title, titles)
    with Image.open(save_figure(figure, tmp_path / f"{name}.png", dpi=30)) as picture:
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 50


def test_panels_of_one_kind_share_a_scale(panels: TriplanePanels) -> None:
    figure = TRIPLANE_FIGURES["wavelet_decomposition"](panels)
    scales: dict[str, set[tuple[float, float]]] = {}
    for axes in figure.axes:
        for image in axes.images:
            scales.setdefault(axes.get_title().split("\n")[0].split(",")[0], set()).add(image.get_clim())
    assert scales["LH"] == scales["HL"] == scales["HH"]
    assert all(low == -high for low, high in scales["LH"])
