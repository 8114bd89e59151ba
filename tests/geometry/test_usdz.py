"""USDZ files, opened by Pixar's own library."""

import io
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import trimesh
from pxr import Usd, UsdGeom, UsdShade, UsdValidation

from wavemesh.errors import InputError
from wavemesh.geometry.baking import bake_texture
from wavemesh.geometry.export import mesh_bytes, mesh_files


def ball() -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=0.7)
    mesh.visual.vertex_colors = np.tile((188, 20, 255, 255), (len(mesh.vertices), 1))
    return mesh


def opened(content: bytes, path: Path) -> Usd.Stage:
    path.write_bytes(content)
    stage = Usd.Stage.Open(str(path))
    context = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())
    assert [error.GetMessage() for error in context.Validate(stage)] == []
    return stage


def test_a_usdz_holds_the_shape_in_metres_and_its_colours_in_linear_light(tmp_path: Path) -> None:
    stage = opened(mesh_bytes(ball(), ".usdz", "round ball", 700.0), tmp_path / "ball.usdz")
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert stage.GetDefaultPrim().GetName() == "round_ball"
    (mesh,) = [UsdGeom.Mesh(prim) for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]
    points = np.array(mesh.GetPointsAttr().Get())
    np.testing.assert_allclose(points, ball().vertices * 0.5, atol=1e-5)
    faces = np.array(mesh.GetFaceVertexIndicesAttr().Get()).reshape(-1, 3)
    np.testing.assert_array_equal(faces, ball().faces)
    colours = np.array(mesh.GetDisplayColorAttr().Get())
    np.testing.assert_allclose(colours, np.tile((0.503, 0.007, 1.0), (len(points), 1)), atol=1e-3)
    outwards = points / np.linalg.norm(points, axis=1, keepdims=True)
    np.testing.assert_allclose(np.array(mesh.GetNormalsAttr().Get()), outwards, atol=0.02)
    material, _ = UsdShade.MaterialBindingAPI(mesh).ComputeBoundMaterial()
    surface, *_ = material.ComputeSurfaceSource()
    assert surface.GetInput("metallic").Get() == 0.0


def test_a_texture_travels_along(tmp_path: Path) -> None:
    baked = bake_texture(ball(), lambda points: points / 2.0 + 0.5, 64)
    content = mesh_files(baked, "ball.usdz")["ball.usdz"]
    stage = opened(content, tmp_path / "ball.usdz")
    (mesh,) = [UsdGeom.Mesh(prim) for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]
    places = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st").Get()
    assert len(places) == len(baked.vertices)
    shaders = [UsdShade.Shader(prim) for prim in stage.Traverse() if prim.IsA(UsdShade.Shader)]
    files = [shader.GetInput("file").Get() for shader in shaders if shader.GetInput("file")]
    assert [file.path for file in files] == ["texture.png"]
    assert files[0].resolvedPath


def test_files_lie_uncompressed_at_multiples_of_64_bytes() -> None:
    content = mesh_bytes(bake_texture(ball(), lambda points: points / 2.0 + 0.5, 64), ".usdz")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert [info.filename for info in archive.infolist()] == ["model.usda", "texture.png"]
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            # A local head of 30 bytes, whose last two numbers are the lengths of name and extra field.
            start = info.header_offset + 30 + sum(struct.unpack_from("<HH", content, info.header_offset + 26))
            assert start % 64 == 0


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), 1e9])
def test_sizes_without_sense_are_refused(size: float) -> None:
    with pytest.raises(InputError, match=re.escape(f"not {size:g}")):
        mesh_bytes(ball(), ".usdz", size_mm=size)
