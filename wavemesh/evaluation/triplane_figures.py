"""The five figures of the quick reference, drawn from one generated triplane (`triplane_panels`).

matplotlib comes through `figures`, the only module that imports it. Panels of one kind share one colour scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from wavemesh.evaluation.figures import Figure, preview
from wavemesh.evaluation.triplane_panels import ChannelColours, TriplanePanels, radial_spectrum, upright
from wavemesh.wavelets.transform import WaveletTransform

PLANES = ("XY", "XZ", "YZ")
AXES = (("x", "y"), ("x", "z"), ("z", "y"))
BANDS = ("LH, horizontal", "HL, vertical", "HH, diagonal")
SIGNED, POSITIVE = "RdBu_r", "magma"


def wavelet_decomposition(panels: TriplanePanels) -> Figure:
    """The given picture and a plane of the generated triplane in their wavelet bands, and put together again."""
    grey = panels.picture.astype(np.float32).mean(axis=2) / 255.0
    plane = upright(panels.highres)[0][panels.channel]
    figure = Figure(figsize=(15.0, 5.8), layout="constrained")
    figure.suptitle("One level of the Haar transform: a picture, and a plane of the generated triplane")
    grid = figure.subplots(2, 6)
    _decomposition(figure, grid[0], grey[: len(grey) // 2 * 2, : grey.shape[1] // 2 * 2], "Picture", "gray", "upper")
    name = f"Plane XY, channel {panels.channel}"
    _decomposition(figure, grid[1], plane, name, "viridis", "lower")
    return figure


def _decomposition(figure: Figure, row: Any, image: np.ndarray, name: str, colours: str, origin: str) -> None:
    wavelet = WaveletTransform()
    bands = wavelet.dwt2d(torch.from_numpy(np.ascontiguousarray(image))[None, None])
    back = wavelet.idwt2d(*bands)[0, 0].numpy()
    ll, *details = (band[0, 0].numpy() for band in bands)
    low, high = float(image.min()), float(image.max())
    for axes, shown, title in (
        (row[0], image, name),
        (row[1], ll / 2.0, "LL (halved: it carries a factor 2)"),
        (row[5], back, f"Inverse transform\nlargest error {np.abs(back - image).max():.0e}"),
    ):
        drawn = _image(axes, shown, title, cmap=colours, vmin=low, vmax=high, origin=origin)
    figure.colorbar(drawn, ax=row[5], shrink=0.8)
    limit = _limit(np.stack(details))
    for axes, band, title in zip(row[2:5], details, BANDS, strict=True):
        drawn = _image(axes, band, title, cmap=SIGNED, vmin=-limit, vmax=limit, origin=origin)
    figure.colorbar(drawn, ax=row[4], shrink=0.8)


def triplane_structure(panels: TriplanePanels) -> Figure:
    """The three planes around the object that they describe, and each of them at both resolutions."""
    colours = ChannelColours(panels.highres)
    figure = Figure(figsize=(15.0, 6.6), layout="constrained")
    figure.suptitle("Three orthogonal planes; colours are the first three principal components of the channels")
    grid = figure.add_gridspec(2, 5)
    _walls(figure.add_subplot(grid[:, :2], projection="3d"), panels, colours(panels.highres))
    # LL carries a factor 2, so that half of it lies on the scale of the planes.
    for row, (planes, name) in enumerate(((panels.ll / 2.0, "LL"), (panels.highres, "Whole"))):
        shown = upright(np.moveaxis(colours(planes), -1, 1))
        for column, plane in enumerate(shown):
            axes = figure.add_subplot(grid[row, column + 2])
            _image(axes, np.moveaxis(plane, 0, -1), f"{name} {PLANES[column]}, {plane.shape[-1]}²", origin="lower")
            _name_axes(axes, column)
    return figure


def _walls(axes: Any, panels: TriplanePanels, colours: np.ndarray) -> None:
    """The planes on the walls and floor of a box with the object in it; matplotlib's third axis points up."""
    step = max(1, colours.shape[1] // 64)
    xy, xz, yz = colours[:, ::step, ::step]
    edges = np.linspace(-1.0, 1.0, len(xy) + 1)
    first, second = np.meshgrid(edges, edges)
    wall = np.ones_like(first)
    # World (x, y, z) stands at (x, -z, y); rows of XY are y, rows of XZ and YZ are z.
    for surface, plane in (
        ((first, wall, second), xy),
        ((first, -second, -wall), xz),
        ((-wall, -second, first), yz),
    ):
        axes.plot_surface(*surface, facecolors=plane, rcount=len(edges), ccount=len(edges), shade=False, zorder=0)
    if panels.small_mesh is not None:
        x, y, z = panels.small_mesh.vertices.T
        axes.plot_trisurf(x, -z, y, triangles=panels.small_mesh.faces, color="0.8", linewidth=0.0, zorder=10)
    axes.computed_zorder = False
    axes.set(xlabel="x", ylabel="−z", zlabel="y", xlim=(-1, 1), ylim=(-1, 1), zlim=(-1, 1))
    axes.set_box_aspect((1, 1, 1))
    axes.view_init(elev=22.0, azim=-52.0)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_ticks([-1, 0, 1])
    axes.set_title("The planes drawn on the walls of their box", fontsize=10)


def pipeline_outputs(panels: TriplanePanels) -> Figure:
    """From the picture to the LL band, the details, the whole triplane, and what it looks like: a column each."""
    colours = ChannelColours(panels.highres)
    figure = Figure(figsize=(14.0, 8.6), layout="constrained")
    figure.suptitle("From a picture to a rendered object")
    grid = figure.subplots(3, 5)
    strength = np.sqrt(np.square(panels.details).mean(axis=(1, 2)))
    columns = [
        ("2  triplane_LL", panels.ll.shape, upright(np.moveaxis(colours(panels.ll / 2.0), -1, 1))),
        ("3  triplane_details, strength", (3, 3 * panels.details.shape[2], *strength.shape[1:]), upright(strength)),
        ("4  triplane_highres", panels.highres.shape, upright(np.moveaxis(colours(panels.highres), -1, 1))),
    ]
    _image(grid[0, 0], panels.picture, f"1  input_images\n{panels.picture.shape}")
    for axes in grid[1:, 0]:
        axes.axis("off")
    limit = float(np.percentile(strength, 99.5)) or 1.0
    for column, (title, shape, planes) in enumerate(columns, start=1):
        for row, plane in enumerate(planes):
            axes = grid[row, column]
            heading = f"{title}\n{tuple(shape)}" if row == 0 else ""
            shown = np.moveaxis(plane, 0, -1) if plane.ndim == 3 else plane
            drawn = _image(axes, shown, heading, origin="lower", cmap=POSITIVE, vmin=0.0, vmax=limit)
            _name_axes(axes, row, PLANES[row])
        if column == 2:
            figure.colorbar(drawn, ax=grid[:, 2], shrink=0.6)
    _image(grid[0, 4], panels.whole.colour, f"5  rendered_image\n{panels.whole.colour.shape}")
    depth = np.where(np.isfinite(panels.whole.depth), panels.whole.depth, np.nan)
    drawn = _image(grid[1, 4], depth, "depth", cmap="viridis_r")
    figure.colorbar(drawn, ax=grid[1, 4], shrink=0.8)
    _image(grid[2, 4], preview(panels.whole.mesh, panels.camera), "mesh")
    return figure


def frequency_separation(panels: TriplanePanels) -> Figure:
    """What the LL band and the details each hold: of a plane, of the rendered object, and of the planes' spectrum."""
    figure = Figure(figsize=(15.0, 7.0), layout="constrained")
    figure.suptitle("Low and high frequencies of the generated triplane")
    grid = figure.add_gridspec(2, 4, width_ratios=(1, 1, 1, 1.25))
    parts = (("Whole", panels.highres), ("LL alone", panels.lowpass), ("Details alone", panels.highpass))
    limit = _limit(panels.highres[0, panels.channel])
    top = [figure.add_subplot(grid[0, column]) for column in range(3)]
    for axes, (name, planes) in zip(top, parts, strict=True):
        title = f"{name}: plane XY, channel {panels.channel}"
        drawn = _image(axes, planes[0, panels.channel], title, cmap=SIGNED, vmin=-limit, vmax=limit, origin="lower")
        _name_axes(axes, 0)
    figure.colorbar(drawn, ax=top[2], shrink=0.8)
    bottom = [figure.add_subplot(grid[1, column]) for column in range(3)]
    _image(bottom[0], panels.whole.colour, "Whole: rendered")
    _image(bottom[1], panels.coarse.colour, "LL alone: rendered")
    difference = np.abs(panels.whole.colour - panels.coarse.colour).mean(axis=2)
    largest = max(float(np.percentile(difference, 99.8)), 1e-3)
    drawn = _image(bottom[2], difference, "What the details change", cmap=POSITIVE, vmin=0.0, vmax=largest)
    figure.colorbar(drawn, ax=bottom[2], shrink=0.8)
    axes = figure.add_subplot(grid[:, 3])
    for (name, planes), style in zip(parts, ("-", "--", "-."), strict=True):
        axes.plot(*radial_spectrum(planes), style, label=name, linewidth=1.8)
    axes.set(xscale="log", yscale="log", xlabel="frequency, cycles per cell", ylabel="power, mean over all channels")
    axes.set_title("Spectrum of the three planes", fontsize=10)
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    return figure


def resolution_comparison(panels: TriplanePanels) -> Figure:
    """The triplane at both resolutions: a plane, a part of it, the rendered object and its mesh."""
    colours = ChannelColours(panels.highres)
    figure = Figure(figsize=(14.0, 7.2), layout="constrained")
    figure.suptitle("LL band against the whole triplane")
    grid = figure.subplots(2, 4)
    rows = ((panels.ll / 2.0, panels.coarse, "LL"), (panels.highres, panels.whole, "Whole"))
    centre = _busiest(panels)
    for row, (planes, rendering, name) in zip(grid, rows, strict=True):
        plane = colours(planes)[0]
        size = len(plane)
        _image(row[0], plane, f"{name}: plane XY, {size}²", origin="lower")
        low = [round(place * size) for place in centre]
        part = plane[low[0] : low[0] + size // 4, low[1] : low[1] + size // 4]
        _image(row[1], part, f"the marked part, {size // 4}²", origin="lower", interpolation="nearest")
        x, y, side = low[1] - 0.5, low[0] - 0.5, size // 4
        row[0].plot([x, x + side, x + side, x, x], [y, y, y + side, y + side, y], color="black", linewidth=1.2)
        _image(row[2], rendering.colour, f"{name}: rendered")
        _image(row[3], preview(rendering.mesh, panels.camera), f"{name}: mesh")
    return figure


def _busiest(panels: TriplanePanels) -> tuple[float, float]:
    """Row and column, as shares, of the quarter by quarter of plane XY with the strongest details."""
    strength = np.square(panels.details[0]).sum(axis=(0, 1))
    size = len(strength)
    sums = np.pad(strength.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    side = size // 4
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    return float(row) / size, float(column) / size


def _image(axes: Any, image: np.ndarray, title: str, **options: Any) -> Any:
    """A panel without ticks."""
    drawn = axes.imshow(image, **({"interpolation": "nearest"} | options))
    axes.set_title(title, fontsize=9)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color("0.8")
    return drawn


def _name_axes(axes: Any, plane: int, label: str = "") -> None:
    """The world's axes beside a plane as `upright` turns it."""
    across, up = AXES[plane]
    down = "z downwards" if plane == 1 else up
    axes.set_xlabel(across, fontsize=8, labelpad=1)
    axes.set_ylabel(f"{label}   {down}" if label else down, fontsize=8, labelpad=1)


def _limit(values: np.ndarray) -> float:
    """A symmetric bound that leaves out the largest half percent."""
    return float(np.percentile(np.abs(values), 99.5)) or 1.0


TRIPLANE_FIGURES: dict[str, Callable[[TriplanePanels], Figure]] = {
    draw.__name__: draw
    for draw in (
        wavelet_decomposition,
        triplane_structure,
        pipeline_outputs,
        frequency_separation,
        resolution_comparison,
    )
}
