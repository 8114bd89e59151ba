"""Animals, people, riders, engines, ships and props of the game 0 A.D. as PLY files, for `wavemesh prepare`.

    apt-get download 0ad-data && dpkg -x 0ad-data_*.deb zero-ad
    python tools/zero_ad_models.py zero-ad/usr/share/games/0ad/mods/public/public.zip MODELS
    python -m wavemesh prepare MODELS -o data/kinds

An actor (XML) names a mesh, textures and the actors that hang on it; meshes are in the game's binary PMD, in the pose
in which they were modelled. Some species, and a few of everything else, are held out for validation, with all that
have the same mesh: metadata.csv says which. 0 A.D. is by Wildfire Games, CC BY-SA 3.0.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import logging
import re
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import trimesh
from PIL import Image
from scipy.spatial.transform import Rotation

# Kind, the actors of it, which of these not, and how many at most.
ANIMALS = r"fauna/"
KINDS = (
    (
        "animal",
        ANIMALS,
        r"circle|flaming|dragon|single|shoal|generic|_fin|horse_(?!bay_01|persian|celtic)|zebra_2|sheep[23]|deer[123]"
        r"|elephant\.xml|arctic_wolf|crow|gazelle|hawk|peacock|seagull",
        60,
    ),
    ("person", r"units/.*(infantry_[a-z]+_b|female_citizen|healer|hero_infantry|champion_)", r"ballista|oxybeles", 27),
    ("rider", r"units/.*(cavalry_[a-z]+_b|chariot_.*_c|elephantry_.*_c)", r"_[dhr]\d?\.xml$", 10),
    ("engine", r"units/.*(siege_|_ram|ballista|oxybeles|trader)", r"_pivot|packed|_horse|_camel|_donkey", 22),
    ("ship", r"structures/.*(trireme|bireme|merchant|warship|ship\.xml|boat)", r"fire\.xml|construction|sail", 17),
    (
        "prop",
        r"props/.*(statue|bust|amphora|vase|pot|barrel|cart|well|fountain|helmet|sphinx)",
        r"decal|weapon|crest",
        27,
    ),
)
HELD_OUT = re.compile(r"lion|tiger|goat|sheep|camel|crocodile|rhino|chicken|walrus|pig|boar")  # species
HELD_OUT_SHARE = 0.17  # of what is no animal
MOVING = ("death", "run", "attack", "walk", "gather", "build", "carry", "idle", "corpse")
FEWEST_FACES, DEEPEST = 60, 3
_MOTIONLESS = 0xFF  # the bone of a point that hangs on none


@dataclass
class Part:
    """Vertices (n, 3), faces (m, 3) and colours (n, 3) of one mesh."""

    vertices: np.ndarray
    faces: np.ndarray
    colours: np.ndarray


@dataclass
class Variant:
    """What one choice of an actor's group says: a mesh, a texture, and actors by the point that they hang on."""

    mesh: str | None
    texture: str | None
    props: dict[str, str | None]


def main() -> None:
    """Write the files and their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, help="public.zip of the game")
    parser.add_argument("models", type=Path, help="folder for the meshes")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    game = Game(asked.archive)
    rows, seen = list[list[str]](), set()
    held_out = {game.body(name) for name in game.actors() if re.match(ANIMALS, name) and HELD_OUT.search(name)}
    for kind, wanted, unwanted, most in KINDS:
        actors = [name for name in game.actors() if re.match(wanted, name) and not re.search(unwanted, name)]
        made = 0
        for name in sorted(actors, key=lambda name: hashlib.sha256(name.encode()).digest()):
            mesh = game.mesh(name)
            shape = None if mesh is None else (len(mesh.vertices), len(mesh.faces), tuple(mesh.extents.round(2)))
            if mesh is None or len(mesh.faces) < FEWEST_FACES or shape in seen or made == most:
                continue
            seen.add(shape)
            made += 1
            path = Path(kind) / f"{name.removesuffix('.xml').replace('/', '_')}.ply"
            (asked.models / kind).mkdir(parents=True, exist_ok=True)
            mesh.export(asked.models / path)
            body = game.body(name)
            split = "val" if body in held_out or (kind != "animal" and _drawn(body)) else "train"
            rows.append([str(path), kind, "CC BY-SA 3.0", "Wildfire Games", f"0 A.D., art/actors/{name}", split])
        logging.info("%s: %d of %d actors", kind, made, len(actors))
    with (asked.models / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file_name", "category", "licence", "creator", "source", "split"], *rows])


def _drawn(body: str | None) -> bool:
    """Whether a mesh is one of HELD_OUT_SHARE, by its name."""
    return int.from_bytes(hashlib.sha256(f"split {body}".encode()).digest()[:4], "big") / 2.0**32 < HELD_OUT_SHARE


class Game:
    """The art of the game in its archive."""

    def __init__(self, archive: Path) -> None:
        self.archive = zipfile.ZipFile(archive)
        self.names = set(self.archive.namelist())

    def actors(self) -> list[str]:
        """Their names below art/actors."""
        prefix = "art/actors/"
        return sorted(name.removeprefix(prefix) for name in self.names if re.match(prefix + r".*\.xml$", name))

    def body(self, actor: str) -> str | None:
        """The mesh on which everything else of an actor hangs, by its name."""
        return self._own(actor).mesh

    def mesh(self, actor: str) -> trimesh.Trimesh | None:
        """An actor with all that hangs on it, y up and right-handed; None where it has no mesh."""
        parts = self._parts(actor, 0)
        if not parts:
            return None
        firsts = np.cumsum([0, *(len(part.vertices) for part in parts)])
        faces = np.concatenate([part.faces + first for part, first in zip(parts, firsts, strict=False)])
        vertices = np.concatenate([part.vertices for part in parts]) * [1.0, 1.0, -1.0]
        colours = np.concatenate([part.colours for part in parts])
        return trimesh.Trimesh(vertices, faces[:, ::-1], vertex_colors=colours, process=False)

    def _parts(self, actor: str, depth: int) -> list[Part]:
        own = self._own(actor) if depth <= DEEPEST else Variant(None, None, {})
        found = None if own.mesh is None else self._pmd(own.mesh)
        if found is None:
            return []
        part, texels, points = found
        part.colours = self._colours(own.texture, texels)
        parts = [part]
        for point, hanging in own.props.items():
            place = np.eye(4) if point == "root" else points.get(point, points.get(f"prop-{point}"))
            if hanging and place is not None:
                for each in self._parts(hanging, depth + 1):
                    each.vertices = each.vertices @ place[:3, :3].T + place[:3, 3]
                    parts.append(each)
        return parts

    def _own(self, actor: str) -> Variant:
        """What is chosen from all groups of an actor together; nothing for one that there is not."""
        own, path = Variant(None, None, {}), f"art/actors/{actor}"
        if path in self.names:
            for group in ElementTree.fromstring(self.archive.read(path)).findall("group"):
                chosen = self._chosen(group) or own
                own = Variant(chosen.mesh or own.mesh, chosen.texture or own.texture, own.props | chosen.props)
        return own

    def _chosen(self, group: ElementTree.Element) -> Variant | None:
        """The first variant of a group at rest, else the first one that there may be."""
        variants = [each for each in group.findall("variant") if each.get("frequency") != "0"]
        resting = [each for each in variants if not any(word in (each.get("name") or "").lower() for word in MOVING)]
        found = resting or variants
        return self._variant(found[0], 0) if found else None

    def _variant(self, element: ElementTree.Element, depth: int) -> Variant:
        base, path = Variant(None, None, {}), f"art/variants/{element.get('file')}"
        if path in self.names and depth <= DEEPEST:
            base = self._variant(ElementTree.fromstring(self.archive.read(path)), depth + 1)
        textures = [each.get("file") for each in element.iter("texture") if each.get("name") == "baseTex"]
        props = {each.get("attachpoint") or "": each.get("actor") for each in element.iter("prop")}
        mesh = element.findtext("mesh") or base.mesh
        return Variant(mesh, textures[-1] if textures else base.texture, base.props | props)

    def _pmd(self, name: str) -> tuple[Part, np.ndarray, dict[str, np.ndarray]] | None:
        """A mesh without colours, its places (n, 2) in the texture, and the points that something may hang on."""
        path = f"art/meshes/{name}.cached.pmd"
        if path not in self.names:
            return None
        data = self.archive.read(path)
        version, _, count = struct.unpack_from("<3I", data, 4)
        sets = struct.unpack_from("<I", data, 16)[0] if version >= 4 else 1
        place = 20 if version >= 4 else 16
        size = 3 * 4 + 3 * 4 + sets * 8 + 4 + 4 * 4  # place, normal, texture, bones and their weights
        records = np.frombuffer(data, np.uint8, count * size, place).reshape(count, size)
        vertices, texels = (records[:, part].copy().view("<f4") for part in (slice(0, 12), slice(24, 32)))
        place += count * size
        triangles = struct.unpack_from("<I", data, place)[0]
        faces = np.frombuffer(data, "<u2", 3 * triangles, place + 4).reshape(-1, 3).astype(np.int64)
        place += 4 + 6 * triangles
        count = struct.unpack_from("<I", data, place)[0]
        bones = [_placed(struct.unpack_from("<7f", data, place + 4 + 28 * number)) for number in range(count)]
        place += 4 + 28 * len(bones)
        points: dict[str, np.ndarray] = {}
        hooks = struct.unpack_from("<I", data, place)[0] if version >= 2 else 0
        place += 4
        for _ in range(hooks):
            length = struct.unpack_from("<I", data, place)[0]
            hook = data[place + 4 : place + 4 + length].decode()
            place += 4 + length
            local, bone = _placed(struct.unpack_from("<7f", data, place)), data[place + 28]
            points[hook] = local if bone == _MOTIONLESS or bone >= len(bones) else bones[bone] @ local
            place += 29
        return Part(vertices.astype(np.float64), faces, np.empty((count, 3))), texels, points

    def _colours(self, texture: str | None, texels: np.ndarray) -> np.ndarray:
        path = f"art/textures/skins/{texture}.cached.dds"
        if texture is None or path not in self.names:
            return np.full((len(texels), 3), 150, np.uint8)
        pixels = np.asarray(Image.open(io.BytesIO(self.archive.read(path))).convert("RGB"))
        size = np.array(pixels.shape[1::-1])
        column, row = np.minimum((texels % 1.0 * size).astype(int), size - 1).T
        return pixels[row, column]


def _placed(values: tuple[float, ...]) -> np.ndarray:
    """The matrix of a translation and a quaternion x, y, z, w."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat(values[3:]).as_matrix()
    matrix[:3, 3] = values[:3]
    return matrix


if __name__ == "__main__":
    main()
