"""The controls of a run, made from the declarations in `wavemesh.settings`: a setting that is added there appears here.

Every setting has one control, whichever methods have it; those of the chosen method are seen.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from wavemesh.errors import InputError
from wavemesh.settings import METHODS, Setting, Settings, declared
from wavemesh.ui.generate.content import agreeing_preset, chosen_settings, estimate_line, preset_values
from wavemesh.ui.generate.presets import presets
from wavemesh.ui.progress import estimate_text
from wavemesh.ui.studio import Studio
from wavemesh.ui.widgets.events import PRIVATE, Updates, Values

# What lies side by side among the advanced settings; those that are not named here come below them.
_ROWS = (("coarse_steps", "detail_steps", "steps"), ("guidance_scale", "sampler"))
_AT_ONCE: dict[str, Any] = {**PRIVATE, "queue": False}


@dataclass(frozen=True)
class Controls:
    """The controls of a run. shipped: what each method's weights came with. settings: by field name.

    variants: how many runs are made, each with another seed.
    """

    shipped: Mapping[str, Settings]
    method: gr.Dropdown
    preset: gr.Radio
    settings: dict[str, Any]
    estimate: gr.HTML
    variants: gr.Radio

    @property
    def inputs(self) -> set[Any]:
        """What `chosen` needs the values of, and the variants."""
        return {self.method, self.variants, *self.settings.values()}

    @property
    def outputs(self) -> set[Any]:
        """What `showing` changes."""
        return {self.method, self.preset, *self.settings.values()}

    def values(self, given: Values) -> dict[str, Any]:
        """The values of the settings' controls by field name."""
        return {name: given[control] for name, control in self.settings.items()}

    def chosen(self, given: Values) -> Settings:
        """What the controls say; raises InputError for values out of range."""
        return chosen_settings(given[self.method], self.values(given))

    def showing(self, settings: Settings) -> Updates:
        """The controls with these settings, as they were shipped where the page cannot show them."""
        shipped = self.shipped.get(settings.method)
        if shipped is None:
            return {}
        try:
            settings.check_visitor()
        except InputError:
            settings = shipped
        values = {name: getattr(settings, name, None) for name in self.settings}
        return {
            **self.of_method(settings.method),
            self.method: gr.update(value=settings.method, info=settings.note),
            **{
                self.settings[name]: gr.update(value=value, visible=True)
                for name, value in values.items()
                if value is not None
            },
            self.preset: gr.update(choices=_preset_choices(shipped), value=agreeing_preset(shipped, values)),
        }

    def of_method(self, method: str) -> Updates:
        """The settings' controls, those seen that this method has."""
        has = declared(type(self.shipped[method]))
        return {control: gr.update(visible=name in has) for name, control in self.settings.items()}

    def moved_to(self, settings: Settings) -> Updates:
        """The controls that a preset with these settings moves, with their values."""
        return {self.settings[name]: value for name, value in preset_values(settings).items()}


def build_controls(studio: Studio) -> Controls:
    """The controls, at what the weights of the first method were shipped with."""
    first = studio.shipped[studio.methods[0]]
    known = _known(studio)
    settings: dict[str, Any] = {}

    def place(*names: str) -> None:
        for name in names:
            if name in known:
                settings[name] = _control(*known[name], visible=name in declared(type(first)))

    gr.HTML('<p class="wm-step">2. Quality</p>')
    with gr.Group():
        preset = _preset(first)
        with gr.Row(elem_classes="wm-seed"):
            place("seed")
            dice = gr.Button("⚄", elem_classes="wm-dice", elem_id="dice", min_width=46, scale=0)
    estimate = gr.HTML(_note(estimate_text(None)), elem_id="estimate-time")
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        method = _method(studio, first)
        variants = gr.Radio(
            [("1", 1), ("4", 4)], value=1, label="Variants", elem_id="variants",
            info="Four runs in one go, with this seed and the next three. The shipped weights make them differ little.",
        )  # fmt: skip
        for row in _ROWS:
            with gr.Row():
                place(*row)
        place(*(name for name in known if name not in settings))
    throw = f"() => Math.floor(Math.random() * {known['seed'][0].limit})"
    dice.click(None, outputs=settings["seed"], js=throw, api_visibility="private")
    controls = Controls(studio.shipped, method, preset, settings, estimate, variants)
    _wire(studio, controls)
    return controls


def estimate_time(studio: Studio, controls: Controls) -> Callable[[Values], str]:
    """A handler of the controls' values that says how long such a run will take."""
    return lambda given: _note(
        estimate_line(studio, given[controls.method], controls.values(given), given[controls.variants])
    )


def _wire(studio: Studio, controls: Controls) -> None:
    """Let the method choose which controls there are, presets set them, and every change tell the time."""
    method, preset = controls.method, controls.preset
    moved = {control for name, control in controls.settings.items() if _known(studio)[name][0].in_presets}

    def choose_method(chosen: str) -> Updates:
        shipped = studio.shipped[chosen]
        changes = controls.of_method(chosen)
        for control, value in controls.moved_to(shipped).items():
            changes[control]["value"] = value
        return {
            method: gr.update(info=shipped.note),
            preset: gr.update(choices=_preset_choices(shipped), value="balanced"),
            **changes,
        }

    def choose_preset(given: Values) -> Updates:
        found = presets(studio.shipped[given[method]]).get(given[preset] or "")
        if found is None:  # a click on the chosen preset takes the choice away, but not what it stands for
            return {preset: own_choice(given)}
        return {preset: given[preset], **controls.moved_to(found.settings)}

    def own_choice(given: Values) -> str | None:
        return agreeing_preset(studio.shipped[given[method]], controls.values(given))

    everything = {method, preset, *controls.settings.values()}
    method.input(choose_method, method, everything, **_AT_ONCE)
    preset.input(
        choose_preset,
        {preset, *controls.inputs},
        {preset, *moved},
        trigger_mode="always_last",  # answers of two clicks must not overtake each other
        **_AT_ONCE,
    )
    for control in moved:
        # A slider that is dragged says many numbers, and only the last one counts. What a number box tells while the
        # page is busy may get lost, so that the change is listened to as well.
        told = [control.input, control.change]
        gr.on(told, own_choice, controls.inputs, preset, trigger_mode="always_last", **_AT_ONCE)
    changes = [control.change for control in (method, controls.variants, *controls.settings.values())]
    tell = estimate_time(studio, controls)
    gr.on(changes, tell, controls.inputs, controls.estimate, trigger_mode="always_last", **_AT_ONCE)


def _known(studio: Studio) -> dict[str, tuple[Setting, Any]]:
    """Every setting of the page by field name: its declaration, and its value in the first method that has it."""
    found: dict[str, tuple[Setting, Any]] = {}
    for shipped in studio.shipped.values():
        for name, each in declared(type(shipped)).items():
            if each.on_page:
                found.setdefault(name, (each, getattr(shipped, name)))
    return found


def _method(studio: Studio, first: Settings) -> gr.Dropdown:
    return gr.Dropdown(
        [(METHODS[key].title, key) for key in studio.methods],
        value=first.method,
        label="Method",
        info=first.note,
        visible=len(studio.methods) > 1,
        filterable=False,
        elem_id="method",
    )


def _preset(first: Settings) -> gr.Radio:
    return gr.Radio(
        _preset_choices(first),
        value="balanced",
        label="Quality",
        info="Balanced is what the weights were tuned for. Watch takes many small steps, to see the shape form.",
        elem_id="preset",
    )


def _preset_choices(shipped: Settings) -> list[tuple[str, str]]:
    return [(preset.title, key) for key, preset in presets(shipped).items()]


def _control(each: Setting, value: Any, visible: bool) -> Any:
    """The control of a setting: a slider where it has one, a choice where it has a few values, else a number."""
    shared: dict[str, Any] = {"label": each.label, "info": each.help, "visible": visible, "min_width": 130}
    shared["elem_id"] = each.option.replace("_", "-")
    offered = each.offered or each.choices
    if each.slider is not None:
        lowest, highest, step = each.slider
        return gr.Slider(lowest, highest, value, step=step, **shared)
    if offered is None:
        most = each.maximum if each.limit is None else each.limit
        precision = 0 if each.kind is int else None
        return gr.Number(value, precision=precision, minimum=each.minimum, maximum=most, **shared)
    choices = [(title, choice) for choice, title in offered.items()]
    if each.kind is str:
        return gr.Dropdown(choices, value=value, filterable=False, **shared)
    return gr.Radio(choices, value=value, **shared)


def _note(words: str) -> str:
    return f'<p class="wm-note">{html.escape(words)}</p>'
