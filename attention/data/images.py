"""Photos from bytes: any size, mode, orientation and format that Pillow reads becomes upright 8-bit RGB.

More bits are scaled by the range in use, transparency is laid on white; a file that was cut short is refused.
"""

import base64
import io
import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from attention.data.file_kinds import ADVICE, HEAD_BYTES, HEIC, UNKNOWN, article, file_kind
from attention.data.metadata import jpeg_with_filler, png_is_cut, without_metadata
from attention.data.pixel_range import (
    BITS,
    OUTLIER_SHARE,
    UNSIGNED,
    PixelRange,
    by_strips,
    deep_range,
    deep_to_rgb,
    joined_bytes_to_rgb,
)
from attention.data.preprocessing import kept_profile
from attention.errors import AttentionError, BadImage, TooLarge

# What Pillow finds strange about the tags of a damaged file is not for anybody's log, and Python remembers each text.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # MAX_PIXELS is less

MAX_PIXELS = 50_000_000
Image.init()
if find_spec("pillow_heif"):
    import_module("pillow_heif").register_heif_opener()
FORMATS = tuple(
    name
    for name in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "TGA", "HEIF")
    if name in Image.OPEN
)
"""What is decoded, as far as this Pillow can. Formats that run code or read other files (EPS, WMF, ...) are left out on
purpose."""

DEEP_MODES = ("I", "F")
"""How Pillow's names of grey pixels of more than eight bits begin."""

PREVIEW_TAG = 254
"""NewSubfileType of TIFF: its lowest bit says that this is a small copy of another image in the file."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what turns the pixels upright (EXIF 2.32, tag 0x0112)."""

START_OF_JPEG, END_OF_JPEG = b"\xff\xd8", b"\xff\xd9"
MID_GREY = 128
"""What libjpeg fills pixels with that it never got."""


@dataclass(frozen=True)
class ImageFacts:
    """What a file turned out to be; width and height are upright, ``notes`` say what was done to its pixels."""

    format: str
    width: int
    height: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Photo:
    """A decoded photo: upright and in 8-bit RGB, its file's format, and the range it was scaled by if it was deeper."""

    image: Image.Image
    format: str
    used: PixelRange | None = None
    notes: tuple[str, ...] = ()


def inspect(data: bytes, max_pixels: int = MAX_PIXELS) -> ImageFacts:
    """Decode a whole file to be sure of it.

    Raises:
        BadImage: not an image of a known format, or damaged.
        TooLarge: more pixels than ``max_pixels``.
    """
    photo = read_photo(data, max_pixels)
    return ImageFacts(photo.format, photo.image.width, photo.image.height, photo.notes)


def decode(data: bytes, max_pixels: int = MAX_PIXELS, used: PixelRange | None = None) -> Image.Image:
    """The photo upright, in 8-bit RGB.

    Args:
        used: the range that pixels of more than eight bits are scaled by; that of the photo itself if None.

    Raises:
        BadImage, TooLarge: as `inspect`.
    """
    return read_photo(data, max_pixels, used).image


def read_photo(data: bytes, max_pixels: int = MAX_PIXELS, used: PixelRange | None = None) -> Photo:
    """The photo upright, in 8-bit RGB, with what was found on the way.

    Trouble in metadata is no trouble: pixels are read without it.

    Raises:
        BadImage, TooLarge: as `inspect`.
    """
    _check_kind(data)
    try:
        return _read(data, max_pixels, used)
    except TooLarge:
        raise
    except Exception as error:
        if "truncated" in str(error) and data.startswith(START_OF_JPEG) and not data.endswith(END_OF_JPEG):
            changes, ended = iter((data.rstrip(b"\xff") + END_OF_JPEG,)), True  # some cameras leave the end marker out
        else:
            changes, ended = without_metadata(data), False
        for changed in changes:
            try:
                return _read(changed, max_pixels, used, ended)
            except Exception:  # the first sentence is the one about the file as it came
                continue
        raise _refusal(data, max_pixels, error) from None


def eight_bits(image: Image.Image) -> Image.Image:
    """8-bit RGB from any mode of eight bits: palettes resolved, transparency laid on white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        return by_strips(image, _on_white)
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """Transparency laid on white."""
    over = image.convert("RGBA")
    white = Image.new("RGBA", over.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, over)


def png(pixels: NDArray[np.uint8]) -> str:
    """Grey (H, W) or colour (H, W, 3) pixels as a PNG in base64."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def thumbnail(image: Image.Image, side: int) -> str | None:
    """Shrink a picture until its longest side has at most ``side`` pixels: JPEG in base64; None if ``side`` is 0."""
    if side == 0:
        return None
    small, out = image.copy(), io.BytesIO()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    small.save(out, "JPEG", quality=85)
    return base64.b64encode(out.getvalue()).decode()


def _check_kind(data: bytes) -> None:
    kind = file_kind(data[:HEAD_BYTES])
    if not data:
        raise BadImage("The file is empty. Send the bytes of a photo.")
    readable = kind.photo or kind == UNKNOWN or (kind == HEIC and "HEIF" in FORMATS)
    if not readable:
        raise BadImage(f"The file is {article(kind.name)} {kind.name}, not an image of a known format. {kind.advice}")


def _refusal(data: bytes, max_pixels: int, error: Exception) -> AttentionError:
    """The sentence about a file that cannot be decoded."""
    if isinstance(error, AttentionError):
        return error
    kind = file_kind(data[:HEAD_BYTES])
    if isinstance(error, UnidentifiedImageError) and kind == HEIC:
        return BadImage(f"The HEIC photo is damaged or cut short. {HEIC.advice}")
    if isinstance(error, UnidentifiedImageError) and not kind.photo:
        return BadImage(f"These bytes are not an image of a known format. {ADVICE}")
    if isinstance(error, UnidentifiedImageError) and kind.name == "TIFF":
        return BadImage(
            "This TIFF is damaged, or it stores its pixels in a way that is not read, such as floats of 64 bits or "
            "colours as floats. Save it with 8 or 16 bits a channel."
        )
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return TooLarge(f"The image unpacks to far more pixels than the {max_pixels:,} that are taken.")
    reason = "" if isinstance(error, UnidentifiedImageError) else str(error).rstrip(".")[:200]  # it tells an address
    reason = reason or type(error).__name__  # a dozen decoders say it in as many ways
    return BadImage(f"The image is damaged or cut short ({reason}). Save it again and send the whole file.")


def _read(data: bytes, max_pixels: int, used: PixelRange | None, ended: bool = False) -> Photo:
    """Decode an image file into an upright RGB photo.

    Args:
        ended: whether the file's end was added to it, so that it must be shown that no pixel is missing.
    """
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.width * image.height > max_pixels:
        raise TooLarge(
            f"The image is {image.width} x {image.height} pixels; at most {max_pixels:,} pixels are taken. "
            "Send a smaller copy."
        )
    name, mode, profile = str(image.format), image.mode, image.info.get("icc_profile")
    _look_at_tags(image)
    twin = _other_bytes(image)
    image.load()
    _check_whole(image, data, ended)
    turn = _turn_upright(image)
    if twin is not None and _dark(image):
        joined, used = joined_bytes_to_rgb(image, _reopened(data, twin), used)
        rgb = eight_bits(joined)
    elif image.mode.startswith(DEEP_MODES):
        used = used or deep_range(image)
        rgb = deep_to_rgb(image, used)
    else:
        rgb, used = eight_bits(image), None
    rgb = rgb if turn is None else rgb.transpose(turn)
    rgb.info.clear()
    kept, notes = kept_profile(profile, mode)
    rgb.info.update(kept)
    return Photo(rgb, name, used, (used.sentence, *notes) if used is not None else notes)


def _turn_upright(image: Image.Image) -> Image.Transpose | None:
    """What turns an image's pixels as the photo was held; None if nothing, or if its metadata cannot be read."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        return TURNS.get(int(orientation[0] if isinstance(orientation, tuple) else orientation))
    except Exception:  # Pillow reads whatever stands there, and each wrong value fails in its own way
        return None


def _look_at_tags(image: Image.Image) -> None:
    """Note how a TIFF stores its numbers, before its tags are gone."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    tags = image.tag_v2
    if tags.get(PREVIEW_TAG, 0) == 1:
        raise BadImage(
            "The file is a camera raw file or a pyramid, of which only a preview can be read. Save it as JPEG or PNG."
        )
    if image.mode == "I":
        image.info[BITS] = next(iter(tags.get(258, (32,))))
        image.info[UNSIGNED] = next(iter(tags.get(339, (1,)))) == 1 and image.info[BITS] == 32


SIXTEEN_BITS = re.compile("(RGBA?);16([BLN])")
"""How Pillow calls three or four channels of 16 bits that it reads the high bytes of."""


def _other_bytes(image: Image.Image) -> Callable[[Any], None] | None:
    """What makes a freshly opened image read its low bytes; None if it has no more than eight bits a channel."""
    raw = next((_raw_mode(tile) for tile in getattr(image, "tile", ())), "")
    deep = SIXTEEN_BITS.fullmatch(raw)
    if deep is None:
        return None
    order = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}[deep[2]]
    other = f"{deep[1]};16{order}"

    def swap(fresh: Any) -> None:
        fresh.tile = [
            tile._replace(args=other if isinstance(tile.args, str) else (other, *tile.args[1:])) for tile in fresh.tile
        ]

    return swap


def _raw_mode(tile: Any) -> str:
    """How the pixels of a part of a file are stored, in Pillow's words; empty if they are stored in another way."""
    raw = tile.args[0] if isinstance(tile.args, tuple) and tile.args else tile.args
    return raw if isinstance(raw, str) else ""


def _reopened(data: bytes, change: Callable[[Any], None]) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    change(image)
    image.load()
    return image


def _dark(image: Image.Image) -> bool:
    """Whether the highest bit of 16 is used by no more than a few pixels: then fewer bits are in use."""
    counts = image.histogram()
    high = [counts[256 * channel + 128 : 256 * (channel + 1)] for channel in range(3)]
    return sum(map(sum, high)) <= max(3 * image.width * image.height // OUTLIER_SHARE, 1)


def _check_whole(image: Image.Image, data: bytes, ended: bool) -> None:
    """Raise for pixels that a decoder made up, since the file ends early but says that it is whole.

    Raises:
        BadImage: it was cut short.
    """
    corner = (image.width - 1, image.height - 1)
    if image.format == "PNG":
        last_row = image.crop((0, image.height - 1, image.width, image.height))
        cut = not any(last_row.tobytes()) and not image.info.get("interlace") and png_is_cut(data)
    else:
        suspicious = image.format == "JPEG" and (ended or image.getpixel(corner) in (MID_GREY, (MID_GREY,) * 3))
        cut = suspicious and _filler_shows(image, data)
    if cut:
        raise BadImage(
            "The image is damaged or cut short (its lower part is missing). Save it again and send the whole file."
        )


def _filler_shows(image: Image.Image, data: bytes) -> bool:
    again = Image.open(io.BytesIO(jpeg_with_filler(data)), formats=FORMATS)
    again.load()
    return again.tobytes() != image.tobytes()
