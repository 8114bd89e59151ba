"""The tab "Generate": pictures on the left, the shape as it forms and the finished mesh on the right."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from wavemesh.errors import InputError
from wavemesh.ui.api import add_api
from wavemesh.ui.generate.choices import estimator, wire_choices
from wavemesh.ui.generate.layout import (
    FILE_SUFFIXES,
    Card,
    Choices,
    Renderer,
    Settings,
    Stage,
    build_cards,
    build_inputs,
    build_renderer,
    build_settings,
    build_stage,
)
from wavemesh.ui.generate.showcase import before_runs, cleared, first_shown, shown_result
from wavemesh.ui.generate.truth import rendered_pictures
from wavemesh.ui.pictures import MAX_VIEWS, Number, Picture, shown, with_angles, with_background
from wavemesh.ui.progress import bar_html
from wavemesh.ui.runner import Result, Update
from wavemesh.ui.studio import Studio, add_pictures, caption, make_job, with_found
from wavemesh.ui.widgets.notices import explained
from wavemesh.ui.widgets.strip import Watch
from wavemesh.ui.workspace import KEPT_S

_log = logging.getLogger(__name__)

Ended = tuple[Result, list[Picture]] | None  # what a run left, and the pictures it was begun with

# On a phone the shape forms below the button, out of sight.
_LOOK = "() => { if (innerWidth < 800) document.querySelector('#run').scrollIntoView({behavior: 'smooth'}); }"


def generate_tab(studio: Studio, finished_run: gr.State) -> None:
    """Build the tab inside the current Blocks and wire it; finished_run gets the folder of each finished run."""
    with gr.Tab("Generate", id="generate"):
        # Pictures are small (see pictures.KEPT_SIDE), and a session's are forgotten after a while.
        pictures = gr.State([], time_to_live=KEPT_S, delete_callback=None)
        with gr.Row():
            with gr.Column(scale=5, min_width=330):
                upload, examples, credit = build_inputs(studio)
                renderer = build_renderer(studio)
                estimate, cut, cards = build_cards()
                table = [estimate, cut, *_flat(cards)]
                settings, choices = build_settings(studio)
            with gr.Column(scale=7, min_width=330, elem_classes="wm-result"):
                stage = build_stage()
        _wire_pictures(studio, pictures, upload, examples, credit, estimate, cut, cards, stage, finished_run)
        _wire_renderer(studio, pictures, credit, renderer, table, stage, finished_run)
        wire_choices(studio, settings, choices)
        _wire_run(studio, pictures, estimate, cards, table, settings, stage, finished_run, choices)
        add_api(studio)


def _card_updates(pictures: Sequence[Picture], estimate: bool) -> list[Any]:
    """Values for both switches and all cards."""
    cut_away = [picture for picture in pictures if picture.whole is not None]
    kept = any(picture.keeps_background for picture in cut_away)
    values: list[Any] = [
        gr.update(value=estimate, visible=bool(pictures)),
        gr.update(value=not kept, visible=bool(cut_away)),
    ]
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


def _flat(cards: Sequence[Card]) -> list[Any]:
    return [component for card in cards for component in card]


def _angles(cards: Sequence[Card]) -> list[Any]:
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
    cut: gr.Checkbox,
    cards: list[Card],
    stage: Stage,
    finished_run: gr.State,
) -> None:
    """The first visit, uploading, picking an example, removing, the switches and the sliders."""
    everything = [pictures, estimate, cut, *_flat(cards)]

    def add(
        files: list[tuple[str, Any]] | None, held: list[Picture], estimated: bool, *angles: Number | None
    ) -> list[Any]:
        paths = [file[0] for file in files or []]
        if not paths:  # the upload was emptied just now
            return [gr.skip()] * (1 + len(outputs))
        # Pictures of an example are another object: an upload replaces them.
        replaced = any(p.camera for p in held)
        kept = [] if replaced else _turned(held, angles)
        result, problems = add_pictures(kept, paths)
        result = with_background(result, any(picture.keeps_background for picture in kept))
        for problem in problems:
            gr.Warning(problem, title="Left out")
        estimated = estimated if kept else True
        line = gr.update(visible=any(p.camera for p in result))
        stage_values = [*cleared(stage), None] if replaced else [*stage.update(), gr.skip()]
        return [None, line, result, *_card_updates(result, estimated), *stage_values]

    def open_example(index: int) -> list[Any]:
        result = studio.example_pictures(index)
        line = gr.update(value=studio.examples[index].credit, visible=True)
        # The last run was another object's: the other tabs must not go on showing it.
        return [line, result, *_card_updates(result, False), *shown_result(studio, stage, index), None]

    def pick(event: gr.SelectData) -> list[Any]:
        return open_example(int(event.index))

    def switch(held: list[Picture], estimated: bool, *angles: Number | None) -> list[Any]:
        result = held if not estimated else _turned(held, angles)
        return [result, *_card_updates(result, estimated)]

    def switch_background(held: list[Picture], estimated: bool, away: bool, *angles: Number | None) -> list[Any]:
        result = with_background(held if estimated else _turned(held, angles), not away)
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
    outputs = [credit, *everything, *stage.outputs(), finished_run]
    # Pasting and photographing only count as a change; an upload says so twice, hence "once".
    upload.change(
        add,
        [upload, *asked],
        [upload, *outputs],
        api_visibility="private",
        show_progress_on=upload,
        trigger_mode="once",
    )
    if examples is not None:
        examples.select(pick, None, outputs, **private)
    first = first_shown(studio)
    if first is not None:
        gr.on(None, lambda: open_example(first), None, outputs, **private)  # no trigger: when the page opens
    estimate.input(switch, asked, everything, **private)
    cut.input(switch_background, [pictures, estimate, cut, *_angles(cards)], everything, **private)
    for index, card in enumerate(cards):
        card.remove.click(remover(index), asked, everything, **private)
        for slider in (card.azimuth, card.elevation):
            slider.release(turner(index), [pictures, card.azimuth, card.elevation], [pictures, card.image], **private)


def _wire_renderer(
    studio: Studio,
    pictures: gr.State,
    credit: gr.Markdown,
    renderer: Renderer,
    table: list[Any],
    stage: Stage,
    finished_run: gr.State,
) -> None:
    """Views of a bundled or an uploaded mesh take the place of the pictures; table: the switches and all cards."""
    *controls, button = renderer
    outputs = [credit, pictures, *table, *stage.outputs(), finished_run]

    @explained(len(outputs))
    def render(bundled: str | None, file: str | None, views: Number, azimuth: Number, elevation: Number) -> list[Any]:
        example = next((each for each in studio.examples if each.key == bundled), None)
        mesh = file if example is None else example.truth
        if not mesh:
            raise InputError("No mesh yet: choose one, or a file, first.")
        result = rendered_pictures(mesh, views, azimuth, elevation, studio.workspace)
        line = gr.update(visible=False) if example is None else gr.update(value=example.credit, visible=True)
        return [line, result, *_card_updates(result, False), *cleared(stage), None]

    # One or the other: the last that was chosen.
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    renderer.bundled.input(lambda: None, None, renderer.file, **private)
    renderer.file.upload(lambda: None, None, renderer.bundled, **private)

    button.click(
        render,
        controls,
        outputs,
        api_visibility="private",
        show_progress_on=button,
        concurrency_limit=2,
        concurrency_id="bench",
    )


def _wire_run(
    studio: Studio,
    pictures: gr.State,
    estimate: gr.Checkbox,
    cards: list[Card],
    table: list[Any],
    settings: Settings,
    stage: Stage,
    finished_run: gr.State,
    choices: Choices,
) -> None:
    """Generate and Stop; table: the switches and all cards."""
    finished = gr.State(None, time_to_live=KEPT_S)

    def run(  # not "generate": gradio would give the name of the public endpoint to this event
        held: list[Picture],
        estimated: bool,
        coarse: Number | None,
        detail: Number | None,
        guidance: Number | None,
        sampler: str,
        seed: Number | None,
        method: str,
        resolution: Number | None,
        threshold: Number | None,
        turns: Number | None,
        request: gr.Request,
        *angles: Number | None,
    ) -> Iterator[list[Any]]:
        idle = stage.update(
            generate=gr.update(visible=True),
            stop=gr.update(visible=False, interactive=True, value="Stop"),
            progress=gr.update(visible=False),
        )
        result = None
        ran = held
        try:
            held = held if estimated else _turned(held, angles)
            job = make_job(
                held, estimated, coarse, detail, guidance, sampler, seed, method, resolution, threshold, turns
            )
            watch = Watch()
            yield [None, *stage.update(**_busy())]
            for update in studio.generate(job, request.session_hash or ""):
                watch.add(update.measured, update.preview)
                yield [None, *_during(stage, update, watch)]
                result = update.result
        except InputError as error:
            gr.Warning(str(error), title="This did not work")
        except Exception:
            _log.exception("a run failed")
            gr.Warning("Something went wrong on the server; the reason is in its log.", title="This did not work")
        yield [None if result is None else (result, ran), *idle]

    def present(ended: Ended, held: list[Picture], estimated: bool) -> list[Any]:
        same_cards = [gr.skip()] * len(table)
        if ended is None:
            return [gr.skip(), held, *stage.update(), *same_cards]
        result, ran = ended
        found = with_found(held, ran, result)
        if found is None:
            gr.Info("It was of pictures that are no longer here, so its mesh is not shown.", title="A run has ended")
            return [None, held, *before_runs(studio, stage, held), *same_cards]
        return [result.folder, found, *_finished(stage, result), *_card_updates(found, estimated)]

    def whole_strip(ended: Ended, shown_run: str | None) -> Any:
        """The strip with the steps that were not drawn while the run needed the processor."""
        if ended is None or ended[0].folder != shown_run:
            return gr.skip()
        return Watch.of(studio.record(shown_run)).html()

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
    ).then(
        present,
        [finished, pictures, estimate],
        [finished_run, pictures, *stage.outputs(), *table],
        **private,
    ).then(estimator(studio), list(settings), choices.estimate, **private).then(
        whole_strip, [finished, finished_run], stage.watch, **private
    )
    stage.stop.click(stop, None, stage.stop, queue=False, **private)


def _busy() -> dict[str, Any]:
    """Changes of the stage's buttons that say that a run goes on."""
    return {"generate": gr.update(visible=False), "stop": gr.update(visible=True)}


def _during(stage: Stage, update: Update, watch: Watch) -> list[Any]:
    """Values for the stage's outputs while a run goes on.

    All of it is sent again and again: an example may be picked meanwhile, and of updates that arrive together, as they
    do where the network is slow, the page may show the last alone.
    """
    changes = {**_busy(), "progress": gr.update(value=bar_html(update.progress), visible=True)}
    if update.measured is not None:
        changes["watch"] = gr.update(value=watch.html(), visible=True)
    if update.preview is not None:
        changes |= {name: gr.update(visible=False) for name in ("empty", "facts", "downloads")}
        changes["forming"] = gr.update(value=update.preview, visible=True)
        changes["mesh"] = gr.update(visible="hidden", value=None)
    return stage.update(**changes)


def _finished(stage: Stage, result: Result) -> list[Any]:
    """Values for the stage's outputs after a run."""
    hidden, shown_again = gr.update(visible=False), gr.update(visible=True)
    return stage.update(
        empty=hidden,
        forming=hidden,
        mesh=gr.update(value=result.files[".glb"], visible=True),
        facts=gr.update(value=caption(result), visible=True),
        watch=shown_again,
        downloads=shown_again,
        files=[gr.update(value=result.files[suffix]) for suffix in FILE_SUFFIXES],
    )
