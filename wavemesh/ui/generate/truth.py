"""Pictures rendered from a mesh: the views have known cameras, and the mesh is the truth to compare a result with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.ui.pictures import MAX_VIEWS, Number, Picture
from wavemesh.ui.runner import TRUTH_FILE
from wavemesh.ui.workspace import new_result_folder

if TYPE_CHECKING:
    import trimesh

VIEW_SIDE = 256


def rendered_pictures(
    mesh_file: str | Path,
    num_views: Number | None,
    azimuth_deg: Number | None,
    elevation_deg: Number | None,
    workspace: Path,
) -> list[Picture]:
    """Views of a stranger's mesh from a ring of cameras, evenly spaced from the azimuth on.

    The mesh, in the world frame, is kept in a folder of the workspace, which the pictures name as their origin. Raises
    InputError for values out of range and meshes that cannot be used.
    """
    from wavemesh.geometry.untrusted import read_untrusted_mesh
    from wavemesh.rendering import orbit_cameras, render_multiview

    if num_views is None or int(num_views) != num_views or not 1 <= num_views <= MAX_VIEWS:
        raise InputError(f"The number of views must be a whole number between 1 and {MAX_VIEWS}, not {num_views}.")
    if azimuth_deg is None or elevation_deg is None or not -90 <= elevation_deg <= 90:
        raise InputError(f"The views need an azimuth and an elevation between -90 and 90 degrees, not {elevation_deg}.")
    mesh = read_untrusted_mesh(mesh_file)
    cameras = orbit_cameras(int(num_views), float(elevation_deg), float(azimuth_deg))
    views = render_multiview(mesh, cameras=cameras, size=VIEW_SIDE, backend="embree").views
    folder = new_result_folder(workspace)
    np.savez(folder / TRUTH_FILE, vertices=np.asarray(mesh.vertices), faces=np.asarray(mesh.faces))
    stem = Path(mesh_file).stem[:40]
    return [
        Picture(f"{stem} {number}", Image.fromarray(view.rgba), camera, origin=str(folder))
        for number, (view, camera) in enumerate(zip(views, cameras, strict=True), start=1)
    ]


def truth_mesh(folder: str | Path) -> trimesh.Trimesh | None:
    """The mesh that a run's pictures were rendered from, by the run's folder; None where they were not."""
    import trimesh

    path = Path(folder) / TRUTH_FILE
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as data:
        return trimesh.Trimesh(data["vertices"], data["faces"], process=False, validate=False)
