"""The runs of this visit: small pictures that lead back to them, kept by the browser for as long as the server does.

What names a run is its address, so nobody sees the runs of others.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from wavemesh.geometry.frame import beside
from wavemesh.ui.generate.content import caption
from wavemesh.ui.runner import Result
from wavemesh.ui.runs import MAX_KEPT
from wavemesh.ui.widgets.events import IN_TURN
from wavemesh.ui.widgets.painting import paint_mesh
from wavemesh.ui.widgets.strip import FRAME_SIDE, data_uri
from wavemesh.ui.workspace import KEPT_S

if TYPE_CHECKING:
    from wavemesh.pipelines.record import RunRecord

_LIST = f"""
const NAME = 'wavemesh-runs', MOST = {MAX_KEPT}, KEPT_MS = {1000 * KEPT_S};
const kept = () => {{
  try {{
    return JSON.parse(localStorage.getItem(NAME) ?? '[]').filter(({{at}}) => Date.now() - at < KEPT_MS);
  }} catch {{ return []; }}
}};
const show = (runs) => {{
  const list = element.querySelector('.wm-runs-list');
  list.replaceChildren(...runs.map(({{id, picture, words}}) => {{
    const link = document.createElement('a'), image = document.createElement('img');
    const here = new URL(location);
    here.searchParams.set('run', id);
    link.href = here;
    link.title = words;
    image.src = picture;
    image.alt = `Open the run: ${{words}}`;
    link.append(image);
    return link;
  }}));
  element.querySelector('.wm-runs').hidden = runs.length < 2;
  trigger('input', {{ids: runs.map(({{id}}) => id)}});
}};
window.addEventListener('wavemesh-runs', ({{detail: told}}) => {{
  const made = told.map((run) => ({{...run, at: Date.now()}})), ids = told.map(({{id}}) => id);
  const runs = [...made, ...kept().filter(({{id}}) => !ids.includes(id))].slice(0, MOST);
  try {{ localStorage.setItem(NAME, JSON.stringify(runs)); }} catch {{ /* a browser that keeps nothing */ }}
  show(runs);
}});
show(kept());
"""
# Of an event: these runs have ended, told as `listed` does.
TELL_RUNS = """(told) => {
  if (told) window.dispatchEvent(new CustomEvent('wavemesh-runs', {detail: JSON.parse(told)}));
}"""


def listed(runs: Sequence[tuple[str, Result, RunRecord]]) -> str:
    """Runs as JSON for the list: the id of each, a small picture of its mesh, and words; empty without any."""
    told = []
    for run_id, result, record in runs:
        look = beside(record.cameras[0].azimuth_deg, record.cameras[0].elevation_deg)
        picture = data_uri(paint_mesh(record.mesh, *look, FRAME_SIDE, in_clay=False))
        told.append({"id": run_id, "picture": picture, "words": caption(result)})
    return json.dumps(told) if told else ""


def build_visit(visit: gr.State) -> None:
    """The list, hidden as long as there is one run to show. visit: gets the ids of all that are in it."""
    runs = gr.HTML(
        '<div class="wm-runs" hidden><p class="wm-note">Runs of this visit</p><div class="wm-runs-list"></div></div>',
        js_on_load=_LIST,
        elem_id="runs",
    )

    def keep(event: gr.EventData) -> list[str]:
        return told_ids(getattr(event, "ids", None))

    runs.input(keep, None, visit, **IN_TURN)


def told_ids(told: Any) -> list[str]:
    """The ids among what a browser tells."""
    return [each for each in told if isinstance(each, str)][:MAX_KEPT] if isinstance(told, list) else []
