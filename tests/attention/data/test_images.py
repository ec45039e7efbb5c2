"""Photos of any size, mode, orientation and format give one input; what is not a photo gives a sentence."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from attention.data.images import decode, inspect
from attention.data.preprocessing import preprocess
from attention.errors import BadImage, TooLarge
from attention.spec import Preprocess

HOW = Preprocess(size=8, resize=8, mean=(0, 0, 0), std=(1, 1, 1))


def ramp(width: int = 40, height: int = 30) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 5, y * 7, x + y], -1).astype(np.uint8))


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP", "PPM", "TGA"])
def test_lossless_formats_decode_to_the_same_pixels(form: str) -> None:
    data = saved(ramp(), form, **({"lossless": True} if form == "WEBP" else {}))
    assert np.array_equal(np.asarray(decode(data)), np.asarray(ramp()))
    assert (inspect(data).format, inspect(data).width, inspect(data).height) == (form, 40, 30)


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [(1, None), (2, 0), (3, 3), (4, 1), (5, 5), (6, 4), (7, 6), (8, 2)],
)
def test_exif_orientation_is_undone(orientation: int, turn: int | None) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = ramp() if turn is None else ramp().transpose(Image.Transpose(turn))
    found = decode(saved(ramp(), "PNG", exif=exif.tobytes()))
    assert np.array_equal(np.asarray(found), np.asarray(upright))
    facts = inspect(saved(ramp(), "PNG", exif=exif.tobytes()))
    assert (facts.width, facts.height) == upright.size


def test_transparency_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    assert np.asarray(decode(saved(clear, "PNG"))).tolist() == np.full((4, 4, 3), 255).tolist()
    half = Image.new("LA", (4, 4), (0, 128))
    assert abs(int(np.asarray(decode(saved(half, "PNG")))[0, 0, 0]) - 127) <= 1


def test_a_palette_with_a_transparent_entry_is_resolved() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    assert np.asarray(decode(saved(image, "PNG")))[0, 0].tolist() == [10, 200, 30]
    assert np.asarray(decode(saved(image, "PNG", transparency=1)))[0, 0].tolist() == [255, 255, 255]


def test_sixteen_bits_are_scaled_to_eight_not_cut() -> None:
    deep = Image.fromarray(np.full((4, 4), 32768, np.uint16))
    assert np.asarray(decode(saved(deep, "PNG")))[0, 0].tolist() == [128, 128, 128]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK", "YCbCr", "LAB", "F", "I"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    if mode in ("I;16", "I"):
        source = Image.fromarray(np.asarray(ramp().convert("L")).astype(np.uint16) * 257).convert(mode)
    else:
        source = ramp().convert("L").convert("F") if mode == "F" else ramp().convert(mode)
    found = decode(saved(source, "TIFF"))
    assert found.mode == "RGB" and np.asarray(found).std() > 10


def test_preprocess_keeps_the_centre_of_wide_and_tall_photos() -> None:
    wide = Image.new("RGB", (300, 100), (255, 0, 0))
    wide.paste((0, 0, 255), (100, 0, 200, 100))
    for photo in (wide, wide.transpose(Image.Transpose.ROTATE_90)):
        centre = preprocess(photo, HOW)[:, 2:6, 2:6]
        assert centre[2].min() > 0.98 and centre[0].max() < 0.02


def test_preprocess_agrees_with_resizing_first_and_cropping_after() -> None:
    how = Preprocess(size=24, resize=32)
    photo = ramp(400, 300).resize((400, 300))
    small = photo.resize((round(400 * 32 / 300), 32), Image.Resampling.BICUBIC)
    left, top = (small.width - 24) // 2, (small.height - 24) // 2
    cropped = np.asarray(small.crop((left, top, left + 24, top + 24)), np.float32) / 255
    expected = (cropped - how.mean) / how.std
    difference = np.abs(preprocess(photo, how).permute(1, 2, 0).numpy() - expected)
    assert difference[1:-1, 1:-1].max() < 0.06  # rounding of a byte, and where the two grids round the width


def test_an_image_of_the_right_size_is_only_normalised() -> None:
    how = Preprocess(size=32, resize=32, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    photo = ramp(32, 32)
    expected = (np.asarray(photo) / 255 - how.mean) / how.std
    torch.testing.assert_close(
        preprocess(photo, how).permute(1, 2, 0).double(), torch.tensor(expected), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_tiny_and_thin_photos_work(size: tuple[int, int]) -> None:
    assert preprocess(Image.new("RGB", size, (9, 9, 9)), HOW).shape == (3, 8, 8)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "is empty"),
        (b"hello, I am a text file", "not an image of a known format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image of a known format"),
        (saved(ramp(400, 300), "JPEG")[:2000], "damaged or cut short"),
        (saved(ramp(400, 300), "PNG")[:900], "damaged or cut short"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(100), r"cut short \(UnidentifiedImageError\)\. Save"),
    ],
)
def test_what_is_not_a_photo_gets_a_sentence(data: bytes, part: str) -> None:
    for read in (inspect, decode):
        with pytest.raises(BadImage, match=part):
            read(data)


def bomb(side: int) -> bytes:
    """A valid small PNG that says it is ``side`` pixels wide and high."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8_000, 20_000, 60_000])
def test_a_decompression_bomb_is_refused_before_it_unpacks(side: int) -> None:
    with pytest.raises(TooLarge, match="pixels"):
        inspect(bomb(side))


@given(st.binary(max_size=400), st.integers(0, 1500), st.integers(0, 255))
def test_damaged_bytes_are_refused_or_read_and_never_a_crash(tail: bytes, at: int, byte: int) -> None:
    data = bytearray(saved(ramp(), "JPEG"))
    data[at % len(data)] = byte
    for damaged in (bytes(data), bytes(data[: at % len(data)]) + tail, tail):
        try:
            assert decode(damaged).mode == "RGB"
        except (BadImage, TooLarge) as error:
            assert str(error).endswith(".")


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_its_end_marker_alone_is_whole_and_one_that_lacks_more_is_not(progressive: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", progressive=progressive)
    data = file.getvalue()
    assert data.endswith(b"\xff\xd9")
    assert decode(data[:-2]).tobytes() == decode(data).tobytes()
    for cut in (40, len(data) // 10, len(data) // 2):  # a few bytes are a part of the last block of 8 x 8
        with pytest.raises(BadImage, match="cut short"):
            decode(data[:-cut])
