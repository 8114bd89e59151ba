"""Device, precision and processes of a training run, through `accelerate`, and how the processes part at the end."""

import atexit
import contextlib
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import filelock
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from torch import distributed

from wavemesh.errors import InputError
from wavemesh.models.precision import has_bfloat16
from wavemesh.training.settings import LoopConfig


def make_accelerator(config: LoopConfig, out_dir: Path) -> Accelerator:
    """The accelerator of a run; raises InputError for fp16 without a CUDA device."""
    if config.amp == "fp16" and (config.device == "cpu" or not torch.cuda.is_available()):
        raise InputError("amp 'fp16' needs a CUDA device; use 'bf16' or 'no' on a CPU.")
    _form_group_again("nccl" if config.device == "auto" and torch.cuda.is_available() else "gloo")
    # accelerate keeps the precision of the first run of a process and refuses another.
    AcceleratorState._reset_state()
    accelerator = Accelerator(
        mixed_precision=_precision(config),
        cpu=config.device == "cpu",
        gradient_accumulation_steps=config.grad_accumulation,
        log_with=config.tracker,
        project_dir=out_dir,
        # A dropped condition leaves part of the network without a gradient.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    if accelerator.num_processes > 1:
        atexit.register(_leave_process_group, accelerator.state)
    return accelerator


def _form_group_again(backend: str) -> None:
    """The process group of a run that torchrun has started again; any other is left to accelerate.

    torchrun's store outlives the processes and still holds the addresses of those that died, where the new ones would
    wait for each other without end: from the second start on, keys have the number of the start before them.
    """
    start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if start == "0" or distributed.is_initialized() or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    store = distributed.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    store = distributed.PrefixStore(f"start-{start}", store)
    distributed.init_process_group(backend, store=store, rank=rank, world_size=ranks)


@contextlib.contextmanager
def only_training(out_dir: Path) -> Iterator[None]:
    """While open, nobody else trains in the folder; InputError where somebody does, or it cannot be written.

    The lock is the system's and ends with the process, however that ends.
    """
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(out_dir / ".lock")
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(f"Another process trains in {out_dir}: wait for it, or choose another folder.") from None
    except OSError as error:
        raise InputError(f"The folder {out_dir} cannot be written: {error.strerror or error}.") from None
    try:
        yield
    finally:
        lock.release()


def _leave_process_group(state: AcceleratorState) -> None:
    """Join the threads of the process group; one that lets go of a tensor while Python ends aborts the process.

    They end with the last reference to the group, which the wrapped model in a garbage cycle would hold on to.
    """
    gc.collect()
    state.destroy_process_group()


def _precision(config: LoopConfig) -> str:
    """The amp of the settings; "auto" becomes what the device computes fast."""
    if config.amp != "auto":
        return config.amp
    on_cuda = config.device == "auto" and torch.cuda.is_available()
    return "bf16" if has_bfloat16("cuda" if on_cuda else "cpu") else "no"
