"""Colours of first surfaces as channels: exact on a painted box, whole after filling, and their bands PyWavelets'."""

import numpy as np
import pytest
import pywt
import torch

from wavemesh.data.colours import colour_volume
from wavemesh.models.colour_planes import COLOURS, colour_bands, colour_channels, colour_planes, fill_outwards
from wavemesh.models.projection import grid_points

M = 32
HALF = torch.tensor([0.3, 0.5, 0.7])
# Of the faces at the lower and upper end of the axes x, y, z.
FACES = torch.tensor([[[0.9, 0.1, 0.2], [0.2, 0.8, 0.1]], [[0.1, 0.3, 0.9], [0.8, 0.8, 0.1]], [[0.5] * 3, [0.1] * 3]])

FACE_AXES = ((0, 1), (0, 2), (1, 2))  # along the columns and rows of XY, XZ, YZ


def painted_box(points_a_face: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances of a box, and the volume of its faces' colours seen at random points."""
    sdf = (grid_points(M).abs() - HALF).amax(dim=-1).view(1, M, M, M)
    generator = torch.Generator().manual_seed(0)
    points, colours = [], []
    for axis in range(3):
        for end in range(2):
            drawn = (2.0 * torch.rand(points_a_face, 3, generator=generator) - 1.0) * HALF
            drawn[:, axis] = HALF[axis] * (2.0 * end - 1.0)
            points.append(drawn)
            colours.append(FACES[axis, end].expand(points_a_face, 3))
    return sdf, colour_volume(torch.cat(points)[None], torch.cat(colours)[None], M)


@pytest.mark.parametrize("points_a_face", [20_000, 40])
def test_planes_show_the_faces_that_look_at_them(points_a_face: int) -> None:
    """Few points: most cells have no colour of their own and take that of a coarser one."""
    maps = colour_planes(*painted_box(points_a_face))
    assert maps.shape == (1, 3, COLOURS, M, M)
    for plane, axis in enumerate((2, 1, 0)):
        for side in range(2):
            wanted = (2.0 * FACES[axis, side] - 1.0)[:, None, None]
            shown = maps[0, plane, 3 * side : 3 * side + 3]
            column, row = (int(0.5 * M * (1.0 - half)) for half in (HALF[across] for across in FACE_AXES[plane]))
            # Cells at the edges of the box hold two faces' points, and what is filled around it begins from them.
            face = shown[:, row + 2 : M - row - 2, column + 2 : M - column - 2]
            if points_a_face > 1000:
                torch.testing.assert_close(face, wanted.expand_as(face), atol=1e-5, rtol=0)
            else:
                assert float((face - wanted).abs().mean()) < 0.3


def test_a_shape_without_colours_is_grey() -> None:
    sdf, volume = painted_box(10)
    assert bool((colour_planes(sdf, torch.zeros_like(volume)) == 0).all())


def test_filling_keeps_what_is_known_and_spreads_it() -> None:
    generator = torch.Generator().manual_seed(1)
    colours = torch.rand(2, 3, 2, 3, 12, 12, generator=generator)
    known = (torch.rand(2, 3, 2, 1, 12, 12, generator=generator) < 0.3).float()
    known[1, 2, 1] = 0.0  # a side of which nothing is known
    filled = fill_outwards(colours * known, known)
    kept = known.expand_as(colours) == 1
    torch.testing.assert_close(filled[kept], colours[kept])
    for side in range(2):
        for channel in range(3):
            seen = colours[0, 0, side, channel][known[0, 0, side, 0] == 1]
            shown = filled[0, 0, side, channel]
            assert float(seen.min()) - 1e-5 <= float(shown.min()) <= float(shown.max()) <= float(seen.max()) + 1e-5
    unknown = filled[1, 2, 1]
    assert float(unknown.std(dim=(1, 2)).max()) < 1e-5
    assert 0.2 < float(unknown.mean()) < 0.8


def test_one_known_place_fills_its_whole_picture() -> None:
    colours, known = torch.zeros(1, 3, 2, 3, 8, 8), torch.zeros(1, 3, 2, 1, 8, 8)
    colours[0, 1, 0, :, 2, 5] = torch.tensor([0.2, -0.4, 0.6])
    known[0, 1, 0, 0, 2, 5] = 1.0
    filled = fill_outwards(colours, known)
    wanted = torch.tensor([0.2, -0.4, 0.6])[:, None, None].expand(3, 8, 8)
    torch.testing.assert_close(filled[0, 1, 0], wanted)
    torch.testing.assert_close(filled[0, 2, 1], wanted)  # the object's mean


def test_bands_are_those_of_pywavelets_in_the_first_channels() -> None:
    maps = torch.randn(2, 3, COLOURS, 8, 8)
    bands = colour_bands(maps, 9)
    assert bands.ll.shape == (2, 3, 9, 4, 4)
    assert bands.details.shape == (2, 3, 27, 4, 4)
    details = bands.details.unflatten(2, (3, 9))
    for channel in range(COLOURS):
        ll, found = pywt.dwt2(maps[1, 2, channel].numpy(), "haar")
        np.testing.assert_allclose(bands.ll[1, 2, channel].numpy(), ll, atol=1e-5)
        for band in range(3):
            np.testing.assert_allclose(details[1, 2, band, channel].numpy(), found[band], atol=1e-5)
    assert bool((bands.ll[:, :, COLOURS:] == 0).all())
    assert bool((details[:, :, :, COLOURS:] == 0).all())
    torch.testing.assert_close(bands.triplane()[:, :, :COLOURS], maps)


def test_small_triplanes_have_no_colours() -> None:
    assert [colour_channels(count) for count in (1, 7, 8, 16)] == [0, 0, COLOURS, COLOURS]
    bands = colour_bands(torch.randn(1, 3, COLOURS, 8, 8), 4)
    assert bands.ll.shape == (1, 3, 4, 4, 4)
    assert not bool(bands.ll.any() or bands.details.any())
