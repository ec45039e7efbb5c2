"""More than eight bits: a picture is as bright as the same picture in eight, whatever the file stores it in."""

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from attention.data.images import decode, read_photo
from attention.data.pixel_range import PixelRange, range_in_use
from attention.errors import BadImage
from tests.mutations import png_chunk, saved

Values = NDArray[np.generic]


def levels() -> NDArray[np.float64]:
    """A ramp with black and white in it, 0..1."""
    y, x = np.mgrid[:90, :120]
    ramp = 0.2 + 0.6 * x / 119
    ramp[:20], ramp[70:, :60] = 0, 1
    return np.asarray(ramp + 0 * y)


def spoilt(values: Values, number: float) -> Values:
    changed = values.copy()
    changed[11, 7] = number
    return changed


DEEP: dict[str, tuple[Callable[[NDArray[np.float64]], Values], str]] = {
    "9 bits in 16": (lambda x: (x * 511).round().astype(np.uint16), "PNG"),
    "12 bits in 16": (lambda x: (x * 4095).round().astype(np.uint16), "TIFF"),
    "14 bits in 16, big-endian": (lambda x: (x * 16383).round().astype(">u2"), "TIFF"),
    "16 bits": (lambda x: (x * 65535).round().astype(np.uint16), "PNG"),
    "12 bits and a hot pixel": (lambda x: spoilt((x * 4095).round().astype(np.uint16), 65535), "PNG"),
    "signed 16 bits from below zero": (lambda x: (x * 65535 - 32768).round().astype(np.int16), "TIFF"),
    "signed 16 bits": (lambda x: (x * 32767).round().astype(np.int16), "TIFF"),
    "32 bits": (lambda x: (x * 2**31 * 0.999).round().astype(np.int32), "TIFF"),
    "10 bits in 32": (lambda x: (x * 1023).round().astype(np.int32), "TIFF"),
    "floats of 0..1": (lambda x: x.astype(np.float32), "TIFF"),
    "floats of 0..255": (lambda x: (x * 255).astype(np.float32), "TIFF"),
    "floats of -1..1": (lambda x: (2 * x - 1).astype(np.float32), "TIFF"),
    "floats and a hot pixel": (lambda x: spoilt(x.astype(np.float32), 3e5), "TIFF"),
    "floats and one that is no number": (lambda x: spoilt(x.astype(np.float32), float("nan")), "TIFF"),
    "floats and infinity": (lambda x: spoilt(x.astype(np.float32), float("inf")), "TIFF"),
}


@pytest.mark.parametrize("name", DEEP)
def test_grey_levels_are_those_of_the_picture_in_eight_bits(name: str) -> None:
    change, form = DEEP[name]
    found = np.asarray(decode(saved(Image.fromarray(change(levels())), form)))[..., 0].astype(float)
    wanted = (levels() * 255).round()
    assert abs(found.mean() - wanted.mean()) < 0.02 * wanted.mean()
    assert np.mean(np.abs(found - wanted) > 3) < 0.001


def colour_png(values: NDArray[np.uint16]) -> bytes:
    """A PNG of 16 bits a channel, which Pillow does not write."""
    height, width, channels = values.shape
    head = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    body = png_chunk(b"IHDR", head) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("top", [1023, 4095, 65535])
@pytest.mark.parametrize("channels", [3, 4])
def test_colour_of_sixteen_bits_is_scaled_by_the_bits_in_use(top: int, channels: int) -> None:
    shades = np.stack([levels(), levels()[::-1], 0.5 * levels(), np.ones_like(levels())][:channels], -1)
    values = (shades * top).round().astype(np.uint16)
    if channels == 4:
        values[..., 3] = 65535
    found = np.asarray(decode(colour_png(values))).astype(int)
    assert np.abs(found - (shades[..., :3] * 255).round()).max() <= 1


def test_unsigned_numbers_above_two_billion_are_bright() -> None:
    data = bytearray(saved(Image.fromarray(np.full((8, 8), -2, np.int32)), "TIFF"))
    at = data.index(struct.pack("<HHI", 339, 3, 1))
    data[at + 8 : at + 10] = struct.pack("<H", 1)  # SampleFormat: whole numbers without a sign
    assert np.asarray(decode(bytes(data))).min() == 255


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_an_image_of_which_no_pixel_is_a_number_is_refused(number: float) -> None:
    with pytest.raises(BadImage, match="No pixel of the image is a finite number"):
        decode(saved(Image.fromarray(np.full((8, 8), number, np.float32)), "TIFF"))


def test_the_range_is_said_in_words() -> None:
    photo = read_photo(saved(Image.fromarray((levels() * 4000).astype(np.uint16)), "PNG"))
    assert photo.notes == ("16-bit, 12 used: levels 0 to 4,095 became 0 to 255.",)
    assert read_photo(saved(Image.fromarray((levels() * 255).astype(np.uint8)), "PNG")).notes == ()


def test_one_range_for_two_images_keeps_which_is_brighter() -> None:
    ranges = [PixelRange(0, 1023, "16-bit"), PixelRange(0, 4095, "16-bit")]
    dim = saved(Image.fromarray((levels() * 1000).astype(np.uint16)), "PNG")
    assert np.asarray(decode(dim, used=ranges[0] | ranges[1])).max() == round(1000 / 4095 * 255)


def test_the_range_does_not_depend_on_how_rows_are_cut_into_strips() -> None:
    values = np.random.default_rng(3).normal(100, 30, 400_000)
    values[:3] = 1e9
    whole, parts = (range_in_use(iter(np.array_split(values, count)), len(values), "float") for count in (1, 17))
    assert whole == parts and whole.high < 300
