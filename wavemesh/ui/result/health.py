"""The health card of a mesh as HTML, for a person who wants to print it."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wavemesh.geometry.health import MeshHealth

LEAST_WALL_MM = 1.0


def health_card(health: MeshHealth, size_mm: float, repair: str = "") -> str:
    """One line for each fact, with a mark and words for what it means at this printed size.

    repair: what a repair did to the mesh, empty where there was none.
    """
    thinnest_mm = None if health.thinnest is None else health.thinnest / health.extent * size_mm
    rows = [
        ("Watertight", _yes(health.watertight), health.watertight, _edges(health)),
        ("Triangles look outwards", _yes(health.printable), health.printable, "needed for an inside and an outside"),
        ("Components", f"{health.components:,}", health.components == 1, "connected pieces"),
        ("Euler number", f"{health.euler:,}", None, "2 for each piece, 2 less for each hole through it"),
        ("Volume", "–" if health.volume is None else f"{health.volume:.4f}", None, _volume_mm(health, size_mm)),
        (
            "Thinnest part",
            "–" if thinnest_mm is None else f"{thinnest_mm:.1f} mm",
            None if thinnest_mm is None else thinnest_mm >= LEAST_WALL_MM,
            f"wall thickness that 1% of the surface undercuts, printed {size_mm:g} mm long; below 1 mm often breaks",
        ),
        ("Triangles", f"{health.faces:,}", None, f"{health.vertices:,} vertices"),
    ]
    marks = {None: ("plain", ""), True: ("ok", "✓ "), False: ("bad", "! ")}
    lines = [
        f'<tr><th>{html.escape(name)}</th><td class="wm-{marks[good][0]}">{marks[good][1]}{html.escape(value)}</td>'
        f"<td>{html.escape(note)}</td></tr>"
        for name, value, good, note in rows
    ]
    table = f'<table class="wm-health"><tbody>{"".join(lines)}</tbody></table>'
    card = f'<p class="wm-verdict">{_verdict(health, thinnest_mm)}</p>{table}'
    return f'{card}<p class="wm-note" id="repair-summary">{repair}</p>' if repair else card


def _verdict(health: MeshHealth, thinnest_mm: float | None) -> str:
    if not health.printable:
        return "Not printable as it is: switch on “Repair for printing”."
    if health.components > 1:
        return f"A closed solid, but in {health.components:,} separate pieces, which come out of the printer apart."
    if thinnest_mm is not None and thinnest_mm < LEAST_WALL_MM:
        return f"A closed solid, but its thinnest part, {thinnest_mm:.1f} mm at this size, may break."
    return "Ready to print: one closed solid."


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def _edges(health: MeshHealth) -> str:
    if health.watertight:
        return "every edge has two triangles"
    return f"{health.open_edges:,} open edges, {health.crowded_edges:,} with more than two triangles"


def _volume_mm(health: MeshHealth, size_mm: float) -> str:
    if health.volume is None:
        return "only closed meshes have one"
    return f"cubic world units; {health.volume * (size_mm / health.extent) ** 3 / 1000.0:.1f} cm³ in print"
