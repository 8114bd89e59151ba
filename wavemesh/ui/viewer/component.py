"""The viewer as a component: what it has to show goes to the bundle in the browser, and nothing comes back.

The bundle is written by `tools/viewer` and served as it lies here, compressed; its address has its fingerprint, so that
a browser may keep it for good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

from wavemesh.geometry.camera import Camera
from wavemesh.ui.viewer.measure import Measure

BUNDLE = Path(__file__).with_name("viewer.js.gz")
VIEWER_CSS = Path(__file__).with_name("viewer.css")

# Imported only when there is something to show: a phone that only reads the page need not load it.
_BRIDGE = """
const address = `${window.gradio_config?.root ?? ''}ADDRESS`;
let viewer = null;
const show = async () => {
  const {value} = props;
  const found = (part) => part && {...part, url: part.file.url};
  const wanted = value?.file ? {...found(value), steps: value.steps.map(found), picture: found(value.picture),
    before: found(value.before)} : null;
  if (!viewer && !wanted) return;
  viewer ??= import(address).then(({mount}) => mount(element.querySelector('.wm-viewer-place'), props.label));
  (await viewer).show(wanted);
};
watch('value', show);
show();
"""


@dataclass(frozen=True)
class Before:
    """Another file in the same frame, to compare with.

    what: in "Compare with ..."; names: of both sides; opened: whether the comparison begins by itself.
    """

    mesh: str | Path
    what: str = "the shape before"
    names: tuple[str, str] = ("Before", "After")
    opened: bool = False

    def to_dict(self) -> dict[str, Any]:
        """All of it, as the viewer takes it."""
        return {"file": _file(self.mesh), "what": self.what, "names": list(self.names), "open": self.opened}


def build_viewer(label: str, elem_id: str, visible: Any = True) -> gr.HTML:
    """An empty viewer; its value is what `seen` gives, or None. label: its name for those who hear the page."""
    return gr.HTML(
        None,
        label=label,
        html_template='<div class="wm-viewer-place"></div>',
        js_on_load=_BRIDGE.replace("ADDRESS", bundle_address()),
        apply_default_css=False,
        visible=visible,
        elem_id=elem_id,
        elem_classes="wm-viewer-block",
    )


def seen(
    mesh: str | Path,
    first: Camera,
    subject: str,
    forming: bool = False,
    steps: Mapping[int, tuple[str, str]] | None = None,
    *,
    picture: str | Path | None = None,
    before: Before | None = None,
    measures: Sequence[Measure] = (),
    look: str | None = None,
) -> dict[str, Any]:
    """The value of a viewer that shows this .glb file, which must lie in the workspace, as all other files.

    first: where the view begins. subject: what is shown; the view that a person has chosen stays as long as it does.
    forming: the mesh will give way to a better one soon. steps: names and files of the shapes on the way to this one.
    picture: the square picture that the camera `first` took of the object. before: what the mesh can be compared with.
    measures: of the numbers at its vertices, those that can be shown. look: the key of one that a new subject begins
    with.
    """
    path = Path(mesh)
    return {
        "file": _file(path),
        "name": path.stem,
        "azimuth": first.azimuth_deg,
        "elevation": first.elevation_deg,
        "subject": subject,
        "forming": forming,
        "steps": [{"index": i, "name": name, "file": _file(path)} for i, (name, path) in (steps or {}).items()],
        "picture": None if picture is None else {"file": _file(picture), **_lens(first)},
        "before": None if before is None else before.to_dict(),
        "look": look,
        "measures": [measure.to_dict() for measure in measures],
    }


def _lens(camera: Camera) -> dict[str, Any]:
    return {
        "azimuth": camera.azimuth_deg,
        "elevation": camera.elevation_deg,
        "distance": camera.distance,
        "focal": camera.focal,
        "offset": list(camera.offset),
    }


def _file(path: str | Path) -> dict[str, Any]:
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


@cache
def bundle_address() -> str:
    """Where the page's server has the bundle."""
    return f"/viewer-{hashlib.sha256(BUNDLE.read_bytes()).hexdigest()[:12]}.js"


def bundle_route() -> Any:
    """The route by which the page's server sends the bundle."""
    from starlette.responses import Response
    from starlette.routing import Route

    headers = {"Content-Encoding": "gzip", "Cache-Control": "public, max-age=31536000, immutable"}

    def send(request: Any) -> Response:
        return Response(BUNDLE.read_bytes(), media_type="text/javascript", headers=headers)

    return Route(bundle_address(), send)
