"""Prepares a library on a cluster of two workers on this machine: what `test_prepare.py` runs in a process of its own.

python -m tests.data.on_cluster dask|ray LIBRARY OUT
"""

import sys
from pathlib import Path

from wavemesh.data.prepare import prepare


def main(backend: str, library: str, out: str) -> None:
    settings = {"num_views": 3, "image_size": 32, "resolution": 32, "workers": 2, "progress": False}
    if backend == "dask":
        from distributed import Client, LocalCluster

        cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
        with cluster, Client(cluster) as client:
            client.wait_for_workers(2)
            prepare(library, Path(out), backend="dask", **settings)
            workers = len(client.scheduler_info()["workers"])
    else:
        import ray

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        prepare(library, Path(out), backend="ray", **settings)
        workers = int(ray.cluster_resources()["CPU"])
        ray.shutdown()
    sys.stdout.write(f"{workers}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
