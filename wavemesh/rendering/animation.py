"""Frames as a file that plays: GIF by Pillow, MP4 (H.264) by the ffmpeg that comes with imageio-ffmpeg."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from wavemesh.errors import InputError


def gif_bytes(frames: Sequence[UInt8[np.ndarray, "h w 3"]], frames_per_s: float = 12.0) -> bytes:
    """An endless GIF; all frames share one palette, so that nothing flickers. InputError without frames."""
    _check(frames, frames_per_s)
    stacked = Image.fromarray(np.concatenate(frames[:: max(1, len(frames) // 8)]))
    palette = stacked.quantize(255, method=Image.Quantize.MEDIANCUT)
    pictures = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    file = io.BytesIO()
    duration_ms = round(1000.0 / frames_per_s / 10.0) * 10  # GIF counts in hundredths of a second
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], duration=duration_ms, loop=0)
    return file.getvalue()


def mp4_bytes(frames: Sequence[UInt8[np.ndarray, "h w 3"]], frames_per_s: float = 24.0) -> bytes:
    """An MP4 that browsers play (H.264, yuv420p, index in front). Sides must be even; InputError otherwise."""
    _check(frames, frames_per_s)
    height, width = frames[0].shape[:2]
    if height % 2 or width % 2:
        raise InputError(f"The frames of a film need even sides, not {width} x {height}.")
    import imageio_ffmpeg

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        writer = imageio_ffmpeg.write_frames(
            str(path),
            (width, height),
            fps=frames_per_s,
            codec="libx264",
            macro_block_size=2,
            output_params=["-crf", "20", "-movflags", "+faststart", "-threads", "1"],
            ffmpeg_log_level="error",
        )
        writer.send(None)
        try:
            for frame in frames:
                writer.send(np.ascontiguousarray(frame))
        finally:
            writer.close()
        return path.read_bytes()


def _check(frames: Sequence[np.ndarray], frames_per_s: float) -> None:
    if not len(frames) or not frames_per_s > 0.0:
        raise InputError(
            f"An animation needs frames and a positive rate, not {len(frames)} at {frames_per_s} per second."
        )
    shapes = {frame.shape for frame in frames}
    if len(shapes) > 1 or frames[0].ndim != 3 or frames[0].shape[2] != 3:
        raise InputError(f"The frames of an animation must be RGB pictures of one size, not {sorted(shapes)}.")
