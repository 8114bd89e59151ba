"""The bundled examples and their attribution: canonical pictures of held-out models, as the page shows them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from wavemesh.data.dataset import PreparedShapes
from wavemesh.errors import InputError

_FREE = ("CC0", "CC BY ", "CC-BY ", "PUBLIC DOMAIN", "CREATIVE COMMONS ATTRIBUTION ")
_RESTRICTED = ("NONCOMMERCIAL", "NON-COMMERCIAL", "NODERIV", "NO DERIV", "SHAREALIKE", "SHARE ALIKE")


_OTHERS = """
## Not of the furniture libraries

- `assets/weights/cutout`: U-2-Net small by Xuebin Qin, Zichen Zhang, Chenyang Huang, Masood Dehghan, Osmar R. Zaiane and Martin Jagersand, Apache-2.0; see its model card.
- `assets/backgrounds`: surroundings from Poly Haven by way of the npm package `@pmndrs/assets` 1.7.0, CC0, here as 8-bit JPEG.
"""  # noqa: E501 - a paragraph of Markdown


def write_example(shapes: PreparedShapes, key: str, folder: str | Path) -> Path:
    """The example's folder: view0.webp..., cameras.json and about.json, of one held-out model.

    Raises InputError where the split has no such model or its licence does not let the picture ship.
    """
    if key not in shapes.keys:
        raise InputError(f"The split {shapes.split!r} has no model {key!r}.")
    shape = shapes[shapes.keys.index(key)]
    licence = str(shape.meta.get("licence") or "")
    if not licence.upper().startswith(_FREE) or any(word in licence.upper() for word in _RESTRICTED):
        raise InputError(f"The licence of {key} is {licence!r}, so its pictures cannot ship.")
    target = Path(folder) / key.partition("_")[2].replace("_", "-")
    target.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(shape.pictures):
        Image.fromarray(picture).save(target / f"view{number}.webp", quality=88, alpha_quality=100, method=6)
    cameras = [asdict(camera) for camera in shape.cameras]
    (target / "cameras.json").write_text(json.dumps(cameras, indent=1) + "\n", encoding="utf-8")
    about = {name: shape.meta.get(name) or "" for name in ("name", "creator", "licence", "library", "key")}
    (target / "about.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return target


def attribution(data: str | Path, examples: str | Path) -> str:
    """Markdown that names the creators of everything that ships or was trained on.

    data: a prepared data set, whose index.json lists the models. examples: the folder of bundled examples.
    """
    lines = [
        "# Attribution",
        "",
        "## Pictures in `examples/`",
        "",
        "| example | model | creator | licence |",
        "|---|---|---|---|",
    ]
    for about_file in sorted(Path(examples).glob("*/about.json")):
        about = json.loads(about_file.read_text(encoding="utf-8"))
        lines.append(f"| {about_file.parent.name} | {about['name']} | {about['creator']} | {about['licence']} |")
    lines += [
        "",
        "The pictures are renders of models of the Sweet Home 3D furniture libraries; nothing else was changed. "
        "Where a folder has a `truth.glb`, it is the model itself, centred, scaled and with colours at vertices for "
        "its materials.",
        "",
        "## Models that the weights in `assets/weights` were trained on",
        "",
        "Furniture libraries of Sweet Home 3D (Debian package `sweethome3d-furniture`), training split, by licence and "
        "creator:",
        "",
    ]
    index = json.loads((Path(data) / "index.json").read_text(encoding="utf-8"))
    models: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for entry in index:
        if entry["split"] == "train":
            models[entry["library"], entry["licence"] or "", entry["creator"] or "unnamed"].append(entry["name"])
    for (library, licence, creator), names in sorted(models.items()):
        lines.append(f"- {library}, {licence}, {creator}: {_joined(sorted(names))}")
    return "\n".join(lines) + "\n" + _OTHERS


def _joined(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
