"""The controls come from the declarations: a setting that is added there is on the page and reaches the run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from wavemesh.settings import METHODS, Settings, TriplaneSettings, WaveMeshSettings, declared, setting
from wavemesh.ui.generate.controls import Controls, build_controls
from wavemesh.ui.generate.presets import presets
from wavemesh.ui.studio import Studio

pytestmark = pytest.mark.usefixtures("gradio_without_loops")


@dataclass(frozen=True)
class WithSmoothing(WaveMeshSettings):
    """A method with one more setting."""

    smoothing: float = setting(0.5, "Smoothing", "A setting of this test.", minimum=0, slider=(0.0, 1.0, 0.1))


def controls_over(folder: Path, *shipped: Settings) -> Controls:
    """The controls of a page with these methods."""
    methods = {settings.method: settings.filled() for settings in shipped}
    with gr.Blocks():
        return build_controls(Studio(dict.fromkeys(methods, lambda: None), folder, folder / "none", methods))


def values_of(controls: Controls, **changes: Any) -> dict[Any, Any]:
    """What the page sends: the values that the controls stand at, and changes by field name."""
    standing = {component: component.value for component in controls.inputs}
    return standing | {controls.settings[name]: value for name, value in changes.items()}


def test_a_new_setting_is_on_the_page_and_reaches_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "wavemesh", WithSmoothing)
    controls = controls_over(tmp_path, WithSmoothing())
    control = controls.settings["smoothing"]
    assert isinstance(control, gr.Slider)
    assert (control.label, control.info, control.value, control.maximum) == (
        "Smoothing", "A setting of this test.", 0.5, 1.0,
    )  # fmt: skip
    assert controls.chosen(values_of(controls, smoothing=0.9, seed=4)) == replace(
        WithSmoothing().filled(), smoothing=0.9, seed=4, colours="views", background="auto"
    )
    fast = presets(WithSmoothing().filled())["fast"].settings
    assert control not in controls.moved_to(fast), "a preset leaves it as it is"


def test_every_setting_of_every_method_has_one_control_at_what_was_shipped(tmp_path: Path) -> None:
    shipped = (WaveMeshSettings(coarse_steps=7, frames=2), TriplaneSettings(steps=3))
    controls = controls_over(tmp_path, *shipped)
    for settings in shipped:
        names = [name for name, each in declared(type(settings)).items() if each.on_page]
        assert set(names) <= set(controls.settings)
        chosen = controls.chosen({**values_of(controls), controls.method: settings.method})
        assert chosen == settings.filled()
    seen = {name for name, control in controls.settings.items() if control.visible}
    assert seen == {name for name, each in declared(WaveMeshSettings).items() if each.on_page}
    ids = [control.elem_id for control in controls.settings.values()]
    assert {"coarse-steps", "detail-steps", "guidance", "seed", "frames", "threshold"} <= set(ids)
    assert len(ids) == len(set(ids))
