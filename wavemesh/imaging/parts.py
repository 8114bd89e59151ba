"""The parts that a picture file is made of, counted before a decoder walks over them.

Pillow reads what stands around the pixels in Python, one part after the other: a file within the limit of bytes can
hold enough of it to keep it busy for minutes. Nothing is decoded here.
"""

from __future__ import annotations

import re

from wavemesh.errors import InputError

MAX_PARTS = 5000  # segments of a JPEG, chunks of a PNG without its pixels, blocks of a GIF before its first frame
MAX_PIXEL_CHUNKS = 50_000  # of a PNG: encoders write 4 KiB and more in each
MAX_PROFILES = 4  # each takes a millisecond for every MiB that it unpacks to

# What follows 0xFF and is neither a stuffed byte, nor filling, nor a restart inside a scan.
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd8])", re.DOTALL)
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_PNG, _GIF = b"\x89PNG\r\n\x1a\n", (b"GIF87a", b"GIF89a")
_EXTENSION, _FRAME, _END_OF_GIF = 0x21, 0x2C, 0x3B


def check_parts(data: bytes, name: str) -> None:
    """Nothing for a PNG, a GIF or another file of a usual number of parts; InputError for one of far more."""
    if data.startswith(_PNG):
        _check_png(data, name)
    elif data.startswith(_GIF):
        _check_gif(data, name)


def jpeg_scans(data: bytes, name: str) -> int:
    """The number of scans of the first image in a JPEG file, from its markers alone; 0 for another file.

    Raises InputError for so many segments that only walking over them would take long.
    """
    if not data.startswith(b"\xff\xd8"):
        return 0
    scans, position = 0, 2
    for _ in range(MAX_PARTS):
        found = _MARKER.search(data, position)
        if found is None or found[1][0] == _END_OF_IMAGE:
            return scans
        scans += found[1][0] == _START_OF_SCAN
        position = found.end() + max(2, int.from_bytes(data[found.end() : found.end() + 2], "big"))
    raise InputError(f"{name} is a JPEG of more than {MAX_PARTS} segments; save it as a plain JPEG.")


def _check_png(data: bytes, name: str) -> None:
    position, others, pixels, profiles = len(_PNG), 0, 0, 0
    while position + 8 <= len(data):
        kind = data[position + 4 : position + 8]
        if kind == b"IEND":
            return
        pixels += kind == b"IDAT"
        others += kind != b"IDAT"
        profiles += kind == b"iCCP"
        if others > MAX_PARTS or pixels > MAX_PIXEL_CHUNKS or profiles > MAX_PROFILES:
            raise InputError(f"{name} is a PNG of {_counted(others, pixels, profiles)}; save it as a plain PNG.")
        position += 12 + int.from_bytes(data[position : position + 4], "big")


def _counted(others: int, pixels: int, profiles: int) -> str:
    if profiles > MAX_PROFILES:
        return f"more than {MAX_PROFILES} colour profiles"
    return f"more than {MAX_PARTS if others > MAX_PARTS else MAX_PIXEL_CHUNKS} chunks"


def _check_gif(data: bytes, name: str) -> None:
    """Counts what stands before the first frame; the frames behind it are never read."""
    palette = 3 << ((data[10] & 7) + 1) if len(data) > 10 and data[10] & 0x80 else 0
    position, in_blocks = 13 + palette, False
    for _ in range(MAX_PARTS):
        if position >= len(data):
            return
        byte = data[position]
        if in_blocks:
            in_blocks = byte != 0
            position += 1 + byte
        elif byte == _EXTENSION:
            in_blocks = True
            position += 2
        elif byte in (_FRAME, _END_OF_GIF):
            return
        else:  # readers pass over what is no block
            position += 1
    raise InputError(f"{name} is a GIF of more than {MAX_PARTS} blocks before its first frame; save it as PNG.")
