"""How the controls of the tab "Generate" move each other: method, presets, and the estimate of the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from wavemesh.errors import InputError
from wavemesh.ui.generate.layout import Choices, Settings, preset_choices
from wavemesh.ui.methods import METHODS
from wavemesh.ui.pictures import Number
from wavemesh.ui.progress import estimate_text
from wavemesh.ui.runner import FULL_RESOLUTION, passes, stage_steps
from wavemesh.ui.studio import Studio, checked_steps


def estimator(studio: Studio) -> Callable[..., str]:
    """A function of the settings that says how long such a run will take."""

    def estimate(*settings: Any) -> str:
        coarse, detail, guidance, _, _, method, resolution, _, turns = settings
        try:
            steps = stage_steps(method, checked_steps(method, coarse, detail), resolution)
            seconds = studio.estimate(steps, passes(method, float(guidance or 1.0), turns or 1))
            return f'<p class="wm-note">{estimate_text(seconds)}</p>'
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
            defaults.turns,
            gr.update(visible=both),
        ]

    def choose_preset(method: str, name: str | None, *now: Number) -> list[Any]:
        preset = defaults.presets(method).get(name or "")
        if preset is None:  # a click on the chosen preset takes the choice away, but not what it stands for
            return [own_choice(method, *now), *[gr.skip()] * len(moved)]
        first, *second = preset.steps
        values = [first, second[0] if second else None, preset.resolution, preset.turns]
        return [name, *(gr.skip() if value is None else value for value in values)]

    def own_choice(method: str, coarse: Number, detail: Number, resolution: Number, turns: Number) -> str | None:
        """The preset that the controls happen to agree with, none for values of one's own."""
        for name, preset in defaults.presets(method).items():
            agrees = preset.steps == (coarse, detail)[: len(preset.steps)]
            if agrees and preset.resolution in (None, resolution) and preset.turns in (None, turns):
                return name
        return None

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    moved = [settings.coarse_steps, settings.detail_steps, settings.resolution, settings.turns]
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
