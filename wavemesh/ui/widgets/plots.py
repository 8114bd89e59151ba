"""Interactive 3D plots that keep the reader's camera while their content changes (plotly's `uirevision`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from wavemesh.ui.widgets.colours import plotly_scale

if TYPE_CHECKING:
    import plotly.graph_objects as go

_GREY = "#8a94a3"  # readable on light and on dark


def points_plot(
    points: Float[np.ndarray, "n 3"], strength: Float[np.ndarray, "n"], title: str, height: int = 420
) -> go.Figure:
    """Points in the world (y up), brighter where the strength is greater."""
    import plotly.graph_objects as go

    points, strength = np.asarray(points, dtype=np.float32), np.asarray(strength, dtype=np.float32)
    marker = {
        "size": 2.2,
        "color": strength,
        "cmin": 0.0,
        "cmax": float(np.quantile(strength, 0.97)) if len(strength) else 1.0,  # a few outliers would darken the rest
        "colorscale": plotly_scale(),
        "colorbar": _bar(title),
        "opacity": 0.85,
    }
    # The world's axes by name, so that what a reader points at is said in them.
    trace = go.Scatter3d(
        x=points[:, 0],
        y=points[:, 1],
        z=points[:, 2],
        mode="markers",
        marker=marker,
        hovertemplate="x %{x:.2f}, y %{y:.2f}, z %{z:.2f}<br>%{marker.color:.4f}<extra></extra>",
    )
    return _laid_out(go.Figure(trace), height)


def _laid_out(figure: go.Figure, height: int) -> go.Figure:
    axis = {
        "range": [-1, 1],
        "showbackground": False,
        "color": _GREY,
        "gridcolor": "rgba(138,148,163,0.3)",
        "nticks": 5,
    }
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        font={"color": _GREY, "size": 11},
        uirevision="kept",
        scene={
            "xaxis": {**axis, "title": {"text": "x"}},
            "yaxis": {**axis, "title": {"text": "y (up)"}},
            "zaxis": {**axis, "title": {"text": "z (front)"}},
            "aspectmode": "cube",
            "bgcolor": "rgba(0,0,0,0)",
            "camera": {"up": {"x": 0, "y": 1, "z": 0}, "eye": {"x": 0.8, "y": 0.6, "z": 1.4}},
        },
    )
    return figure


def _bar(title: str) -> dict[str, Any]:
    return {"title": {"text": title, "side": "right"}, "thickness": 10, "len": 0.7, "tickfont": {"color": _GREY}}
