"""Independent jobs on this machine's processes, on a cluster of Ray or on one of Dask, through joblib's backends."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import joblib

from wavemesh.extras import missing

BACKENDS = ("processes", "threads", "ray", "dask")


def each_done(jobs: Iterable[Any], backend: str, workers: int) -> Iterable[Any]:
    """What the jobs (of `joblib.delayed`) give, in the order in which they end; on Ray at the end, in their own order.

    Raises InputError where the cluster's package is not installed.
    """
    given = "list" if backend == "ray" else "generator_unordered"  # joblib's backend of Ray has no generators
    with _parallel(backend, workers):
        yield from joblib.Parallel(return_as=given, batch_size=1)(jobs)


def _parallel(backend: str, workers: int) -> AbstractContextManager:
    """The configuration of joblib for the backend; each worker computes in one thread.

    RAY_ADDRESS and DASK_SCHEDULER_ADDRESS name a cluster; without one it is started on this machine.
    """
    if backend == "ray":
        try:
            from ray.util.joblib import register_ray
        except ModuleNotFoundError as error:
            raise missing(error) from error
        register_ray()
        return joblib.parallel_config(backend="ray", n_jobs=workers)
    if backend == "dask":
        try:
            import distributed
        except ModuleNotFoundError as error:
            raise missing(error) from error
        try:
            distributed.Client.current(allow_global=True)
        except ValueError:  # none in this process
            distributed.Client(set_as_default=True)
        return joblib.parallel_config(backend="dask", n_jobs=workers)
    if backend == "threads":
        return joblib.parallel_config(backend="threading", n_jobs=workers)
    return joblib.parallel_config(backend="loky", n_jobs=workers, inner_max_num_threads=1)
