"""Scores of a predicted shape against the ground truth, in the fixed frame of the product and without alignment.

Surface metrics work on points of the *visible* surface of both shapes (what the carving cameras see), so that inner
walls, which no picture shows, neither help nor hurt. Volume is compared on a 64^3 grid. A prediction without a surface
scores 0 and lies `EMPTY_DISTANCE` away: it is a bad result, not an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import trimesh
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from wavemesh.errors import InputError
from wavemesh.evaluation.samples import NUM_POINTS, EvaluationSample, from_dataset_item, ground_truth, sdf_mesh
from wavemesh.geometry.frame import BOX_SIDE
from wavemesh.geometry.sdf import SurfacePoints, mesh_to_sdf
from wavemesh.geometry.visible import visible_surface
from wavemesh.pipelines.wavemesh import WaveMeshPipeline

IOU_RESOLUTION = 64
F_THRESHOLDS = (0.01, 0.02, 0.05)
EMPTY_DISTANCE = BOX_SIDE * 3**0.5  # diagonal of the box of side 1.8: no two points of two shapes are farther apart

Surface: TypeAlias = trimesh.Trimesh | SurfacePoints | np.ndarray


@dataclass(frozen=True)
class Scores:
    """What one prediction is worth. Distances are in world units (the longest side of a shape is 1.8).

    f_score_*: harmonic mean of precision and recall at the distance in the name, 0 to 1.
    chamfer: mean of the two directions' mean distance (not squared). hausdorff: the larger of the largest distances.
    iou: at 64^3. iou_full: at the resolution of the ground truth. normal_consistency: mean |cosine|, both directions.
    """

    f_score_001: float
    f_score_002: float
    f_score_005: float
    chamfer: float
    hausdorff: float
    iou: float
    iou_full: float
    normal_consistency: float

    def to_dict(self) -> dict[str, float]:
        """The scores by name, for JSON."""
        return {field.name: float(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True)
class SurfaceComparison:
    """Distances between two point sets, each way, and the agreement of the normals of nearest neighbours.

    to_gt (n,), to_pred (m,): distance of each point to the other set's nearest point; empty when the prediction is.
    normal_consistency: mean of |n . n'| over both directions, 0 to 1; nan when normals were not given.
    """

    to_gt: Float[np.ndarray, "n"]
    to_pred: Float[np.ndarray, "m"]
    normal_consistency: float

    @property
    def chamfer(self) -> float:
        """Chamfer-L1: the mean of the two mean distances."""
        if not len(self.to_gt):
            return EMPTY_DISTANCE
        return float(self.to_gt.mean() + self.to_pred.mean()) / 2.0

    @property
    def hausdorff(self) -> float:
        """The largest distance of a point of either set to the other set."""
        if not len(self.to_gt):
            return EMPTY_DISTANCE
        return float(max(self.to_gt.max(), self.to_pred.max()))

    def f_score(self, threshold: float) -> float:
        """Harmonic mean of precision and recall at the threshold (a distance of exactly the threshold counts)."""
        if not len(self.to_gt):
            return 0.0
        precision, recall = float((self.to_gt <= threshold).mean()), float((self.to_pred <= threshold).mean())
        return 2.0 * precision * recall / (precision + recall) if precision + recall else 0.0


def surface_points(shape: Surface, num_points: int = NUM_POINTS, seed: int = 0) -> SurfacePoints:
    """Points and normals of a shape's visible surface; point sets are taken as they are (an array has no normals).

    A mesh without faces gives no points. Raises InputError for an array that is not (n, 3).
    """
    if isinstance(shape, SurfacePoints):
        return shape
    if isinstance(shape, trimesh.Trimesh):
        if not len(shape.faces):
            return SurfacePoints(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))
        return visible_surface(shape, num_points, seed)
    points = np.asarray(shape, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError(f"Points of a surface have the shape (n, 3), not {points.shape}.")
    if not np.isfinite(points).all():
        raise InputError(
            f"Points of a surface are finite; {int((~np.isfinite(points)).sum())} of their numbers are not."
        )
    return SurfacePoints(points, np.full(points.shape, np.nan))


def compare_surfaces(pred: Surface, gt: Surface) -> SurfaceComparison:
    """Nearest-neighbour distances both ways and normal consistency.

    Raises InputError when the ground truth has no points: there is nothing to compare with.
    """
    pred, gt = surface_points(pred), surface_points(gt)
    if not len(gt.points):
        raise InputError("The ground truth has no surface points.")
    if not len(pred.points):
        return SurfaceComparison(np.zeros(0), np.zeros(0), 0.0)
    to_gt, gt_index = _nearest(pred.points, gt.points)
    to_pred, pred_index = _nearest(gt.points, pred.points)
    forward = np.abs(np.einsum("ij,ij->i", pred.normals, gt.normals[gt_index])).mean()
    backward = np.abs(np.einsum("ij,ij->i", gt.normals, pred.normals[pred_index])).mean()
    return SurfaceComparison(to_gt, to_pred, float(forward + backward) / 2.0)


def _nearest(
    queries: Float[np.ndarray, "n 3"], points: Float[np.ndarray, "m 3"]
) -> tuple[Float[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """The distance from each query to its nearest point, and that point's index.

    Points that follow each other in memory are neighbours in space here, and the tree's nodes are not shrunk to their
    points: together one and a half times as fast where the sets are close, and seven times where they are apart.
    """
    low = np.minimum(queries.min(axis=0), points.min(axis=0))
    extent = max(float((queries.max(axis=0) - low).max()), float((points.max(axis=0) - low).max()), 1e-9)
    asked, held = (_morton_order((each - low) / extent) for each in (queries, points))
    tree = cKDTree(points[held], leafsize=32, balanced_tree=False, compact_nodes=False)
    distance, index = np.empty(len(queries)), np.empty(len(queries), dtype=np.int64)
    distance[asked], index[asked] = tree.query(queries[asked])
    return distance, held[index]


def _morton_order(points: Float[np.ndarray, "n 3"]) -> Int[np.ndarray, "n"]:
    """The order of points in the unit cube along a Z-shaped curve through 1,024 cells a side."""
    cells = (points * 1023.0).astype(np.int64)
    for shift, mask in ((16, 0x030000FF), (8, 0x0300F00F), (4, 0x030C30C3), (2, 0x09249249)):
        cells = (cells | cells << shift) & mask
    return np.argsort(cells[:, 0] | cells[:, 1] << 1 | cells[:, 2] << 2, kind="stable")


def chamfer_distance(pred: Surface, gt: Surface) -> float:
    """Chamfer-L1 of two meshes or point sets: mean of both directions' mean distance, world units."""
    return compare_surfaces(pred, gt).chamfer


def f_score(pred: Surface, gt: Surface, threshold: float = 0.01) -> float:
    """F-score of two meshes or point sets at a distance threshold in world units, 0 to 1."""
    return compare_surfaces(pred, gt).f_score(threshold)


def hausdorff(pred: Surface, gt: Surface) -> float:
    """Symmetric Hausdorff distance of two meshes or point sets, world units."""
    return compare_surfaces(pred, gt).hausdorff


def normal_consistency(pred: Surface, gt: Surface) -> float:
    """Mean |cosine| between the normals of nearest neighbours, both directions averaged; needs meshes or normals."""
    return compare_surfaces(pred, gt).normal_consistency


def solid_grid(shape: trimesh.Trimesh | np.ndarray, resolution: int = IOU_RESOLUTION) -> Bool[np.ndarray, "n n n"]:
    """Which cells of the grid are solid.

    From an SDF: the mean SDF of the block of finer cells is negative. From booleans: at least half of the block is
    solid. From a mesh: its SDF at `resolution`. Raises InputError when the grid's side is no multiple of `resolution`.
    """
    if isinstance(shape, trimesh.Trimesh):
        if not len(shape.faces):
            return np.zeros((resolution,) * 3, dtype=bool)
        shape = mesh_to_sdf(shape, resolution)
    grid = np.asarray(shape)
    size = grid.shape[0] if grid.ndim else 0
    if grid.shape != (size, size, size) or size == 0 or size % resolution:
        raise InputError(f"A grid of {resolution} cells a side cannot be made from an array of shape {grid.shape}.")
    step = size // resolution
    values = np.where(grid, -1.0, 1.0) if grid.dtype == bool else grid
    if step > 1:
        # One axis at a time, and contiguous first: three times as fast as a mean over three strided axes.
        blocks = values.reshape(size, size, resolution, step).mean(axis=3)
        blocks = blocks.reshape(size, resolution, step, resolution).mean(axis=2)
        values = blocks.reshape(resolution, step, resolution, resolution).mean(axis=1)
    return values <= 0 if grid.dtype == bool else values < 0


def occupancy_iou(pred: Bool[np.ndarray, "*n"], gt: Bool[np.ndarray, "*n"]) -> float:
    """Intersection over union of two boolean grids; two empty grids agree (1)."""
    if pred.shape != gt.shape:
        raise InputError(f"Grids of different shapes cannot be compared: {pred.shape} and {gt.shape}.")
    union = np.count_nonzero(pred | gt)
    return float(np.count_nonzero(pred & gt) / union) if union else 1.0


def compute_iou(
    pred: trimesh.Trimesh | np.ndarray, gt: trimesh.Trimesh | np.ndarray, resolution: int = IOU_RESOLUTION
) -> float:
    """Volumetric IoU of two SDFs, boolean grids or meshes on a grid of `resolution` cells a side, 0 to 1."""
    return occupancy_iou(solid_grid(pred, resolution), solid_grid(gt, resolution))


def evaluate_pair(
    pred_mesh: trimesh.Trimesh | SurfacePoints | None,
    pred_sdf: Float[np.ndarray, "n n n"],
    gt_points: SurfacePoints,
    gt_sdf: Float[np.ndarray, "m m m"],
    num_points: int = NUM_POINTS,
    seed: int = 0,
) -> Scores:
    """All scores of one prediction; `pred_mesh` None (or without faces) means that it has no surface.

    gt_points: from `visible_surface` of the true mesh. The seed moves the sample of the prediction's points; it should
    differ from the one of the ground truth, or a perfect prediction would meet the very same points.
    """
    empty = SurfacePoints(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))
    points = empty if pred_mesh is None else surface_points(pred_mesh, num_points, seed)
    surfaces = compare_surfaces(points, gt_points)
    full = min(pred_sdf.shape[0], gt_sdf.shape[0])
    at_thresholds = [surfaces.f_score(threshold) for threshold in F_THRESHOLDS]
    return Scores(
        *at_thresholds,
        chamfer=surfaces.chamfer,
        hausdorff=surfaces.hausdorff,
        iou=compute_iou(pred_sdf, gt_sdf),
        iou_full=compute_iou(pred_sdf, gt_sdf, full),
        normal_consistency=surfaces.normal_consistency,
    )


def mean_scores(scores: Iterable[Scores]) -> Scores:
    """The mean of each score over shapes; raises InputError without any."""
    rows = [list(score.to_dict().values()) for score in scores]
    if not rows:
        raise InputError("There are no scores to average.")
    return Scores(*np.mean(rows, axis=0).tolist())


def quarter_turned_points(surface: SurfacePoints, turns: int) -> SurfacePoints:
    """The points turned by `turns` x 90 degrees about the vertical axis (front to the right: azimuth grows)."""
    points, normals = surface.points, surface.normals
    for _ in range(turns % 4):
        points = points[:, [2, 1, 0]] * np.array([1, 1, -1], points.dtype)
        normals = normals[:, [2, 1, 0]] * np.array([1, 1, -1], normals.dtype)
    return SurfacePoints(points, normals)


def quarter_turned_grid(grid: np.ndarray, turns: int) -> np.ndarray:
    """The (n, n, n) grid turned as `quarter_turned_points` turns points; exact."""
    return np.ascontiguousarray(np.rot90(grid, turns % 4, axes=(2, 0)))


def best_quarter_turn(pred_sdf: np.ndarray, gt_sdf: np.ndarray) -> int:
    """The number of quarter turns (0 to 3) that gives the prediction the best IoU at 64^3.

    For estimated cameras: one picture shows azimuth only up to quarter turns of the frame.
    """
    pred, gt = solid_grid(pred_sdf), solid_grid(gt_sdf)
    return int(np.argmax([occupancy_iou(quarter_turned_grid(pred, turns), gt) for turns in range(4)]))


def evaluate_model(
    model: Any, dataset: Iterable[Any], device: str = "auto", num_points: int = NUM_POINTS
) -> dict[str, float]:
    """Mean 'chamfer_distance', 'f_score' (at 0.01) and 'iou' of a model over a data set, as the roadmap names them.

    model: a pipeline, or a folder or Hub id for `WaveMeshPipeline.from_pretrained(model, device)`.
    dataset: `samples.EvaluationSample`s, the items of a `data.dataset.MeshDataset`, or a DataLoader of its batches.
    """
    if isinstance(model, str | Path):
        model = WaveMeshPipeline.from_pretrained(model, device=device)
    scores = []
    for item in _single_items(dataset):
        sample = item if isinstance(item, EvaluationSample) else from_dataset_item(item)
        out = model(sample.views)
        mesh = sdf_mesh(out.sdf) if out.mesh is None else out.mesh
        truth = ground_truth(sample, num_points=num_points)
        scores.append(evaluate_pair(mesh, out.sdf, truth.points, truth.sdf, num_points, seed=1))
    mean = mean_scores(scores)
    return {"chamfer_distance": mean.chamfer, "f_score": mean.f_score_001, "iou": mean.iou}


def _single_items(dataset: Iterable[Any]) -> Iterator[Any]:
    """The items one by one, also of batches, whose pictures are (B, N, c, h, w)."""
    for item in dataset:
        if isinstance(item, dict) and item["images"].ndim == 5:
            names = ("images", "poses", "intrinsics", "sdf", "mesh_path", "category")
            yield from ({name: item[name][index] for name in names} for index in range(len(item["images"])))
        else:
            yield item
