"""Files of boxes, written by hand."""

from __future__ import annotations

from pathlib import Path

BOX_FACES = "f 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4\n"


def box_obj(sides: tuple[float, float, float], newline: str = "\n", head: str = "") -> bytes:
    """An OBJ file of a box around the origin, made of quads."""
    corners = [(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]
    lines = "".join(f"v {x * sides[0]} {y * sides[1]} {z * sides[2]}\n" for x, y, z in corners)
    return (head + lines + BOX_FACES).replace("\n", newline).encode()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """The folder with the files, by their paths in it."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
