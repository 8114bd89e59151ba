"""What it costs a run that somebody watches it on the page, in a process of its own.

python -m wavemesh.bench.previews '{"picture": "chair.png", "out": "result.json"}'
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from wavemesh.bench.pipeline import measured_on_picture
from wavemesh.geometry.camera import Camera
from wavemesh.ui.progress import Pace
from wavemesh.ui.runner import Job, StopFlag, run_job
from wavemesh.ui.studio import open_studio
from wavemesh.ui.widgets.strip import Watch


def bench_previews(source: str | None = None, device: str = "cpu", repeats: int = 2) -> dict[str, Any]:
    """Median seconds of a run of the page with and without previews, and the share they add.

    Raises InputError with the child's last words when it fails.
    """
    return measured_on_picture(__name__, source, device, repeats)


def preview_cost(factory: Callable[[], Any], job: Job, repeats: int) -> dict[str, Any]:
    """Median seconds of a run with and without previews, by turns after one run to warm up, and the share they add.

    With previews everything that the page shows is made: the shape and the curves after each step.
    """
    seconds: dict[bool, list[float]] = {True: [], False: []}
    drawn = 0
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        for turn in range(2 * repeats + 1):
            previews = turn % 2 == 1
            watch, begin, drawn_now = Watch(), time.perf_counter(), 0
            for update in run_job(
                factory, replace(job, previews=previews), workspace, StopFlag(workspace / "stop"), Pace()
            ):
                if previews:
                    watch.add(update.measured)
                    watch.html()
                    drawn_now += update.preview is not None
            if turn > 0:
                seconds[previews].append(time.perf_counter() - begin)
                drawn = max(drawn, drawn_now)
    watched, alone = (statistics.median(seconds[previews]) for previews in (True, False))
    return {
        "seconds": {"with": watched, "without": alone},
        "added_share": watched / alone - 1.0,
        "previews": drawn,
        "repeats": repeats,
    }


def main(arguments: str) -> None:
    """Writes the costs to the file that the JSON in `arguments` names."""
    options = {"source": None, "device": "cpu", "repeats": 2} | json.loads(arguments)
    with tempfile.TemporaryDirectory() as folder:
        studio = open_studio(Path(folder), options["source"], options["device"])
    with Image.open(options["picture"]) as picture:
        view = (picture.convert("RGBA"), Camera(30.0, 20.0))
    job = Job(views=(view,), settings=studio.shipped["wavemesh"])
    result = preview_cost(studio.factories["wavemesh"], job, options["repeats"])
    Path(options["out"]).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
