"""From any mesh to a solid that can be printed: closed, wound outwards, without crumbs.

Three ways, the gentlest that works: a mesh that is a manifold already only loses its crumbs; one with holes gets them
closed and its faces turned; what is still no solid (crossing sheets, edges with three faces) is carved anew on a grid.
Overlapping pieces become one solid, by Manifold (Julian Smith and Emmett Lalish, Apache-2.0).
"""

from __future__ import annotations

from dataclasses import dataclass

import manifold3d
import numpy as np
import trimesh
from jaxtyping import Int
from scipy.spatial import cKDTree

from wavemesh.errors import InputError
from wavemesh.geometry.health import mesh_health, welded
from wavemesh.geometry.isosurface import sdf_to_mesh, simplify
from wavemesh.geometry.sdf import mesh_to_sdf

CRUMB_SHARE = 0.01
_CARVED_RESOLUTION = 128
_CARVED_HALF_SIDE = 0.9
_LEAST_TOLERANCE = 1e-4  # of the longest side
# What takes longer than it is worth: holes are looked for face by face in Python, and taking a solid apart costs its
# vertices times its pieces.
MAX_FACES_TO_CLOSE = 100_000
MAX_PIECES = 2_000


@dataclass(frozen=True)
class Repair:
    """A repaired mesh, coloured like the one it came from, and what was done to it.

    crumbs: pieces dropped. merged: by how many the pieces became fewer because they overlapped. holes: boundary loops
    closed. carved: whether the surface was rebuilt on a grid.
    """

    mesh: trimesh.Trimesh
    crumbs: int
    merged: int
    holes: int
    carved: bool

    @property
    def summary(self) -> str:
        """What was done, as one sentence."""
        done = []
        if self.carved:
            done.append("the surface was rebuilt on a grid")
        if self.holes:
            done.append(f"{self.holes} {'hole was' if self.holes == 1 else 'holes were'} closed")
        if self.crumbs:
            done.append(f"{self.crumbs} loose {'piece was' if self.crumbs == 1 else 'pieces were'} dropped")
        if self.merged:
            done.append("overlapping pieces were joined")
        sentence = ", ".join(done) or "nothing had to be done"
        return f"{sentence[0].upper()}{sentence[1:]}."


def repair(mesh: trimesh.Trimesh, crumb_share: float = CRUMB_SHARE) -> Repair:
    """The mesh as a printable solid: watertight, consistently wound, of positive volume.

    Pieces with less than crumb_share of the largest one's volume are dropped; closed cavities as large as that are
    kept as cavities. Raises InputError for a mesh without faces, with coordinates that are not finite, for a share
    outside [0, 1], for one in thousands of pieces, and where no solid can be found in it. A mesh with very many faces
    that is no manifold is carved at once.
    """
    if not 0.0 <= crumb_share <= 1.0:
        raise InputError(f"The share below which a piece counts as a crumb must lie in [0, 1], not {crumb_share}.")
    if len(mesh.faces) == 0:
        raise InputError("The mesh has no faces.")
    if not np.isfinite(mesh.vertices).all():
        raise InputError("The mesh has coordinates that are not finite.")
    bare, holes, carved = welded(mesh), 0, False
    bare.update_faces(bare.unique_faces())
    solid = _manifold(bare)
    if solid is None and len(bare.faces) <= MAX_FACES_TO_CLOSE:
        bare, holes = close_holes(bare)
        solid = _manifold(bare)
    if solid is None:
        holes, carved = 0, True
        solid = _manifold(_carved(mesh))
    if solid is None:
        raise InputError(f"No solid could be found in the mesh of {len(mesh.faces)} faces.")
    kept, crumbs, merged = _without_crumbs(solid, crumb_share)
    result = _trimesh(kept)
    if len(result.faces) == 0 or not mesh_health(result).printable:
        raise InputError(f"No solid could be found in the mesh of {len(mesh.faces)} faces.")
    return Repair(with_colours_of(result, mesh), crumbs, merged, holes, carved)


def simplified_solid(mesh: trimesh.Trimesh, max_faces: int) -> trimesh.Trimesh:
    """A printable solid with at most max_faces faces, still a solid, without colours; unchanged where it has fewer.

    Quadric edge collapse, which makes the better triangles, where a solid comes out of it; else Manifold's own, with as
    much tolerance as is needed. Raises InputError where the mesh is no solid.
    """
    solid = _manifold(welded(mesh))
    if solid is None:
        raise InputError(f"The mesh of {len(mesh.faces)} faces is no solid, so it cannot be simplified as one.")
    if len(mesh.faces) <= max_faces:
        return mesh
    collapsed = simplify(mesh, max_faces)
    if len(collapsed.faces) <= max_faces and mesh_health(collapsed).printable:
        return collapsed
    tolerance = _LEAST_TOLERANCE * float(np.max(mesh.extents))
    while solid.num_tri() > max_faces and tolerance < np.max(mesh.extents):
        solid = solid.simplify(tolerance)
        tolerance *= 1.5
    return _trimesh(solid)


def close_holes(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, int]:
    """The mesh with a fan of faces in every boundary loop and its faces wound alike, outwards; the number of loops.

    A fan meets in the middle of its loop, so flat holes are closed flatly and curved ones with a shallow cone.
    """
    # Winding first: the loops are followed along the direction of the faces.
    mesh = mesh.copy()
    trimesh.repair.fix_winding(mesh)
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    loops = boundary_loops(faces)
    fans: list[np.ndarray] = []
    centres: list[np.ndarray] = []
    for loop in loops:
        middle = len(vertices) + len(centres)
        centres.append(vertices[loop].mean(axis=0))
        fans.append(np.stack([np.roll(loop, -1), loop, np.full(len(loop), middle)], axis=1))
    if loops:
        vertices, faces = np.concatenate([vertices, centres]), np.concatenate([faces, *fans])
    closed = trimesh.Trimesh(vertices, faces, process=False, validate=False)
    with np.errstate(invalid="ignore", divide="ignore"):  # pieces without a volume have no centre of mass
        trimesh.repair.fix_inversion(closed, multibody=True)
    return closed, len(loops)


def boundary_loops(faces: Int[np.ndarray, "f 3"]) -> list[Int[np.ndarray, "k"]]:
    """The closed chains of edges that only one face has, as vertex indices in the direction of those faces."""
    directed = np.asarray(faces)[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    _, index, count = np.unique(np.sort(directed, axis=1), axis=0, return_index=True, return_counts=True)
    onward: dict[int, list[int]] = {}
    for start, end in directed[index[count == 1]].tolist():
        onward.setdefault(start, []).append(end)
    loops = []
    while onward:
        first = next(iter(onward))
        chain, places = [first], {first: 0}
        while chain[-1] in onward:
            ends = onward[chain[-1]]
            step = ends.pop()
            if not ends:
                del onward[chain[-1]]
            if step in places:  # closed: what came before the place where it met itself is still to be followed
                begin = places[step]
                loops.append(np.array(chain[begin:]))
                for vertex in chain[begin + 1 :]:
                    del places[vertex]
                del chain[begin + 1 :]
                continue
            places[step] = len(chain)
            chain.append(step)
    return loops


def with_colours_of(mesh: trimesh.Trimesh, source: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh with the colours that the source has at its nearest vertices; a texture is looked up there."""
    visual = source.visual.to_color() if source.visual.kind == "texture" else source.visual
    if visual.kind is None:
        return mesh
    colours = np.asarray(visual.vertex_colors)
    _, nearest = cKDTree(np.asarray(source.vertices)).query(np.asarray(mesh.vertices), workers=1)
    return trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=colours[nearest], process=False, validate=False)


def _manifold(mesh: trimesh.Trimesh) -> manifold3d.Manifold | None:
    """The mesh for Manifold; None where it is not one, or nothing solid."""
    if len(mesh.faces) == 0:
        return None
    # Copies: Manifold takes plain arrays that may be written to.
    vertices = np.array(mesh.vertices, dtype=np.float64, order="C", subok=False)
    faces = np.array(mesh.faces, dtype=np.uint64, order="C", subok=False)
    solid = manifold3d.Manifold(manifold3d.Mesh64(vert_properties=vertices, tri_verts=faces))
    if solid.status() != manifold3d.Error.NoError or solid.is_empty():
        return None
    if solid.volume() < 0.0:
        return _manifold(trimesh.Trimesh(vertices, np.asarray(mesh.faces)[:, ::-1], process=False, validate=False))
    return solid if solid.volume() > 0.0 else None


def _without_crumbs(solid: manifold3d.Manifold, share: float) -> tuple[manifold3d.Manifold, int, int]:
    """The union of the pieces that are no crumbs, less the cavities that are none.

    Also how many pieces were dropped, and by how many the union has fewer than it was made from.
    """
    count = int(_trimesh(solid).body_count)
    if count > MAX_PIECES:
        raise InputError(f"The mesh has {count:,} separate pieces; up to {MAX_PIECES:,} can be made one solid.")
    pieces = solid.decompose()
    volumes = np.array([piece.volume() for piece in pieces])
    least = share * volumes.max()
    if len(pieces) == 1:
        return solid, 0, 0
    # A cavity is a piece that is inside out.
    bodies = [piece for piece, volume in zip(pieces, volumes, strict=True) if volume > 0 and volume >= least]
    cavities = [piece for piece, volume in zip(pieces, volumes, strict=True) if volume < 0 and -volume >= least]
    kept = manifold3d.Manifold.batch_boolean(bodies, manifold3d.OpType.Add)
    for cavity in cavities:
        turned = _manifold(_trimesh(cavity))
        if turned is not None:
            kept -= turned
    used = len(bodies) + len(cavities)
    return kept, len(pieces) - used, max(used - len(kept.decompose()), 0)


def _carved(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The surface of the solid that cameras all around cannot see into, at the mesh's own place and size."""
    low, high = np.asarray(mesh.bounds)
    centre, scale = (low + high) / 2.0, max(float((high - low).max()), 1e-12) / 2.0 / _CARVED_HALF_SIDE
    moved = trimesh.Trimesh((mesh.vertices - centre) / scale, mesh.faces, process=False, validate=False)
    surface = sdf_to_mesh(mesh_to_sdf(moved, _CARVED_RESOLUTION))
    return trimesh.Trimesh(surface.vertices * scale + centre, surface.faces, process=False, validate=False)


def _trimesh(solid: manifold3d.Manifold) -> trimesh.Trimesh:
    arrays = solid.to_mesh64()
    vertices, faces = np.asarray(arrays.vert_properties)[:, :3], np.asarray(arrays.tri_verts).astype(np.int64)
    return trimesh.Trimesh(vertices, faces, process=False, validate=False)
