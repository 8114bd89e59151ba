"""Meshes for printing programs: upright, in millimetres, as STL or 3MF.

Printing programs take numbers as millimetres and z as up; a mesh as the pipelines make it would lie on its back, two
millimetres long. 3MF (3D Manufacturing Format, core and materials specifications) says its unit and keeps colours.
"""

from __future__ import annotations

import io
import zipfile
from xml.sax.saxutils import quoteattr

import numpy as np
import trimesh
from jaxtyping import Int, UInt8

PRINT_MM = 100.0  # of the longest side, where nobody asks for another

_CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
_MATERIALS = "http://schemas.microsoft.com/3dmanufacturing/material/2015/02"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_CONTENT_TYPES = (
    f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/></Types>'
)
_RELATIONS = (
    f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Target="/3D/3dmodel.model" Id="model" '
    'Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>'
)


def for_printing(mesh: trimesh.Trimesh, size_mm: float = PRINT_MM) -> trimesh.Trimesh:
    """The mesh in millimetres with z up, its longest side so long, standing on z = 0; colours are kept."""
    x, y, z = np.asarray(mesh.vertices, dtype=np.float64).T
    vertices = np.stack([x, -z, y], axis=1) * (size_mm / float(np.max(mesh.extents)))
    vertices -= [*(vertices.min(axis=0) + vertices.max(axis=0))[:2] / 2.0, vertices[:, 2].min()]
    return trimesh.Trimesh(vertices, mesh.faces, visual=mesh.visual.copy(), process=False, validate=False)


def three_mf(mesh: trimesh.Trimesh, name: str = "mesh") -> bytes:
    """The content of a .3mf file with the mesh in millimetres as it stands, colours at its vertices."""
    colours, number = vertex_colours(mesh)
    points = "".join(f'<vertex x="{x:.5g}" y="{y:.5g}" z="{z:.5g}"/>' for x, y, z in mesh.vertices.tolist())
    faces = np.asarray(mesh.faces)
    corners = np.concatenate([faces, number[faces]], axis=1).tolist()
    triangles = "".join(
        f'<triangle v1="{a}" v2="{b}" v3="{c}" pid="1" p1="{p}" p2="{q}" p3="{r}"/>' for a, b, c, p, q, r in corners
    )
    palette = "".join(f'<m:color color="#{red:02X}{green:02X}{blue:02X}"/>' for red, green, blue in colours.tolist())
    model = (
        f'{_HEAD}<model unit="millimeter" xml:lang="en-US" xmlns="{_CORE}" xmlns:m="{_MATERIALS}"><resources>'
        f'<m:colorgroup id="1">{palette}</m:colorgroup><object id="2" type="model" name={quoteattr(name)}><mesh>'
        f"<vertices>{points}</vertices><triangles>{triangles}</triangles></mesh></object></resources>"
        '<build><item objectid="2"/></build></model>'
    )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in (
            ("[Content_Types].xml", _CONTENT_TYPES),
            ("_rels/.rels", _RELATIONS),
            ("3D/3dmodel.model", model),
        ):
            # A fixed time: the same mesh is the same file.
            archive.writestr(zipfile.ZipInfo(path), text, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def vertex_colours(mesh: trimesh.Trimesh) -> tuple[UInt8[np.ndarray, "k 3"], Int[np.ndarray, " v"]]:
    """The different sRGB colours at the vertices of a mesh, and the number of each vertex's colour among them."""
    visual = mesh.visual.to_color() if mesh.visual.kind == "texture" else mesh.visual
    return np.unique(np.asarray(visual.vertex_colors)[:, :3], axis=0, return_inverse=True)
