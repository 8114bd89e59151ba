"""The page as a whole: its tabs, and the server with its limits.

gradio is imported inside the functions: GRADIO_TEMP_DIR has to be set first, and importing this module stays cheap.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavemesh.errors import InputError
from wavemesh.ui.studio import Studio, open_studio
from wavemesh.ui.workspace import KEPT_S, open_workspace

if TYPE_CHECKING:
    import gradio as gr

TITLE = "WaveMesh"
MAX_WAITING = 24
MAX_FILE_SIZE = "32mb"

_HEADER = """
<a class="wm-skip" href="#generate-button">Skip to Generate</a>
<div class="wm-header"><h1>WaveMesh</h1>
<p>Pictures of an object become a 3D mesh, by diffusion over wavelet coefficients. Watch it form.</p></div>
"""

# The open tab stands in the address, so that a reload opens it again.
_TABS = """
element.querySelector('.wm-skip').addEventListener('click', (event) => {
  event.preventDefault();
  document.querySelector('#tabs [role=tab]').click();
  document.querySelector('#generate-button, #stop-button').focus();
});
document.addEventListener('click', (event) => {
  const tab = event.target.closest?.('#tabs [role=tab], #tabs .overflow-dropdown button');
  if (!tab) return;
  const here = new URL(location);
  here.searchParams.set('tab', tab.textContent.trim().toLowerCase());
  history.replaceState(null, '', here);
});
"""
# gradio puts pictures into buttons without a name.
_NAMES = """
const named = () => {
  for (const button of document.querySelectorAll('button:not([aria-label]):has(img[alt=""])')) {
    const card = button.closest('.wm-card'), block = button.closest('.block');
    const label = block?.querySelector('[data-testid="block-label"]')?.textContent.trim();
    const place = [...document.querySelectorAll('.wm-card')].indexOf(card) + 1;
    button.setAttribute('aria-label', card ? `Picture ${place}` : label || block?.id.replaceAll('-', ' ') || 'Picture');
  }
};
let naming = null;
new MutationObserver(() => { naming ??= setTimeout(() => { naming = null; named(); }, 100); })
  .observe(document.body, {childList: true, subtree: true});
"""
# gradio says that the connection was lost, and loads the page anew once somebody answers. Until then no time is left,
# and what needs a server cannot be pressed.
_LOST = """
new MutationObserver((_, watching) => {
  if (!document.querySelector('.toast-wrap')?.textContent.includes('Connection to the server was lost')) return;
  watching.disconnect();
  for (const button of document.querySelectorAll('button.lg')) button.disabled = true;
  for (const bar of document.querySelectorAll('.wm-progress')) {
    const [words, left] = bar.querySelectorAll('.wm-progress-text span');
    words.textContent = bar.ariaValueText = 'Waiting for the server to answer';
    left.textContent = '';
  }
}).observe(document.body, {childList: true, subtree: true});
"""
_KEPT = f"""
<p class="wm-kept">Pictures and meshes stay on this server for {KEPT_S // 60} minutes at most.
Nothing is sent elsewhere.</p>
"""


def build(studio: Studio) -> gr.Blocks:
    """The page over a studio; serve it with `serve`."""
    import gradio as gr

    from wavemesh.ui.api import add_api
    from wavemesh.ui.compare.view import compare_tab
    from wavemesh.ui.generate.view import generate_tab
    from wavemesh.ui.result.view import result_tab
    from wavemesh.ui.steps.view import steps_tab
    from wavemesh.ui.triplane.view import triplane_tab
    from wavemesh.ui.wavelets.view import wavelet_tab
    from wavemesh.ui.widgets.busy import WATCH_CLICKS
    from wavemesh.ui.widgets.subject import INSPECT, build_subject, follow_tabs

    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(KEPT_S, KEPT_S), fill_width=True) as page:
        add_api(studio)  # first, so that no handler of the page has the name of an endpoint
        gr.HTML(_HEADER, js_on_load=_TABS + _NAMES + _LOST + WATCH_CLICKS)
        subject = build_subject()
        with gr.Tabs(elem_id="tabs") as tabs:
            stage = generate_tab(studio, subject)
            result_tab(studio, subject)
            with gr.Tab(INSPECT, id="inspect"):
                stage.here.render()
                with gr.Tabs(elem_id="inspect") as inspected:
                    steps_tab(studio, subject.finished_run)
                    wavelet_tab(studio, subject)
                    if "triplane" in studio.methods:
                        triplane_tab(studio, subject)
                    compare_tab(studio, subject.finished_run)
        follow_tabs(subject.place, tabs, inspected)
        gr.HTML(_KEPT)
    return page


def serve(page: gr.Blocks, studio: Studio, **options: Any) -> tuple[Any, str, str | None]:
    """Launch the page over a studio with the limits that untrusted visitors need; options go to gradio's `launch`."""
    from wavemesh.ui.theme import PAGE_CSS, theme
    from wavemesh.ui.viewer.component import VIEWER_CSS, bundle_route
    from wavemesh.ui.visitors import MAX_SESSIONS, guarded

    page.queue(max_size=MAX_WAITING, default_concurrency_limit=4, api_open=False)
    settings: dict[str, Any] = {
        "theme": theme(),
        "css_paths": [PAGE_CSS, VIEWER_CSS],
        "max_file_size": MAX_FILE_SIZE,
        "enable_monitoring": False,
        "share": False,
        "show_error": False,  # refusals are shown in any case; what a library says is nobody's business
        "state_session_capacity": MAX_SESSIONS,
        "app_kwargs": {"lifespan": guarded(page, studio), "routes": [bundle_route()]},
        "ssr_mode": False,
        "footer_links": ["api"],
        "mcp_server": mcp_wanted(),
        # Skips gradio's request to its own page, which gives up after three seconds: a busy machine needs more.
        "_frontend": False,
    }
    return page.launch(**{**settings, **options})


def mcp_wanted() -> bool:
    """Whether agents get the endpoints as tools (MCP): where the extra is installed, unless GRADIO_MCP_SERVER says no.

    Raises InputError where it says yes and the extra is missing.
    """
    installed = importlib.util.find_spec("mcp") is not None
    switch = os.environ.get("GRADIO_MCP_SERVER", "").lower()
    if switch == "true" and not installed:
        raise InputError('GRADIO_MCP_SERVER is "true", but MCP is not installed: pip install "gradio[mcp]".')
    return installed and switch in ("", "true")


def launch(
    weights: str | Path | None = None, device: str = "auto", host: str | None = None, port: int | None = None
) -> None:
    """Serve the page until the process is stopped.

    weights: None for the bundled ones, a folder, or a Hub id; loaded at the first run. device: "auto", "cpu" or "cuda".
    host, port: where to listen; None leaves it to GRADIO_SERVER_NAME and GRADIO_SERVER_PORT.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    studio = open_studio(open_workspace(), weights, device)
    serve(build(studio), studio, server_name=host, server_port=port)
