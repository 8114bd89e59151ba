"""Triangle meshes from signed distance grids: the last step of every generation."""

from __future__ import annotations

import mcubes
import numpy as np
import trimesh
from jaxtyping import Float

from wavemesh.errors import InputError
from wavemesh.geometry.collapse import collapsed, qslim

MAX_FACES_AT_ONCE = 100_000  # two seconds in which nobody else is answered; larger ones are another process's
MAX_VERTICES = 300_000  # a shape on 128 cells a side has some 40,000


def sdf_to_mesh(
    sdf: Float[np.ndarray, "n n n"], level: float = 0.0, max_vertices: int = MAX_VERTICES
) -> trimesh.Trimesh:
    """The surface sdf = level as a closed mesh in world coordinates, faces pointing outwards.

    Solids that reach the border of the grid are closed there. Raises InputError where there is no surface, and before
    anything is built where it would have more than max_vertices vertices, and twice as many faces: a field of noise.
    """
    sdf = np.asarray(sdf, dtype=np.float32)
    if sdf.ndim != 3 or len(set(sdf.shape)) != 1:
        raise ValueError(f"a cubic grid is needed, not {sdf.shape}")
    if not np.isfinite(sdf).all():
        raise InputError("The distance grid holds values that are not finite.")
    if not (sdf < level).any() or not (sdf > level).any():
        raise InputError(f"There is no surface: the field lies between {sdf.min():.3g} and {sdf.max():.3g}.")
    resolution = sdf.shape[0]
    # One layer outside, so that a solid at the border of the grid is closed.
    outside = max(float(sdf.max()), level + 1e-3)
    padded = np.pad(sdf, 1, constant_values=outside)
    crossings = sum(int(np.count_nonzero(np.diff(padded < level, axis=axis))) for axis in range(3))
    if crossings > max_vertices:
        raise InputError(f"The field has a surface of {crossings:,} vertices; up to {max_vertices:,} are made of one.")
    vertices, faces = mcubes.marching_cubes(padded.astype(np.float64), level)
    vertices = (vertices - 1.0 + 0.5) / resolution * 2.0 - 1.0
    mesh = trimesh.Trimesh(vertices, faces.astype(np.int64), process=False, validate=False)
    if mesh.volume < 0.0:
        mesh.invert()
    return mesh


def simplify(mesh: trimesh.Trimesh, max_faces: int) -> trimesh.Trimesh:
    """The mesh with at most about max_faces faces (quadric edge collapse); unchanged where it has fewer already.

    A manifold stays one (Garland and Heckbert 1997, as libigl has it); edges with three faces go through a simplifier
    that takes anything. Raises InputError where a mesh of more than 100,000 faces takes too long.
    """
    if max_faces < 4:
        raise InputError(f"A mesh needs at least 4 faces, not {max_faces}.")
    if len(mesh.faces) <= max_faces:
        return mesh
    collapse = qslim if len(mesh.faces) <= MAX_FACES_AT_ONCE else collapsed
    vertices, faces = collapse(np.array(mesh.vertices, np.float64), np.array(mesh.faces, np.int64), max_faces)
    if len(faces):
        return trimesh.Trimesh(vertices, faces, process=False, validate=False)
    import fast_simplification

    points, faces = fast_simplification.simplify(
        np.asarray(mesh.vertices, dtype=np.float32),
        np.asarray(mesh.faces, dtype=np.int32),
        target_reduction=1.0 - max_faces / len(mesh.faces),
    )
    return trimesh.Trimesh(points, faces, process=False, validate=False)
