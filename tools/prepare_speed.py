"""Shapes a second of `prepare` with one and two processes, and through Ray and Dask; bytes of a shape in shards.

    python tools/prepare_speed.py meshes --limit 16 --ways processes-1 processes-2 ray-2 dask-2   (minutes on two cores)

Each way is the command, started anew, over the same shapes into a folder that is thrown away: seconds of the clock hold
the start of Python and of the cluster. The clock is worth something on a machine that does nothing else; seconds of the
processor, of the command and its processes, are so on any. Ray's and Dask's own workers may not be in them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WAYS = ("processes-1", "processes-2", "ray-2", "dask-2")


def main() -> None:
    """Print a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="what `prepare` takes")
    parser.add_argument("--limit", type=int, default=16, help="shapes")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    args = parser.parse_args()
    sys.stdout.write("| way | shapes a second | processor seconds a shape | bytes a shape |\n|---|---|---|---|\n")
    for way in args.ways:
        clock_s, processor_s, count, size = _prepared(args.source, way, args.limit)
        row = f"{count / clock_s:.3f} | {processor_s / count:.1f} | {size / count:,.0f}"
        sys.stdout.write(f"| {way} | {row} |\n")
        sys.stdout.flush()


def _prepared(source: Path, way: str, limit: int) -> tuple[float, float, int, int]:
    """Seconds of the clock and of the processor, shapes, and bytes of their shards."""
    backend, workers = way.rsplit("-", 1)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "set")
        command = [sys.executable, "-m", "wavemesh", "prepare", str(source), "-o", str(out), "--limit", str(limit)]
        before, start = os.times(), time.perf_counter()
        subprocess.run([*command, "--workers", workers, "--backend", backend], check=True, stdout=subprocess.DEVNULL)
        clock_s, after = time.perf_counter() - start, os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        count = len(json.loads((out / "index.json").read_text(encoding="utf-8")))
        return clock_s, used, count, sum(shard.stat().st_size for shard in out.glob("shard-*.tar"))


if __name__ == "__main__":
    main()
