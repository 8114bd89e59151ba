"""Meshes as files: the one place that knows what each format wants, for the command line and the page alike.

Loads trimesh only when a mesh is at hand, so that a command can check its arguments at once.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from wavemesh.errors import InputError
from wavemesh.geometry.colour import to_linear

if TYPE_CHECKING:
    import numpy as np
    import trimesh
    from jaxtyping import Float

MESH_SUFFIXES = (".glb", ".obj", ".ply", ".stl", ".3mf", ".usdz")
WRITTEN_SUFFIXES = (*MESH_SUFFIXES, ".zip")  # the last one: an .obj with its material and picture
SIZED_SUFFIXES = (".stl", ".3mf", ".usdz")  # whose longest side may be chosen
SMALLEST_MM, LARGEST_MM = 1.0, 10_000.0
TEXTURE_SUFFIXES = (".glb", ".obj", ".zip")
_UINT16, _UINT32 = 5123, 5125  # as glTF numbers them


def mesh_files(mesh: trimesh.Trimesh, name: str, size_mm: float | None = None) -> dict[str, bytes]:
    """The contents of the files that make up a mesh, by their names: that called `name` is the last one.

    An .obj with a texture refers to a material file, and that to a picture; any other mesh is a single file, and so are
    those three in a .zip. See `mesh_bytes` for what is raised.
    """
    stem, _, suffix = name.rpartition(".")
    if suffix.lower() == "zip":
        return {name: zipped(mesh_files(mesh, f"{stem}.obj"))}
    if suffix.lower() != "obj" or mesh.visual.kind != "texture":
        return {name: mesh_bytes(mesh, f".{suffix}", stem, size_mm)}
    from trimesh.exchange.obj import export_obj

    material, picture = side_files(name)
    text, files = export_obj(mesh, include_normals=True, return_texture=True, mtl_name=material)
    pictures = [content for file, content in files.items() if file.endswith(".png")]
    if len(pictures) != 1:
        raise InputError(f"The mesh for {stem}.obj has {len(pictures)} textures; only one can be written.")
    # Written here, because the library's own material is grey, which darkens the texture, and shiny.
    (used,) = re.findall(r"^usemtl (.+)$", text, re.MULTILINE)
    lines = [f"newmtl {used}", "Ka 1 1 1", "Kd 1 1 1", "Ks 0 0 0", "illum 1", f"map_Kd {picture}", ""]
    return {picture: pictures[0], material: "\n".join(lines).encode(), name: text.encode()}


def side_files(name: str) -> tuple[str, str]:
    """The names of material and picture of a textured .obj; without spaces, which not every program reads in them."""
    stem = re.sub(r"[^\w.-]", "_", name.rpartition(".")[0])
    return f"{stem}.mtl", f"{stem}_texture.png"


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip of the files; of the same files it is the same to the byte."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def check_size(size_mm: float) -> None:
    """Raise InputError for a longest side that no file is written with."""
    if not SMALLEST_MM <= size_mm <= LARGEST_MM:
        raise InputError(f"The longest side must be from {SMALLEST_MM:g} to {LARGEST_MM:,.0f} mm, not {size_mm:g}.")


def mesh_bytes(mesh: trimesh.Trimesh, suffix: str, name: str = "mesh", size_mm: float | None = None) -> bytes:
    """The content of a file with this suffix; only STL loses the colours, and PLY and 3MF have those of vertices.

    GLB gets vertex normals, without which a viewer shows every facet, colours in linear light, and a matt material. STL
    and 3MF stand upright in millimetres. size_mm: longest side in files that have a size (SIZED_SUFFIXES); None: 100 mm
    to print, half a metre in the room. name: of the object within the file.
    Raises InputError for a suffix that is not among WRITTEN_SUFFIXES, a size out of range and a mesh without faces.
    """
    suffix = suffix.lower()
    if suffix not in WRITTEN_SUFFIXES:
        raise InputError(f"A mesh file ends in one of {', '.join(WRITTEN_SUFFIXES)}, not {suffix!r}.")
    if len(mesh.faces) == 0:
        raise InputError("The mesh has no faces.")
    if size_mm is not None:
        check_size(size_mm)
    if suffix == ".zip":
        content = mesh_files(mesh, f"{name}.zip")[f"{name}.zip"]
    elif suffix == ".glb":
        content = _glb(mesh, name)
    elif suffix == ".usdz":
        from wavemesh.geometry.usdz import ROOM_M, usdz

        content = usdz(mesh, name, ROOM_M if size_mm is None else size_mm / 1000.0)
    elif suffix in SIZED_SUFFIXES:
        from wavemesh.geometry.printing import PRINT_MM, for_printing, three_mf

        upright = for_printing(mesh, PRINT_MM if size_mm is None else size_mm)
        content = three_mf(upright, name) if suffix == ".3mf" else upright.export(file_type="stl")
    elif suffix == ".ply" and mesh.visual.kind == "texture":
        from wavemesh.geometry.mesh import with_vertex_colours

        content = with_vertex_colours(mesh).export(file_type="ply")
    else:
        content = mesh.export(file_type=suffix[1:])
    return content.encode() if isinstance(content, str) else content


def measured_glb(mesh: trimesh.Trimesh, measures: Mapping[str, Float[np.ndarray, "v"]]) -> bytes:
    """The content of a .glb for the page's viewer, with numbers at the vertices: those called "error" as `_ERROR`.

    glTF leaves names with an underscore to programs. Files that are saved never have them: `mesh_bytes` writes none.
    """
    return _glb(mesh, "mesh", measures)


def _glb(mesh: trimesh.Trimesh, name: str, measures: Mapping[str, np.ndarray] = MappingProxyType({})) -> bytes:
    import numpy as np
    import trimesh

    visual = mesh.visual.copy()
    if visual.kind == "vertex":
        # In linear light, as glTF wants them; trimesh writes them as they are.
        visual.vertex_colors[:, :3] = np.round(to_linear(visual.vertex_colors[:, :3] / 255.0) * 255.0)
    normals = np.array(mesh.vertex_normals)
    # Faces without an area have none, and a validator refuses the file.
    normals[np.linalg.norm(normals, axis=1) < 0.5] = (0.0, 1.0, 0.0)
    fit = trimesh.Trimesh(
        mesh.vertices, mesh.faces, vertex_normals=normals, visual=visual, process=False, validate=False
    )
    for key, values in measures.items():
        fit.vertex_attributes[f"_{key.upper()}"] = np.asarray(values, dtype=np.float32)
    scene = trimesh.Scene()
    scene.add_geometry(fit, node_name=name, geom_name=name)
    return scene.export(
        file_type="glb", include_normals=True, tree_postprocessor=_matt, buffer_postprocessor=_short_indices
    )


def _short_indices(buffers: dict[Any, bytes], tree: dict[str, Any]) -> None:
    """Write the corners of faces with two bytes each where that is enough; trimesh always takes four."""
    import numpy as np

    names = list(buffers)
    accessors = list(tree["accessors"].values())
    for mesh in tree["meshes"]:
        for primitive in mesh["primitives"]:
            accessor = accessors[primitive["indices"]]
            # The largest value itself restarts a strip in some programs, so glTF forbids it.
            if accessor["componentType"] != _UINT32 or accessor["max"][0] >= 2**16 - 1:
                continue
            name = names[accessor["bufferView"]]
            short = np.frombuffer(buffers[name], "<u4", accessor["count"]).astype("<u2").tobytes()
            buffers[name] = short + b"\0" * (-len(short) % 4)
            accessor["componentType"] = _UINT16


def _matt(tree: dict[str, Any]) -> None:
    """Give the mesh a matt material: glTF's default is metal, which looks nearly black in a viewer."""
    surface = {"baseColorFactor": [1.0, 1.0, 1.0, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.85}
    materials = tree.setdefault("materials", [])
    for mesh in tree.get("meshes", []):
        for primitive in mesh["primitives"]:
            if "material" not in primitive:
                primitive["material"] = len(materials)
                materials.append({"pbrMetallicRoughness": surface, "doubleSided": True})
