"""What one shape costs, measured on a prepared set, and what millions would: the table of docs/scale.md.

    python tools/unit_costs.py data/furniture --prepare-s 4.2               (half a minute of one CPU core)

Sizes are of a few shards, and are checked against the whole set. Decoding is processor time of one core. The work of a
training step is counted in floating-point operations, forwards and backwards, of the preset `gpu`. --prepare-s:
processor seconds of a shape in `prepare`, as `time` says for a run with --limit.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from wavemesh.data.stream import StreamedShapes
from wavemesh.training.presets import build_task, get_preset

SIZES = {"10 thousand": 10**4, "1 million": 10**6, "10 million": 10**7}
SAMPLE = 2  # shards


def main() -> None:
    """Print the unit costs, their check and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a prepared set in a folder")
    parser.add_argument("--prepare-s", type=float, required=True, help="processor seconds of a shape in `prepare`")
    parser.add_argument("--teraflops", type=float, default=100.0, help="that a GPU gets through in a second (assumed)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    index = json.loads((args.data / "index.json").read_text(encoding="utf-8"))
    shards = sorted({entry["shard"] for entry in index})
    sizes = {name: (args.data / name).stat().st_size for name in shards}
    some = shards[:: max(1, len(shards) // SAMPLE)][:SAMPLE]
    per_shape = sum(sizes[name] for name in some) / sum(entry["shard"] in some for entry in index)
    predicted, true = per_shape * len(index), sum(sizes.values())
    decode_s = _decoding_s(args.data)
    shapes = StreamedShapes(f"{args.data}/shard-*.tar")
    cached = shapes.resolution**3 + 4 * shapes.num_views * shapes.image_size**2
    operations = _operations(args.data)
    listed = (args.data / "index.json").stat().st_size / len(index)
    write = sys.stdout.write
    write(f"in shards {per_shape / 1e3:.0f} kB, unpacked {cached / 1e6:.2f} MB, in the list {listed:.0f} B\n")
    write(
        f"the whole set of {len(index)}: {true / 1e6:.1f} MB, predicted from {SAMPLE} shards {predicted / 1e6:.1f} MB\n"
    )
    write(f"decoded in {1e3 * decode_s:.1f} ms; a training sample takes {operations / 1e9:.0f} GFLOP\n\n")
    write(f"| | {' | '.join(SIZES)} |\n|---|---|---|---|\n")
    rows = {
        "prepare, core hours": args.prepare_s / 3600,
        "shards, GB": per_shape / 1e9,
        "unpacked, GB": cached / 1e9,
        "index.json, MB": listed / 1e6,
        "one pass, decoding, core hours": decode_s / 3600,
        f"one pass, training, GPU hours at {args.teraflops:.0f} TFLOP/s": operations / (args.teraflops * 1e12) / 3600,
    }
    for name, cost in rows.items():
        write(f"| {name} | {' | '.join(f'{cost * count:,.3g}' for count in SIZES.values())} |\n")


def _decoding_s(data: Path, count: int = 48) -> float:
    """Processor seconds in which a shape of a stream becomes a grid and three pictures with their cameras."""
    shapes = StreamedShapes(f"{data}/shard-*.tar")
    indices, views = list(range(count)), [[0, 1, 2]] * count
    shapes.sdf_codes(indices[:1])  # the shard is here
    start = time.process_time()
    for index, shown in zip(indices, views, strict=True):
        shapes.sdf_codes([index])
        shapes.pictures([index], [shown])
        shapes.view_cameras([index], [shown])
    return (time.process_time() - start) / count


def _operations(data: Path) -> float:
    """Floating-point operations of a training step of the preset `gpu`, for each shape of the batch."""
    preset = get_preset("gpu")
    task: Any = build_task(preset, data / "shard-*.tar", preset.loop_config(data / "unused", batch_size=2))
    counts = []
    for number in range(3):  # of views
        batch = next(task.batches(0, number))
        with FlopCounterMode(display=False) as counter:
            task.loss(batch, torch.Generator().manual_seed(0))[0].backward()
        counts.append(counter.get_total_flops() / 2)
    return float(np.mean(counts))


if __name__ == "__main__":
    main()
