"""Results of examples that are seen before anything ran: at a first visit, and when an example is picked.

They are made by the bundled weights and cached, see `wavemesh.gallery.write`; no model runs here.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

import gradio as gr

from wavemesh.ui.generate.layout import Stage
from wavemesh.ui.pictures import Picture
from wavemesh.ui.studio import Studio
from wavemesh.ui.workspace import new_result_folder

FIRST = "teddy-bear"  # what a first visit shows


def first_shown(studio: Studio) -> int | None:
    """The index of the example that a first visit shows; None where no example has a cached result."""
    having = [index for index, example in enumerate(studio.examples) if example.result is not None]
    chosen = [index for index in having if studio.examples[index].key == FIRST]
    return next(iter(chosen + having), None)


def shown_result(studio: Studio, stage: Stage, index: int) -> list[Any]:
    """Values for the stage's outputs: the cached result of an example, or an empty stage where it has none."""
    example = studio.examples[index]
    if example.result is None:
        return cleared(stage)
    # gradio gives away files of the workspace only.
    mesh = new_result_folder(studio.workspace) / f"{example.key}-mesh.glb"
    shutil.copyfile(example.result.mesh, mesh)
    line = f"An earlier result with the bundled weights, {example.result.faces:,} triangles. Generate makes it anew."
    hidden = gr.update(visible=False)
    return stage.update(
        empty=hidden,
        forming=hidden,
        watch=hidden,
        downloads=hidden,
        mesh=gr.update(value=str(mesh), visible=True),
        facts=gr.update(value=line, visible=True),
    )


def before_runs(studio: Studio, stage: Stage, pictures: Sequence[Picture]) -> list[Any]:
    """Values for the stage's outputs when no run has been made of these pictures."""
    keys = [example.key for example in studio.examples]
    named = next((picture.example for picture in pictures if picture.example in keys), None)
    return cleared(stage) if named is None else shown_result(studio, stage, keys.index(named))


def cleared(stage: Stage) -> list[Any]:
    """Values for the stage's outputs: nothing was made of these pictures yet."""
    hidden = gr.update(visible=False)
    return stage.update(
        empty=gr.update(visible=True),
        forming=hidden,
        watch=hidden,
        downloads=hidden,
        facts=hidden,
        mesh=gr.update(value=None, visible="hidden"),
    )
