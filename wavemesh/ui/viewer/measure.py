"""What the numbers at the vertices of a file mean, for the viewer to show them as colours; without gradio."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from wavemesh.ui.widgets.colours import stops


@dataclass(frozen=True)
class Measure:
    """A number at every vertex of a file (`geometry.export.measured_glb`) that the viewer can show as colours.

    key: its name in the file, and of the look. name: on the button. title, ends: words of the legend, those at the low
    end, in the middle and at the high end. low, high: where the scale ends. scale: "sequential" or "diverging".
    """

    key: str
    name: str
    title: str
    low: float
    high: float
    ends: tuple[str, str, str]
    scale: str = "sequential"

    def to_dict(self) -> dict[str, Any]:
        """All of it and the colours of the scale, as the viewer takes it."""
        return {**asdict(self), "stops": stops(self.scale)}
