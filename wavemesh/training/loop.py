"""The training loop that every system shares: optimizer, precision, averaging, snapshots, logs and clean stops.

A system implements `Task` (its model, its batches, its loss) and `train` does the rest. `accelerate` places the model,
autocasts and synchronises gradients, under `torchrun` among processes: W of them do what one does that accumulates W
batches. The order of the data belongs to the task, so that a run that was stopped at any step goes on with exactly the
losses of an unbroken one.
"""

import contextlib
import copy
import logging
import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from accelerate.utils import send_to_device, set_seed
from torch import Tensor, nn

from wavemesh.allocation import keep_freed_memory
from wavemesh.checkpoint import load_weights, save_weights
from wavemesh.errors import InputError
from wavemesh.training.ema import averaged_copy
from wavemesh.training.journal import Journal
from wavemesh.training.muon import Muon
from wavemesh.training.numbered import NumberedBatches
from wavemesh.training.processes import make_accelerator, only_training
from wavemesh.training.settings import LoopConfig
from wavemesh.training.snapshots import (
    list_snapshots,
    load_latest,
    random_state,
    restore_random_state,
    save_snapshot,
)
from wavemesh.training.stopping import StopSignals

logger = logging.getLogger(__name__)

SNAPSHOTS = "snapshots"
_HISTORY = 200


@runtime_checkable
class Task(Protocol):
    """What a system gives the loop.

    A task may also have `may_be_new`, names of networks that the weights it is begun from need not hold, and
    `epoch_size`, how many samples a pass over its data has.
    """

    model: nn.Module  # everything trainable; the loop moves it to the device

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Groups with "params" and "lr"; weight decay is the loop's unless a group sets its own.

        Groups with "orthogonal": True are trained by Muon, all others by AdamW.
        """
        ...

    def batches(self, seed: int, start_step: int) -> Iterator[Any]:
        """Endless batches from number `start_step` on, the same whether or not the run was interrupted before it."""
        ...

    def loss(self, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """Scalar loss of a batch that lies on the device, and numbers to log; randomness from `generator` only."""
        ...

    def sample_pictures(self, ema_model: nn.Module) -> dict[str, np.ndarray]:
        """Pictures (h, w, 3) uint8 by name that show what the averaged model makes; may be empty."""
        ...

    def weights(self, model: nn.Module) -> dict[str, dict[str, Tensor]]:
        """State dict per network of a model like `self.model`, sharing memory with it."""
        ...

    def config(self) -> dict[str, Any]:
        """What is written beside exported weights."""
        ...


@dataclass(frozen=True)
class TrainResult:
    """How a call of `train` ended.

    `step` is the number of finished steps of the run, `losses` those of the last steps of this call, `stopped_by` one
    of "finished", "time limit", "signal" and "not finite"; `message` says more in the last case.
    """

    step: int
    losses: list[float]
    stopped_by: str
    message: str = ""


def train(task: Task, config: LoopConfig, resume: bool = True) -> TrainResult:
    """Train until `total_steps`, the time limit, SIGTERM, SIGINT, SIGHUP, or a loss that is not finite; always saved.

    With `resume` the newest snapshot in `out_dir` goes on. On a CPU the process keeps freed memory from here on
    (`training.allocation`). Raises InputError for a snapshot or `init_from` weights that
    do not fit the model, when `resume` is False but there are snapshots, when another process trains in `out_dir`, and
    when a snapshot cannot be written.
    """
    run = _Run(task, config)
    with contextlib.ExitStack() as held:
        if run.accelerator.is_main_process:
            held.enter_context(only_training(run.out_dir))
        run.restore(resume)
        run.open()
        try:
            with StopSignals() as stop:
                return run.until_stopped(stop)
        finally:
            run.journal.close()


def export(task: Task, out_dir: str | Path, folder: str | Path) -> Path:
    """The folder, now holding the averaged weights of the newest snapshot in `out_dir`.

    Raises InputError when there is no snapshot or it does not fit the task's model.
    """
    state = load_latest(Path(out_dir) / SNAPSHOTS)
    if state is None:
        raise InputError(f"There is nothing to export: no training snapshot in {Path(out_dir) / SNAPSHOTS}.")
    model = copy.deepcopy(task.model).cpu()
    if "ema" not in state:
        raise InputError(f"The newest snapshot in {Path(out_dir) / SNAPSHOTS} is none of a training.")
    _load_fitting(model, state["ema"], Path(out_dir))
    return save_weights(folder, task.weights(model), task.config())


class _LossModule(nn.Module):
    """The task's loss as a module, so that accelerate can autocast it and synchronise its gradients."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.model = task.model
        self._loss = task.loss

    def forward(self, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        return self._loss(batch, generator)


@dataclass
class _StepOutcome:
    loss: float
    grad_norm: float
    metrics: dict[str, Any] = field(default_factory=dict)


class _Run:
    """State of one run: what a snapshot holds, and the steps."""

    def __init__(self, task: Task, config: LoopConfig) -> None:
        self.task, self.config = task, config
        self.out_dir = Path(config.out_dir)
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        self.accelerator = make_accelerator(config, self.out_dir)
        if self.accelerator.device.type == "cpu":
            keep_freed_memory()
        self.rank, self.ranks = self.accelerator.process_index, self.accelerator.num_processes
        self.step = 0
        self._set_seed()
        if config.init_from is not None:
            _warm_start(task, Path(config.init_from))
        groups = _with_weight_decay(task.parameter_groups(config.learning_rate), config.weight_decay)
        optimizer: torch.optim.Optimizer
        if any(group.get("orthogonal") for group in groups):
            optimizer = Muon(groups, lr=config.learning_rate)
        else:
            optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
        self.base_lrs = [group["lr"] for group in optimizer.param_groups]
        self.loss_module, self.optimizer = self.accelerator.prepare(_LossModule(task).train(), optimizer)
        self.parameters = [parameter for group in groups for parameter in group["params"]]
        self.ema = averaged_copy(task.model, config.ema_decay)
        self.generator = torch.Generator(device=self.accelerator.device)
        self.trained_s = 0.0

    def restore(self, resume: bool) -> None:
        """Go to where the newest snapshot was taken, if there is one."""
        folder = self.out_dir / SNAPSHOTS
        if not resume:
            if list_snapshots(folder):
                raise InputError(f"There is a run in {self.out_dir} already: resume it or choose another folder.")
            return
        if load_latest(folder, self._take) is not None:
            logger.info("Resuming at step %d.", self.step)

    def _take(self, state: dict[str, Any]) -> None:
        """Go to where a snapshot was taken; raises for the state of another run."""
        missing = {"step", "trained_s", "model", "ema", "optimizer", "scaler", "random"} - set(state)
        if missing:
            raise InputError(f"It is no snapshot of a training: it lacks {', '.join(sorted(missing))}.")
        folder = self.out_dir / SNAPSHOTS
        _load_fitting(self.task.model, state["model"], folder)
        _load_fitting(self.ema.module, state["ema"], folder)
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.step, self.trained_s = int(state["step"]), float(state["trained_s"])
        self.ema.n_averaged.fill_(1 + self.step)
        if self.accelerator.is_main_process:
            restore_random_state(state["random"])
        else:
            self._set_seed()

    def open(self) -> None:
        """Begin to log and to count time."""
        settings = {name: str(v) if isinstance(v, Path) else v for name, v in asdict(self.config).items()}
        self.journal = Journal(self.accelerator, self.out_dir, self.config.log_every, self.step, settings)
        self.started = self.saved_at = time.monotonic()
        self.resumed_trained_s = self.trained_s
        self.saved_step = self.step

    def until_stopped(self, stop: StopSignals) -> TrainResult:
        """Run steps until there is a reason to stop, save, and say which it was."""
        config = self.config
        losses: deque[float] = deque(maxlen=_HISTORY)
        batches = self.batches()
        reason, message = "finished", ""
        while self.step < config.total_steps:
            outcome = self.one_step(batches)
            late = config.time_limit_s is not None and time.monotonic() - self.started > config.time_limit_s
            broken, asked, late = self._any_process(outcome is None, stop.asked, late)
            if broken or outcome is None:
                reason = "not finite"
                message = (
                    f"The loss or its gradient is not finite at step {self.step}; the weights before it are saved. "
                    "A lower learning rate or amp='no' may help."
                )
                logger.error("%s", message)
                break
            losses.append(outcome.loss)
            self.after_step(outcome)
            if asked or late:
                reason = "signal" if asked else "time limit"
                break
        self.journal.write(self.step, self.optimizer.param_groups[0]["lr"])
        self.save()
        return TrainResult(self.step, list(losses), reason, message)

    def batches(self) -> Iterator[Any]:
        """This process's batches from here on.

        The processes take turns, so that W of them see in a step what one of them sees in W accumulated batches.
        """
        start, seed = self.step * self.config.grad_accumulation, self.config.seed
        if self.config.workers == 0 and self.ranks == 1:
            return self.task.batches(seed, start)
        numbers = NumberedBatches(self.task.batches, seed, start * self.ranks + self.rank, self.ranks)
        return numbers.made_ahead(self.config.workers) if self.config.workers else iter(numbers)

    def one_step(self, batches: Iterator[Any]) -> _StepOutcome | None:
        """Update the model on the next batches; None, and no weight is changed, if the loss is not finite."""
        accelerator, config = self.accelerator, self.config
        factor = config.lr_factor(self.step)
        for group, lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = lr * factor
        total = torch.zeros((), device=accelerator.device)
        metrics: dict[str, list[Any]] = {}
        for part in range(config.grad_accumulation):
            batch = send_to_device(next(batches), accelerator.device, non_blocking=True)
            # Seeded by the step and not carried on, so that a resumed run draws what the unbroken one would.
            number = part * self.ranks + self.rank
            self.generator.manual_seed(hash((config.seed, self.step, number)) & 0x7FFFFFFF)
            last = part == config.grad_accumulation - 1
            with contextlib.nullcontext() if last else accelerator.no_sync(self.loss_module):
                loss, part_metrics = self.loss_module(batch, self.generator)
                accelerator.backward(loss)  # divides by grad_accumulation
            total += loss.detach().float() / config.grad_accumulation
            for name, value in part_metrics.items():
                metrics.setdefault(name, []).append(value)
        norm = accelerator.clip_grad_norm_(self.parameters, config.clip_norm)
        if self.ranks > 1:
            total = accelerator.reduce(total, reduction="mean")
        loss_value, norm_value = torch.stack([total, norm.detach().float()]).tolist()
        # With fp16 a gradient that overflows is skipped by the scaler, which then lowers its scale.
        usable_gradient = math.isfinite(norm_value) or accelerator.scaler is not None
        if not self._any_process(not (math.isfinite(loss_value) and usable_gradient))[0]:
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            # Not every part has every number.
            means = {name: sum(values) / len(values) for name, values in metrics.items()}
            return _StepOutcome(loss_value, norm_value, means)
        self.optimizer.zero_grad(set_to_none=True)
        return None

    def after_step(self, outcome: _StepOutcome) -> None:
        """Average, log, draw pictures and save where it is time to."""
        config = self.config
        self.ema.update_parameters(self.task.model)
        self.step += 1
        lr = self.optimizer.param_groups[0]["lr"]
        self.journal.record(self.step, outcome.loss, outcome.metrics, lr, outcome.grad_norm)
        if self._is_due(config.sample_every, config.sample_every_epochs) and self.journal.active:
            # Sampling may draw from the global generators; training must not notice.
            with torch.random.fork_rng(), torch.no_grad():
                self.journal.pictures(self.step, self.task.sample_pictures(self.ema.module))
        due = self._is_due(config.save_every_steps, config.save_every_epochs)
        if due or time.monotonic() - self.saved_at > config.save_every_s:
            self.save()

    def _is_due(self, steps: int | None, epochs: int | None) -> bool:
        epoch_size = getattr(self.task, "epoch_size", None)
        return self.config.is_due(self.step, steps, epochs, epoch_size, self.ranks)

    def save(self) -> None:
        """Write a snapshot unless nothing happened since the last one."""
        if not self.accelerator.is_main_process or (self.saved_step == self.step and self.step > 0):
            return
        self.trained_s = self.resumed_trained_s + time.monotonic() - self.started
        scaler = self.accelerator.scaler
        state = {
            "step": self.step,
            "trained_s": self.trained_s,
            "model": self.task.model.state_dict(),
            "ema": self.ema.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "random": random_state(),
        }
        save_snapshot(self.out_dir / SNAPSHOTS, self.step, state, self.config.keep_snapshots)
        self.saved_at, self.saved_step = time.monotonic(), self.step

    def _set_seed(self) -> None:
        """Seed the global generators, which dropout draws from: anew at each start, and apart in each process."""
        set_seed(self.config.seed + self.step + 1_000_003 * self.rank)

    def _any_process(self, *flags: bool) -> tuple[bool, ...]:
        """Each flag, true if it is true in any process: all must leave the loop at the same step."""
        if self.accelerator.num_processes == 1:
            return flags
        votes = torch.tensor([float(flag) for flag in flags], device=self.accelerator.device)
        return tuple(vote > 0 for vote in self.accelerator.reduce(votes, reduction="sum").tolist())


def _with_weight_decay(groups: list[dict[str, Any]], weight_decay: float) -> list[dict[str, Any]]:
    """The groups without frozen parameters, split so that biases and norms (fewer than 2 axes) do not decay."""
    result = []
    for group in groups:
        trainable = [parameter for parameter in group["params"] if parameter.requires_grad]
        if "weight_decay" in group:
            result.append({**group, "params": trainable})
            continue
        matrices = [parameter for parameter in trainable if parameter.dim() >= 2]
        vectors = [parameter for parameter in trainable if parameter.dim() < 2]
        result.append({**group, "params": matrices, "weight_decay": weight_decay})
        result.append({**group, "params": vectors, "weight_decay": 0.0})
    return [group for group in result if group["params"]]


def _load_fitting(model: nn.Module, state: dict[str, Tensor], where: Path) -> None:
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        detail = " ".join(str(error).split())[:300]
        raise InputError(f"The training snapshot in {where} does not fit the model: {detail}") from None


def _warm_start(task: Task, folder: Path) -> None:
    """Copy exported weights into the task's model; networks in its `may_be_new` begin anew where there are none."""
    saved, _ = load_weights(folder)
    for name, target in task.weights(task.model).items():
        source = saved.get(name)
        if source is None and name in getattr(task, "may_be_new", ()):
            continue
        if source is None:
            raise InputError(f"The weights in {folder} have no network {name!r}, only {sorted(saved)}.")
        for key, tensor in target.items():
            if key not in source or source[key].shape != tensor.shape:
                found = tuple(source[key].shape) if key in source else "nothing"
                raise InputError(
                    f"The weights in {folder} do not fit: {name}.{key} is {tuple(tensor.shape)}, there it is {found}."
                )
            tensor.detach().copy_(source[key])
