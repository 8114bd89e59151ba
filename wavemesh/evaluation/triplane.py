"""The triplane system in an evaluation: the units that score its meshes and its pictures from novel views.

Everything is made of triplanes that come from somewhere: sampled from given pictures, the same without their details,
or encoded from the true shape by the autoencoder that made the training targets, the ceiling of the system.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wavemesh.checkpoint import load_weights
from wavemesh.config import from_dict
from wavemesh.data.colours import colour_volume, open_colours
from wavemesh.data.dataset import PreparedShapes
from wavemesh.errors import InputError
from wavemesh.evaluation.novel_views import NovelViews, ViewUnit, mean_of_given
from wavemesh.evaluation.plan import Prediction, TableRow, Unit
from wavemesh.evaluation.samples import EvaluationSample
from wavemesh.evaluation.table import TRIPLANE
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.geometry.frame import TRUNCATION
from wavemesh.models.triplane_autoencoder import TriplaneAutoencoder
from wavemesh.models.wavelet_triplane import TriplaneConfig
from wavemesh.pipelines.triplane import surface_field
from wavemesh.rendering.volume import render_image

RAY_SAMPLES, MORE_SAMPLES = 64, 32  # stratified, then where the first ones absorbed light
GRID = 128
FULL, LL_ONLY = TRIPLANE, f"{TRIPLANE}, LL only"
CEILING, CEILING_LL = "triplane autoencoder (ceiling)", "triplane autoencoder, LL only"
BASELINE = "mean of the given pictures"

Planes = Callable[[EvaluationSample], Tensor | None]

log = logging.getLogger(__name__)


def load_autoencoder(folder: str | Path) -> TriplaneAutoencoder | None:
    """The autoencoder of exported training weights; None where the folder has none.

    Raises InputError for weights that are damaged or do not fit their configuration.
    """
    parts, stored = load_weights(folder)
    if "autoencoder" not in parts:
        return None
    config = from_dict(TriplaneConfig, stored, fill_defaults=True)
    autoencoder = TriplaneAutoencoder(config.triplane_channels, config.resolution, config.truncation)
    try:
        autoencoder.load_state_dict(parts["autoencoder"])
    except RuntimeError as error:
        raise InputError(f"The weights of 'autoencoder' in {folder} do not fit their configuration.") from error
    return autoencoder.eval()


class TriplaneMethod:
    """Triplanes of evaluation samples, and what their decoder makes of them.

    pipeline: a `TriplanePipeline`, or what looks like one: called with views, `num_inference_steps=`, `guidance_scale=`
    and `seed=`, with `.model`. autoencoder: of the same training; None leaves the ceiling out.
    """

    def __init__(self, pipeline: Any, autoencoder: TriplaneAutoencoder | None = None, **options: Any) -> None:
        self.pipeline, self.options = pipeline, options
        self.model = pipeline.model
        self.device = next(self.model.parameters()).device
        self.autoencoder = None if autoencoder is None else autoencoder.to(self.device)
        self._outputs: dict[tuple[int, bool], tuple[str, Any]] = {}

    @property
    def fingerprint(self) -> str:
        """Changes with the weights and the settings."""
        return self.pipeline.fingerprint + json.dumps(self.options)

    def output(self, count: int, known: bool, sample: EvaluationSample) -> Any:
        """The pipeline's output for the first `count` pictures; None where it finds no surface.

        That of the last sample is kept: several units ask for it.
        """
        key, output = self._outputs.get((count, known), ("", None))
        if key != sample.key:
            try:
                output = self.pipeline(sample.as_views(count, known), seed=0, **self.options)
            except InputError as error:
                log.warning("%s: no triplane (%s)", sample.key, error)
                output = None
            self._outputs[count, known] = sample.key, output
        return output

    def whole_triplane(self, count: int, sample: EvaluationSample) -> Tensor | None:
        """The sampled triplane (1, 3, C, 2 n, 2 n)."""
        output = self.output(count, True, sample)
        return None if output is None else self._tensor(output.triplane_highres)

    def lowpass_triplane(self, count: int, sample: EvaluationSample) -> Tensor | None:
        """The same without its details."""
        output = self.output(count, True, sample)
        return None if output is None else self._without_details(self._tensor(output.triplane_ll))

    @torch.inference_mode()
    def encoded_triplane(self, shapes: PreparedShapes, details: bool, sample: EvaluationSample) -> Tensor:
        """What the autoencoder makes of the true shape with its colours; raises InputError without an autoencoder."""
        if self.autoencoder is None:
            raise InputError("These weights of the triplane system have no autoencoder.")
        index = [shapes.keys.index(sample.key)]
        coloured, sdf = open_colours(shapes), shapes.sdf(index)
        volume = colour_volume(coloured.points(index), coloured.colours(index), sdf.shape[-1])
        bands = self.autoencoder(sdf.to(self.device), volume.to(self.device))
        return bands.triplane() if details else self._without_details(bands.ll)

    def predict(self, count: int, known: bool, sample: EvaluationSample) -> Prediction:
        """The mesh and the field that the pipeline hands out; empty where it finds no surface."""
        output = self.output(count, known, sample)
        return _empty() if output is None else Prediction(np.asarray(output.sdf), output.mesh)

    @torch.inference_mode()
    def decode_planes(self, planes: Planes, sample: EvaluationSample) -> Prediction:
        """The field of a triplane at 128^3; empty where there is no triplane."""
        triplane = planes(sample)
        if triplane is None:
            return _empty()
        return Prediction(surface_field(self.model.renderer, triplane, resolution=GRID))

    @torch.inference_mode()
    def predict_lowpass(self, count: int, sample: EvaluationSample) -> Prediction:
        """The field of the first `count` pictures' triplane without its details, made as the pipeline makes its own."""
        output, triplane = self.output(count, True, sample), self.lowpass_triplane(count, sample)
        if triplane is None:
            return _empty()
        return Prediction(surface_field(self.model.renderer, triplane, output.views, GRID))

    @torch.inference_mode()
    def draw_views(self, planes: Planes, sample: EvaluationSample, views: NovelViews) -> list[np.ndarray]:
        """What the cameras see of a triplane, over white; nothing but white where there is no triplane."""
        triplane = planes(sample)
        if triplane is None:
            return [np.full((views.size, views.size, 3), 255, np.uint8)] * len(views.cameras)
        renderer, planes_of_one = self.model.renderer, triplane[0].float()
        # One grid serves all cameras; finding it costs as much as a picture.
        field, occupancy = renderer.field(planes_of_one), renderer.occupancy(planes_of_one)
        poses, intrinsics = (tensor.to(planes_of_one) for tensor in stack_cameras(views.cameras))
        pictures = []
        for pose, lens in zip(poses, intrinsics, strict=True):
            seen = render_image(field, pose, lens, views.size, RAY_SAMPLES, MORE_SAMPLES, occupancy).over("white")
            pictures.append((seen.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy())
        return pictures

    def _without_details(self, ll: Tensor) -> Tensor:
        batch, planes, channels, *space = ll.shape
        return self.model.reconstruct(ll, ll.new_zeros(batch, planes, 3 * channels, *space))

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(array, dtype=np.float32))[None].to(self.device)


def geometry_units(
    method: TriplaneMethod, shapes: PreparedShapes | None, views: Sequence[int], cameras: Sequence[str]
) -> list[tuple[str, int | None, Unit]]:
    """Rows of the table of shapes, each with its unit: the method, LL alone, estimated cameras, and the ceiling.

    shapes: the split, for the ceiling.
    """
    mark = method.fingerprint
    rows: list[tuple[str, int | None, Unit]] = []
    for count in views:
        if "known" in cameras:
            lowpass = functools.partial(method.predict_lowpass, count)
            whole = functools.partial(method.predict, count, True)
            rows.append((LL_ONLY, count, Unit(f"triplane/{count}/known/ll", lowpass, mark)))
            rows.append((FULL, count, Unit(f"triplane/{count}/known", whole, mark)))
        if "estimated" in cameras:
            guessed = functools.partial(method.predict, count, False)
            unit = Unit(f"triplane/{count}/estimated", guessed, mark, any_turn=True)
            rows.append((f"{FULL}, cameras estimated", count, unit))
    for name, title, planes, made_by in _encoded(method, shapes):
        rows.append((title, None, Unit(name, functools.partial(method.decode_planes, planes), made_by)))
    return rows


def view_units(
    method: TriplaneMethod, shapes: PreparedShapes | None, views: Sequence[int]
) -> tuple[list[ViewUnit], list[TableRow]]:
    """Units and rows of the table of novel views: the naive picture, LL alone, the method, and the ceiling."""
    units: list[ViewUnit] = []
    rows: list[TableRow] = []
    mark = method.fingerprint
    for count in views:
        drawn = [
            (BASELINE, ViewUnit(f"mean/{count}", functools.partial(mean_of_given, count), "1")),
            (LL_ONLY, _drawn(method, f"triplane/{count}/ll", functools.partial(method.lowpass_triplane, count), mark)),
            (FULL, _drawn(method, f"triplane/{count}", functools.partial(method.whole_triplane, count), mark)),
        ]
        units += [unit for _, unit in drawn]
        rows += [TableRow(title, count, (unit.name,)) for title, unit in drawn]
    for name, title, planes, made_by in _encoded(method, shapes):
        units.append(_drawn(method, name, planes, made_by))
        rows.append(TableRow(title, None, (name,)))
    return units, rows


def _drawn(method: TriplaneMethod, name: str, planes: Planes, made_by: str) -> ViewUnit:
    return ViewUnit(name, functools.partial(method.draw_views, planes), f"{made_by}/{RAY_SAMPLES}+{MORE_SAMPLES}")


def _encoded(method: TriplaneMethod, shapes: PreparedShapes | None) -> list[tuple[str, str, Planes, str]]:
    """Name, title, triplanes and fingerprint of the autoencoder's units; none where there is no autoencoder."""
    if method.autoencoder is None or shapes is None:
        return []
    made_by = method.pipeline.fingerprint  # the autoencoder is of the same training
    return [
        ("autoencoder/ll", CEILING_LL, functools.partial(method.encoded_triplane, shapes, False), made_by),
        ("autoencoder", CEILING, functools.partial(method.encoded_triplane, shapes, True), made_by),
    ]


def _empty() -> Prediction:
    """A field without a surface, which scores 0."""
    return Prediction(np.full((GRID,) * 3, TRUNCATION, dtype=np.float32))
