"""The tab "Generate": pictures on the left, the shape as it forms and the finished mesh on the right."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import gradio as gr

from wavemesh.errors import InputError
from wavemesh.ui.api import add_api
from wavemesh.ui.export import SUFFIXES
from wavemesh.ui.generation import Result, Update
from wavemesh.ui.handlers import MAX_SEED, MAX_STEPS, SAMPLERS, Studio, add_pictures, caption, make_job, with_found
from wavemesh.ui.pictures import MAX_VIEWS, Number, Picture, shown, with_angles
from wavemesh.ui.progress import bar_html
from wavemesh.ui.workspace import KEPT_S

_log = logging.getLogger(__name__)

_EMPTY = """<div class="wm-empty"><div><p>The mesh appears here.</p>
<p class="wm-note">You will see it form, step by step; Stop keeps what there is.</p></div></div>"""
_DICE = f"() => Math.floor(Math.random() * {MAX_SEED})"
# On a phone the shape forms below the button, out of sight.
_LOOK = "() => { if (innerWidth < 800) document.querySelector('#run').scrollIntoView({behavior: 'smooth'}); }"
_SAMPLER_NAMES = {"ddim": "DDIM", "dpmpp_2m": "DPM-Solver++ (2M)", "ddpm": "DDPM"}


class _Card(NamedTuple):
    """One picture with its sliders; hidden while there is no such picture."""

    column: gr.Column
    image: gr.Image
    azimuth: gr.Slider
    elevation: gr.Slider
    remove: gr.Button


class _Settings(NamedTuple):
    """The controls of the diffusion."""

    coarse_steps: gr.Slider
    detail_steps: gr.Slider
    guidance: gr.Slider
    sampler: gr.Dropdown
    seed: gr.Number


class _Stage(NamedTuple):
    """Everything that a run changes on the page; the order is the order of outputs."""

    generate: gr.Button
    stop: gr.Button
    progress: gr.HTML
    empty: gr.HTML
    forming: gr.Image
    mesh: gr.Model3D
    facts: gr.Markdown
    downloads: gr.Row
    files: list[gr.DownloadButton]

    def outputs(self) -> list[Any]:
        """The components, flat."""
        return [*self[:-1], *self.files]

    def update(self, **changes: Any) -> list[Any]:
        """Values for `outputs`: the changes named, nothing for the rest."""
        files = changes.pop("files", [gr.skip()] * len(SUFFIXES))
        return [*[changes.get(name, gr.skip()) for name in self._fields[:-1]], *files]


def generate_tab(studio: Studio) -> None:
    """Build the tab inside the current Blocks and wire it."""
    with gr.Tab("Generate", id="generate"):
        # Pictures are small (see pictures.KEPT_SIDE), and a session's are forgotten after a while.
        pictures = gr.State([], time_to_live=KEPT_S, delete_callback=None)
        with gr.Row():
            with gr.Column(scale=5, min_width=330):
                upload, examples, credit = _inputs(studio)
                estimate, cards = _cards()
                settings = _settings(studio)
            with gr.Column(scale=7, min_width=330, elem_classes="wm-result"):
                stage = _stage()
        _wire_pictures(studio, pictures, upload, examples, credit, estimate, cards)
        _wire_run(studio, pictures, estimate, cards, settings, stage)
        add_api(studio)


# ---------------------------------------------------------------------------------------------------- layout


def _inputs(studio: Studio) -> tuple[gr.Gallery, gr.Gallery | None, gr.Markdown]:
    gr.HTML('<p class="wm-step">1. Pictures of one object</p>')
    upload = gr.Gallery(
        label="Drop, choose or paste pictures",
        show_label=False,
        type="filepath",
        file_types=[".png", ".jpg", ".jpeg", ".webp"],
        sources=["upload", "clipboard"],
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


def _cards() -> tuple[gr.Checkbox, list[_Card]]:
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
            cards.append(_Card(column, image, azimuth, elevation, remove))
    return estimate, cards


def _settings(studio: Studio) -> _Settings:
    defaults = studio.defaults
    gr.HTML('<p class="wm-step">2. How to denoise</p>')
    with gr.Group():
        with gr.Row():
            coarse = gr.Slider(
                1,
                MAX_STEPS,
                defaults.coarse_steps,
                step=1,
                label="Coarse steps",
                min_width=130,
                elem_id="coarse-steps",
                info="For the overall shape.",
            )
            detail = gr.Slider(
                1,
                MAX_STEPS,
                defaults.detail_steps,
                step=1,
                label="Detail steps",
                min_width=130,
                elem_id="detail-steps",
                info="For the fine surface.",
            )
        with gr.Row():
            guidance = gr.Slider(
                1.0,
                5.0,
                defaults.guidance_scale,
                step=0.1,
                label="Guidance",
                min_width=130,
                elem_id="guidance",
                info="Above 1 follows the pictures harder.",
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
    dice.click(None, outputs=seed, js=_DICE, api_visibility="private")
    return _Settings(coarse, detail, guidance, sampler, seed)


def _stage() -> _Stage:
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
            gr.DownloadButton(suffix[1:].upper(), size="md", elem_id=f"download-{suffix[1:]}", min_width=64)
            for suffix in SUFFIXES
        ]
    return _Stage(generate, stop, progress, empty, forming, mesh, facts, downloads, files)


# ---------------------------------------------------------------------------------------------------- wiring


def _card_updates(pictures: Sequence[Picture], estimate: bool) -> list[Any]:
    """Values for the switch and all cards."""
    values: list[Any] = [gr.update(value=estimate, visible=bool(pictures))]
    for index in range(MAX_VIEWS):
        if index >= len(pictures):
            values += [gr.update(visible=False), gr.update(value=None), gr.skip(), gr.skip(), gr.skip()]
            continue
        picture = pictures[index]
        known = not estimate or picture.found is not None
        azimuth, elevation = (round(angle) for angle in picture.angles)
        values += [
            gr.update(visible=True),
            gr.update(value=shown(picture, estimate), label=picture.name),
            gr.update(value=azimuth, visible=known, interactive=not estimate),
            gr.update(value=elevation, visible=known, interactive=not estimate),
            gr.skip(),
        ]
    return values


def _flat(cards: Sequence[_Card]) -> list[Any]:
    return [component for card in cards for component in card]


def _angles(cards: Sequence[_Card]) -> list[Any]:
    return [*[card.azimuth for card in cards], *[card.elevation for card in cards]]


def _turned(pictures: Sequence[Picture], angles: Sequence[Number | None]) -> list[Picture]:
    return with_angles(pictures, angles[:MAX_VIEWS], angles[MAX_VIEWS:])


def _wire_pictures(
    studio: Studio,
    pictures: gr.State,
    upload: gr.Gallery,
    examples: gr.Gallery | None,
    credit: gr.Markdown,
    estimate: gr.Checkbox,
    cards: list[_Card],
) -> None:
    """Uploading, picking an example, removing, the switch and the sliders."""
    everything = [pictures, estimate, *_flat(cards)]

    def add(
        files: list[tuple[str, Any]] | None, held: list[Picture], estimated: bool, *angles: Number | None
    ) -> list[Any]:
        paths = [file[0] for file in files or []]
        # Pictures of an example are another object: an upload replaces them.
        kept = [] if any(p.camera for p in held) else _turned(held, angles)
        result, problems = add_pictures(kept, paths)
        for problem in problems:
            gr.Warning(problem, title="Left out")
        estimated = estimated if kept else True
        return [None, gr.update(visible=any(p.camera for p in result)), result, *_card_updates(result, estimated)]

    def pick(event: gr.SelectData) -> list[Any]:
        result = studio.example_pictures(int(event.index))
        line = gr.update(value=studio.examples[int(event.index)].credit, visible=True)
        return [line, result, *_card_updates(result, False)]

    def switch(held: list[Picture], estimated: bool, *angles: Number | None) -> list[Any]:
        result = held if not estimated else _turned(held, angles)
        return [result, *_card_updates(result, estimated)]

    def remover(index: int) -> Any:
        def remove(held: list[Picture], estimated: bool, *angles: Number | None) -> list[Any]:
            result = _turned(held, angles)
            del result[index : index + 1]
            return [result, *_card_updates(result, estimated)]

        return remove

    def turner(index: int) -> Any:
        def turn(held: list[Picture], azimuth: Number, elevation: Number) -> list[Any]:
            if index >= len(held):
                return [gr.skip(), gr.skip()]
            result = list(held)
            result[index] = with_angles(held[index : index + 1], [azimuth], [elevation])[0]
            return [result, shown(result[index], False)]

        return turn

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    asked = [pictures, estimate, *_angles(cards)]
    upload.upload(
        add, [upload, *asked], [upload, credit, *everything], api_visibility="private", show_progress_on=upload
    )
    if examples is not None:
        examples.select(pick, None, [credit, *everything], **private)
    estimate.input(switch, asked, everything, **private)
    for index, card in enumerate(cards):
        card.remove.click(remover(index), asked, everything, **private)
        for slider in (card.azimuth, card.elevation):
            slider.release(turner(index), [pictures, card.azimuth, card.elevation], [pictures, card.image], **private)


def _wire_run(
    studio: Studio,
    pictures: gr.State,
    estimate: gr.Checkbox,
    cards: list[_Card],
    settings: _Settings,
    stage: _Stage,
) -> None:
    """Generate and Stop."""
    finished = gr.State(None, time_to_live=KEPT_S)

    def run(  # not "generate": gradio would give the name of the public endpoint to this event
        held: list[Picture],
        estimated: bool,
        coarse: Number | None,
        detail: Number | None,
        guidance: Number | None,
        sampler: str,
        seed: Number | None,
        request: gr.Request,
        *angles: Number | None,
    ) -> Iterator[list[Any]]:
        idle = stage.update(
            generate=gr.update(visible=True),
            stop=gr.update(visible=False, interactive=True, value="Stop"),
            progress=gr.update(visible=False),
        )
        result = None
        try:
            held = held if estimated else _turned(held, angles)
            job = make_job(held, estimated, coarse, detail, guidance, sampler, seed)
            yield [None, *stage.update(generate=gr.update(visible=False), stop=gr.update(visible=True))]
            started = False
            for update in studio.generate(job, request.session_hash or ""):
                yield [None, *_during(stage, update, started)]
                started = started or update.preview is not None
                result = update.result
        except InputError as error:
            gr.Warning(str(error), title="This did not work")
        except Exception:
            _log.exception("a run failed")
            gr.Warning("Something went wrong on the server; the reason is in its log.", title="This did not work")
        yield [result, *idle]

    def present(result: Result | None, held: list[Picture], estimated: bool) -> list[Any]:
        if result is None:
            return [held, *stage.update(), *[gr.skip()] * (1 + len(_flat(cards)))]
        held = with_found(held, result)
        return [held, *_finished(stage, result), *_card_updates(held, estimated)]

    def stop(request: gr.Request) -> Any:
        studio.stop_flag(request.session_hash or "").set()
        return gr.update(value="Stopping…", interactive=False)

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    # The mesh is shown by an event of its own: a generator sends its last values twice, and gradio's viewer stays
    # empty when the same file arrives again while its code is still loading.
    stage.generate.click(None, js=_LOOK, api_visibility="private")
    stage.generate.click(
        inspect.unwrap(run),  # a type checker's wrapper would hide from gradio that it is a generator
        [pictures, estimate, *settings, *_angles(cards)],
        [finished, *stage.outputs()],
        concurrency_limit=4,
        concurrency_id="runs",
        **private,
        api_name="watch",  # leaves the name "generate" to the public endpoint
    ).then(present, [finished, pictures, estimate], [pictures, *stage.outputs(), estimate, *_flat(cards)], **private)
    stage.stop.click(stop, None, stage.stop, queue=False, **private)


def _during(stage: _Stage, update: Update, started: bool) -> list[Any]:
    """Values for the stage's outputs while a run goes on; started: whether a preview was shown before."""
    changes: dict[str, Any] = {"progress": gr.update(value=bar_html(update.progress), visible=True)}
    if update.preview is not None:
        changes["forming"] = gr.update(value=update.preview, visible=True)
        if not started:
            hidden = gr.update(visible=False)
            changes |= {"empty": hidden, "facts": hidden, "downloads": hidden}
            changes["mesh"] = gr.update(visible="hidden", value=None)
    return stage.update(**changes)


def _finished(stage: _Stage, result: Result) -> list[Any]:
    """Values for the stage's outputs after a run."""
    hidden, shown_again = gr.update(visible=False), gr.update(visible=True)
    return stage.update(
        empty=hidden,
        forming=hidden,
        mesh=gr.update(value=result.files[".glb"], visible=True),
        facts=gr.update(value=caption(result), visible=True),
        downloads=shown_again,
        files=[gr.update(value=result.files[suffix]) for suffix in SUFFIXES],
    )
