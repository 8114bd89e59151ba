"""USDZ, what phones show in the room: one USD text layer, and a picture where there is a texture, stored in a zip.

The USDZ specification (Pixar, 2019): nothing is compressed, and each file begins at a multiple of 64 bytes.
"""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import trimesh
from PIL import Image

from wavemesh.geometry.colour import to_linear

ROOM_M = 0.5  # longest side in metres
_ALIGNMENT = 64
_TEXTURE = "texture.png"


def usdz(mesh: trimesh.Trimesh, name: str = "mesh", size_m: float = ROOM_M) -> bytes:
    """The content of a .usdz file: the mesh y up, its longest side so many metres, with colours or its texture."""
    picture = _texture(mesh)
    layer = _layer(mesh, re.sub(r"\W", "_", name, flags=re.ASCII).lstrip("0123456789") or "mesh", size_m, picture)
    files = {"model.usda": layer.encode()}
    if picture is not None:
        drawn = io.BytesIO()
        picture.save(drawn, "PNG")
        files[_TEXTURE] = drawn.getvalue()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for path, content in files.items():
            info = zipfile.ZipInfo(path)  # a fixed time: the same mesh is the same file
            start = archive.tell() + 30 + len(path)
            # An extra field of padding; its own head takes four bytes.
            padding = -(start + 4) % _ALIGNMENT
            info.extra = b"\x86\x19" + padding.to_bytes(2, "little") + bytes(padding)
            file.writestr(info, content)
    return archive.getvalue()


def _texture(mesh: trimesh.Trimesh) -> Image.Image | None:
    """The picture of a mesh with one textured material."""
    if mesh.visual.kind != "texture" or mesh.visual.uv is None:
        return None
    material = mesh.visual.material
    picture = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    return None if picture is None else picture.convert("RGB")


def _layer(mesh: trimesh.Trimesh, name: str, size_m: float, picture: Image.Image | None) -> str:
    scale = size_m / float(np.max(mesh.extents))
    points = np.asarray(mesh.vertices) * scale
    if picture is None:
        visual = mesh.visual.to_color() if mesh.visual.kind == "texture" else mesh.visual
        values = to_linear(np.asarray(visual.vertex_colors)[:, :3] / 255.0)
        look = f'color3f[] primvars:displayColor = {_tuples(values)} (interpolation = "vertex")'
    else:
        look = f'texCoord2f[] primvars:st = {_tuples(np.asarray(mesh.visual.uv))} (interpolation = "vertex")'
    corners = ", ".join(map(str, np.asarray(mesh.faces).ravel().tolist()))
    return f"""#usda 1.0
(
    defaultPrim = "{name}"
    metersPerUnit = 1
    upAxis = "Y"
)

def Xform "{name}" (kind = "component")
{{
    def Mesh "Surface" (prepend apiSchemas = ["MaterialBindingAPI"])
    {{
        uniform token subdivisionScheme = "none"
        float3[] extent = {_tuples(np.stack([points.min(axis=0), points.max(axis=0)]))}
        int[] faceVertexCounts = [{", ".join(["3"] * len(mesh.faces))}]
        int[] faceVertexIndices = [{corners}]
        point3f[] points = {_tuples(points)}
        normal3f[] normals = {_tuples(np.asarray(mesh.vertex_normals))} (interpolation = "vertex")
        {look}
        rel material:binding = </{name}/Look>
    }}

    def Material "Look"
    {{
        token outputs:surface.connect = </{name}/Look/Matt.outputs:surface>

        def Shader "Matt"
        {{
            uniform token info:id = "UsdPreviewSurface"
            color3f inputs:diffuseColor.connect = </{name}/Look/Colour.outputs:{"result" if picture is None else "rgb"}>
            float inputs:roughness = 0.85
            float inputs:metallic = 0
            token outputs:surface
        }}
{_COLOURS if picture is None else _PICTURE.replace("NAME", name)}
    }}
}}
"""


_COLOURS = """
        def Shader "Colour"
        {
            uniform token info:id = "UsdPrimvarReader_float3"
            string inputs:varname = "displayColor"
            float3 outputs:result
        }"""
_PICTURE = f"""
        def Shader "Place"
        {{
            uniform token info:id = "UsdPrimvarReader_float2"
            string inputs:varname = "st"
            float2 outputs:result
        }}

        def Shader "Colour"
        {{
            uniform token info:id = "UsdUVTexture"
            asset inputs:file = @{_TEXTURE}@
            float2 inputs:st.connect = </NAME/Look/Place.outputs:result>
            token inputs:sourceColorSpace = "sRGB"
            token inputs:wrapS = "clamp"
            token inputs:wrapT = "clamp"
            float3 outputs:rgb
        }}"""


def _tuples(rows: np.ndarray) -> str:
    return "[" + ", ".join("(" + ", ".join(f"{value:.6g}" for value in row) + ")" for row in rows.tolist()) + "]"
