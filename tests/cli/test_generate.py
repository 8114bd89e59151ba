"""`generate`: the same command gives the same mesh, and bad input gives one sentence and no file."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from wavemesh.cli import main
from wavemesh.pipelines.bundle import read_bundle


def refuse(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence on stderr of a command line that is refused with exit status 2."""
    try:
        status = main(arguments)
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.endswith((".\n", "--help.\n"))
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_every_format_is_written_and_read_back(suffix: str, weights: Path, pictures: list[str], tmp_path: Path) -> None:
    out = tmp_path / "new" / f"mesh{suffix}"
    arguments = ["generate", pictures[0], "-o", str(out), "--azimuth", "0", "--elevation", "20", "--steps", "1"]
    assert main([*arguments, "--weights", str(weights)]) == 0
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    mesh = trimesh.load_mesh(out)
    assert len(mesh.faces) > 10
    # Noise may touch the border of the grid, where the surface is closed one cell further out.
    assert np.abs(mesh.vertices).max() <= 1.0 + 1.0 / 32


def test_a_mesh_to_print_has_the_size_that_was_asked_for(weights: Path, pictures: list[str], tmp_path: Path) -> None:
    out = tmp_path / "mesh.stl"
    arguments = ["generate", pictures[0], "-o", str(out), "--azimuth", "0", "--elevation", "20", "--steps", "1"]
    assert main([*arguments, "--weights", str(weights), "--size", "80"]) == 0
    mesh = trimesh.load_mesh(out)
    assert mesh.extents.max() == pytest.approx(80.0, rel=1e-4)
    assert mesh.bounds[0, 2] == 0.0


def test_a_folder_gives_a_mesh_for_each_picture_and_goes_on_where_it_was(
    weights: Path, pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, out = tmp_path / "given", tmp_path / "meshes"
    given.mkdir()
    for name, source in zip(("chair.png", "lamp.PNG"), pictures, strict=True):
        shutil.copy(source, given / name)
    (given / "notes.txt").write_text("no picture")
    (given / "broken.jpg").write_bytes(b"no picture either")
    arguments = ["generate", str(given), "--steps", "1", "--azimuth", "0", "--weights", str(weights)]
    assert main([*arguments, "-o", str(out)]) == 2
    printed = capsys.readouterr()
    assert printed.out.count(" faces in ") == 2
    assert f"{given / 'broken.jpg'}: " in printed.err
    assert printed.err.endswith("1 of the 3 pictures gave no mesh.\n")
    assert sorted(path.name for path in out.iterdir()) == ["chair.glb", "lamp.glb"]
    alone = tmp_path / "alone" / "chair.glb"  # the file holds its name
    assert main(["generate", pictures[0], *arguments[2:], "-o", str(alone)]) == 0
    assert (out / "chair.glb").read_bytes() == alone.read_bytes()
    (given / "broken.jpg").unlink()
    (out / "lamp.glb").unlink()
    written = (out / "chair.glb").stat().st_mtime_ns
    capsys.readouterr()
    assert main([*arguments, "-o", str(out)]) == 0
    assert "lamp.glb" in capsys.readouterr().out
    assert (out / "lamp.glb").is_file()
    assert (out / "chair.glb").stat().st_mtime_ns == written
    together = tmp_path / "together"
    assert main([*arguments, "-o", str(together), "--cluster", "processes", "--workers", "1"]) == 0
    for name in ("chair.glb", "lamp.glb"):
        assert (together / name).read_bytes() == (out / name).read_bytes()
    capsys.readouterr()
    assert "is for a folder" in refuse(["generate", pictures[0], "-o", str(alone), "--cluster", "ray"], capsys)
    assert "takes a folder as its output" in refuse([*arguments, "-o", str(tmp_path / "one.glb")], capsys)
    shutil.copy(given / "chair.png", given / "chair.webp")
    assert "of chair.png and chair.webp would have one name" in refuse([*arguments, "-o", str(out)], capsys)
    assert "holds no picture" in refuse(["generate", str(out), "-o", str(tmp_path / "more")], capsys)


@pytest.fixture
def small_meshes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wavemesh.pipelines.triplane.MESH_RESOLUTION", 32)


@pytest.mark.usefixtures("small_meshes")
def test_the_triplane_makes_a_mesh_and_a_report(triplane_weights: Path, pictures: list[str], tmp_path: Path) -> None:
    out, report = tmp_path / "mesh.ply", tmp_path / "report.json"
    arguments = ["generate", *pictures, "-o", str(out), "--method", "triplane", "--azimuth", "0", "180", "--steps", "3"]
    assert main([*arguments, "--weights", str(triplane_weights), "--seed", "4", "--report", str(report)]) == 0
    data = json.loads(report.read_text())
    assert data["method"] == data["settings"]["method"] == "triplane"
    expected = {"steps": 3, "colours": "mixed", "seed": 4}
    assert data["settings"].items() >= expected.items()
    assert data["timings_s"]["total"] >= data["timings_s"]["triplane"] > 0
    read = trimesh.load_mesh(out)
    assert data["mesh"]["faces"] == len(read.faces) > 10
    assert np.ptp(np.asarray(read.visual.vertex_colors)[:, :3], axis=0).max() > 2


@pytest.mark.parametrize("source", ["mixed", "triplane"])
def test_colours_of_the_triplane_on_the_other_mesh(
    source: str, weights: Path, triplane_weights: Path, pictures: list[str], tmp_path: Path
) -> None:
    both = tmp_path / "both"
    shutil.copytree(weights, both)
    shutil.copytree(triplane_weights, both / "triplane")
    meshes = []
    for colours in ("views", source):
        out = tmp_path / f"{colours}.ply"
        arguments = ["generate", pictures[0], "-o", str(out), "--azimuth", "0", "--steps", "1", "--colours", colours]
        assert main([*arguments, "--weights", str(both)]) == 0
        meshes.append(trimesh.load_mesh(out, process=False))
    np.testing.assert_array_equal(meshes[0].vertices, meshes[1].vertices)
    assert (meshes[0].visual.vertex_colors != meshes[1].visual.vertex_colors).any()


@pytest.mark.parametrize("name", ["mesh.glb", "my mesh.obj"])
def test_a_baked_texture_is_read_back(name: str, weights: Path, pictures: list[str], tmp_path: Path) -> None:
    out, report = tmp_path / "new" / name, tmp_path / "report.json"
    arguments = ["generate", pictures[0], "-o", str(out), "--azimuth", "0", "--elevation", "20", "--steps", "1"]
    arguments += ["--texture", "baked", "--report", str(report)]
    assert main([*arguments, "--weights", str(weights)]) == 0
    files = {"my mesh.obj", "my_mesh.mtl", "my_mesh_texture.png"} if out.suffix == ".obj" else {"mesh.glb"}
    assert {path.name for path in out.parent.iterdir()} == files
    mesh = trimesh.load_mesh(out)
    assert mesh.visual.kind == "texture"
    picture = mesh.visual.material.to_simple() if out.suffix == ".glb" else mesh.visual.material
    assert picture.image.size == (1024, 1024)
    assert json.loads(report.read_text())["mesh"]["faces"] == len(mesh.faces)


def test_a_texture_does_not_replace_a_picture(
    weights: Path, pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "box_texture.png"
    shutil.copy(pictures[0], picture)
    arguments = ["generate", str(picture), "-o", str(tmp_path / "box.obj"), "--texture", "baked"]
    assert "replace the picture" in refuse([*arguments, "--weights", str(weights)], capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["box_texture.png"]
    assert picture.read_bytes() == Path(pictures[0]).read_bytes()


def test_the_report_tells_settings_timings_and_sizes(weights: Path, pictures: list[str], tmp_path: Path) -> None:
    out, report = tmp_path / "mesh.ply", tmp_path / "report.json"
    arguments = ["generate", *pictures, "-o", str(out), "--azimuth", "0", "180", "--elevation", "20", "--steps", "2"]
    arguments += ["--guidance", "1.5", "--sampler", "ddpm", "--seed", "7", "--device", "cpu"]
    assert main([*arguments, "--weights", str(weights), "--report", str(report)]) == 0
    data = json.loads(report.read_text())
    expected = {"coarse_steps": 2, "detail_steps": 2, "guidance_scale": 1.5, "sampler": "ddpm", "seed": 7}
    assert data["settings"].items() >= expected.items()
    assert data["provenance"]["device"] == "cpu"
    assert data["inputs"] == pictures
    assert data["mesh"]["faces"] == len(trimesh.load_mesh(out).faces)
    assert data["timings_s"]["total"] >= data["timings_s"]["coarse"] > 0


def test_the_same_seed_gives_the_same_file(weights: Path, pictures: list[str], tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.ply", "b.ply", "c.ply")]
    for file, seed in zip(files, ("3", "3", "4"), strict=True):
        # Two steps: the first one sees no noise.
        arguments = ["generate", pictures[0], "-o", str(file), "--azimuth", "0", "--steps", "2", "--seed", seed]
        assert main([*arguments, "--weights", str(weights)]) == 0
    contents = [file.read_bytes() for file in files]
    assert contents[0] == contents[1] != contents[2]


def test_cameras_are_estimated_without_angles(weights: Path, pictures: list[str], tmp_path: Path) -> None:
    arguments = ["generate", *pictures, "-o", str(tmp_path / "mesh.glb"), "--steps", "1", "--weights", str(weights)]
    assert main(arguments) == 0


def test_sides_go_into_the_bundle_and_the_first_picture_is_the_front(
    weights: Path, pictures: list[str], tmp_path: Path
) -> None:
    out, bundle = tmp_path / "mesh.ply", tmp_path / "run.zip"
    arguments = ["generate", *pictures, "-o", str(out), "--steps", "1", "--weights", str(weights)]
    arguments += ["--bundle", str(bundle)]
    assert main([*arguments, "--view", "left", "unknown"]) == 0
    record = read_bundle(bundle)
    assert record.sides == ["left", None]
    np.testing.assert_allclose(trimesh.load_mesh(out).bounds, record.mesh.bounds, atol=1e-4)

    assert main(arguments) == 0
    record, written = read_bundle(bundle), trimesh.load_mesh(out)
    # What the first camera saw is what a camera in front sees.
    first = record.cameras[0]
    seen, shown = (
        camera.project(np.asarray(mesh.vertices))[0]
        for camera, mesh in ((first, record.mesh), (replace(first, azimuth_deg=0.0), written))
    )
    np.testing.assert_allclose([shown.min(axis=0), shown.max(axis=0)], [seen.min(axis=0), seen.max(axis=0)], atol=1e-4)
    assert main([*arguments, "--front", "frame"]) == 0
    np.testing.assert_allclose(trimesh.load_mesh(out).bounds, read_bundle(bundle).mesh.bounds, atol=1e-4)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (["--view", "behind"], "'behind'"),
        (["--view", "front", "back"], "2 values for --view and 1 picture: give one for each"),
        (["--view", "front", "--azimuth", "0"], "leave it out, or --azimuth"),
        (["--front", "back"], "'back'"),
        (["-o", "mesh.xyz"], "'mesh.xyz'"),
        (["-o", "mesh"], "'mesh'"),
        (["-o", "."], "'.'"),
        (["--method", "nerf"], "'nerf'"),
        (["--sampler", "euler"], "'euler'"),
        (["--device", "tpu"], "'tpu'"),
        (["--steps", "0"], "at least 1, not 0"),
        (["--steps", "many"], "'many'"),
        (["--steps", "5000"], "5000"),
        (["--guidance", "nan"], "'nan'"),
        (["--guidance", "-3"], "-3"),
        (["--seed", "-1"], "-1"),
        (["--azimuth", "0", "90"], "2 values for --azimuth and 1 picture:"),
        (["--azimuth", "0", "--elevation", "0", "90"], "2 values for --elevation and 1 picture:"),
        (["--azimuth", "0", "--elevation", "95"], "95"),
        (["--azimuth", "0", "--distance", "-2"], "-2"),
        (["--azimuth", "0", "--fov", "180"], "180"),
        (["--elevation", "20"], "--elevation needs --azimuth"),
        (["--distance", "3"], "--distance needs --azimuth"),
        (["--weights", "nowhere/at/all"], "nowhere/at/all"),
        (["--frames", "3"], "--frames"),
        (["--colours", "rainbow"], "'rainbow'"),
        (["--texture", "painted"], "'painted'"),
        (["--texture", "baked", "-o", "mesh.ply"], "A .ply file holds no texture"),
        (["--texture", "baked", "-o", "mesh.stl"], "A .stl file holds no texture"),
        (["--size", "100", "-o", "mesh.glb"], "A .glb file has no size"),
        (["--size", "1e9", "-o", "mesh.3mf"], "from 1 to 10,000 mm, not 1e+09"),
        (["--method", "triplane"], "TriplaneConfig"),  # weights of the other system
    ],
)
def test_a_wrong_argument_is_one_sentence_and_leaves_nothing(
    extra: list[str],
    said: str,
    weights: Path,
    pictures: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["generate", pictures[0], "-o", "mesh.glb", "--weights", str(weights), *extra]
    assert said in refuse(arguments, capsys)
    assert list(tmp_path.iterdir()) == []


def test_more_pictures_than_angles(weights: Path, pictures: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["generate", *pictures, "-o", "mesh.glb", "--azimuth", "0", "--weights", str(weights)]
    assert "1 value for --azimuth and 2 pictures:" in refuse(arguments, capsys)


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "transparent", "cut", "wide"])
def test_a_bad_picture_is_one_sentence_and_leaves_nothing(
    kind: str, weights: Path, pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "source.png", tmp_path / "out"
    if kind == "text":
        source.write_text("no picture")
    elif kind == "empty":
        source.write_bytes(b"")
    elif kind == "transparent":
        Image.new("RGBA", (32, 32)).save(source)
    elif kind == "cut":
        source.write_bytes(Path(pictures[0]).read_bytes()[:-40])
    elif kind == "wide":
        Image.new("L", (30_000, 600)).save(source)
    out.mkdir()
    arguments = ["generate", str(source), "-o", str(out / "mesh.glb"), "--azimuth", "0", "--weights", str(weights)]
    refuse([*arguments, "--report", str(out / "report.json")], capsys)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("damage", ["flipped", "no manifest", "cut camera head"])
def test_damaged_weights_are_one_sentence_and_leave_nothing(
    damage: str, weights: Path, pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "weights", tmp_path / "out"
    shutil.copytree(weights, folder)
    if damage == "flipped":
        path = next(folder.glob("coarse-*.safetensors"))
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(bytes(content))
    elif damage == "no manifest":
        (folder / "manifest.json").unlink()
    else:
        (folder / "camera_head" / "manifest.json").unlink()
    out.mkdir()
    arguments = ["generate", pictures[0], "-o", str(out / "mesh.glb"), "--weights", str(folder)]
    assert str(folder) in refuse(arguments, capsys)
    assert list(out.iterdir()) == []


def test_weights_without_a_camera_head_take_the_bundled_one(weights: Path, pictures: list[str], tmp_path: Path) -> None:
    shutil.copytree(weights, tmp_path / "weights")
    shutil.rmtree(tmp_path / "weights" / "camera_head")
    out = tmp_path / "mesh.glb"
    assert main(["generate", pictures[0], "-o", str(out), "--weights", str(tmp_path / "weights"), "--steps", "1"]) == 0
    assert len(trimesh.load_mesh(out).faces) > 10


def test_a_place_that_cannot_be_written_is_found_first(
    weights: Path, pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "file" / "mesh.glb"
    arguments = ["generate", pictures[0], "-o", str(out), "--weights", "nowhere/at/all"]
    assert "cannot be written" in refuse(arguments, capsys)


def test_a_mask_says_what_the_object_is(weights: Path, pictures: list[str], tmp_path: Path) -> None:
    with Image.open(pictures[0]) as picture:
        size = picture.size
    mask = Image.new("L", size, 0)
    mask.paste(255, (0, 0, size[0] // 2, size[1]))
    mask.save(tmp_path / "mask.png")
    arguments = ["generate", pictures[0], "--azimuth", "0", "--steps", "1", "--weights", str(weights), "-o"]
    assert main([*arguments, str(tmp_path / "whole.ply")]) == 0
    assert main([*arguments, str(tmp_path / "half.ply"), "--mask", str(tmp_path / "mask.png")]) == 0
    whole, half = (trimesh.load_mesh(tmp_path / f"{name}.ply") for name in ("whole", "half"))
    assert not np.array_equal(whole.vertices, half.vertices)


def test_a_mask_for_each_picture(pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["generate", *pictures, "-o", str(tmp_path / "out.glb"), "--mask", pictures[0]]
    assert "not 1" in refuse(arguments, capsys)
    assert not (tmp_path / "out.glb").exists()
