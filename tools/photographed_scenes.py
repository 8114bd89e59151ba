"""Objects in rooms as a camera sees them, with their masks: what the network that cuts objects out is trained on.

    python tools/photographed_scenes.py MESHES SCENES --count 600
    python -m wavemesh train --preset cutout --data SCENES -o runs/cutout

Runs in an environment of its own with Blender as a module; docs/training.md has the lines that install it. MESHES is
what `placed_meshes.py` wrote. Every scene has one object in front, others behind and beside it, a floor and often a
wall, the light of a photographed surrounding (CC0, as they come with Blender) and of a lamp; Cycles casts the shadows.
Scene N is N.jpg and N.png, the object's mask. It follows from its number alone; files that exist are kept, so a stopped
run goes on where it was.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import bpy
import numpy as np
import OpenEXR
from mathutils import Vector
from PIL import Image

SIDE_PX = 352  # of the longer side
SAMPLES = 12  # rays a pixel, before denoising
FOV_DEG, FILLED, ELEVATION_DEG = (24.0, 75.0), (0.5, 1.1), (2.0, 55.0)
LIKE_THE_FLOOR, WALLED, BLURRED = 0.2, 0.6, 0.4  # shares of the scenes
PLAIN, TEXTURED, PALE = 0.3, 0.4, 0.75  # shares of the floors and walls
HELD_OUT = "sunrise"  # stands in the photographs that cut-outs are measured on
PATTERNS = ("ShaderNodeTexNoise", "ShaderNodeTexVoronoi", "ShaderNodeTexWave", "ShaderNodeTexBrick",
            "ShaderNodeTexChecker", "ShaderNodeTexMagic")  # fmt: skip
MASK = "mask"
LIGHTS = Path(bpy.utils.system_resource("DATAFILES")) / "studiolights" / "world"


def main(arguments: Sequence[str] | None = None) -> None:
    """Render the scenes that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("meshes", type=Path)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args(arguments)
    meshes = sorted(asked.meshes.glob("*.glb"))
    if not meshes:
        parser.error(f"there are no GLB files in {asked.meshes}")
    asked.scenes.mkdir(parents=True, exist_ok=True)
    for number in range(asked.first, asked.first + asked.count):
        picture, mask = asked.scenes / f"{number:05d}.jpg", asked.scenes / f"{number:05d}.png"
        if mask.is_file():
            continue
        rng = np.random.default_rng(number)
        pixels, alpha = photographed(meshes, rng, asked.threads)
        if not 0.01 < (alpha >= 0.5).mean() < 0.8:
            sys.stdout.write(f"{number}: the object fills {(alpha >= 0.5).mean():.0%}, left out\n")
            continue
        Image.fromarray(pixels).save(picture, quality=int(rng.integers(75, 97)))
        Image.fromarray((alpha * 255).round().astype(np.uint8)).save(mask)


def photographed(meshes: Sequence[Path], rng: np.random.Generator, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture (h, w, 3) uint8 and the opacity (h, w) of its object in [0, 1]."""
    scene = emptied(rng, threads)
    thing = placed(meshes[rng.integers(len(meshes))], rng, (0.0, 0.0), rng.uniform(0.8, 1.2))
    shown(thing, rng)
    marked(thing)
    turn = rng.uniform(0.0, 2.0 * math.pi)
    aimed(scene, thing, turn, rng)
    furnished(scene, meshes, thing, turn, rng)
    lit(scene, rng)
    with tempfile.TemporaryDirectory() as folder:
        linear, opacity = rendered(scene, Path(folder) / "scene.exr")
    return exposed(linear, rng), opacity


def emptied(rng: np.random.Generator, threads: int) -> bpy.types.Scene:
    """An empty scene that Cycles draws in a random format."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.device = "CYCLES", "CPU"
    scene.render.threads_mode, scene.render.threads = "FIXED", threads
    scene.cycles.max_bounces, scene.cycles.samples, scene.cycles.use_denoising = 3, SAMPLES, True
    scene.view_settings.view_transform = "Raw"
    scene.render.image_settings.file_format = "OPEN_EXR_MULTILAYER"
    mask = scene.view_layers[0].aovs.add()
    mask.name, mask.type = MASK, "VALUE"
    aspect = float(rng.choice((0.5625, 0.75, 1.0, 4 / 3, 16 / 9)))
    scene.render.resolution_x = round(SIDE_PX * min(1.0, aspect))
    scene.render.resolution_y = round(SIDE_PX / max(1.0, aspect))
    return scene


def placed(path: Path, rng: np.random.Generator, at: tuple[float, float], size: float) -> list[bpy.types.Object]:
    """The mesh objects of a file, `size` large, standing on the ground at a place, turned at random."""
    before = set(bpy.context.scene.objects)
    bpy.ops.import_scene.gltf(filepath=str(path))
    new = [each for each in bpy.context.scene.objects if each not in before]
    roots, parts = [each for each in new if each.parent is None], [each for each in new if each.type == "MESH"]
    turn = rng.uniform(0.0, 2.0 * math.pi)
    for root in roots:
        root.rotation_mode = "XYZ"
        root.rotation_euler.rotate_axis("Z", turn) if root.type == "EMPTY" else None
    bpy.context.view_layer.update()
    low, high = bounds(parts)
    scale = size / max(high - low)
    middle = (low + high) / 2
    for root in roots:
        root.scale *= scale
        root.location = root.location * scale - Vector((middle.x, middle.y, low.z)) * scale + Vector((*at, 0.0))
    bpy.context.view_layer.update()
    return parts


def bounds(parts: Sequence[bpy.types.Object]) -> tuple[Vector, Vector]:
    """Least and greatest corner of objects in the world."""
    corners = np.array([part.matrix_world @ Vector(corner) for part in parts for corner in part.bound_box])
    return Vector(corners.min(axis=0)), Vector(corners.max(axis=0))


def shown(parts: Sequence[bpy.types.Object], rng: np.random.Generator) -> None:
    """Other colours for some objects, and a surface between chalk and metal."""
    hue = rng.random() if rng.random() < 0.4 else 0.5
    saturation, rough, metal = rng.uniform(0.7, 1.2), rng.uniform(0.2, 0.9), float(rng.random() < 0.08)
    for part in parts:
        if part.data.color_attributes:  # which the reader of glTF leaves without a material that shows them
            part.data.materials.clear()
            part.data.materials.append(coloured_by_vertices(part.data.color_attributes[0].name))
    for tree in trees(parts):
        for node in [node for node in tree.nodes if node.type == "BSDF_PRINCIPLED"]:
            node.inputs["Roughness"].default_value, node.inputs["Metallic"].default_value = rough, metal
            colour = node.inputs["Base Color"]
            change = tree.nodes.new("ShaderNodeHueSaturation")
            change.inputs["Hue"].default_value, change.inputs["Saturation"].default_value = hue, saturation
            if colour.links:
                tree.links.new(colour.links[0].from_socket, change.inputs["Color"])
            else:
                change.inputs["Color"].default_value = colour.default_value
            tree.links.new(change.outputs["Color"], colour)


def coloured_by_vertices(attribute: str) -> bpy.types.Material:
    """A material that shows the colours of vertices."""
    made = bpy.data.materials.new("vertices")
    made.use_nodes = True
    colours = made.node_tree.nodes.new("ShaderNodeVertexColor")
    colours.layer_name = attribute
    surface = made.node_tree.nodes["Principled BSDF"]
    made.node_tree.links.new(colours.outputs["Color"], surface.inputs["Base Color"])
    return made


def marked(parts: Sequence[bpy.types.Object]) -> None:
    """Has objects tell their opacity to the layer of the mask."""
    for tree in trees(parts):
        output = tree.nodes.new("ShaderNodeOutputAOV")
        output.aov_name = MASK
        output.inputs["Value"].default_value = 1.0


def trees(parts: Sequence[bpy.types.Object]) -> list[bpy.types.NodeTree]:
    """The node trees of objects' materials, each once; an object without material gets a grey one."""
    for part in parts:
        if not any(slot.material for slot in part.material_slots):
            part.data.materials.append(bpy.data.materials.new("grey"))
            part.data.materials[-1].use_nodes = True
    return list({slot.material.node_tree: None for part in parts for slot in part.material_slots if slot.material})


def aimed(scene: bpy.types.Scene, parts: Sequence[bpy.types.Object], turn: float, rng: np.random.Generator) -> None:
    """A camera from `turn`, the object about in the middle, filling a random part of the picture."""
    low, high = bounds(parts)
    radius, middle = (high - low).length / 2, (low + high) / 2
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    short = min(scene.render.resolution_x, scene.render.resolution_y) / SIDE_PX
    half = math.radians(rng.uniform(*FOV_DEG)) / 2
    camera.data.angle = 2 * half
    distance = max(radius / (math.tan(half) * short * rng.uniform(*FILLED)), 1.2 * radius)
    up = math.radians(rng.uniform(*ELEVATION_DEG))
    away = Vector((math.cos(up) * math.sin(turn), -math.cos(up) * math.cos(turn), math.sin(up)))
    camera.location = middle + distance * away
    camera.location.z = max(camera.location.z, 0.03)
    aside = Vector(rng.normal(0.0, 0.12 * radius, 3))
    look = (middle + aside - camera.location).to_track_quat("-Z", "Y")
    camera.rotation_mode = "QUATERNION"
    camera.rotation_quaternion = look
    if rng.random() < BLURRED:
        camera.data.dof.use_dof = True
        camera.data.dof.focus_distance = (middle - camera.location).length
        camera.data.dof.aperture_fstop = camera.data.lens / 1000 / (radius * rng.uniform(0.02, 0.12))


def furnished(
    scene: bpy.types.Scene,
    meshes: Sequence[Path],
    thing: Sequence[bpy.types.Object],
    turn: float,
    rng: np.random.Generator,
) -> None:
    """A floor, often a wall, and up to four other things that are further from the camera than the object."""
    behind = np.array((-math.sin(turn), math.cos(turn)))
    beside = np.array((behind[1], -behind[0]))
    colour = mean_colour(thing) if rng.random() < LIKE_THE_FLOOR else None
    bpy.ops.mesh.primitive_plane_add(size=60.0)
    textures = sorted((meshes[0].parent / "textures").glob("*.jpg"))
    bpy.context.object.data.materials.append(material(rng, colour, textures))
    reach = rng.uniform(0.75, 6.0)
    if rng.random() < WALLED:
        place = reach * behind
        bpy.ops.mesh.primitive_plane_add(size=60.0, location=(*place, 0.0))
        bpy.context.object.rotation_euler = (math.pi / 2, 0.0, turn + rng.normal(0.0, 0.4))
        bpy.context.object.data.materials.append(material(rng, colour if rng.random() < 0.5 else None, textures))
    for _ in range(int(rng.choice((0, 1, 2, 3, 4), p=(0.3, 0.2, 0.2, 0.2, 0.1)))):
        place = rng.uniform(0.9, 3.0) * behind + rng.uniform(-2.0, 2.0) * beside
        other = placed(meshes[rng.integers(len(meshes))], rng, tuple(place), rng.uniform(0.3, 1.5))
        shown(other, rng)


def mean_colour(parts: Sequence[bpy.types.Object]) -> np.ndarray | None:
    """A linear colour about that of the objects; None where nothing tells it."""
    colours = []
    for part in parts:
        for attribute in part.data.color_attributes:
            values = np.empty(4 * len(attribute.data), dtype=np.float32)
            attribute.data.foreach_get("color", values)
            colours.append(values.reshape(-1, 4)[:, :3].mean(axis=0))
        for slot in part.material_slots:
            nodes = slot.material.node_tree.nodes if slot.material else []
            images = [node.image for node in nodes if node.type == "TEX_IMAGE" and node.image]
            colours += [np.array(image.pixels[:]).reshape(-1, 4)[:, :3].mean(axis=0) ** 2.2 for image in images]
            colours += [
                np.array(node.inputs["Base Color"].default_value[:3])
                for node in nodes
                if node.type == "BSDF_PRINCIPLED" and not part.data.color_attributes
            ]
    return np.mean(colours, axis=0) if colours else None


def material(rng: np.random.Generator, colour: np.ndarray | None, textures: Sequence[Path]) -> bpy.types.Material:
    """A surface of one colour, of a texture that repeats, or of a procedural pattern of two colours; with bumps."""
    made = bpy.data.materials.new("surface")
    made.use_nodes = True
    tree = made.node_tree
    surface = tree.nodes["Principled BSDF"]
    surface.inputs["Roughness"].default_value = rng.uniform(0.15, 1.0)
    first = rng.uniform(0.02, 0.9, 3) * rng.uniform(0.4, 1.0) if colour is None else colour
    if rng.random() < PALE:  # most rooms are grey, white or brown
        grey = first.mean()
        first = grey + (first - grey) * rng.uniform(0.0, 0.35)
    surface.inputs["Base Color"].default_value = (*first.clip(0.0, 1.0), 1.0)
    kind, place = rng.random(), tree.nodes.new("ShaderNodeTexCoord")
    if kind < PLAIN:
        return made
    if kind < PLAIN + TEXTURED and textures and colour is None:
        size, pattern = tree.nodes.new("ShaderNodeMapping"), tree.nodes.new("ShaderNodeTexImage")
        size.inputs["Scale"].default_value = (float(np.exp(rng.uniform(np.log(0.3), np.log(6.0)))),) * 3
        pattern.image = bpy.data.images.load(str(textures[rng.integers(len(textures))]), check_existing=True)
        tree.links.new(place.outputs["Object"], size.inputs["Vector"])
        tree.links.new(size.outputs["Vector"], pattern.inputs["Vector"])
        tree.links.new(pattern.outputs["Color"], surface.inputs["Base Color"])
        bump_on(tree, pattern.outputs["Color"], rng.uniform(0.0, 0.2))
        return made
    pattern, ramp = tree.nodes.new(str(rng.choice(PATTERNS))), tree.nodes.new("ShaderNodeValToRGB")
    pattern.inputs["Scale"].default_value = float(np.exp(rng.uniform(np.log(0.5), np.log(25.0))))
    tree.links.new(place.outputs["Object"], pattern.inputs["Vector"])
    value = pattern.outputs.get("Fac") or pattern.outputs.get("Distance") or pattern.outputs[0]
    tree.links.new(value, ramp.inputs["Fac"])
    contrast = rng.uniform(0.05, 0.6)
    for element in ramp.color_ramp.elements:
        element.color = (*(first * (1 + rng.uniform(-contrast, contrast, 3))).clip(0.0, 1.0), 1.0)
    tree.links.new(ramp.outputs["Color"], surface.inputs["Base Color"])
    bump_on(tree, value, rng.uniform(0.0, 0.5))
    return made


def bump_on(tree: bpy.types.NodeTree, height: bpy.types.NodeSocket, strength: float) -> None:
    """Lets a value raise the surface of a material."""
    bump = tree.nodes.new("ShaderNodeBump")
    bump.inputs["Strength"].default_value = strength
    tree.links.new(height, bump.inputs["Height"])
    tree.links.new(bump.outputs["Normal"], tree.nodes["Principled BSDF"].inputs["Normal"])


def lit(scene: bpy.types.Scene, rng: np.random.Generator) -> None:
    """A photographed surrounding as light and far background, and a lamp."""
    surroundings = sorted(each for each in LIGHTS.glob("*.exr") if each.stem != HELD_OUT)
    world = bpy.data.worlds.new("world")
    scene.world = world
    world.use_nodes = True
    world.cycles.sampling_method, world.cycles.sample_map_resolution = "MANUAL", 256  # half the time of a scene else
    tree = world.node_tree
    picture = tree.nodes.new("ShaderNodeTexEnvironment")
    picture.image = bpy.data.images.load(str(surroundings[rng.integers(len(surroundings))]))
    turned, place = tree.nodes.new("ShaderNodeMapping"), tree.nodes.new("ShaderNodeTexCoord")
    turned.inputs["Rotation"].default_value = (0.0, 0.0, rng.uniform(0.0, 2.0 * math.pi))
    tree.links.new(place.outputs["Generated"], turned.inputs["Vector"])
    tree.links.new(turned.outputs["Vector"], picture.inputs["Vector"])
    tree.links.new(picture.outputs["Color"], tree.nodes["Background"].inputs["Color"])
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy, sun.data.angle = rng.choice((0.0, 1.0, 3.0)) * rng.random(), math.radians(rng.uniform(1.0, 40.0))
    sun.rotation_euler = (rng.uniform(0.0, 1.2), 0.0, rng.uniform(0.0, 2.0 * math.pi))
    scene.collection.objects.link(sun)


def rendered(scene: bpy.types.Scene, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The scene in linear light (h, w, 3), row 0 on top, and the opacity (h, w) of what is marked."""
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels = {name: channel.pixels for name, channel in file.channels().items()}
    colours = [next(channels[name] for name in channels if name.endswith(f"Combined.{each}")) for each in "RGB"]
    opacity = next(channels[name] for name in channels if f".{MASK}." in name)
    return np.stack(colours, axis=-1).astype(np.float32), opacity.astype(np.float32).clip(0.0, 1.0)


def exposed(linear: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An sRGB picture, exposed as a phone would, with noise of its sensor."""
    bright = np.quantile(linear.mean(axis=-1), 0.7)
    light = linear * (rng.uniform(0.25, 0.6) / max(float(bright), 1e-4)) * rng.uniform(0.92, 1.08, 3)
    light = light + rng.normal(0.0, rng.uniform(0.0, 0.015), light.shape)
    light = np.where(light > 0.7, 0.7 + 0.3 * np.tanh((light - 0.7) / 0.3), light).clip(0.0, 1.0)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (srgb * 255).round().clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
