"""Pictures of results for people: one generation, a contact sheet of held-out shapes, loss curves.

The only file that imports matplotlib; figures are drawn without a display and returned, `save_figure` writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import UInt8
from matplotlib.figure import Figure

from wavemesh.errors import InputError
from wavemesh.evaluation.samples import EvaluationSample, sdf_mesh
from wavemesh.geometry.camera import Camera
from wavemesh.rendering import contact_sheet, shade_preview

PREVIEW_PX = 256
MAX_INPUTS = 4
QUARTERS_DEG = (0.0, 90.0, 180.0, 270.0)
NARROW_FOV_DEG = 32.0  # fills the panel with most shapes


def visualize_generation(
    images: Any,
    generated_mesh: trimesh.Trimesh | None,
    ground_truth_mesh: trimesh.Trimesh | None = None,
    cameras: Sequence[Camera] | None = None,
) -> Figure:
    """A figure with up to four input views above the generated and the true mesh, each from front and behind.

    Without a true mesh the generated one is seen from all four sides.

    images: (n, 3 or 4, h, w) tensor in [0, 1], or pictures (h, w, 3 or 4). cameras: those of the images; the first one
    shows the meshes (default: azimuth 30, elevation 20). Raises InputError without images.
    """
    pictures = [as_picture(image) for image in images][:MAX_INPUTS]
    if not pictures:
        raise InputError("A figure of a generation needs at least one input picture.")
    front = cameras[0] if cameras else Camera(azimuth_deg=30.0, elevation_deg=20.0)
    front = Camera(front.azimuth_deg, front.elevation_deg, fov_deg=NARROW_FOV_DEG)
    sides = {"front": 0.0, "behind": 180.0}
    shown = {"Generated": generated_mesh, "Ground truth": ground_truth_mesh}
    if ground_truth_mesh is None:
        del shown["Ground truth"]
        sides |= {"from its left": 90.0, "from its right": 270.0}
    panels = [
        (f"{name}, {side}", preview(mesh, front.turned(angle)))
        for name, mesh in shown.items()
        for side, angle in sides.items()
    ]
    figure = Figure(figsize=(12.0, 6.4), layout="constrained")
    grid = figure.add_gridspec(2, MAX_INPUTS)
    for number, picture in enumerate(pictures):
        _show(figure.add_subplot(grid[0, number]), picture, f"View {number + 1}")
    for number, (title, picture) in enumerate(panels):
        _show(figure.add_subplot(grid[1, number]), picture, title)
    return figure


def _show(axes: Any, picture: np.ndarray, title: str) -> None:
    axes.imshow(picture)
    axes.set_title(title, fontsize=10)
    axes.axis("off")


def as_picture(image: Any) -> UInt8[np.ndarray, "h w 3"]:
    """The picture over white: from a tensor or array (c, h, w) in [0, 1], or (h, w, c) in [0, 1] or uint8.

    Raises InputError for any other shape.
    """
    array = image.detach().cpu().float().numpy() if hasattr(image, "detach") else np.asarray(image)
    if array.ndim == 3 and array.shape[0] in (3, 4) and array.shape[2] not in (3, 4):
        array = np.moveaxis(array, 0, -1)
    if array.ndim != 3 or array.shape[2] not in (3, 4):
        raise InputError(f"A picture has three or four channels, not the shape {array.shape}.")
    values = array / 255.0 if array.dtype == np.uint8 else np.clip(array, 0.0, 1.0)
    if values.shape[2] == 4:
        values = values[..., :3] * values[..., 3:] + (1.0 - values[..., 3:])
    return np.rint(values * 255.0).astype(np.uint8)


def preview(mesh: trimesh.Trimesh | None, camera: Camera, size: int = PREVIEW_PX) -> UInt8[np.ndarray, "s s 3"]:
    """The mesh in neutral clay; a white picture where there is none."""
    if mesh is None or not len(mesh.faces):
        return np.full((size, size, 3), 255, dtype=np.uint8)
    return shade_preview(mesh, camera, size)


def results_sheet(
    samples: Iterable[EvaluationSample],
    pipeline: Any,
    num_views: int = 1,
    columns: int = 2,
    size: int = PREVIEW_PX,
    seed: int = 0,
) -> UInt8[np.ndarray, "h w 3"]:
    """Held-out results, `columns` shapes in a row: first input picture | prediction | ground truth.

    The meshes are seen from the input's camera turned by 40 degrees, where a shape made up from the one view shows.
    """
    tiles = []
    for sample in samples:
        out = pipeline(sample.as_views(num_views), seed=seed)
        camera = sample.cameras[0]
        aside = Camera(camera.azimuth_deg + 40.0, camera.elevation_deg)
        picture = resized(as_picture(sample.pictures[0]), size)
        truth = sample.mesh if sample.mesh is not None else sdf_mesh(sample.sdf)
        tiles += [picture, preview(out.mesh, aside, size), preview(truth, aside, size)]
    return contact_sheet(tiles, columns=3 * columns)


def chosen_cases(report: Mapping[str, Any], row: str, each: int = 2, metric: str = "f_score_005") -> list[str]:
    """The keys of `each` best, median and worst shapes of a row such as "WaveMesh / 1", in that order.

    report: what report.json of an evaluation holds. Raises InputError for a row that it has not.
    """
    shapes = report.get("shapes", {})
    scores = {key: rows[row][metric] for key, rows in shapes.items() if row in rows}
    if len(scores) < 3 * each:
        known = sorted({name for rows in shapes.values() for name in rows})
        raise InputError(f"The report has no {3 * each} shapes with a row {row!r}; its rows are {', '.join(known)}.")
    order = sorted(scores, key=lambda key: -scores[key])
    middle = (len(order) - each) // 2
    return [*order[:each], *order[middle : middle + each], *order[-each:]]


def photographs_sheet(
    pictures: Sequence[Any], pipelines: Sequence[Any], size: int = 160, seed: int = 0
) -> UInt8[np.ndarray, "h w 3"]:
    """One photograph of an object in a row, without its camera: picture | cut-out | each system's mesh from four sides.

    The meshes are seen from the estimated camera and turned by quarter turns. A picture that a pipeline refuses leaves
    its places white. pictures: whatever a `View` takes.
    """
    from PIL import ImageOps

    from wavemesh.imaging.reading import read_picture
    from wavemesh.pipelines import View

    white = np.full((size, size, 3), 255, dtype=np.uint8)
    tiles = []
    for picture in pictures:
        whole = ImageOps.pad(read_picture(picture).convert("RGB"), (size, size), color="white")
        row = [np.asarray(whole), white]
        for pipeline in pipelines:
            try:
                out = pipeline([View(picture)], seed=seed)
            except InputError:
                row += [white] * len(QUARTERS_DEG)
                continue
            camera = out.views[0].camera
            row[1] = resized(as_picture(np.asarray(out.views[0].picture)), size)
            front = Camera(camera.azimuth_deg, camera.elevation_deg, fov_deg=NARROW_FOV_DEG)
            row += [preview(out.mesh, front.turned(angle), size) for angle in QUARTERS_DEG]
        tiles += row
    return contact_sheet(tiles, columns=2 + len(QUARTERS_DEG) * len(pipelines))


def resized(picture: UInt8[np.ndarray, "h w 3"], size: int) -> UInt8[np.ndarray, "s s 3"]:
    """The picture at size x size pixels."""
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS))


def loss_curves(
    histories: Mapping[str, Sequence[tuple[float, float]]], title: str = "Loss", logarithmic: bool = True
) -> Figure:
    """A figure of losses over steps, raw in a light tone and smoothed (mean over 1/50 of the points) on top.

    histories: name -> (step, value) pairs. Raises InputError when there is nothing to draw.
    """
    curves = {name: np.asarray(values, dtype=float) for name, values in histories.items() if len(values)}
    if not curves:
        raise InputError("There are no losses to draw.")
    figure = Figure(figsize=(8.0, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for name, values in curves.items():
        width = max(1, len(values) // 50)
        kernel = np.full(width, 1.0 / width)
        smooth = np.convolve(values[:, 1], kernel, mode="valid")
        line = axes.plot(values[width - 1 :, 0], smooth, label=name, linewidth=1.6)[0]
        axes.plot(values[:, 0], values[:, 1], color=line.get_color(), alpha=0.25, linewidth=0.6)
    axes.set(xlabel="step", ylabel="loss", title=title)
    if logarithmic and all((values[:, 1] > 0).all() for values in curves.values()):
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def read_losses(path: str | Path, step_key: str = "step") -> dict[str, list[tuple[float, float]]]:
    """Histories for `loss_curves` from a log with one JSON object a line: each number beside the step is a curve.

    Names that contain "loss" are kept; all numbers if there are none. A last line that a kill cut off is ignored.
    Raises InputError for a file without steps.
    """
    records = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict) and isinstance(record.get(step_key), int | float):
            records.append(record)
    if not records:
        raise InputError(f"There are no records with {step_key!r} in {path}.")
    names = {name for record in records for name, value in record.items() if isinstance(value, int | float)}
    names = {name for name in names if "loss" in name} or names - {step_key}
    return {
        name: [
            (float(record[step_key]), float(record[name]))
            for record in records
            if isinstance(record.get(name), int | float)
        ]
        for name in sorted(names)
    }


def save_figure(figure: Figure, path: str | Path, dpi: int = 110) -> Path:
    """Writes the figure (format by suffix) and gives its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi)
    return path
