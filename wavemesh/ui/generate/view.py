"""The tab "Generate": pictures on the left, the shape as it forms and the finished mesh on the right."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from wavemesh.errors import InputError
from wavemesh.ui.generate.cards import Cards, build_cards, wire_cards
from wavemesh.ui.generate.content import example_pictures, make_job, with_found
from wavemesh.ui.generate.controls import Controls, build_controls, estimate_time
from wavemesh.ui.generate.cutout_editor import build_cutout_editor, wire_cutout_editor
from wavemesh.ui.generate.saved import open_saved
from wavemesh.ui.generate.sources import build_renderer, build_sources, wire_renderer, wire_sources
from wavemesh.ui.generate.stage import Ended, Stage, build_stage
from wavemesh.ui.generate.visit import TELL_RUNS, build_visit, listed
from wavemesh.ui.pictures import example_of
from wavemesh.ui.runs import MAX_RUNNING
from wavemesh.ui.studio import Studio
from wavemesh.ui.widgets.busy import FREED, HELD
from wavemesh.ui.widgets.events import IN_TURN, PRIVATE, Updates, Values
from wavemesh.ui.widgets.notices import explained, tell
from wavemesh.ui.widgets.subject import INSPECT, Subject

# On a phone the shape forms out of sight. The button gives way to the other, and with it the focus.
_LOOK = """() => {
  if (innerWidth < 800) document.querySelector('.wm-result').scrollIntoView({behavior: 'smooth'});
  const begin = performance.now();
  const look = () => {
    const stop = document.querySelector('#stop-button');
    const lost = document.activeElement === document.body || document.activeElement?.id === 'generate-button';
    if (stop?.offsetParent) { if (lost) stop.focus({preventScroll: true}); }
    else if (performance.now() - begin < 5000) setTimeout(look, 50);
  };
  look();
}"""
_BACK = """() => {
  const lost = document.activeElement === document.body || document.activeElement?.id === 'stop-button';
  if (lost) document.querySelector('#generate-button')?.focus({preventScroll: true});
}"""


# The address names the run, so that a reload finds it, and no run where another object took its place.
_ADDRESS = """(id) => {
  const here = new URL(location);
  if (id) here.searchParams.set('run', id); else here.searchParams.delete('run');
  history.replaceState(null, '', here);
}"""
# After a reload the tab that was open opens again, once there is something to see in it. Those inside another are there
# only when that one has been opened.
_TAB = """() => {
  const wanted = new URL(location).searchParams.get('tab');
  const open = (name) => {
    const tab = [...document.querySelectorAll('#tabs [role=tab], #tabs .overflow-dropdown button')]
      .find((each) => each.textContent.trim().toLowerCase() === name);
    if (tab && tab.getAttribute('aria-selected') !== 'true') tab.click();
    return !!tab;
  };
  if (!wanted || open(wanted)) return;
  open('inspect');
  const begin = performance.now();
  const again = () => { if (!open(wanted) && performance.now() - begin < 5000) setTimeout(again, 50); };
  again();
}"""


def generate_tab(studio: Studio, subject: Subject) -> Stage:
    """Build the tab inside the current Blocks and wire it; its stage has parts that stand elsewhere."""
    finished_run = subject.finished_run
    with gr.Tab("Generate", id="generate"):
        with gr.Row():
            with gr.Column(scale=5, min_width=330):
                sources = build_sources(studio)
                table = build_cards(subject.pictures)
                controls = build_controls(studio)
                gr.HTML('<p class="wm-step">Other ways to begin</p>')
                renderer = build_renderer(studio)
                saved = gr.UploadButton(
                    "Open a saved run", file_types=[".zip"], type="filepath", size="sm", elem_id="open-saved"
                )
            with gr.Column(scale=7, min_width=330, elem_classes="wm-result"):
                stage = build_stage(studio)
                build_visit(subject.visit)
        editor = build_cutout_editor()
        wire_sources(studio, sources, table, stage, finished_run)
        wire_cards(table)
        wire_cutout_editor(editor, table)
        wire_renderer(studio, renderer, sources.credit, table, stage, finished_run)
        _RunEvents(studio, table, controls, stage, subject, sources.credit).wire(saved)
    return stage


class _RunEvents:
    """Generate and Stop, and the way back to a run after a reload.

    run_id: the run that the page follows, "" for none. finished: what it left. credit: tells of the example that is
    shown.
    """

    def __init__(
        self,
        studio: Studio,
        table: Cards,
        controls: Controls,
        stage: Stage,
        subject: Subject,
        credit: gr.Markdown,
    ) -> None:
        self.studio, self.table, self.controls, self.stage = studio, table, controls, stage
        self.place, self.finished_run, self.unasked = subject.place, subject.finished_run, subject.unasked
        self.finished, self.credit = stage.finished, credit
        self.run_id, self.told = gr.Textbox("", visible=False), gr.Textbox("", visible=False)

    def wire(self, saved: gr.UploadButton) -> None:
        """Let the components act. saved: takes the bundle of a run."""
        stage, table = self.stage, self.table
        stage.generate.click(None, js=_LOOK, api_visibility="private")
        begun = stage.generate.click(
            self.begin,
            table.inputs | self.controls.inputs,
            {self.run_id, *stage.outputs},
            **PRIVATE,
        )
        # A page that opens, too: its address may name a run.
        opened = gr.on(None, self.come_back, None, {self.run_id, *table.outputs, *self.controls.outputs}, **PRIVATE)
        saved.upload(None, None, stage.generate, js=HELD, api_visibility="private")
        brought = saved.upload(
            self.bring,
            saved,
            {self.run_id, self.credit, *table.outputs, *self.controls.outputs},
            show_progress_on=saved,
            **PRIVATE,
        )
        brought.then(None, None, stage.generate, js=FREED, api_visibility="private")
        inspecting = {self.run_id, self.unasked, *stage.outputs}
        self.place.change(self.inspect, {self.place, *self.around}, inspecting, **IN_TURN)
        stage.here.run.click(self.run_example, self.around, inspecting, **PRIVATE)
        addressing: dict[str, Any] = {"js": _ADDRESS, "api_visibility": "private"}
        named = [event.then(None, self.run_id, **addressing) for event in (begun, brought)]
        for event in (*named, self.unasked.change(None, self.run_id, **addressing), opened):
            event.then(
                inspect.unwrap(self.follow).__get__(self),  # a type checker's wrapper would hide that it is a generator
                self.run_id,
                stage.outputs,
                concurrency_limit=MAX_RUNNING,
                concurrency_id="followers",
                **PRIVATE,
            ).then(
                self.present,
                {self.finished, table.pictures, table.estimate},
                {self.finished_run, *table.outputs, *stage.outputs},
                **PRIVATE,
            ).then(None, js=_TAB if event is opened else _BACK, api_visibility="private").then(
                estimate_time(self.studio, self.controls), self.controls.inputs, self.controls.estimate, **PRIVATE
            ).then(self.tell_steps, [self.finished, self.finished_run], {stage.watch, stage.mesh}, **PRIVATE).then(
                self.tell_runs, self.run_id, self.told, **PRIVATE
            ).then(None, self.told, js=TELL_RUNS, api_visibility="private")
        # Another object took the run's place.
        self.finished_run.change(
            lambda folder, run_id: gr.skip() if folder else "", [self.finished_run, self.run_id], self.run_id, **PRIVATE
        ).then(None, self.run_id, js=_ADDRESS, api_visibility="private")
        for stop in (stage.stop, stage.here.stop):
            stop.click(self.stop, self.run_id, {stage.stop, stage.here.stop}, queue=False, **PRIVATE)

    def begin(self, given: Values) -> Updates:
        """Begin the run that the page asks for."""
        try:
            estimate = given[self.table.estimate]
            job = make_job(self.table.placed(given), estimate, self.controls.chosen(given))
            variants = 4 if given[self.controls.variants] == 4 else 1
            run = self.studio.runs.begin(job, given[self.table.pictures], estimate, variants)
        except InputError as error:
            tell(str(error))
            return {self.run_id: "", self.finished: None}
        return {self.run_id: run.id, self.finished: None, **self.stage.busy()}

    @property
    def around(self) -> set[Any]:
        """What says whether there is an example whose run nobody has made."""
        return {self.table.pictures, self.finished_run, self.run_id, self.unasked}

    def inspect(self, given: Values) -> Updates:
        """The first look into Inspect at an example makes its run; later ones wait for the button."""
        if given[self.place][0] != INSPECT or given[self.unasked] is not None:
            return gr.skip()
        return self.run_example(given)

    def run_example(self, given: Values) -> Updates:
        """Begin the run of the example that is shown, with the settings that the weights came with."""
        example = example_of(given[self.table.pictures], self.studio.examples)
        going = self.studio.runs.find(given[self.run_id])
        if example is None or given[self.finished_run] is not None or (going is not None and not going.ended):
            return gr.skip()
        try:
            pictures = example_pictures(example)
            job = make_job(pictures, False, self.studio.shipped[self.studio.methods[0]])
            run = self.studio.runs.begin(job, pictures, False)
        except InputError as error:
            tell(str(error))
            return gr.skip()
        return {self.run_id: run.id, self.unasked: run.id, self.finished: None, **self.stage.busy()}

    @explained
    def bring(self, path: str) -> Updates:
        """The pictures and settings of a run that was saved as a bundle; the run itself follows as any other."""
        run = self.studio.runs.add(*open_saved(Path(path), self.studio.workspace))
        return {
            self.run_id: run.id,
            self.credit: gr.update(visible=False),
            **self.table.showing(run.pictures, run.estimate),
            **self.controls.showing(run.settings),
        }

    def come_back(self, request: gr.Request) -> Updates:
        """The pictures and settings of the run that the page's address names, where it is kept."""
        wanted = request.query_params.get("run")
        run = self.studio.runs.find(wanted)
        if run is None:
            if wanted:
                tell("It is no longer kept on the server; generate the mesh again.", "That run is gone", fault=False)
            return gr.skip()
        return {
            self.run_id: run.id,
            **self.table.showing(run.pictures, run.estimate),
            **self.controls.showing(run.settings),
        }

    def follow(self, run_id: str) -> Iterator[Any]:
        """Show the run while it goes on."""
        run = self.studio.runs.find(run_id)
        if run is None:
            yield gr.skip()
            return
        for each, update in run.follow_all():
            yield self.stage.during(update, each.watch)
        problem = next((each.problem for each in run.variants if each.problem), None)
        if problem is not None:
            tell(problem)
        # The first is shown; the others stand among the runs of this visit.
        ended: Ended = None if run.result is None else (run.result, run.pictures)
        example = example_of(run.pictures, self.studio.examples)
        offered = ended is None and example is not None
        # What was seen to form is finished at once; whether it still belongs here is found out after it.
        mesh = {} if run.result is None else self.stage.with_mesh(run.result)
        yield {self.finished: ended, **self.stage.idle(), **self.stage.here.offering(offered), **mesh}

    def present(self, given: Values) -> Updates:
        """The mesh of the run that ended, where its pictures are still there."""
        ended: Ended = given[self.finished]
        pictures = given[self.table.pictures]
        if ended is None:
            return gr.skip()
        result, ran = ended
        found = with_found(pictures, ran, result)
        if found is None:
            tell(
                "It was of pictures that are no longer here, so its mesh is not shown.", "A run has ended", fault=False
            )
            example = example_of(pictures, self.studio.examples)
            return {self.finished_run: None, **self.stage.before_runs(self.studio, example)}
        return {
            self.finished_run: result.folder,
            **self.table.showing(found, given[self.table.estimate]),
            **self.stage.finished_with(result),
        }

    def tell_steps(self, ended: Ended, shown_run: str | None) -> Any:
        """The steps of the run, which are drawn once it no longer needs the processor."""
        if ended is None or ended[0].folder != shown_run:
            return gr.skip()
        return self.stage.told(ended[0], self.studio.record(shown_run))

    def tell_runs(self, run_id: str) -> str:
        """The run and its variants for the list of this visit, as JSON; empty for those that left nothing."""
        run = self.studio.runs.find(run_id)
        left = [] if run is None else [each for each in run.variants if each.result is not None]
        return listed([(each.id, each.result, self.studio.record(each.result.folder)) for each in left if each.result])

    def stop(self, run_id: str) -> Updates:
        """Ask the run to end after its current step."""
        if run_id:
            self.studio.runs.stop(run_id)
        stops = (self.stage.stop, self.stage.here.stop)
        return {stop: gr.update(value="Stopping…", interactive=False) for stop in stops}
