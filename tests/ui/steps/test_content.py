"""Recorded steps: what the scrubber shows comes from the record, and the model is not asked again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.ui.conftest import sphere_sdf
from wavemesh.errors import InputError
from wavemesh.settings import WaveMeshSettings
from wavemesh.ui.generate.content import add_pictures, make_job
from wavemesh.ui.steps.content import (
    facts_html,
    guidance_strengths,
    slices,
    slices_html,
    step_facts,
    step_mesh,
    step_picture,
)
from wavemesh.ui.studio import Studio

SETTINGS = WaveMeshSettings(coarse_steps=3, detail_steps=2, guidance_scale=2.0, seed=1)


@pytest.fixture
def folder(studio: Studio, pictures: list[Path]) -> str:
    """The folder of a finished run, guided."""
    held, _ = add_pictures([], pictures[:1])
    result = list(studio.generate(make_job(held, True, SETTINGS), "session"))[-1].result
    assert result is not None
    return result.folder


def test_every_step_is_there_without_the_model(studio: Studio, folder: str, pipeline: Any) -> None:
    record = studio.record(folder)
    assert len(pipeline.calls) == 1
    assert [step_facts(record, index)["stage"] for index in range(5)] == ["coarse"] * 3 + ["detail"] * 2
    sizes = [step_mesh(record, index).extents.mean() for index in range(5)]
    assert sizes == sorted(sizes)  # the fake's spheres grow
    pictures = [step_picture(record, index, 64) for index in range(5)]
    shares = [float((picture[..., 3] > 0).mean()) for picture in pictures if picture is not None]
    assert len(shares) == 5
    assert shares == sorted(shares)
    assert len(pipeline.calls) == 1


def test_guidance_strength_is_what_guidance_added_over_its_gain(studio: Studio, folder: str) -> None:
    # The fake reports 0.5 at scale 2: the difference itself; details are not guided.
    assert guidance_strengths(studio.record(folder)) == [0.5, 0.5, 0.5, None, None]
    html = facts_html(studio.record(folder), 1)
    assert "<dd>0.5</dd>" in html
    assert "Coarse stage, step 2 of 3" in html


def test_the_field_slice_is_the_field(studio: Studio, folder: str) -> None:
    record = studio.record(folder)
    (_, [(name, picture)]), *levels = slices(record, 4, "y", 0.0)
    assert name == "field"
    assert picture.shape == (24, 24, 3)
    inside = sphere_sdf(0.7)[:, 12, :].T < 0
    blue = picture[..., 2].astype(int) > picture[..., 0]
    assert (inside == blue).mean() > 0.99
    assert [len(pictures) for _, pictures in levels] == [7, 7]
    assert [len(pictures) for _, pictures in slices(record, 0, "x", 0.5)] == [1, 7]  # no fine details yet
    assert slices_html(record, 4, "z", -0.2).count("<img") == 15


def test_what_there_is_not_is_said(studio: Studio, folder: str, tmp_path: Path) -> None:
    record = studio.record(folder)
    with pytest.raises(InputError, match="steps 1 to 5, not 6"):
        step_facts(record, 5)
    with pytest.raises(InputError, match="'w'"):
        slices(record, 0, "w", 0.0)
    with pytest.raises(InputError, match=r"not 1\.5"):
        slices(record, 0, "x", 1.5)
    for other in (str(tmp_path), f"{folder}/..", f"{folder}/../../..", "/etc", ""):
        with pytest.raises(InputError, match="no longer kept"):
            studio.record(other)


def test_records_are_kept_in_memory(studio: Studio, folder: str) -> None:
    assert studio.record(folder) is studio.record(folder)
