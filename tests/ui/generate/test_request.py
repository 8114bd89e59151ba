"""What a program asks for: arguments made from the declared settings, and the settings that they mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.settings import METHODS, Settings, TriplaneSettings, WaveMeshSettings, setting
from wavemesh.ui.generate.request import chosen_settings, requested_job, run_options

SHIPPED: dict[str, Settings] = {
    "wavemesh": WaveMeshSettings(coarse_steps=3, frames=2).filled(),
    "triplane": TriplaneSettings(steps=2).filled(),
}


def arguments(**changes: Any) -> dict[str, Any]:
    """What a program sends that leaves all else as it is."""
    return {name: option.default for name, option in run_options(SHIPPED).items()} | changes


def test_arguments_left_out_are_what_the_weights_were_shipped_with() -> None:
    assert chosen_settings(arguments()).filled() == SHIPPED["wavemesh"]


def test_steps_of_a_method_with_one_stage() -> None:
    counts = [chosen_settings(arguments(method="triplane", **given)).steps for given in ({}, {"coarse_steps": 7})]
    assert counts == [3, 7]
    assert chosen_settings(arguments(method="triplane", coarse_steps=7, steps=5)).steps == 5


def test_steps_of_every_stage_take_the_place_of_the_others() -> None:
    assert chosen_settings(arguments(coarse_steps=7, steps=5)).stage_steps() == {"coarse": 5, "detail": 5}


def test_what_another_method_has_is_not_looked_at() -> None:
    asked = chosen_settings(arguments(method="triplane", resolution=64, frames=3, guidance=2.5))
    assert asked == TriplaneSettings(guidance_scale=2.5, sampler="ddim", steps=3)
    assert asked.colours == "mixed"


@pytest.mark.parametrize(
    "given, said",
    [
        ({"coarse_steps": 51}, "between 1 and 50, not 51"),
        ({"coarse_steps": 0}, "between 1 and 50, not 0"),
        ({"seed": 2.5}, "a whole number between 0 and 2147483647, not 2.5"),
        ({"sampler": ["ddim"]}, "one of ddim, dpmpp_2m, ddpm, not"),
        ({"method": []}, "There is no method"),
    ],
)
def test_what_a_visitor_may_not_ask_for(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        chosen_settings(arguments(**given))


def test_a_new_setting_is_an_argument_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class MoreSettings(WaveMeshSettings):
        smoothing: float = setting(0.5, "Smoothing", "Evens the surface.", option="smooth", minimum=0, maximum=1)

    before = list(run_options(SHIPPED))
    monkeypatch.setitem(METHODS, "wavemesh", MoreSettings)
    options = run_options({"wavemesh": MoreSettings().filled()})
    assert list(options)[:9] == before[:9]
    assert options["smooth"] == (float, 0.5, "Smoothing, 0 to 1. Evens the surface.")
    given = {name: option.default for name, option in options.items()} | {"smooth": 0.25}
    assert chosen_settings(given).smoothing == 0.25


def test_masks_of_a_program_say_what_the_object_is(pictures: list[Path], tmp_path: Path) -> None:
    mask = np.zeros((96, 96), dtype=np.uint8)
    mask[30:60, 20:50] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    paths = [str(path) for path in pictures[:2]]
    job = requested_job(paths, [], arguments(), [None, str(tmp_path / "mask.png")])
    assert np.array_equal(np.asarray(job.views[1][0])[..., 3], mask)
    assert job.cut_by == ("alpha", "mask")
    with pytest.raises(InputError, match="one entry for each of the 2 pictures, not 1"):
        requested_job(paths, [], arguments(), [None])
    Image.new("L", (200, 50), 255).save(tmp_path / "wide.png")
    with pytest.raises(InputError, match=r"mask of disc 0\.png .* does not fit"):
        requested_job(paths, [], arguments(), [str(tmp_path / "wide.png"), None])


def test_pictures_go_as_they_are_to_cameras_that_are_known(pictures: list[Path]) -> None:
    job = requested_job([str(path) for path in pictures[:2]], [{"azimuth_deg": 50}, None], arguments())
    assert [camera for _, camera in job.views] == [Camera(50.0), None]
    assert job.settings.background == "none"  # it is cut away already
    assert (np.asarray(job.views[1][0])[..., 3] == 0).any()
    sided = requested_job([str(path) for path in pictures[:2]], [], arguments(sides=("top", None)))
    assert sided.sides == ("top", None)
    assert sided.front_deg is None
    with pytest.raises(InputError, match="At most 8 pictures can be used, not 9"):
        requested_job([""] * 9, [], arguments())
