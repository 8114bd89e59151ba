"""The components of the tab "Generate": what is on the page and how it looks; `generate_tab` makes them act."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from wavemesh.geometry.export import MESH_SUFFIXES
from wavemesh.geometry.untrusted import MESH_INPUT_SUFFIXES
from wavemesh.ui.methods import METHODS
from wavemesh.ui.pictures import MAX_VIEWS
from wavemesh.ui.progress import estimate_text
from wavemesh.ui.runner import FULL_RESOLUTION, RESOLUTIONS, TURNS
from wavemesh.ui.studio import MAX_SEED, MAX_STEPS, MAX_THRESHOLD, SAMPLERS, Defaults, Studio

BUNDLE_SUFFIX = ".zip"
FILE_SUFFIXES = (*MESH_SUFFIXES, BUNDLE_SUFFIX)

_EMPTY = """<div class="wm-empty"><div><p>The mesh appears here.</p>
<p class="wm-note">You will see it form, step by step; Stop keeps what there is.</p></div></div>"""
_DICE = f"() => Math.floor(Math.random() * {MAX_SEED})"
_SAMPLER_NAMES = {"ddim": "DDIM", "dpmpp_2m": "DPM-Solver++ (2M)", "ddpm": "DDPM"}


class Card(NamedTuple):
    """One picture with its sliders; hidden while there is no such picture."""

    column: gr.Column
    image: gr.Image
    azimuth: gr.Slider
    elevation: gr.Slider
    remove: gr.Button


class Settings(NamedTuple):
    """The controls of the diffusion, in the order that `make_job` takes them."""

    coarse_steps: gr.Slider
    detail_steps: gr.Slider
    guidance: gr.Slider
    sampler: gr.Dropdown
    seed: gr.Number
    method: gr.Dropdown
    resolution: gr.Radio
    threshold: gr.Slider
    turns: gr.Radio


class Choices(NamedTuple):
    """What sets several controls at once, and what is said about them."""

    preset: gr.Radio
    lattice: gr.Accordion
    estimate: gr.HTML


class Stage(NamedTuple):
    """Everything that a run changes on the page; the order is the order of outputs."""

    generate: gr.Button
    stop: gr.Button
    progress: gr.HTML
    empty: gr.HTML
    forming: gr.Image
    mesh: gr.Model3D
    facts: gr.Markdown
    watch: gr.HTML
    downloads: gr.Row
    files: list[gr.DownloadButton]

    def outputs(self) -> list[Any]:
        """The components, flat."""
        return [*self[:-1], *self.files]

    def update(self, **changes: Any) -> list[Any]:
        """Values for `outputs`: the changes named, nothing for the rest."""
        files = changes.pop("files", [gr.skip()] * len(FILE_SUFFIXES))
        return [*[changes.get(name, gr.skip()) for name in self._fields[:-1]], *files]


def build_inputs(studio: Studio) -> tuple[gr.Gallery, gr.Gallery | None, gr.Markdown]:
    """The upload, the gallery of examples (None where there are none) and the line that names their makers."""
    gr.HTML('<p class="wm-step">1. Pictures of one object</p>')
    upload = gr.Gallery(
        label="Drop, choose or paste pictures",
        show_label=False,
        type="filepath",
        file_types=["image"],  # by suffix nothing could be pasted; what we cannot read is refused with a sentence
        sources=["upload", "webcam", "clipboard"],
        interactive=True,
        height=170,
        elem_id="upload",
    )
    gr.Markdown(
        "One picture is enough, two to four from different sides are much better. Plain backgrounds are cut away best; "
        "pictures with transparency are used as they are. PNG, JPEG or WebP.",
        elem_classes="wm-note",
    )
    if not studio.examples:
        return upload, None, gr.Markdown(visible=False)
    gr.HTML('<p class="wm-note">Or try an example (its cameras are known):</p>')
    examples = gr.Gallery(
        value=[(str(example.pictures[0]), example.name) for example in studio.examples],
        show_label=False,
        label="Examples",
        columns=6,
        object_fit="contain",
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_id="examples",
        elem_classes="wm-checker",
    )
    credit = gr.Markdown(visible=False, elem_id="credit", elem_classes="wm-note")
    return upload, examples, credit


class Renderer(NamedTuple):
    """The controls that render views from a mesh: a bundled one by its example's key, or a file."""

    bundled: gr.Dropdown
    file: gr.File
    views: gr.Slider
    azimuth: gr.Slider
    elevation: gr.Slider
    button: gr.Button


def build_renderer(studio: Studio) -> Renderer:
    """The controls that render views from a mesh, folded away."""
    with gr.Accordion("Or render views from a mesh", open=False, elem_id="render-mesh"):
        known = [(example.name, example.key) for example in studio.examples if example.truth is not None]
        bundled = gr.Dropdown(
            known,
            value=None,
            label="A mesh that comes along",
            info="Real models that the weights were not trained on. Or give one of your own:",
            visible=bool(known),
            filterable=False,
            elem_id="mesh-bundled",
        )
        file = gr.File(
            label="Mesh: .glb .obj .ply .stl .off",
            file_types=list(MESH_INPUT_SUFFIXES),
            type="filepath",
            height=110,
            elem_id="mesh-file",
        )
        views = gr.Slider(1, MAX_VIEWS, 4, step=1, label="Views", buttons=[], elem_id="mesh-views")
        with gr.Row():
            azimuth = gr.Slider(-180, 180, 30, step=1, label="Azimuth (°)", min_width=130, buttons=[])
            elevation = gr.Slider(-90, 90, 20, step=1, label="Elevation (°)", min_width=130, buttons=[])
        button = gr.Button("Render views", elem_id="render-button")
        gr.Markdown(
            "The views go round the mesh from this azimuth on, with known cameras. The tab Compare then measures the "
            "result against it.",
            elem_classes="wm-note",
        )
    return Renderer(bundled, file, views, azimuth, elevation, button)


def build_cards() -> tuple[gr.Checkbox, gr.Checkbox, list[Card]]:
    """The switches for backgrounds and for estimated cameras, and a hidden card for each picture that there may be."""
    cut = gr.Checkbox(
        value=True,
        label="Cut the background away",
        info="Left as it came, right what is used. Switch off where the whole picture is the object.",
        visible=False,
        elem_id="cut-background",
    )
    estimate = gr.Checkbox(
        value=True,
        label="Estimate the cameras",
        info="Switch off to say yourself from where each picture was taken.",
        visible=False,
        elem_id="estimate",
    )
    cards = []
    with gr.Row(elem_classes="wm-cards"):
        for number in range(MAX_VIEWS):
            with gr.Column(visible=False, min_width=140, elem_classes="wm-card", elem_id=f"card-{number}") as column:
                image = gr.Image(
                    show_label=False,
                    label=f"Picture {number + 1}",
                    interactive=False,
                    format="png",
                    buttons=[],
                )
                remove = gr.Button("✕", size="sm", elem_classes="wm-remove", elem_id=f"remove-{number}")
                azimuth = gr.Slider(-180, 180, 0, step=1, label="Azimuth (°)", buttons=[], elem_id=f"azimuth-{number}")
                elevation = gr.Slider(
                    -90, 90, 15, step=1, label="Elevation (°)", buttons=[], elem_id=f"elevation-{number}"
                )
            cards.append(Card(column, image, azimuth, elevation, remove))
    return estimate, cut, cards


def build_settings(studio: Studio) -> tuple[Settings, Choices]:
    """The controls of the diffusion, at the studio's defaults."""
    defaults = studio.defaults
    method = studio.methods[0]
    gr.HTML('<p class="wm-step">2. How to denoise</p>')
    with gr.Group():
        methods = gr.Dropdown(
            [(METHODS[key].title, key) for key in studio.methods],
            value=method,
            label="Method",
            info=METHODS[method].note,
            visible=len(studio.methods) > 1,
            filterable=False,
            elem_id="method",
        )
        preset = gr.Radio(
            preset_choices(method, defaults),
            value="balanced",
            label="Preset",
            info="Sets steps, resolution and frames; balanced is what the weights were tuned for.",
            elem_id="preset",
        )
        coarse, detail = _steps(defaults)
        with gr.Row():
            guidance = gr.Slider(
                1.0,
                5.0,
                defaults.guidance_scale,
                step=0.1,
                label="Guidance",
                min_width=130,
                elem_id="guidance",
                info="Above 1 follows the pictures harder, at twice the time.",
            )
            sampler = gr.Dropdown(
                [(_SAMPLER_NAMES[name], name) for name in SAMPLERS],
                value=defaults.sampler,
                label="Sampler",
                min_width=130,
                info="DDIM suits few steps.",
                filterable=False,
            )
        with gr.Row(elem_classes="wm-seed"):
            seed = gr.Number(
                0,
                label="Seed",
                precision=0,
                minimum=0,
                maximum=MAX_SEED,
                min_width=130,
                elem_id="seed",
                info="Parts that no picture shows change with it.",
            )
            dice = gr.Button("⚄", elem_classes="wm-dice", elem_id="dice", min_width=46, scale=0)
    with gr.Accordion("Resolution, frames and sparsity", open=False, elem_id="lattice") as lattice:
        resolution = gr.Radio(
            [(f"{side}³", side) for side in RESOLUTIONS],
            value=FULL_RESOLUTION,
            label="Resolution",
            info="At 64³ the mesh comes from the coarse bands alone.",
            elem_id="resolution",
        )
        turns = gr.Radio(
            [(str(count), count) for count in TURNS],
            value=defaults.turns,
            label="Frames",
            info="The overall shape is the mean over frames a quarter turn apart, each at the time of one.",
            elem_id="turns",
        )
        threshold = gr.Slider(
            0.0,
            MAX_THRESHOLD,
            0.0,
            step=0.0005,
            label="Sparsity threshold",
            info="Fine wavelet coefficients smaller than this are dropped: fewer numbers, a smoother surface.",
            elem_id="threshold",
        )
    estimate = gr.HTML(f'<p class="wm-note">{estimate_text(None)}</p>', elem_id="estimate-time")
    dice.click(None, outputs=seed, js=_DICE, api_visibility="private")
    settings = Settings(coarse, detail, guidance, sampler, seed, methods, resolution, threshold, turns)
    return settings, Choices(preset, lattice, estimate)


def preset_choices(method: str, defaults: Defaults) -> list[tuple[str, str]]:
    """The presets of a method as a radio shows them."""
    return [(preset.title, key) for key, preset in defaults.presets(method).items()]


def _steps(defaults: Defaults) -> tuple[gr.Slider, gr.Slider]:
    """The sliders of both stages."""
    stages = (
        ("coarse", defaults.coarse_steps, "For the overall shape."),
        ("detail", defaults.detail_steps, "For the fine surface."),
    )
    with gr.Row():
        coarse, detail = (
            gr.Slider(
                1, MAX_STEPS, steps, step=1, label=f"{stage.title()} steps", min_width=130, info=info,
                elem_id=f"{stage}-steps",
            )
            for stage, steps, info in stages
        )  # fmt: skip
    return coarse, detail


def build_stage() -> Stage:
    """The buttons, and everything that shows a run and its result."""
    with gr.Row(elem_id="run"):
        generate = gr.Button("Generate", variant="primary", size="lg", elem_id="generate-button")
        stop = gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id="stop-button")
    progress = gr.HTML(visible=False, elem_id="progress")
    empty = gr.HTML(_EMPTY)
    forming = gr.Image(
        show_label=False,
        label="The shape as it forms",
        interactive=False,
        format="webp",
        buttons=[],
        visible=False,
        elem_id="forming",
        elem_classes="wm-forming",
    )
    mesh = gr.Model3D(
        show_label=False,
        label="Mesh",
        height=520,
        visible="hidden",
        elem_id="mesh",
        clear_color=(0.0, 0.0, 0.0, 0.0),
        camera_position=(60, 72, 3.6),
    )
    facts = gr.Markdown(visible=False, elem_id="facts", elem_classes="wm-note")
    with gr.Row(visible=False, elem_classes="wm-downloads") as downloads:
        files = [
            gr.DownloadButton(
                "Run bundle" if suffix == BUNDLE_SUFFIX else suffix[1:].upper(),
                size="md",
                elem_id=f"download-{suffix[1:]}",
                min_width=64,
            )
            for suffix in FILE_SUFFIXES
        ]
    watch = gr.HTML(visible=False, elem_id="watch")
    return Stage(generate, stop, progress, empty, forming, mesh, facts, watch, downloads, files)
