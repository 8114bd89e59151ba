"""The one table of training presets: `python -m wavemesh train --preset NAME` reads its rows.

A preset names the task it trains, the settings of the loop, the options of the task and changes to the model's
configuration. Values given on the command line replace single ones. Measured scores stand beside the rows that
produced shipped weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch

from wavemesh.checkpoint import load_weights
from wavemesh.config import from_dict
from wavemesh.data.stream import is_stream, open_shapes
from wavemesh.errors import InputError
from wavemesh.imaging.u2netp import U2NetpConfig
from wavemesh.models.camera_head import CameraHeadConfig
from wavemesh.models.depth_network import DepthConfig
from wavemesh.models.wavelet_triplane import TriplaneConfig
from wavemesh.models.wavemesh import WaveMeshConfig
from wavemesh.training.camera import CameraOptions, CameraTask
from wavemesh.training.cutout import CutoutTask
from wavemesh.training.depth import DepthTask
from wavemesh.training.loop import Task
from wavemesh.training.overrides import Kinds, typed_settings
from wavemesh.training.settings import LoopConfig
from wavemesh.training.symmetry import SymmetryTask
from wavemesh.training.triplane import build_triplane_task
from wavemesh.training.triplane_batches import TriplaneOptions
from wavemesh.training.wavemesh import CoarseTask, DetailTask, TaskOptions, measure_scales

TaskName = Literal[
    "coarse",
    "detail",
    "camera",
    "depth",
    "symmetry",
    "cutout",
    "triplane-autoencoder",
    "triplane-coarse",
    "triplane-detail",
    "triplane-joint",
]

# What few steps and quiet starting noise are worth is in docs/LOG.md and docs/ablations.md.
SAMPLING: Mapping[str, Any] = {"coarse_steps": 2, "detail_steps": 1, "temperature": 0.3, "frames": 4}
# The shipped network: about nine million parameters for encoder, coarse and detail denoiser together.
SHIPPED_MODEL: Mapping[str, Any] = {
    "coarse": {
        "widths": (32, 80, 144),
        "blocks": (0, 2, 1),
        "decoder_blocks": (1, 2, 1),
        "hidden": 16,
        "condition_channels": 24,
        "time_dim": 128,
    },
    "detail": {"widths": (24, 48, 64), "blocks": (1, 1, 1), "hidden": 16, "condition_channels": 16, "time_dim": 96},
    "sampling": SAMPLING,
}
TINY_MODEL: Mapping[str, Any] = {
    "encoder": {
        "image_size": 64,
        "feature_dim": 48,
        "widths": (16, 24, 32),
        "map_channels": 8,
        "blocks": 1,
        "token_blocks": 1,
    },
    "coarse": {"widths": (8, 16, 24), "blocks": (1, 1, 1), "hidden": 8, "condition_channels": 8, "time_dim": 32},
    "detail": {"widths": (8, 16, 24), "blocks": (1, 1, 1), "hidden": 8, "condition_channels": 8, "time_dim": 32},
    # Pictures leave little open, and a narrow network cannot repeat all of the noise (LOG, "Ten shapes by heart").
    "diffusion": {"data_deviation": 0.3},
}
# For ablations: learns something in minutes on a CPU.
SMALL_MODEL: Mapping[str, Any] = {
    "encoder": {"feature_dim": 96, "widths": (32, 64, 96), "map_channels": 24, "blocks": 1, "token_blocks": 1},
    "coarse": {
        "widths": (24, 48, 96),
        "blocks": (0, 1, 1),
        "decoder_blocks": (1, 1, 0),
        "hidden": 12,
        "condition_channels": 16,
        "time_dim": 96,
    },
    "detail": {"widths": (8, 16, 24), "blocks": (1, 1, 1), "hidden": 8, "condition_channels": 8, "time_dim": 32},
    "sampling": {**SAMPLING, "frames": 1},
}
# The shipped triplane system: about five million parameters, for pictures of the data sets' size.
TRIPLANE_MODEL: Mapping[str, Any] = {"triplane_channels": 16, "image_size": 128}


@dataclass(frozen=True)
class Preset:
    """One row. loop: fields of LoopConfig (not out_dir). task_options: of the task. model: of its configuration.

    after: the preset whose exported weights this one must be given to begin from.
    """

    name: str
    task: TaskName
    summary: str
    loop: Mapping[str, Any]
    task_options: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=lambda: SHIPPED_MODEL)
    after: str | None = None

    def loop_config(self, out_dir: str | Path, **replaced: Any) -> LoopConfig:
        """Settings of a run in `out_dir`, with the values of `replaced` that are not None in place of the preset's.

        Raises InputError for a name that LoopConfig does not have and for values out of range.
        """
        values = {**self.loop, **{name: value for name, value in replaced.items() if value is not None}}
        unknown = sorted(set(values) - {each.name for each in fields(LoopConfig)})
        if unknown:
            raise InputError(f"Training has no setting {unknown[0]!r}.")
        return LoopConfig(out_dir=out_dir, **values)

    def changed(self, settings: Mapping[str, Any]) -> Preset:
        """The preset with other values for settings of the loop, of the task and, as `encoder.scales`, of the model.

        Raises InputError, with the name and the value, for a setting that there is not and for a value of another type
        or out of range.
        """
        new = typed_settings(_SETTINGS[self.task], self.loop, self.task_options, self.model, settings)
        return replace(self, loop=new["loop"], task_options=new["task_options"], model=new["model"])


# What `Preset.changed` may change: the options of each task, and the configuration of its model.
_SETTINGS: Mapping[TaskName, Kinds] = {
    "coarse": Kinds(TaskOptions, WaveMeshConfig),
    "detail": Kinds(TaskOptions, WaveMeshConfig),
    "camera": Kinds(CameraOptions),
    "depth": Kinds(),
    "symmetry": Kinds(),
    "cutout": Kinds(),
    "triplane-autoencoder": Kinds(TriplaneOptions, TriplaneConfig),
    "triplane-coarse": Kinds(TriplaneOptions),
    "triplane-detail": Kinds(TriplaneOptions),
    "triplane-joint": Kinds(TriplaneOptions),
}

_CPU: Mapping[str, Any] = {
    "batch_size": 8,
    "learning_rate": 8e-4,
    "ema_decay": 0.997,
    "threads": 2,
    "save_every_s": 240.0,
}
_GPU: Mapping[str, Any] = {"batch_size": 64, "learning_rate": 8e-4, "warmup_steps": 500, "ema_decay": 0.9995}

_ROWS = (
    Preset(
        "tiny",
        "coarse",
        "a minute or two on two CPU cores: shows that everything runs, not that it learns much",
        {"total_steps": 60, "batch_size": 2, "warmup_steps": 10, "log_every": 10, "save_every_s": 120.0},
        model=TINY_MODEL,
    ),
    Preset(
        "overfit",
        "coarse",
        "ten shapes by heart: shows that network, loss and sampling can learn",
        {"total_steps": 600, "batch_size": 4, "learning_rate": 1e-3, "warmup_steps": 20, "ema_decay": 0.98},
        {
            "limit": 10,
            "augment": False,
            "drop_prob": 0.0,
            "terminal_prob": 0.8,
            "view_counts": (4,),
            "view_weights": (1.0,),
        },
        model=TINY_MODEL,
    ),
    Preset("cpu", "coarse", "encoder and coarse stage, hours on two CPU cores", {"total_steps": 20_000, **_CPU}),
    Preset(
        "ablation",
        "coarse",
        "a small network for minutes: what `python -m wavemesh ablate` changes one setting of",
        {**_CPU, "total_steps": 100, "batch_size": 4, "learning_rate": 1e-3, "warmup_steps": 20, "ema_decay": 0.97},
        model=SMALL_MODEL,
    ),
    Preset(
        "cpu-detail",
        "detail",
        "detail stage after the coarse one, an hour on two CPU cores",
        {"total_steps": 2_000, **_CPU},
    ),
    Preset(
        "camera",
        "camera",
        "camera head, half an hour on two CPU cores",
        {"total_steps": 4_000, **_CPU, "batch_size": 64},
        {"procedural": 600},
    ),
    Preset(
        "depth",
        "depth",
        "front and back of the object behind each pixel, an hour on one CPU core",
        {"total_steps": 3_300, **_CPU, "batch_size": 32},
    ),
    Preset(
        "cpu-depth",
        "coarse",
        "coarse stage goes on with what a depth network answers (--depth), an hour on two CPU cores",
        {"total_steps": 900, **_CPU, "learning_rate": 5e-4},
        {"train_encoder": False, "mirrored": 0.6},
    ),
    Preset(
        "symmetry",
        "symmetry",
        "whether objects are alike on both sides, or round, with the depth network of --init, half an hour on one core",
        {**_CPU, "total_steps": 1_900, "batch_size": 32, "learning_rate": 2e-3, "ema_decay": 0.98},
        after="cpu-depth",
    ),
    Preset(
        "cutout",
        "cutout",
        "U-2-Net small goes on with scenes of the data's objects (--init assets/weights/cutout), on one CPU core",
        {**_CPU, "total_steps": 800, "batch_size": 4, "learning_rate": 3e-5, "warmup_steps": 40, "ema_decay": 0.99},
    ),
    Preset(
        "gpu",
        "coarse",
        "encoder and coarse stage, about half an hour on one large GPU",
        {"total_steps": 20_000, **_GPU},
    ),
    Preset("gpu-detail", "detail", "detail stage on one large GPU", {"total_steps": 4_000, **_GPU, "batch_size": 32}),
    Preset(
        "triplane-overfit",
        "triplane-autoencoder",
        "four shapes by heart: shows that autoencoder and decoder can learn, some minutes on two CPU cores",
        {"total_steps": 200, "batch_size": 4, "learning_rate": 2e-3, "warmup_steps": 20, "ema_decay": 0.95},
        {"limit": 4, "augment": False},
        TRIPLANE_MODEL,
    ),
    Preset(
        "triplane-autoencoder",
        "triplane-autoencoder",
        "targets and renderer of the triplane system, 20 minutes on two CPU cores",
        {**_CPU, "total_steps": 1_500, "batch_size": 4, "learning_rate": 2e-3, "warmup_steps": 40},
        model=TRIPLANE_MODEL,
    ),
    Preset(
        "triplane-coarse",
        "triplane-coarse",
        "pictures to the LL band, after triplane-autoencoder",
        {**_CPU, "total_steps": 1_300, "batch_size": 4, "learning_rate": 1e-3, "warmup_steps": 40},
        model=TRIPLANE_MODEL,
        after="triplane-autoencoder",
    ),
    Preset(
        "triplane-detail",
        "triplane-detail",
        "diffusion of the detail bands, after triplane-coarse",
        {**_CPU, "total_steps": 1_300, "batch_size": 4, "learning_rate": 1e-3, "warmup_steps": 40},
        # The true planes' details lie on the true surface: on the predicted one they are less worth than good pictures.
        {"diffusion_weight": 0.1, "render_weight": 4.0},
        TRIPLANE_MODEL,
        after="triplane-coarse",
    ),
    Preset(
        "triplane-joint",
        "triplane-joint",
        "coarse, detail and renderer together with rendered patches, after triplane-detail",
        {**_CPU, "total_steps": 1_900, "batch_size": 4, "learning_rate": 7e-4, "warmup_steps": 30},
        {"diffusion_weight": 0.1, "field_weight": 1.0},
        TRIPLANE_MODEL,
        after="triplane-detail",
    ),
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in _ROWS}


def get_preset(name: str) -> Preset:
    """The row of that name; raises InputError that lists the names there are."""
    if name not in PRESETS:
        raise InputError(f"There is no preset {name!r}; there are {', '.join(PRESETS)}.")
    return PRESETS[name]


def build_task(preset: Preset, data: str | Path, loop: LoopConfig) -> Task:
    """The preset's task over a prepared data set; with loop.init_from the model is configured as those weights are.

    The first weights are drawn from loop.seed. Raises InputError for a stage of the triplane system that has nothing to
    begin from.
    """
    torch.manual_seed(loop.seed)
    if preset.task in ("coarse", "detail"):
        return _stage(preset, data, loop)
    if preset.task == "cutout":
        if is_stream(data):
            raise InputError(f"The preset {preset.name} takes scenes in a folder, not {data}.")
        return CutoutTask(data, U2NetpConfig(), loop.batch_size)
    if preset.task.startswith("triplane"):
        triplane_options = TriplaneOptions(batch_size=loop.batch_size, **preset.task_options)
        shapes = open_shapes(data, "train", triplane_options.lanes)
        model = {"resolution": shapes.resolution // 2, **preset.model}
        return build_triplane_task(preset.task, shapes, model, triplane_options, loop.init_from)
    if preset.task == "symmetry":
        if loop.init_from is None:
            raise InputError(f"The preset {preset.name} needs --init: weights of WaveMesh-Diff with a depth network.")
        if is_stream(data):
            raise InputError(f"The preset {preset.name} takes a set in a folder, not {data}.")
        config = from_dict(WaveMeshConfig, load_weights(loop.init_from)[1], fill_defaults=True)
        return SymmetryTask(data, config, loop.batch_size)
    stored = None if loop.init_from is None else load_weights(loop.init_from)[1]
    if preset.task == "camera":
        head_config = CameraHeadConfig() if stored is None else from_dict(CameraHeadConfig, stored)
        return CameraTask(data, head_config, loop.batch_size, **preset.task_options)
    depth_config = DepthConfig() if stored is None else from_dict(DepthConfig, stored)
    return DepthTask(data, depth_config, loop.batch_size, **preset.task_options)


def _stage(preset: Preset, data: str | Path, loop: LoopConfig) -> Task:
    """A stage of WaveMesh-Diff."""
    options = TaskOptions(batch_size=loop.batch_size, **preset.task_options)
    shapes = open_shapes(data, "train", options.lanes)
    if loop.init_from is None:
        changes = {"resolution": shapes.resolution, **preset.model}
        config = measure_scales(shapes, from_dict(WaveMeshConfig, changes, fill_defaults=True))
    else:
        config = from_dict(WaveMeshConfig, load_weights(loop.init_from)[1], fill_defaults=True)
    return (DetailTask if preset.task == "detail" else CoarseTask)(shapes, config, options)
