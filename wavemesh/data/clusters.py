"""Independent jobs on this machine's processes, on a cluster of Ray or on one of Dask, through joblib's backends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from wavemesh.errors import InputError
from wavemesh.extras import missing

BACKENDS = ("processes", "threads", "ray", "dask")


def check_backend(backend: str) -> None:
    """Raise InputError for an unknown backend, and where joblib or the cluster's package is not installed."""
    if backend not in BACKENDS:
        raise InputError(f"The backend must be one of {', '.join(BACKENDS)}, not {backend!r}.")
    try:
        import joblib  # noqa: F401

        if backend == "ray":
            import ray  # noqa: F401
        if backend == "dask":
            import distributed  # noqa: F401
    except ModuleNotFoundError as error:
        raise missing(error) from error


def each_done(
    function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], backend: str, workers: int
) -> Iterable[Any]:
    """What the function gives for each of the arguments, in the order in which they end; on Ray at the end, in order.

    Raises InputError as `check_backend` does.
    """
    check_backend(backend)
    import joblib

    jobs = (joblib.delayed(function)(*each) for each in arguments)
    given = "list" if backend == "ray" else "generator_unordered"  # joblib's backend of Ray has no generators
    with _parallel(backend, workers):
        yield from joblib.Parallel(return_as=given, batch_size=1)(jobs)


def _parallel(backend: str, workers: int) -> AbstractContextManager:
    """The configuration of joblib for the backend; each worker computes in one thread.

    RAY_ADDRESS and DASK_SCHEDULER_ADDRESS name a cluster; without one it is started on this machine.
    """
    import joblib

    if backend == "ray":
        from ray.util.joblib import register_ray

        register_ray()
        return joblib.parallel_config(backend="ray", n_jobs=workers)
    if backend == "dask":
        import distributed

        try:
            distributed.Client.current(allow_global=True)
        except ValueError:  # none in this process
            distributed.Client(set_as_default=True)
        return joblib.parallel_config(backend="dask", n_jobs=workers)
    if backend == "threads":
        return joblib.parallel_config(backend="threading", n_jobs=workers)
    return joblib.parallel_config(backend="loky", n_jobs=workers, inner_max_num_threads=1)
