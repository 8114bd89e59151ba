"""What a training run writes for people: a line of numbers per interval, pictures, and an optional tracker.

`losses.jsonl` is always written. The tracker (TensorBoard or Weights & Biases) gets the same numbers through
`accelerate`. Only the main process writes.
"""

import importlib.util
import json
import logging
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor

from wavemesh.errors import InputError
from wavemesh.machine import peak_resident_bytes

logger = logging.getLogger(__name__)

LOSS_LOG = "losses.jsonl"
SAMPLES = "samples"


class Journal:
    """Sums the numbers of each step and writes their means every `log_every` steps."""

    def __init__(
        self, accelerator: Accelerator, out_dir: Path, log_every: int, start_step: int, settings: dict[str, Any]
    ) -> None:
        self.accelerator = accelerator
        self.out_dir = out_dir
        self.log_every = log_every
        self.active = accelerator.is_main_process
        if self.active:
            out_dir.mkdir(parents=True, exist_ok=True)
            _forget_after(out_dir / LOSS_LOG, start_step)
        if accelerator.log_with:
            plain = {key: value for key, value in settings.items() if isinstance(value, int | float | str)}
            # Weights & Biases would write where the command was called.
            accelerator.init_trackers("wavemesh", plain, init_kwargs={"wandb": {"dir": str(out_dir)}})
        self._clear()

    def record(self, step: int, loss: float, metrics: dict[str, Any], lr: float, grad_norm: float) -> None:
        """Take in the numbers of one finished step; `step` counts finished steps."""
        if not self.active:
            return
        self._count += 1
        for name, value in {**metrics, "loss": loss, "grad_norm": grad_norm}.items():
            # A tensor stays where it is: reading it would wait for the device at every step.
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = (total + (value.detach() if isinstance(value, Tensor) else value), count + 1)
        if step % self.log_every == 0:
            self.write(step, lr)

    def write(self, step: int, lr: float) -> None:
        """Write the means since the last line, if there are any."""
        if not self.active or self._count == 0:
            return
        line: dict[str, Any] = {"step": step}
        line |= {name: float(total) / count for name, (total, count) in self._sums.items()}
        line["lr"] = lr
        line["seconds_per_step"] = (time.perf_counter() - self._since) / self._count
        line["memory_mib"] = _peak_memory_mib(self.accelerator.device)
        # JSON has no NaN; null keeps the file readable for strict parsers.
        strict = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in line.items()}
        try:
            with (self.out_dir / LOSS_LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(strict) + "\n")
        except OSError as error:
            reason = error.strerror or error
            raise InputError(
                f"The log {self.out_dir / LOSS_LOG} cannot be written ({reason}); snapshots stay."
            ) from None
        logger.info("%s", "  ".join(f"{name} {value:.5g}" for name, value in line.items()))
        self.accelerator.log({name: value for name, value in line.items() if name != "step"}, step=step)
        self._clear()

    def pictures(self, step: int, pictures: dict[str, np.ndarray]) -> None:
        """Save uint8 pictures (h, w, 3) as PNG under `samples/` and hand them to the tracker."""
        if not self.active or not pictures:
            return
        folder = self.out_dir / SAMPLES
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            Image.fromarray(picture).save(folder / f"step-{step:08d}-{name}.png")
        for tracker in self.accelerator.trackers:
            options = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
            tracker.log_images({name: picture[None] for name, picture in pictures.items()}, step=step, **options)

    def close(self) -> None:
        """Close the tracker."""
        if self.accelerator.log_with:
            self.accelerator.end_training()

    def _clear(self) -> None:
        # Not every step has every number, so each is averaged over the steps that had it.
        self._sums: dict[str, tuple[Any, int]] = {}
        self._count = 0
        self._since = time.perf_counter()


def check_tracker(name: str | None) -> None:
    """Raise InputError if the tracker is unknown or its package is not installed."""
    if name is None:
        return
    if name not in ("tensorboard", "wandb"):
        raise InputError(f"The tracker must be tensorboard or wandb, not {name!r}.")
    if importlib.util.find_spec(name) is None:
        raise InputError(f"The tracker {name!r} needs the package {name}, which is not installed.")


def _forget_after(path: Path, step: int) -> None:
    """Drop the lines of steps that the run is about to repeat, and a line that a crash cut short."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if entry["step"] <= step:
            kept.append(line + "\n")
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(kept), encoding="utf-8")
    temporary.replace(path)


def _peak_memory_mib(device: torch.device) -> float:
    """Largest memory in use so far: of the device's allocator on CUDA, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return peak_resident_bytes() / 2**20
