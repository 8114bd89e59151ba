"""The runs of this visit: small pictures that lead back to them, kept by the browser for as long as the server does.

What names a run is its address, so nobody sees the runs of others.
"""

from __future__ import annotations

import gradio as gr

from wavemesh.ui.runs import MAX_KEPT
from wavemesh.ui.workspace import KEPT_S

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
}};
window.addEventListener('wavemesh-run', ({{detail: id}}) => {{
  const picture = document.querySelector('#watch .wm-film button:last-child img')?.src;
  const words = document.querySelector('#facts')?.textContent.trim();
  if (!id || !picture) return;
  const runs = [{{id, picture, words, at: Date.now()}}, ...kept().filter((each) => each.id !== id)].slice(0, MOST);
  try {{ localStorage.setItem(NAME, JSON.stringify(runs)); }} catch {{ /* a browser that keeps nothing */ }}
  show(runs);
}});
show(kept());
"""
# Of an event: the run with this id has ended, and its strip is on the page, or will be in a moment.
TELL_RUN = "(id) => { setTimeout(() => window.dispatchEvent(new CustomEvent('wavemesh-run', {detail: id})), 500); }"


def build_visit() -> gr.HTML:
    """The list, hidden as long as there is one run to show."""
    return gr.HTML(
        '<div class="wm-runs" hidden><p class="wm-note">Runs of this visit</p><div class="wm-runs-list"></div></div>',
        js_on_load=_LIST,
        elem_id="runs",
    )
