"""Weights, from a data set made by `prepare`: one preset is one task of one system.

Snapshots in the output folder hold everything; the same command goes on where it was stopped, by Ctrl-C or a time
limit. The shipped weights of WaveMesh-Diff come from six runs: cpu or gpu (encoder and coarse stage), cpu-detail or
gpu-detail with --init pointing at the weights of the first, depth, cpu-depth with --init at the second and --depth at
the third, symmetry with --init at the fourth, and camera. Those of the triplane system come from four, each with --init
pointing at the weights of the one before: triplane-autoencoder (then see `gate`), triplane-coarse,
triplane-detail and triplane-joint. Colours of surface points are computed beside the data when they are first needed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wavemesh.cli.arguments import data_set, integer, number
from wavemesh.cli.outputs import check_writable

EXAMPLE = """example, about two minutes on a CPU (after `prepare -o data/tiny --limit 8 --views 6 --resolution 64`):
  python -m wavemesh train --preset tiny --data data/tiny -o runs/tiny --export runs/tiny/weights
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--preset", required=True, metavar="NAME", help="a row of wavemesh/training/presets.py")
    parser.add_argument(
        "--data",
        type=data_set,
        required=True,
        metavar="SET",
        help="a prepared data set: a folder, or to stream it an address (hf://datasets/OWNER/NAME, s3://...) or a "
        "pattern of its shards",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="snapshots and logs")
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="write the averaged weights here at the end")
    parser.add_argument("--init", type=Path, metavar="FOLDER", help="weights to begin from")
    parser.add_argument(
        "--depth", type=Path, metavar="FOLDER", help="depth network that the weights of --init are to use from now on"
    )
    parser.add_argument("--steps", type=integer(1), metavar="N", help="optimizer steps of the whole run")
    parser.add_argument("--batch-size", type=integer(1), metavar="N")
    parser.add_argument("--learning-rate", type=number, metavar="X")
    parser.add_argument("--accumulate", type=integer(1), metavar="N", help="batches per optimizer step")
    parser.add_argument("--amp", choices=("auto", "bf16", "fp16", "no"), help="auto: bf16 where the device has it")
    parser.add_argument("--time-limit", type=number, metavar="SECONDS", help="stop, saved, after this long")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any setting of the loop, the task or the model, such as ema_decay=0.99, drop_prob=0.1 or "
        "encoder.scales=[128,64]; once for each",
    )
    parser.add_argument("--sample-every", type=integer(1), metavar="N", help="steps between pictures")
    parser.add_argument("--tracker", choices=("tensorboard", "wandb"))
    parser.add_argument("--threads", type=integer(1, 1024), metavar="N", help="CPU threads")
    parser.add_argument("--seed", type=integer(0), metavar="S")
    parser.add_argument("--device", choices=("auto", "cpu"), default="auto")


def run(args: argparse.Namespace) -> None:
    """Train, export if asked to, and say how it ended."""
    check_writable(args.output / "losses.jsonl")

    from accelerate import PartialState

    from wavemesh.errors import InputError
    from wavemesh.training.loop import export, train
    from wavemesh.training.overrides import parse_settings
    from wavemesh.training.presets import build_task, get_preset

    preset = get_preset(args.preset)
    changed = preset.changed(parse_settings(args.settings))
    if args.init is not None and changed.model != preset.changed({}).model:
        raise InputError("The weights of --init bring their own network: --set cannot change it.")
    preset = changed
    if args.depth is not None:
        args.init = _with_depth(args.init, args.depth, args.output / "init")
    loop = preset.loop_config(
        args.output,
        total_steps=args.steps,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        grad_accumulation=args.accumulate,
        amp=args.amp,
        time_limit_s=args.time_limit,
        sample_every=args.sample_every,
        tracker=args.tracker,
        threads=args.threads,
        init_from=args.init,
        seed=args.seed,
        device=args.device,
    )
    task = build_task(preset, args.data, loop)
    result = train(task, loop)
    if result.stopped_by == "not finite":
        raise InputError(result.message)
    if not PartialState().is_main_process:
        return
    if args.export is not None:
        export(task, args.output, args.export)
    sys.stdout.write(f"{args.output}: step {result.step} of {loop.total_steps}, {result.stopped_by}\n")


def _with_depth(init: Path | None, depth: Path, joined: Path) -> Path:
    """The folder `joined`, holding the weights of `init` with the depth network."""
    from wavemesh.errors import InputError
    from wavemesh.models.depth_network import DepthNetwork
    from wavemesh.models.wavemesh import WaveMeshModel

    if init is None:
        raise InputError("--depth needs --init: weights that are to use the depth network.")
    WaveMeshModel.load(init).with_depth(DepthNetwork.load(depth)).save(joined)
    return joined
