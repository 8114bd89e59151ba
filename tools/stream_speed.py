"""Samples a second of one core, of batches and training steps, from a set's unpacked cache and its shards, by turns.

    python tools/stream_speed.py data/furniture --rounds 8              (some minutes on two CPU cores)

Both tasks are the preset's, over the same shapes; the shards are read from the disk that they lie on. Seconds are those
of the processor, so that others on the machine do not count; what threads fetch meanwhile is in them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from wavemesh.training.presets import build_task, get_preset

WAYS = ("cache", "shards")


def main() -> None:
    """Print both rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a prepared set in a folder")
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--rounds", type=int, default=8, help="turns of each")
    parser.add_argument("--steps", type=int, default=2, help="batches of a turn")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    preset = get_preset(args.preset)
    loop = preset.loop_config(args.data / "unused")
    places = {"cache": args.data, "shards": args.data / "shard-*.tar"}
    tasks: dict[str, Any] = {way: build_task(preset, places[way], loop) for way in WAYS}
    batches = {way: tasks[way].batches(0, 0) for way in WAYS}
    seconds: dict[tuple[str, str], list[float]] = {}
    for number in range(args.rounds + 1):  # the first turn warms up
        for way in WAYS if number % 2 else WAYS[::-1]:
            for kind in ("batch", "step"):
                taken = _timed(lambda kind=kind, way=way: _turn(tasks[way], batches[way], kind == "step", args.steps))
                if number:
                    seconds.setdefault((kind, way), []).append(taken)
    size = args.steps * loop.batch_size
    for kind in ("batch", "step"):
        rates = {way: size / statistics.median(seconds[kind, way]) for way in WAYS}
        shown = ", ".join(f"{way} {rate:.1f}" for way, rate in rates.items())
        ratio = rates["shards"] / rates["cache"]
        sys.stdout.write(f"{kind}: samples a second of one core {shown}; shards / cache {ratio:.2f}\n")


def _turn(task: Any, batches: Iterator[Any], step: bool, count: int) -> None:
    for _ in range(count):
        batch = next(batches)
        if step:
            with torch.autocast("cpu", torch.bfloat16):
                loss, _ = task.loss(batch, torch.Generator().manual_seed(0))
            loss.backward()
            task.model.zero_grad()


def _timed(run: Callable[[], None]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


if __name__ == "__main__":
    main()
