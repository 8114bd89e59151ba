"""The tab "Generate": pictures on the left, the shape as it forms and the finished mesh on the right."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from wavemesh.errors import InputError
from wavemesh.ui.generate.cards import Cards, build_cards, wire_cards
from wavemesh.ui.generate.content import example_of, make_job, with_found
from wavemesh.ui.generate.controls import Controls, build_controls, estimate_time
from wavemesh.ui.generate.cutout_editor import build_cutout_editor, wire_cutout_editor
from wavemesh.ui.generate.sources import build_renderer, build_sources, wire_renderer, wire_sources
from wavemesh.ui.generate.stage import Stage, build_stage
from wavemesh.ui.pictures import Picture
from wavemesh.ui.runner import Result
from wavemesh.ui.studio import Studio
from wavemesh.ui.widgets.events import PRIVATE, Updates, Values
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
                sources = build_sources(studio)
                renderer = build_renderer(studio)
                table = build_cards(pictures)
                controls = build_controls(studio)
            with gr.Column(scale=7, min_width=330, elem_classes="wm-result"):
                stage = build_stage()
        editor = build_cutout_editor()
        wire_sources(studio, sources, table, stage, finished_run)
        wire_cards(table)
        wire_cutout_editor(editor, table)
        wire_renderer(studio, renderer, sources.credit, table, stage, finished_run)
        _wire_run(studio, table, controls, stage, finished_run)


def _wire_run(studio: Studio, table: Cards, controls: Controls, stage: Stage, finished_run: gr.State) -> None:
    """Generate and Stop."""
    finished = gr.State(None, time_to_live=KEPT_S)

    def whole_strip(ended: Ended, shown_run: str | None) -> Any:
        """The strip with the steps that were not drawn while the run needed the processor."""
        if ended is None or ended[0].folder != shown_run:
            return gr.skip()
        return Watch.of_record(studio.record(shown_run)).html()

    def stop(request: gr.Request) -> Any:
        studio.stop_flag(request.session_hash or "").set()
        return gr.update(value="Stopping…", interactive=False)

    # The mesh is shown by an event of its own: a generator sends its last values twice, and gradio's viewer stays
    # empty when the same file arrives again while its code is still loading.
    stage.generate.click(None, js=_LOOK, api_visibility="private")
    stage.generate.click(
        inspect.unwrap(_watched_run(studio, table, controls, stage, finished)),  # a type checker's wrapper would hide
        table.inputs | controls.inputs,  # from gradio that it is a generator
        {finished, *stage.outputs},
        concurrency_limit=4,
        concurrency_id="runs",
        **PRIVATE,
    ).then(
        _presented(studio, table, stage, finished, finished_run),
        {finished, table.pictures, table.estimate},
        {finished_run, *table.outputs, *stage.outputs},
        **PRIVATE,
    ).then(estimate_time(studio, controls), controls.inputs, controls.estimate, **PRIVATE).then(
        whole_strip, [finished, finished_run], stage.watch, **PRIVATE
    )
    stage.stop.click(stop, None, stage.stop, queue=False, **PRIVATE)


def _watched_run(
    studio: Studio, table: Cards, controls: Controls, stage: Stage, finished: gr.State
) -> Callable[[Values, gr.Request], Iterator[Updates]]:
    """A handler that makes the run that the page asks for, and shows it while it goes on."""

    def run(given: Values, request: gr.Request) -> Iterator[Updates]:
        ended: Ended = None
        try:
            job = make_job(table.placed(given), given[table.estimate], controls.chosen(given))
            watch = Watch()
            yield {finished: None, **stage.busy()}
            for update in studio.generate(job, request.session_hash or ""):
                watch.add(update.measured, update.preview)
                yield stage.during(update, watch)
                ended = None if update.result is None else (update.result, given[table.pictures])
        except InputError as error:
            gr.Warning(str(error), title="This did not work")
        except Exception:
            _log.exception("a run failed")
            gr.Warning("Something went wrong on the server; the reason is in its log.", title="This did not work")
        yield {finished: ended, **stage.idle()}

    return run


def _presented(
    studio: Studio, table: Cards, stage: Stage, finished: gr.State, finished_run: gr.State
) -> Callable[[Values], Updates]:
    """A handler that shows the mesh of the run that ended, where its pictures are still there."""

    def present(given: Values) -> Updates:
        ended: Ended = given[finished]
        pictures = given[table.pictures]
        if ended is None:
            return gr.skip()
        result, ran = ended
        found = with_found(pictures, ran, result)
        if found is None:
            gr.Info("It was of pictures that are no longer here, so its mesh is not shown.", title="A run has ended")
            return {finished_run: None, **stage.before_runs(studio, example_of(pictures, studio.examples))}
        return {
            finished_run: result.folder,
            **table.showing(found, given[table.estimate]),
            **stage.finished(result),
        }

    return present
