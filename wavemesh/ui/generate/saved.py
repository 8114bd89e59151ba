"""A run that was saved as a bundle comes back onto the page, as if it had just ended."""

from __future__ import annotations

import shutil
from pathlib import Path

from wavemesh.errors import InputError
from wavemesh.settings import Settings
from wavemesh.ui.pictures import Picture, write_picture
from wavemesh.ui.runner import Result
from wavemesh.ui.workspace import new_result_folder


def open_saved(path: Path, workspace: Path) -> tuple[Result, list[Picture], bool, Settings]:
    """What the run in a bundle left, its pictures, whether its cameras were estimated, and its settings.

    Raises InputError, which names no folder, for a file that is no bundle or is damaged.
    """
    from wavemesh.geometry.export import mesh_bytes
    from wavemesh.geometry.mesh import facing
    from wavemesh.pipelines.bundle import read_bundle
    from wavemesh.pipelines.record import FILE

    try:
        record = read_bundle(path)
    except InputError as error:
        raise InputError(str(error).replace(str(path), path.name)) from None
    folder = new_result_folder(workspace)
    shutil.copyfile(path, folder / FILE)
    mesh = folder / "saved-mesh.glb"
    mesh.write_bytes(mesh_bytes(facing(record.mesh, record.front_deg), ".glb"))
    cameras = [camera.turned(-record.front_deg) for camera in record.cameras]
    found = list(zip(record.pictures, cameras, strict=True))
    sides = record.sides or [None] * len(found)
    pictures = [
        Picture(
            f"Picture {number}",
            picture.convert("RGBA"),
            found=pair,
            cut_by=cut_by,
            notes=tuple(notes),
            side=side,
            front_deg=record.front_deg,
        )
        for number, (picture, pair, cut_by, notes, side) in enumerate(
            zip(record.pictures, found, record.cut_by, record.notes, sides, strict=True), start=1
        )
    ]
    result = Result(
        files={
            ".glb": str(mesh),
            ".zip": str(folder / FILE),
            ".webp": write_picture(record.pictures[0], folder),
        },
        vertices=len(record.mesh.vertices),
        faces=len(record.mesh.faces),
        seconds=sum(record.timings.values()),
        stopped=record.stopped,
        seed=record.settings.seed or 0,
        timings=dict(record.timings),
        found=tuple(pair if estimated else None for pair, estimated in zip(found, record.estimated, strict=True)),
        folder=str(folder),
        cut_by=tuple(record.cut_by),
        notes=tuple(tuple(notes) for notes in record.notes),
        front_deg=record.front_deg,
        first=record.first_view,
    )
    return result, pictures, any(record.estimated), record.settings
