"""Files that mean harm, one after the other, to the server that people run: a sentence each, it lives, and stays small.

The server is a process of its own with the bundled weights; its memory is that of all its processes together.
"""

from __future__ import annotations

import io
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import trimesh
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image, ImageDraw

from tests.geometry.test_untrusted import glb_claiming
from tests.imaging.test_reading import png_chunk, png_header

LIMIT_BYTES = 3e9
START_S = 120

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # gradio's client warns about itself


class Server:
    """The running page and the most memory that it and its children have had."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.log = folder / "server.log"
        with self.log.open("w") as log:
            command = [sys.executable, "-m", "wavemesh", "app", "--port", str(port), "--device", "cpu"]
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self.address = f"http://127.0.0.1:{port}"
        self.peak = 0
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def wait(self) -> None:
        """Until the first page is there."""
        for _ in range(2 * START_S):
            try:
                urllib.request.urlopen(self.address, timeout=5)
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.5)
            else:
                return
        raise AssertionError(self.log.read_text())

    def memory(self) -> int:
        """Resident bytes of the server and all that it started, now."""
        total = 0
        for process in [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]:
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            try:
                self.peak = max(self.peak, self.memory())
            except psutil.NoSuchProcess:
                return

    def close(self) -> None:
        """Stop it."""
        self._done.set()
        self._watcher.join()
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server"))
    running.wait()
    yield running
    running.close()


@pytest.fixture(scope="module")
def client(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(server.address, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


def disc(mode: str = "RGBA", side: int = 96) -> Image.Image:
    picture = Image.new("RGBA", (side, side), (255, 255, 255, 0))
    ImageDraw.Draw(picture).ellipse((side // 5, side // 5, side * 4 // 5, side * 4 // 5), fill=(190, 50, 40, 255))
    if mode == "RGBA":
        return picture
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture)
    return white.convert(mode)


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def deep() -> bytes:
    grey = (np.asarray(disc("L")).astype(np.uint16) * 257)[..., None]
    return encoded(Image.fromarray(grey[..., 0]), "PNG")


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(disc("RGB"), "JPEG", exif=exif)


def animated() -> bytes:
    return encoded(disc(), "WEBP", save_all=True, append_images=[disc(side=96).rotate(30)] * 3)


def bomb(side: int) -> bytes:
    rows = zlib.compress(b"\0" * min(side * side // 8, 10**8), 9)
    return png_header(side, side) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


def text_bomb() -> bytes:
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 500_000_000, 1))
    return png_header(64, 64) + text + png_chunk(b"IEND", b"")


def zip_bomb(name: str, size: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w", force_zip64=True) as to:
        for _ in range(size // 10**8):
            to.write(bytes(10**8))
    return buffer.getvalue()


USABLE = {
    "deep.png": deep,
    "cmyk.jpg": lambda: encoded(disc("CMYK"), "JPEG"),
    "animated.webp": animated,
    "rotated.jpg": rotated,
    "transparent.png": lambda: encoded(disc(), "PNG"),
    "palette.png": lambda: encoded(disc().convert("P"), "PNG"),
}
REFUSED = {
    "pixel.png": lambda: encoded(Image.new("RGBA", (1, 1), (200, 0, 0, 255)), "PNG"),
    "clear.png": lambda: encoded(Image.new("RGBA", (64, 64), (0, 0, 0, 0)), "PNG"),
    "huge.png": lambda: encoded(Image.new("1", (20_000, 20_000)), "PNG"),
    "bomb.png": lambda: bomb(60_000),
    "text.png": text_bomb,
    "wide.png": lambda: encoded(Image.new("1", (30_000, 4)), "PNG"),
    "cut.jpg": lambda: encoded(disc("RGB"), "JPEG")[:400],
    "zip.png": lambda: zip_bomb("view.png", 10**9),
    "words.png": lambda: b"this is not a picture",
    "empty.png": lambda: b"",
}
MESHES = {
    "claims.glb": lambda: glb_claiming(400_000_000),
    "claims.stl": lambda: b"\0" * 80 + struct.pack("<I", 400_000_000) + b"\0" * 50,
    "zip.obj": lambda: zip_bomb("mesh.obj", 4 * 10**9),
    "infinite.obj": lambda: b"v 0 0 0\nv nan 1 0\nv 1 0 inf\nf 1 2 3\n",
    "outside.obj": lambda: b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 400000000\n",
    "claims.ply": lambda: (
        b"ply\nformat ascii 1.0\nelement vertex 400000000\nproperty float x\nproperty float y\nproperty float z\n"
        b"element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n"
    ),
    "empty.off": lambda: b"",
}
BUNDLES = {
    "bomb.zip": lambda: zip_bomb("bundle.json", 4 * 10**9),
    "arrays.zip": lambda: zip_bomb("arrays.npz", 4 * 10**9),
    "words.zip": lambda: b"not a zip",
}


def written(folder: Path, name: str, content: bytes) -> Any:
    path = folder / name
    path.write_bytes(content)
    return handle_file(str(path))


def faces(client: Client, picture: Any) -> int:
    """Of the mesh that a picture gives: whether the server still does what it is for."""
    _, mesh, _ = client.predict(pictures=[picture], coarse_steps=1, resolution=64, api_name="/generate")
    return len(trimesh.load(mesh, force="mesh").faces)


def sentence(client: Client, endpoint: str, **arguments: Any) -> str:
    """What the server says to arguments that it refuses: one sentence, no trace of the code."""
    with pytest.raises(AppError) as error:
        client.predict(api_name=endpoint, **arguments)
    words = str(error.value)
    # A sentence begins with a capital, a quotation mark, or the name of the file that it is about.
    assert re.fullmatch(r"(?:[A-Z'‘“]|\S+\.\w+ ).{15,400}\.", words), words
    assert "Traceback" not in words
    return words


def lives(server: Server) -> None:
    """It answers, and has stayed small."""
    assert server.process.poll() is None, server.log.read_text()
    assert server.peak < LIMIT_BYTES, f"{server.peak / 1e9:.2f} GB"


@pytest.mark.parametrize("name", USABLE)
def test_odd_pictures_become_meshes(name: str, server: Server, client: Client, tmp_path: Path) -> None:
    assert faces(client, written(tmp_path, name, USABLE[name]())) > 100
    lives(server)


@pytest.mark.parametrize("name", REFUSED)
def test_other_pictures_are_a_sentence(name: str, server: Server, client: Client, tmp_path: Path) -> None:
    picture = written(tmp_path, name, REFUSED[name]())
    assert name in sentence(client, "/generate", pictures=[picture])
    lives(server)


@pytest.mark.parametrize("name", MESHES)
def test_meshes_are_a_sentence(name: str, server: Server, client: Client, tmp_path: Path) -> None:
    mesh = written(tmp_path, name, MESHES[name]())
    assert name in sentence(client, "/render_views", mesh=mesh, views=2, azimuth=0, elevation=20)
    lives(server)


@pytest.mark.parametrize("name", BUNDLES)
def test_bundles_are_a_sentence(name: str, server: Server, client: Client, tmp_path: Path) -> None:
    bundle = written(tmp_path, name, BUNDLES[name]())
    assert name in sentence(client, "/step", bundle=bundle, number=1)
    lives(server)


def test_all_of_them_together_and_then_a_picture(server: Server, client: Client, tmp_path: Path) -> None:
    def send(name: str, content: bytes) -> None:
        picture = written(tmp_path, name, content)
        with pytest.raises(AppError):
            Client(server.address, verbose=False).predict(pictures=[picture], api_name="/generate")

    threads = [threading.Thread(target=send, args=(name, make())) for name, make in REFUSED.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert faces(client, written(tmp_path, "good.png", encoded(disc(), "PNG"))) > 100
    lives(server)
