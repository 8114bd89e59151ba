"""Run bundles: one .zip with all that a run was made from and came to, and the way to run it again.

A bundle is what `RunRecord.save` writes (see `archive`), with the mesh as GLB beside it for other programs, and the
versions and weights that made it.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from wavemesh.errors import InputError
from wavemesh.pipelines.outputs import StepReport
from wavemesh.pipelines.record import RunRecord, vertex_colours


@dataclass(frozen=True)
class Replay:
    """What running a bundle again came to.

    identical: the mesh is the same to the last bit. message: one sentence that says so, or by how much it differs.
    """

    mesh: trimesh.Trimesh
    identical: bool
    message: str


def read_bundle(path: str | Path) -> RunRecord:
    """The run in a bundle. Raises InputError for a file that is none, or is damaged or larger than it may be."""
    path = Path(path)
    try:
        return RunRecord.load(path)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except OSError as error:
        raise InputError(f"The file {path} cannot be read: {error.strerror or error}.") from None
    except zipfile.BadZipFile:
        raise InputError(f"The file {path} is no run bundle: it is not a whole .zip file.") from None
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError, NotImplementedError) as error:
        reason = f"{type(error).__name__} {error}" if isinstance(error, KeyError) else str(error)
        reason = " ".join(reason.split()).rstrip(".")[:200]
        raise InputError(f"The file {path} is no run bundle or is damaged: {reason}.") from None


def replay(record: RunRecord, pipeline: Any) -> Replay:
    """The run made again by the pipeline of its method, from the same pictures, cameras, settings and seed.

    A run that was stopped is stopped after the same step. Raises InputError where the pipeline has other weights: then
    nothing can be expected to agree.
    """
    made_by = record.provenance.get("weights")
    if made_by is not None and not pipeline.is_called(made_by):
        raise InputError(
            f"This run was made with the weights {made_by} and cannot be reproduced with the weights "
            f"{pipeline.fingerprint}."
        )
    output = pipeline(
        record.views(),
        settings=record.settings,
        callback=_stop_after(len(record.steps)) if record.stopped else None,
    )
    identical = _same_mesh(output.mesh, record.mesh)
    message = "The mesh is identical." if identical else difference(record, output.mesh, output.sdf)
    return Replay(output.mesh, identical, message)


def difference(record: RunRecord, mesh: trimesh.Trimesh, sdf: np.ndarray) -> str:
    """One sentence that says by how much a mesh and its field differ from those of a record."""
    counts = f"{len(mesh.vertices):,} vertices instead of {len(record.mesh.vertices):,}"
    if sdf.shape != record.sdf.shape:
        return f"The mesh differs: {counts}, a field of shape {sdf.shape} instead of {record.sdf.shape}."
    gap = np.abs(sdf.astype(np.float64) - record.sdf)
    inside, inside_before = sdf < 0, record.sdf < 0
    union = np.count_nonzero(inside | inside_before)
    shared = np.count_nonzero(inside & inside_before) / union if union else 1.0
    return (
        f"The mesh differs: {counts}, the field by at most {gap.max():.2g} (mean {gap.mean():.2g}), "
        f"IoU of the two solids {shared:.6f}."
    )


def _stop_after(num_steps: int) -> Any:
    done: list[int] = []

    def stop(report: StepReport) -> bool:
        done.append(report.step)
        return len(done) >= num_steps

    return stop


def _same_mesh(first: trimesh.Trimesh, second: trimesh.Trimesh) -> bool:
    pairs = [(each.vertices, each.faces, vertex_colours(each)) for each in (first, second)]
    return all(np.array_equal(a, b) for a, b in zip(*pairs, strict=True))
