"""What the tab "Wavelets" shows and does, without gradio: slices, energies, active sites, and what an edit changes.

Nothing here runs a network: an edit changes the coefficients of a finished run and decodes them again, which takes
about a second at 128^3. Heavy imports stay inside the functions: the page is laid out before torch is there.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from wavemesh.errors import InputError
from wavemesh.ui.pictures import Number
from wavemesh.ui.viewer.measure import Measure
from wavemesh.ui.wavelets.edit import Edit
from wavemesh.ui.widgets.slices import cells_picture, colour_limit, upright
from wavemesh.wavelets.bands import BANDS, Band

if TYPE_CHECKING:
    import trimesh

    from wavemesh.geometry.deviation import Surface
    from wavemesh.pipelines.record import RunRecord
    from wavemesh.wavelets.sparse import SparseCoefficients

MAX_POINTS = 8000
_LEAST_CHANGE = 0.005  # world units; a scale finer than this would show rounding
MAX_VERTICES = 200_000  # of a surface; a shape on 128 cells a side has some 40,000


def wavelet_coefficients(record: RunRecord) -> SparseCoefficients:
    """The coefficients of a run; InputError for a run of the other method."""
    if record.coefficients is None:
        raise InputError(f"A {record.method} run has no 3D wavelet coefficients; its planes are in the tab Triplane.")
    return record.coefficients


class Decoded:
    """Coefficients with the surface that they mean, turned to its front; decoded once. front_deg: as of the run."""

    def __init__(self, coefficients: SparseCoefficients, front_deg: float = 0.0) -> None:
        self.coefficients, self.front_deg = coefficients, front_deg

    @cached_property
    def mesh(self) -> trimesh.Trimesh:
        """The surface; InputError where there is none, and where an edit makes noise that nobody could look at."""
        from wavemesh.geometry.isosurface import sdf_to_mesh
        from wavemesh.geometry.mesh import facing

        return facing(sdf_to_mesh(self.coefficients.to_sdf().numpy(), max_vertices=MAX_VERTICES), self.front_deg)

    @cached_property
    def surface(self) -> Surface:
        """For distances to it."""
        from wavemesh.geometry.deviation import Surface

        return Surface(self.mesh)


class Comparison:
    """A run before and after an edit: two surfaces, and how far each point of the second is from the first.

    change: (v,) world units, positive where the edit added material. limit: where the colour scale ends.
    """

    def __init__(self, before: Decoded, after: Decoded) -> None:
        self.before, self.after = before, after
        same = before is after
        vertices = np.asarray(after.mesh.vertices)
        self.change = np.zeros(len(vertices)) if same else before.surface.signed_distance(vertices)
        self.limit = max(float(np.quantile(np.abs(self.change), 0.99)), _LEAST_CHANGE)

    @property
    def measure(self) -> Measure:
        """What the change means as colours: blue where material was removed, red where some was added."""
        ends = (f"−{self.limit:.3f} removed", "same", f"+{self.limit:.3f} added")
        title = "Change of the surface (the object is 1.8 long)"
        return Measure("change", "Change", title, -self.limit, self.limit, ends, "diverging")

    def measures(self) -> dict[str, float | int]:
        """The change as numbers by name; lengths in world units."""
        moved = np.abs(self.change)
        return {
            "vertices": len(self.after.mesh.vertices),
            "faces": len(self.after.mesh.faces),
            "mean_change": float(moved.mean()),
            "largest_change": float(moved.max()),
            "volume_before": float(self.before.mesh.volume),
            "volume_after": float(self.after.mesh.volume),
            "fine_sites": len(self.after.coefficients.coords),
        }

    @property
    def facts(self) -> str:
        """One line about the change."""
        told, sites = self.measures(), len(self.before.coefficients.coords)
        before, after = told["volume_before"], told["volume_after"]
        share = f"{(after - before) / before:+.1%}" if before > 0 else "unknown"
        return (
            f"The surface moved by {told['mean_change']:.4f} on average and {told['largest_change']:.3f} at most (the "
            f"object is 1.8 long), the volume by {share}; {told['fine_sites']:,} of {sites:,} fine sites hold details."
        )


class WaveletEditor:
    """Runs and edits of them, the last few kept decoded; what all sessions of a page share.

    load: the record of a run's folder (`Studio.record`), which says no to folders that are not ours. `run(folder)` is
    `Decoded`; `comparison(folder, edit, other)` is the run before and after an edit, with details of another folder.
    """

    def __init__(self, load: Callable[[str], RunRecord]) -> None:
        def decoded(folder: str) -> Decoded:
            return Decoded(wavelet_coefficients(load(folder)), load(folder).front_deg)

        def compared(folder: str, edit: Edit, other: str | None) -> Comparison:
            taken = self.run(other).coefficients if other and edit.taken else None
            before = self.run(folder)
            if edit == Edit():
                return Comparison(before, before)
            return Comparison(before, Decoded(edit.applied(before.coefficients, taken), before.front_deg))

        # Small: each holds two search trees and meshes of some 80,000 faces. Whatever is gone is computed again.
        self.run = lru_cache(maxsize=4)(decoded)
        self.comparison = lru_cache(maxsize=6)(compared)


def slice_pictures(
    coefficients: SparseCoefficients, band: Band, positions: Sequence[Number]
) -> tuple[list[UInt8[np.ndarray, "s s 3"]], float]:
    """Slices of a band across x, y and z as pictures on one colour scale, and where that scale ends.

    positions: world, in [-1, 1]. They lie as `upright` says. A band whose mean is not zero, such as the approximation,
    is shown as it is: zero is grey.
    """
    from wavemesh.wavelets.editing import band_slice

    across = [band_slice(coefficients, band, axis, float(positions[axis])).float().numpy() for axis in range(3)]
    # One scale for all three, from the whole range that they show.
    limit = colour_limit(np.stack(across))
    return [cells_picture(upright(values, axis), limit) for axis, values in enumerate(across)], limit


def energy_html(before: SparseCoefficients, after: SparseCoefficients | None = None) -> str:
    """A table of the energy in every band, as bars on a logarithmic scale; with a second set, both."""
    from wavemesh.wavelets.editing import energies

    first, second = energies(before), energies(after) if after is not None else None
    top = max(max(first.values()), max((second or first).values()), 1e-12)
    # The approximation holds nearly all; the bars begin a little below the weakest band of the run.
    low = max(min([energy for energy in first.values() if energy > 0.0], default=top) / 10.0, top * 1e-14)
    rows = []
    for band in BANDS:
        cells = _bar(first[band], low, top, "wm-bar-before")
        value = f"{first[band]:.3g}"
        if second is not None:
            cells += _bar(second[band], low, top, "wm-bar-after")
            value += f" → {second[band]:.3g}"
        rows.append(f"<tr><th>{band.level}&nbsp;{html.escape(band.key)}</th><td>{cells}</td><td>{value}</td></tr>")
    return f'<table class="wm-energy"><tbody>{"".join(rows)}</tbody></table>'


def strongest_sites(coefficients: SparseCoefficients) -> tuple[np.ndarray, np.ndarray]:
    """Positions (m, 3) and strengths (m,) of the strongest fine sites, not more than a browser can turn smoothly."""
    from wavemesh.wavelets.editing import active_points

    points, strength = active_points(coefficients, MAX_POINTS)
    return points.numpy(), strength.numpy()


def _bar(value: float, low: float, top: float, name: str) -> str:
    share = np.log(max(value, low) / low) / np.log(top / low)
    return f'<div class="wm-bar {name}" style="width:{share:.1%}"></div>'
