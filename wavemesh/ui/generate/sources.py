"""Where pictures come from: an upload, the bundled examples, or a mesh whose views are rendered."""

from __future__ import annotations

from typing import NamedTuple

import gradio as gr

from wavemesh.errors import InputError
from wavemesh.gallery.format import Example
from wavemesh.geometry.untrusted import MESH_INPUT_SUFFIXES
from wavemesh.ui.generate.cards import Cards
from wavemesh.ui.generate.content import add_pictures, example_pictures, first_example
from wavemesh.ui.generate.stage import Stage
from wavemesh.ui.generate.truth import rendered_pictures
from wavemesh.ui.pictures import MAX_VIEWS, with_background
from wavemesh.ui.studio import Studio
from wavemesh.ui.widgets.busy import FREED, HELD, click_shown
from wavemesh.ui.widgets.events import PRIVATE, Updates, Values
from wavemesh.ui.widgets.notices import explained, tell

# A picture in the clipboard is pasted anywhere on the tab; the upload's own button asks for leave first.
_PASTE = """
document.addEventListener('paste', (event) => {
  if (event.target.closest?.('input, textarea, [contenteditable]')) return;
  const input = document.querySelector('#upload input[type=file]');
  const files = [...event.clipboardData.files].filter((file) => file.type.startsWith('image/'));
  if (!files.length || !input || !input.closest('#upload').offsetParent) return;
  event.preventDefault();
  const carried = new DataTransfer();
  for (const file of files) carried.items.add(file);
  input.files = carried.files;
  input.dispatchEvent(new Event('change', {bubbles: true}));
});
"""


class Sources(NamedTuple):
    """The upload, the gallery of examples (None without any), and the line that names who made what is shown."""

    upload: gr.Gallery
    examples: gr.Gallery | None
    credit: gr.Markdown


class Renderer(NamedTuple):
    """The controls that render views from a mesh: a bundled one by its example's key, or a file."""

    bundled: gr.Dropdown
    file: gr.File
    views: gr.Slider
    azimuth: gr.Slider
    elevation: gr.Slider
    button: gr.Button


def build_sources(studio: Studio) -> Sources:
    """The upload and the examples."""
    gr.HTML('<p class="wm-step">1. Pictures of one object</p>')
    upload = gr.Gallery(
        label="Drop, choose or paste pictures",
        show_label=False,
        type="filepath",
        file_types=["image"],  # by suffix nothing could be pasted; what we cannot read is refused with a sentence
        sources=["upload", "webcam", "clipboard"],
        interactive=True,
        height=150,
        elem_id="upload",
    )
    gr.HTML("<i></i>", js_on_load=_PASTE, elem_id="paste")
    gr.Markdown(
        "One picture is enough, two to four from different sides are much better. Plain backgrounds are cut away best."
        + (" Or try an example:" if studio.examples else ""),
        elem_classes="wm-note",
    )
    examples = None
    if studio.examples:
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
    return Sources(upload, examples, gr.Markdown(visible=False, elem_id="credit", elem_classes="wm-note"))


def build_renderer(studio: Studio) -> Renderer:
    """The controls that render views from a mesh, folded away."""
    with gr.Accordion("Render views from a mesh", open=False, elem_id="render-mesh"):
        known = [(example.name, example.key) for example in studio.examples if example.truth is not None]
        bundled = gr.Dropdown(
            known,
            value=None,
            label="A bundled mesh",
            info="Real models that the weights were not trained on. Or give one of your own:",
            visible=bool(known),
            filterable=False,
            elem_id="mesh-bundled",
        )
        file = gr.File(
            label="Mesh: .glb .obj .ply .stl .off .zip",
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


def wire_sources(studio: Studio, sources: Sources, table: Cards, stage: Stage, finished_run: gr.State) -> None:
    """The first visit, uploads, and picking an example."""
    upload, examples, credit = sources

    def add(given: Values) -> Updates:
        paths = [file[0] for file in given[upload] or []]
        if not paths:  # the upload was emptied just now
            return gr.skip()
        # Pictures of an example are another object: an upload replaces them.
        replaced = any(picture.camera for picture in given[table.pictures])
        kept = [] if replaced else table.turned(given)
        result, problems = add_pictures(kept, paths)
        if len(result) == len(kept):  # nothing came of it, so what is there stays
            for problem in problems:
                tell(problem, "Left out")
            return {upload: None}
        result = with_background(result, any(picture.keeps_background for picture in kept))
        for problem in problems:
            tell(problem, "Left out")
        changes = table.showing(result, given[table.estimate] if kept else True)
        if replaced:
            changes |= {finished_run: None, **stage.before_runs(studio)}
        return {upload: None, credit: gr.update(visible=False), **changes}

    def show_example(example: Example) -> Updates:
        return {
            credit: gr.update(value=example.credit, visible=True),
            finished_run: None,  # the last run was another object's: the other tabs must not go on showing it
            **table.showing(example_pictures(example), False),
            **stage.before_runs(studio, example),
        }

    def pick(event: gr.SelectData) -> Updates:
        return show_example(studio.examples[int(event.index)])

    outputs = {credit, finished_run, *table.outputs, *stage.outputs}
    # A run that began before the pictures are cut out would be of those that they replace.
    upload.change(None, None, stage.generate, js=HELD, api_visibility="private")
    # Pasting and photographing only count as a change; an upload says so twice, hence "once".
    upload.change(
        add,
        {upload, *table.inputs},
        {upload, *outputs},
        api_visibility="private",
        show_progress_on=upload,
        trigger_mode="once",
    ).then(None, None, stage.generate, js=FREED, api_visibility="private")
    if examples is not None:
        examples.select(pick, None, outputs, **PRIVATE)
    first = first_example(studio.examples)
    if first is not None:

        def first_visit(request: gr.Request) -> Updates:
            known = studio.runs.find(request.query_params.get("run"))
            return show_example(first) if known is None else gr.skip()

        gr.on(None, first_visit, None, outputs, **PRIVATE)  # no trigger: when the page opens


def wire_renderer(
    studio: Studio, renderer: Renderer, credit: gr.Markdown, table: Cards, stage: Stage, finished_run: gr.State
) -> None:
    """Views of a bundled or an uploaded mesh take the place of the pictures."""
    *controls, button = renderer

    @explained
    def render(given: Values) -> Updates:
        example = next((each for each in studio.examples if each.key == given[renderer.bundled]), None)
        mesh = given[renderer.file] if example is None else example.truth
        if not mesh:
            raise InputError("No mesh yet: choose one, or a file, first.")
        count, azimuth, elevation = (given[each] for each in (renderer.views, renderer.azimuth, renderer.elevation))
        pictures = rendered_pictures(mesh, count, azimuth, elevation, studio.workspace)
        line = gr.update(visible=False) if example is None else gr.update(value=example.credit, visible=True)
        return {
            credit: line,
            finished_run: None,
            **table.showing(pictures, False),
            **stage.before_runs(studio),
        }

    # One or the other: the last that was chosen.
    renderer.bundled.input(lambda: None, None, renderer.file, queue=False, **PRIVATE)
    renderer.file.upload(lambda: None, None, renderer.bundled, queue=False, **PRIVATE)
    button.click(None, None, stage.generate, js=HELD, api_visibility="private")
    click_shown(
        button,
        render,
        set(controls),
        {credit, finished_run, *table.outputs, *stage.outputs},
        api_visibility="private",
        show_progress_on=button,
        concurrency_limit=2,
        concurrency_id="tools",
    ).then(None, None, stage.generate, js=FREED, api_visibility="private")
