"""Photos in, tensors out: any size, mode, orientation and format Pillow reads, through one preprocessing.

Decode, turn upright by EXIF, bring to 8-bit RGB (more bits scaled by the range in use, transparency laid on white),
resize the shorter side and crop as the network's publisher does, convert to sRGB, scale to 0..1, normalise.
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
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError
from torch import Tensor

from attention.data.colour_profile import in_srgb, kept_profile
from attention.data.file_kinds import ADVICE, HEAD_BYTES, HEIC, UNKNOWN, article, file_kind
from attention.data.metadata import jpeg_with_filler, png_is_cut, turn_upright, without_metadata
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
from attention.errors import AttentionError, BadImage, TooLarge
from attention.spec import Filter, Preprocess

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

PREVIEW_TAG = 254
"""NewSubfileType of TIFF: its lowest bit says that this is a small copy of another image in the file."""

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
        for bare in without_metadata(data):
            try:
                return _read(bare, max_pixels, used)
            except Exception:  # the first sentence is the one about the file as it came
                continue
        raise _refusal(data, max_pixels, error) from None


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB from any mode: more bits scaled to 8, palettes resolved, transparency laid on white."""
    used = deep_range(image)
    return _eight_bits(image) if used is None else deep_to_rgb(image, used)


def _eight_bits(image: Image.Image) -> Image.Image:
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


FILTERS = {name: Image.Resampling[name.upper()] for name in get_args(Filter)}

MOST_RESIZED_PIXELS = 4_000_000
"""A photo that has more after it was resized is resized under its crop only: exact to a grey level."""


def preprocess(image: Image.Image, how: Preprocess) -> Tensor:
    """A network's input (3, size, size) in float32 from an upright RGB photo."""
    return normalise(torch.from_numpy(np.array(in_srgb(resized(image, how)))).permute(2, 0, 1), how)


def resized(image: Image.Image, how: Preprocess) -> Image.Image:
    """The part of an upright RGB photo that a network sees, (size, size) pixels."""
    width, height = _resized_size(image.width, image.height, how)
    left, top = (_offset(side, how) for side in (width, height))
    if how.mode == "center" and (how.rounding == "nearest" or width * height > MOST_RESIZED_PIXELS):
        scale_x, scale_y = image.width / width, image.height / height
        box = (left * scale_x, top * scale_y, (left + how.size) * scale_x, (top + how.size) * scale_y)
        return image.resize((how.size, how.size), FILTERS[how.filter], box=box)
    whole = image if image.size == (width, height) else image.resize((width, height), FILTERS[how.filter])
    if min(width, height) >= how.size:
        return whole.crop((left, top, left + how.size, top + how.size))
    mean = tuple(round(255 * value) for value in how.mean)
    filled = Image.new("RGB", (how.size, how.size), mean)
    filled.paste(whole, (-left, -top))
    filled.info = whole.info
    return filled


def crop(photo_width: int, photo_height: int, how: Preprocess) -> tuple[float, float, float, float]:
    """The part of a photo that becomes the input: left, top, right, bottom as shares of its width and height.

    Below 0 and above 1 is what is filled.
    """
    width, height = _resized_size(photo_width, photo_height, how)
    left, top = (_offset(side, how) for side in (width, height))
    return left / width, top / height, (left + how.size) / width, (top + how.size) / height


def _resized_size(width: int, height: int, how: Preprocess) -> tuple[int, int]:
    """Width and height of the whole photo after it was resized, pixels."""
    if how.mode == "squash":
        return how.resize, how.resize
    if how.mode == "border":
        ratio = max(width, height) / how.resize
        return max(round(width / ratio), 1), max(round(height / ratio), 1)
    shorter = min(width, height)
    if how.rounding == "torchvision":
        longer = max(int(how.resize * max(width, height) / shorter), how.size)
        short = max(how.resize, how.size)
        return (short, longer) if width <= height else (longer, short)
    scale = how.resize / shorter
    return max(round(width * scale), how.size), max(round(height * scale), how.size)


def _offset(side: int, how: Preprocess) -> int:
    """Where the crop begins on a side of the resized photo; below 0 where the photo is smaller."""
    if side < how.size:
        return -((how.size - side) // 2)
    return (side - how.size) // 2 if how.rounding == "nearest" else round((side - how.size) / 2)


def png(pixels: NDArray[np.uint8]) -> str:
    """Grey (H, W) or colour (H, W, 3) pixels as a PNG in base64."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def normalise(pixels: Tensor, how: Preprocess) -> Tensor:
    """uint8 pixels (..., 3, H, W) to what the network sees, float32."""
    return normaliser(how, pixels.device)(pixels)


def normaliser(how: Preprocess, device: torch.device | str) -> Callable[[Tensor], Tensor]:
    """Make `normalise` for many batches: mean and spread are brought to the device once."""
    mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (how.mean, how.std))

    def normalised(pixels: Tensor) -> Tensor:
        """Scale and shift in place of a copy in memory order, thrice as fast as out of order."""
        return pixels.contiguous().to(torch.float32, copy=True).div_(255).sub_(mean).div_(std)

    return normalised


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
            "This TIFF is damaged, or it stores its pixels in a way that is not read, such as floats of 64 bits. Save "
            "it with 8, 16 or 32 bits a channel."
        )
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return TooLarge(f"The image unpacks to far more pixels than the {max_pixels:,} that are taken.")
    reason = str(error).rstrip(".")[:200] or type(error).__name__  # a dozen decoders say it in as many ways
    return BadImage(f"The image is damaged or cut short ({reason}). Save it again and send the whole file.")


def _read(data: bytes, max_pixels: int, used: PixelRange | None) -> Photo:
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
    _check_whole(image, data)
    turn = turn_upright(image)
    if twin is not None and _dark(image):
        joined, used = joined_bytes_to_rgb(image, _reopened(data, twin), used)
        rgb = _eight_bits(joined)
    elif (own := deep_range(image)) is not None:
        used = used or own
        rgb = deep_to_rgb(image, used)
    else:
        rgb, used = _eight_bits(image), None
    rgb = rgb if turn is None else rgb.transpose(turn)
    rgb.info.clear()
    rgb.info.update(kept_profile(profile, mode))
    notes = [used.sentence] if used is not None else []
    if mode == "CMYK" and profile:
        notes.append("Its CMYK colour profile is not applied.")
    return Photo(rgb, name, used, tuple(notes))


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


def _check_whole(image: Image.Image, data: bytes) -> None:
    """Raise for pixels that a decoder made up, since the file ends early but says that it is whole.

    Raises:
        BadImage: it was cut short.
    """
    corner = (image.width - 1, image.height - 1)
    if image.format == "PNG":
        last_row = image.crop((0, image.height - 1, image.width, image.height))
        cut = not any(last_row.tobytes()) and not image.info.get("interlace") and png_is_cut(data)
    else:
        suspicious = image.format == "JPEG" and image.getpixel(corner) in (MID_GREY, (MID_GREY,) * 3)
        cut = suspicious and _filler_shows(image, data)
    if cut:
        raise BadImage(
            "The image is damaged or cut short (its lower part is missing). Save it again and send the whole file."
        )


def _filler_shows(image: Image.Image, data: bytes) -> bool:
    again = Image.open(io.BytesIO(jpeg_with_filler(data)), formats=FORMATS)
    again.load()
    return again.tobytes() != image.tobytes()
