import io
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.rendering.animation import gif_bytes, mp4_bytes


def frames(count: int = 6, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """A red square that walks to the right over white."""
    result = []
    for number in range(count):
        frame = np.full((height, width, 3), 255, dtype=np.uint8)
        frame[16:32, 8 * number : 8 * number + 16] = (200, 30, 30)
        result.append(frame)
    return result


def test_a_gif_has_the_frames_and_loops() -> None:
    original = frames()
    with Image.open(io.BytesIO(gif_bytes(original, 10.0))) as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"], gif.info["duration"]) == (6, (64, 48), 0, 100)
        for number, frame in enumerate(original):
            gif.seek(number)
            shown = np.asarray(gif.convert("RGB")).astype(int)
            assert np.abs(shown - frame).max() <= 8


def test_an_mp4_plays_back_what_went_in(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    content = mp4_bytes(frames(), 12.0)
    path.write_bytes(content)
    assert content.index(b"moov") < content.index(b"mdat")  # plays before it is loaded
    program = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    played = subprocess.run(program, capture_output=True, check=True, timeout=60)
    for fact in (b"Video: h264", b"yuv420p", b"64x48", b"12 fps"):
        assert fact in played.stderr
    shown = list(np.frombuffer(played.stdout, np.uint8).reshape(-1, 48, 64, 3).astype(int))
    assert len(shown) == 6
    for found, expected in zip(shown, frames(), strict=True):
        assert np.abs(found - expected).mean() < 6


@pytest.mark.parametrize("write", [gif_bytes, mp4_bytes])
def test_what_cannot_be_animated_is_said(write) -> None:
    with pytest.raises(InputError, match="not 0 at"):
        write([])
    with pytest.raises(InputError, match="-1"):
        write(frames(), -1.0)
    with pytest.raises(InputError, match="one size"):
        write([*frames(2), *frames(2, 24, 24)])


def test_odd_sides_cannot_be_filmed() -> None:
    with pytest.raises(InputError, match="65 x 48"):
        mp4_bytes(frames(2, 48, 65))
