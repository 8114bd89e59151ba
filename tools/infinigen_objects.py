"""Shapes of Infinigen's generators as PLY files with colours, in a folder that `wavemesh prepare` reads.

    python tools/infinigen_objects.py MESHES seating.ChairFactory:0-99 bathroom.ToiletFactory:0-59
    python -m wavemesh prepare MESHES -o data/infinigen

Runs in an environment of its own; docs/training.md has the lines that install it. A generator is named by its module
in infinigen.assets.objects and its class, with the first and last seed. Files that exist are kept, so a stopped run
goes on where it was. Infinigen is BSD-3; what it makes is free.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import gin
import infinigen
import numpy as np
import trimesh
from infinigen.core import init
from infinigen.core.util import blender
from infinigen.core.util.math import FixedSeed
from infinigen.tools.export import realizeInstances

CONFIGS = ["infinigen_examples/configs_indoor", "infinigen_examples/configs_nature"]
SIMPLIFIED_FROM = 20  # times --faces: decimating more would take longer than the shape is worth
SUBDIVISIONS = 1  # pictures of 128 pixels show no more
COLOUR_STEPS = 64  # a channel: fewer colours, fewer vertices
# What keeps a material from showing its base colour as a diffuse one, and the value that turns it off.
SHINE = {"Metallic": 0.0, "Transmission Weight": 0.0, "Coat Weight": 0.0, "Sheen Weight": 0.0,
         "Subsurface Weight": 0.0, "Alpha": 1.0}  # fmt: skip
SHINY_NODES = ("GLASS", "GLOSSY", "METALLIC", "REFRACTION", "TRANSPARENT", "TRANSLUCENT")


class TooSlowError(Exception):
    """Building a shape took longer than it may."""


def main() -> None:
    """Make what the command line asks for, and the table of all that is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("generators", nargs="+", metavar="MODULE.CLASS:FIRST-LAST")
    parser.add_argument("--faces", type=int, default=30_000, help="of a shape at most; more are simplified")
    parser.add_argument("--seconds", type=int, default=60, help="of processor time to build a shape, at most")
    args = parser.parse_args()
    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    start_blender()
    signal.signal(signal.SIGPROF, _too_slow)
    for name, seed in jobs(args.generators):
        path = folder / _category(name) / f"{_category(name)}-{seed:04d}.ply"
        if not path.exists():
            _try_one(name, seed, path, args.faces, args.seconds)
    write_table(folder)


def jobs(generators: list[str]) -> Iterator[tuple[str, int]]:
    """Every generator with each of its seeds, the seeds in turn, so that a part of a run has something of all."""
    spans = {}
    for generator in generators:
        name, _, seeds = generator.partition(":")
        first, _, last = (seeds or "0").partition("-")
        spans[name] = range(int(first), int(last or first) + 1)
    for turn in range(max(map(len, spans.values()))):
        yield from ((name, span[turn]) for name, span in spans.items() if turn < len(span))


def start_blender() -> None:
    """Infinigen's own settings, and Cycles with one sample on one thread, which is all that colours need."""
    logging.disable(logging.WARNING)
    init.require_blender_addon = lambda *_, **__: None  # add-ons are looked up on the web
    os.chdir(Path(infinigen.__file__).parents[1])
    init.apply_gin_configs(CONFIGS, configs=[], overrides=[], skip_unknown=True)
    init.configure_blender()
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", 1
    scene.cycles.use_denoising = False
    scene.render.threads_mode, scene.render.threads = "FIXED", 1


def _too_slow(*_: object) -> None:
    raise TooSlowError


def _try_one(name: str, seed: int, path: Path, most_faces: int, seconds: int) -> None:
    """Write one shape, or say why there is none: a generator may raise anything."""
    started = time.monotonic()
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        blender.clear_scene()
        shape = flattened(spawn(name, seed), most_faces)
        signal.setitimer(signal.ITIMER_PROF, 0)  # an exception amid baking would leave Cycles broken for good
        mesh = coloured_mesh(shape)
        path.parent.mkdir(exist_ok=True)
        partial = path.with_suffix(".part.ply")
        mesh.export(partial)
        partial.replace(path)
        outcome = f"{len(mesh.faces)} faces"
    except Exception as error:
        outcome = f"left out, {type(error).__name__}: {str(error)[:150]}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    sys.stderr.write(f"{name} {seed}: {outcome}, {time.monotonic() - started:.1f} s\n")


def spawn(name: str, seed: int) -> Any:
    """The root object of a new shape."""
    module, generator = name.rsplit(".", 1)
    with gin.unlock_config():
        factory_class = getattr(importlib.import_module(f"infinigen.assets.objects.{module}"), generator)
    with FixedSeed(seed):
        factory = factory_class(seed)
        try:
            asset = factory.spawn_asset(seed)
        except TypeError:  # some are built into a placeholder
            placeholder = factory.spawn_placeholder(seed, (0, 0, 0), (0, 0, 0))
            asset = factory.spawn_asset(seed, placeholder=placeholder)
        factory.finalize_assets(asset)
    return asset


def flattened(asset: Any, most_faces: int) -> Any:
    """One mesh object of a shape and its parts: instances real, modifiers applied, simplified to most_faces."""
    parts = [part for part in (asset, *asset.children_recursive) if part.type == "MESH"]
    for part in parts:
        realizeInstances(part)
        for modifier in part.modifiers:
            if modifier.type in ("SUBSURF", "MULTIRES"):
                modifier.levels = modifier.render_levels = min(modifier.levels, SUBDIVISIONS)
    graph = bpy.context.evaluated_depsgraph_get()
    copies = []
    for part in parts:
        data = bpy.data.meshes.new_from_object(
            part.evaluated_get(graph), preserve_all_data_layers=True, depsgraph=graph
        )
        if len(data.polygons):
            copy = bpy.data.objects.new("flat", data)
            copy.matrix_world = part.matrix_world
            copies.append(copy)
    if not copies:
        raise ValueError("there is no mesh in it")
    for other in bpy.context.scene.objects:
        other.select_set(False)
        other.hide_render = True
    for copy in copies:
        bpy.context.scene.collection.objects.link(copy)
        copy.select_set(True)
    bpy.context.view_layer.objects.active = copies[0]
    if len(copies) > 1:
        bpy.ops.object.join()
    whole = bpy.context.view_layer.objects.active
    bpy.ops.object.transform_apply(location=True, rotation=True, scale=True)
    faces = sum(len(polygon.vertices) - 2 for polygon in whole.data.polygons)
    if faces > SIMPLIFIED_FROM * most_faces:
        raise ValueError(f"{faces} faces are too many to simplify")
    if faces > most_faces:
        whole.modifiers.new("simplify", "DECIMATE").ratio = most_faces / faces
        bpy.ops.object.modifier_apply(modifier="simplify")
    return whole


def make_diffuse(tree: Any, seen: set[Any]) -> None:
    """Take metal, glass and coats off a material, so that its diffuse colour is its base colour."""
    if tree is None or tree in seen:
        return
    seen.add(tree)
    for node in list(tree.nodes):
        if node.type == "GROUP":
            make_diffuse(node.node_tree, seen)
        elif node.type == "BSDF_PRINCIPLED":
            for name, value in SHINE.items():
                socket = node.inputs.get(name)
                if socket is not None:
                    for link in list(socket.links):
                        tree.links.remove(link)
                    socket.default_value = value
        elif node.type.removeprefix("BSDF_") in SHINY_NODES:
            plain = tree.nodes.new("ShaderNodeBsdfDiffuse")
            colour = node.inputs["Color"]
            plain.inputs["Color"].default_value = colour.default_value
            for link in colour.links:
                tree.links.new(link.from_socket, plain.inputs["Color"])
            for link in list(node.outputs[0].links):
                tree.links.new(plain.outputs[0], link.to_socket)


def coloured_mesh(shape: Any) -> trimesh.Trimesh:
    """The triangles with the colours of the materials baked to their corners, vertices split where colours differ."""
    data = shape.data
    seen: set[Any] = set()
    for slot in shape.material_slots:
        if slot.material and slot.material.use_nodes:
            make_diffuse(slot.material.node_tree, seen)
    data.attributes.active_color = data.color_attributes.new(name="baked", domain="CORNER", type="FLOAT_COLOR")
    if data.materials:
        bpy.ops.object.bake(type="DIFFUSE", pass_filter={"COLOR"}, target="VERTEX_COLORS")
    data.calc_loop_triangles()
    vertices = _read(data.vertices, "co", 3, np.float32)
    corners = _read(data.loop_triangles, "vertices", 3, np.int32)
    loops = _read(data.loop_triangles, "loops", 3, np.int32)
    linear = _read(data.color_attributes["baked"].data, "color", 4, np.float32)[loops.ravel(), :3].clip(0.0, 1.0)
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    codes = np.rint(srgb * (COLOUR_STEPS - 1)).astype(np.int32)
    rows, faces = np.unique(np.column_stack([corners.ravel(), codes]), axis=0, return_inverse=True)
    colours = np.rint(rows[:, 1:] * (255 / (COLOUR_STEPS - 1))).astype(np.uint8)
    return trimesh.Trimesh(vertices[rows[:, 0]], faces.reshape(-1, 3), vertex_colors=colours, process=False)


def _read(items: Any, name: str, width: int, dtype: type) -> np.ndarray:
    values = np.empty(len(items) * width, dtype)
    items.foreach_get(name, values)
    return values.reshape(-1, width)


def _category(name: str) -> str:
    return name.rsplit(".", 1)[1].removesuffix("Factory")


def write_table(folder: Path) -> None:
    """metadata.csv: whose the files are, and that they stand as Blender has it."""
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "licence", "creator", "source", "up"])
        for path in sorted(folder.glob("*/*.ply")):
            name = path.relative_to(folder).as_posix()
            writer.writerow([name, "BSD-3-Clause", "Infinigen, Princeton University", "infinigen", "z"])


if __name__ == "__main__":
    main()
