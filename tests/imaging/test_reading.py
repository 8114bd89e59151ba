"""Hostile pictures: each one either opens as RGBA or is refused with one plain sentence."""

from __future__ import annotations

import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.imaging import MAX_SIDE, read_picture, reading
from wavemesh.imaging.parts import jpeg_scans

HEIC = Path(__file__).with_name("four_colours.heic")
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)


def sentence(error: pytest.ExceptionInfo[InputError]) -> str:
    """The message, after checking that it is one plain line."""
    message = str(error.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 250
    return message


def pixel(picture: Image.Image, x: int = 0, y: int = 0) -> tuple[int, ...]:
    assert picture.mode == "RGBA"
    return tuple(picture.getpixel((x, y)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "MPO", "WEBP", "AVIF", "TIFF", "BMP", "GIF"])
def test_reads_each_format_from_path_and_bytes(tmp_path: Path, kind: str) -> None:
    options = {"quality": 100} if kind in ("JPEG", "MPO", "WEBP", "AVIF") else {}
    data = encoded(Image.new("RGB", (9, 5), (200, 40, 90)), kind, **options)
    path = tmp_path / "picture.bin"  # the content decides, not the name
    path.write_bytes(data)
    for source in (data, path, str(path)):
        picture = read_picture(source)
        assert picture.size == (9, 5)
        assert np.allclose(pixel(picture), (200, 40, 90, 255), atol=6)


def test_deep_grey_is_scaled_not_clipped() -> None:
    ramp = np.array([[0, 257 * 10, 257 * 128, 65535]], dtype=np.uint16)
    picture = read_picture(encoded(Image.fromarray(ramp)))
    assert [pixel(picture, x) for x in range(4)] == [(v, v, v, 255) for v in (0, 10, 128, 255)]


def test_deep_colour_is_scaled() -> None:
    row = b"\x00" + struct.pack(">6H", 65535, 257 * 100, 0, 0, 65535, 257 * 7)
    data = png_header(2, 1, depth=16) + png_chunk(b"IDAT", zlib.compress(row)) + png_chunk(b"IEND", b"")
    picture = read_picture(data)
    assert pixel(picture, 0) == (255, 100, 0, 255)
    assert pixel(picture, 1) == (0, 255, 7, 255)


def test_cmyk_becomes_colour() -> None:
    picture = read_picture(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100))
    red, green, blue, alpha = pixel(picture, 4, 4)
    assert red > 200
    assert green < 60
    assert blue < 60
    assert alpha == 255


def test_palette_with_a_transparent_colour() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([*RED, *GREEN])
    palette.putpixel((1, 0), 1)
    picture = read_picture(encoded(palette, transparency=1))
    assert pixel(picture, 0) == (*RED, 255)
    assert pixel(picture, 1)[3] == 0


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_takes_any_pil_mode(mode: str) -> None:
    assert read_picture(Image.new(mode, (3, 2))).size == (3, 2)


def test_alpha_stays_straight() -> None:
    picture = read_picture(encoded(Image.new("RGBA", (2, 2), (200, 100, 50, 40))))
    assert pixel(picture) == (200, 100, 50, 40)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF", "MPO", "AVIF"])
def test_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100}, "MPO": {"quality": 100}}.get(kind, {})
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert np.allclose(pixel(read_picture(data)), (*RED, 255), atol=4)
    opened = Image.open(io.BytesIO(data))
    opened.seek(1)  # one that somebody left at another frame
    assert np.allclose(pixel(read_picture(opened)), (*RED, 255), atol=4)


def test_exif_rotation_is_applied() -> None:
    stored = Image.new("RGB", (16, 8), RED)
    stored.paste(BLUE, (0, 0, 8, 8))  # the left half; shown turned clockwise it is the upper half
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = read_picture(encoded(stored, "JPEG", exif=exif, quality=100, subsampling=0))
    assert picture.size == (8, 16)
    assert pixel(picture, 4, 2)[2] > 200
    assert pixel(picture, 4, 13)[0] > 200


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_turn_of_exif_in_every_format(kind: str, orientation: int) -> None:
    shown = np.kron(np.arange(8).reshape(4, 2) * 30, np.ones((16, 16))).astype(np.uint8)
    # How the sensor held what is to be shown, by the definition of the tag: where row 0 and column 0 of it lie.
    stored = {
        1: shown,
        2: shown[:, ::-1],
        3: shown[::-1, ::-1],
        4: shown[::-1],
        5: shown.T,
        6: np.rot90(shown),
        7: shown[::-1, ::-1].T,
        8: np.rot90(shown, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {} if kind in ("PNG", "TIFF") else {"quality": 100}
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)).convert("RGB"), kind, exif=exif, **options)
    found = np.asarray(read_picture(data))
    assert found.shape == (64, 32, 4)
    assert np.abs(found[..., 0].astype(int) - shown).mean() < 2.0


def test_a_gif_and_a_palette_tiff_keep_their_transparency() -> None:
    picture = Image.new("RGBA", (6, 4), (*RED, 255))
    picture.putpixel((5, 3), (0, 0, 0, 0))
    found = read_picture(encoded(picture, "GIF"))
    assert [pixel(found)[3], pixel(found, 5, 3)[3]] == [255, 0]
    assert pixel(read_picture(encoded(picture, "TIFF")), 5, 3)[3] == 0


def test_heic_is_read_where_its_package_is_there() -> None:
    pytest.importorskip("pi_heif")
    picture = read_picture(HEIC)
    assert picture.size == (64, 48)
    corners = [pixel(picture, *at)[:3] for at in ((8, 8), (56, 8), (8, 40), (56, 40))]
    assert np.abs(np.array(corners) - [(230, 30, 30), (30, 200, 30), (30, 30, 230), (230, 230, 230)]).max() < 12


def test_heic_without_its_package_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_heic_opens", lambda: False)
    with pytest.raises(InputError, match=r"four_colours\.heic is a HEIC picture: install the package pi-heif") as error:
        read_picture(HEIC)
    sentence(error)
    assert read_picture(encoded(Image.new("RGB", (4, 4)), "AVIF")).size == (4, 4)  # a sister format, which needs none


def photograph(width: int, height: int) -> Image.Image:
    """Smooth colours with some structure, different in every corner."""
    down, across = np.mgrid[:height, :width].astype(np.float32)
    channels = [across / width * 255, down / height * 255, 128 + 100 * np.sin(across / 97) * np.cos(down / 61)]
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((2000, 1500), (2000, 1500)),
        ((4000, 3000), (2000, 1500)),
        ((3001, 4003), (1501, 2002)),  # a half, rounded up
        ((10000, 600), (5000, 300)),
        ((200, 16000), (100, 8000)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "MPO"])
def test_a_large_jpeg_is_decoded_reduced(size: tuple[int, int], expected: tuple[int, int], kind: str) -> None:
    original = photograph(*size)
    found = read_picture(encoded(original, kind, quality=95))
    assert found.size == expected
    # The oracle: the whole picture, averaged.
    whole = np.asarray(original.resize(expected, Image.Resampling.BOX)).astype(int)
    assert np.abs(np.asarray(found)[..., :3] - whole).mean() < 2.5


@pytest.mark.slow
@pytest.mark.parametrize("megapixels", [48, 108])
def test_the_largest_pictures_of_phones(megapixels: int) -> None:
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = height * 4 // 3
    ramp = Image.linear_gradient("L").resize((width, height))
    found = read_picture(encoded(ramp, "JPEG"))
    assert 1e6 < found.width * found.height < 4.1e6
    assert abs(found.width / found.height - width / height) < 0.01
    assert np.abs(np.asarray(found)[[0, -1], 0, 0].astype(int) - [0, 255]).max() < 4


def test_what_cannot_be_decoded_reduced_keeps_its_limit() -> None:
    for kind in ("PNG", "TIFF", "BMP", "GIF"):
        with pytest.raises(InputError, match="5000 x 4000 pixels; at most 8192 pixels a side and 16 megapixels"):
            read_picture(encoded(Image.new("1", (5000, 4000)), kind))


def many_scans(width: int, height: int, scans: int) -> bytes:
    """A JPEG whose last scan, a few bytes, comes again and again."""
    data = encoded(Image.new("L", (width, height), 90), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * scans + data[-2:]


@pytest.mark.parametrize(("size", "scans"), [((4000, 4000), 100), ((1000, 1000), 3000), ((8, 8), 3000)])
def test_jpegs_of_many_scans_are_refused_before_decoding(size: tuple[int, int], scans: int) -> None:
    data = many_scans(*size, scans)
    start = time.process_time()
    with pytest.raises(InputError, match="scans, which would take too long") as error:
        read_picture(data, "slow.jpg")
    assert time.process_time() - start < 1.0
    assert "slow.jpg" in sentence(error)


def test_jpegs_of_countless_segments_are_refused_before_opening() -> None:
    data = encoded(Image.new("L", (8, 8)), "JPEG")
    with pytest.raises(InputError, match="more than 5000 segments"):
        read_picture(data[:2] + b"\xff\xe5\x00\x02" * 2_000_000 + data[2:])


def test_a_tiff_of_jpegs_of_many_scans_is_refused() -> None:
    data = encoded(photograph(1500, 1000), "TIFF", compression="jpeg")
    assert read_picture(data).size == (1500, 1000)
    with pytest.raises(InputError, match="scans"):
        read_picture(data + b"\xff\xda" * 1000)
    plain = encoded(Image.new("RGB", (1500, 1000), (255, 218, 255)), "TIFF")
    assert plain.count(b"\xff\xda") > 1000  # pixels, not scans
    assert read_picture(plain).size == (1500, 1000)


@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    quality=st.integers(1, 100),
    progressive=st.booleans(),
    restart=st.integers(0, 3),
    mode=st.sampled_from(["L", "RGB", "CMYK"]),
)
def test_scans_are_counted_as_the_encoder_wrote_them(
    size: tuple[int, int], quality: int, progressive: bool, restart: int, mode: str
) -> None:
    noise = np.random.default_rng(quality).integers(0, 255, (*size, 4), dtype=np.uint8)
    picture = Image.fromarray(noise, "CMYK").convert(mode)
    thumbnail = encoded(Image.new("L", (4, 4)), "JPEG")  # in its header, with a scan of its own
    options = {"restart_marker_rows": restart} if restart else {}
    data = encoded(picture, "JPEG", quality=quality, progressive=progressive, comment=thumbnail, **options)
    # libjpeg's script for progressive files: 6 scans of one component, 10 of YCbCr, 5 a component and one else.
    expected = {"L": 6, "RGB": 10, "CMYK": 18}[mode] if progressive else 1
    assert jpeg_scans(data, "it") == expected


def png_with(parts: bytes) -> bytes:
    """A PNG with more parts before its pixels."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 10, 10)).save(file, "PNG")
    content = file.getvalue()
    at = content.index(b"IDAT") - 4
    return content[:at] + parts + content[at:]


def gif_with(parts: bytes) -> bytes:
    """A GIF of three frames with more parts before the first."""
    file = io.BytesIO()
    frames = [Image.new("P", (8, 8), value) for value in (0, 1, 2)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=20)
    content = file.getvalue()
    at = 13 + (3 << ((content[10] & 7) + 1) if content[10] & 0x80 else 0)
    return content[:at] + parts + content[at:]


_PROFILE = png_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(1 << 19)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (png_with(png_chunk(b"abCd", b"") * 400_000), "a PNG of more than 5000 chunks"),
        (png_with(png_chunk(b"IDAT", b"") * 400_000), "a PNG of more than 50000 chunks"),
        (png_with(_PROFILE * 2000), "more than 4 colour profiles"),
        (gif_with(b"\x21\xfe\x04text\0" * 100_000), "a GIF of more than 5000 blocks"),
        (gif_with(b"\x21\xfe" + b"\x01x" * 100_000 + b"\0"), "a GIF of more than 5000 blocks"),
        (gif_with(bytes(1_000_000)), "a GIF of more than 5000 blocks"),
    ],
)
def test_pictures_of_countless_parts_are_refused_at_once(content: bytes, words: str) -> None:
    start = time.process_time()
    with pytest.raises(InputError, match=words):
        read_picture(content)
    assert time.process_time() - start < 0.5


def test_pictures_of_many_parts_are_read() -> None:
    many = png_chunk(b"tEXt", b"k\0v") * 300 + png_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(3000)))
    assert read_picture(png_with(many)).getpixel((0, 0)) == (200, 10, 10, 255)
    assert read_picture(gif_with(b"\x21\xfe\x04text\0" * 300)).size == (8, 8)
    frames = [Image.new("P", (8, 8), value % 200) for value in range(3000)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert read_picture(file.getvalue()).size == (8, 8)


def test_one_pixel_is_a_picture() -> None:
    assert read_picture(encoded(Image.new("RGB", (1, 1), RED))).size == (1, 1)


def test_too_wide_is_refused_with_its_size(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.new("1", (30000, 4)).save(path)
    with pytest.raises(InputError) as error:
        read_picture(path)
    assert "wide.png" in sentence(error)
    assert "30000 x 4" in sentence(error)
    assert str(MAX_SIDE) in sentence(error)


@pytest.mark.parametrize(("width", "height"), [(6000, 6000), (11000, 11000), (60000, 60000), (2**30, 2**30)])
def test_a_bomb_is_refused_by_its_header(width: int, height: int) -> None:
    data = png_header(width, height) + png_chunk(b"IDAT", zlib.compress(b"\0" * 100)) + png_chunk(b"IEND", b"")
    with pytest.raises(InputError) as error:
        read_picture(data, name="bomb.png")
    assert "bomb.png" in sentence(error)
    assert "16 megapixels" in sentence(error)


def test_a_text_chunk_bomb_is_refused() -> None:
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 80_000_000, 1))
    with pytest.raises(InputError) as error:
        read_picture(png_header(4, 4) + text + png_chunk(b"IEND", b""), name="text.png")
    assert "text.png" in sentence(error)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_truncated_file_is_refused(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    path = tmp_path / f"cut.{kind.lower()}"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError) as error:
        read_picture(path)
    assert path.name in sentence(error)


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "empty (0 bytes)"), (b"hello, world", "12 bytes"), (b"\x89PNG\r\n\x1a\n", "8 bytes")]
)
def test_not_an_image_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "note.png"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_picture(path)
    assert "note.png" in sentence(error)
    assert words in sentence(error)


@pytest.mark.parametrize("kind", ["PPM", "EPS", "TGA", "ICO"])
def test_other_formats_are_refused(kind: str) -> None:
    with pytest.raises(InputError, match="not a PNG, JPEG or WebP"):
        read_picture(encoded(Image.new("RGB", (4, 4)), kind))


def test_missing_file_folder_and_odd_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^gone\.png does not exist\.$"):
        read_picture(tmp_path / "gone.png")
    with pytest.raises(InputError, match="is not a file"):
        read_picture(tmp_path)
    for odd in ("nul\0byte.png", "two\nlines.png", "x" * 5000):
        with pytest.raises(InputError) as error:
            read_picture(str(tmp_path / odd))
        sentence(error)


def test_arrays_of_all_kinds() -> None:
    assert pixel(read_picture(np.full((2, 3, 3), 0.5, dtype=np.float32))) == (128, 128, 128, 255)
    assert pixel(read_picture(np.full((2, 3), 65535, dtype=np.uint16))) == (255, 255, 255, 255)
    assert pixel(read_picture(np.ones((2, 3), dtype=bool))) == (255, 255, 255, 255)
    assert pixel(read_picture(np.full((2, 3, 4), 7, dtype=np.uint8))) == (7, 7, 7, 7)
    assert read_picture(np.zeros((2, 3, 1), dtype=np.uint8)).size == (3, 2)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 4, 3), dtype=np.uint8),
        np.zeros((3, 4, 4, 4), dtype=np.uint8),
        np.zeros((3, 8, 8), dtype=np.uint8),
        np.full((4, 4), 2.0),
        np.full((4, 4), np.nan),
        np.zeros((4, 4), dtype=np.int64),
        np.zeros((2, 40000), dtype=np.uint8),
    ],
)
def test_bad_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(InputError) as error:
        read_picture(array)
    sentence(error)


@settings(max_examples=120, deadline=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "MPO", "WEBP", "AVIF", "TIFF", "BMP", "GIF"]),
    at=st.floats(0, 1),
    flip=st.integers(1, 255),
    cut=st.floats(0.1, 1),
)
def test_damaged_bytes_open_or_are_refused(kind: str, at: float, flip: int, cut: float) -> None:
    gradient = np.arange(32 * 32 * 3, dtype=np.uint32).reshape(32, 32, 3).astype(np.uint8)
    data = bytearray(encoded(Image.fromarray(gradient), kind))
    data[min(len(data) - 1, int(at * len(data)))] ^= flip
    try:
        picture = read_picture(bytes(data[: int(cut * len(data))]))
    except InputError as error:
        outcome = str(error)
    else:
        outcome = f"{picture.mode}."
    assert outcome.endswith(".")
    assert "\n" not in outcome
