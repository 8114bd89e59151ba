"""How the controls of the tab "Generate" move each other: method, presets, and the estimate of the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from wavemesh.errors import InputError
from wavemesh.ui.generate_layout import Choices, Settings, preset_choices
from wavemesh.ui.generation import FULL_RESOLUTION, stage_steps
from wavemesh.ui.handlers import Studio, checked_steps
from wavemesh.ui.methods import METHODS, presets
from wavemesh.ui.pictures import Number
from wavemesh.ui.progress import estimate_text


def estimator(studio: Studio) -> Callable[..., str]:
    """A function of the settings that says how long such a run will take."""

    def estimate(*settings: Any) -> str:
        coarse, detail, guidance, _, _, method, resolution, _ = settings
        try:
            steps = stage_steps(method, checked_steps(method, coarse, detail), resolution)
            return f'<p class="wm-note">{estimate_text(studio.estimate(steps, float(guidance or 1.0)))}</p>'
        except InputError as error:
            return f'<p class="wm-note">{error}</p>'

    return estimate


def wire_choices(studio: Studio, settings: Settings, choices: Choices) -> None:
    """Let the method choose which controls there are, presets set them, and every change tell the time."""
    defaults = studio.defaults

    def choose_method(method: str) -> list[Any]:
        both = len(METHODS[method].stages) == 2
        steps = defaults.steps(method)
        return [
            gr.update(info=METHODS[method].note),
            gr.update(choices=preset_choices(method, defaults), value="balanced"),
            gr.update(value=steps[0], label="Coarse steps" if both else "Steps"),
            gr.update(value=steps[-1], visible=both),
            FULL_RESOLUTION,
            gr.update(visible=both),
        ]

    def choose_preset(method: str, name: str | None, *now: Number) -> list[Any]:
        preset = presets(method, defaults.steps(method)).get(name or "")
        if preset is None:  # a click on the chosen preset takes the choice away, but not what it stands for
            return [own_choice(method, *now), *[gr.skip()] * 3]
        resolution = gr.skip() if preset.resolution is None else preset.resolution
        return [name, preset.steps[0], gr.skip() if len(preset.steps) == 1 else preset.steps[1], resolution]

    def own_choice(method: str, coarse: Number, detail: Number, resolution: Number) -> str | None:
        """The preset that the controls happen to agree with, none for values of one's own."""
        for name, preset in presets(method, defaults.steps(method)).items():
            agrees = preset.steps == (coarse, detail)[: len(preset.steps)]
            if agrees and preset.resolution in (None, resolution):
                return name
        return None

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    moved = [settings.coarse_steps, settings.detail_steps, settings.resolution]
    settings.method.input(
        choose_method,
        settings.method,
        [settings.method, choices.preset, *moved, choices.lattice],
        **private,
    )
    choices.preset.input(
        choose_preset,
        [settings.method, choices.preset, *moved],
        [choices.preset, *moved],
        trigger_mode="always_last",  # answers of two clicks must not overtake each other
        **private,
    )
    for control in moved:
        control.input(own_choice, [settings.method, *moved], choices.preset, **private)
    changes = [control.change for control in (*moved, settings.guidance, settings.method)]
    gr.on(changes, estimator(studio), list(settings), choices.estimate, trigger_mode="always_last", **private)
