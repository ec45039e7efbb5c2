"""Photos in, tensors out: any size, mode, orientation and format Pillow reads, through one preprocessing.

Decode, turn upright by EXIF, bring to 8-bit RGB (16-bit scaled by its full range, transparency laid on white),
resize the shorter side, crop the centre, as the network's publisher does, scale to 0..1, normalise.
"""

import base64
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from attention.errors import AttentionError, BadImage, TooLarge
from attention.spec import Filter, Preprocess

# What Pillow finds strange about the tags of a damaged file is not for anybody's log, and Python remembers each text.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # MAX_PIXELS is less

MAX_PIXELS = 50_000_000
STRIP_PIXELS = 1_000_000
Image.init()
FORMATS = tuple(
    name
    for name in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "TGA")
    if name in Image.OPEN
)
"""What is decoded, as far as this Pillow can. Formats that run code or read other files (EPS, WMF, ...) are left out on
purpose."""


@dataclass(frozen=True)
class ImageFacts:
    """What a file turned out to be; width and height are upright."""

    format: str
    width: int
    height: int


def inspect(data: bytes, max_pixels: int = MAX_PIXELS) -> ImageFacts:
    """Decode a whole file to be sure of it.

    Raises:
        BadImage: not an image of a known format, or damaged.
        TooLarge: more pixels than ``max_pixels``.
    """
    image, name = _read(data, max_pixels)
    return ImageFacts(name, image.width, image.height)


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The photo upright, in 8-bit RGB.

    Raises:
        BadImage, TooLarge: as `inspect`.
    """
    return _read(data, max_pixels)[0]


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB from any mode: 16-bit and float grey scaled to 8, palettes resolved, transparency laid on white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return _by_strips(image, partial(_scaled, top=65535.0))
    if image.mode == "F":
        top = max((float(np.nanmax(np.asarray(strip), initial=0.0)) for _, strip in _strips(image)), default=0.0)
        return _by_strips(image, partial(_scaled, top=max(top, 1e-12)))
    if image.has_transparency_data:
        return _by_strips(image, _on_white)
    return image.convert("RGB")


def _scaled(image: Image.Image, top: float) -> Image.Image:
    """Grey numbers of 0..top as 8 bits."""
    with np.errstate(invalid="ignore"):  # a damaged file may hold any bits, and some of them are no number
        grey = np.asarray(image, dtype=np.float64)
        scaled = np.nan_to_num(np.clip(grey / top, 0.0, 1.0)) * 255
    return Image.fromarray(scaled.round().astype(np.uint8), "L")


def _on_white(image: Image.Image) -> Image.Image:
    """Transparency laid on white."""
    over = image.convert("RGBA")
    white = Image.new("RGBA", over.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, over)


def _by_strips(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """An image in RGB, changed a few rows at a time: of a large one, the steps between are larger than itself."""
    made = Image.new("RGB", image.size)
    for top, strip in _strips(image):
        made.paste(change(strip).convert("RGB"), (0, top))
    return made


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """An image's rows, some at a time, and where each strip begins."""
    rows = max(STRIP_PIXELS // max(image.width, 1), 1)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


FILTERS = {name: Image.Resampling[name.upper()] for name in get_args(Filter)}

MOST_RESIZED_PIXELS = 4_000_000
"""A photo that has more after it was resized is resized under its crop only: exact to a grey level."""


def preprocess(image: Image.Image, how: Preprocess) -> Tensor:
    """A network's input (3, size, size) in float32 from an upright RGB photo."""
    return normalise(torch.from_numpy(np.array(resized(image, how))).permute(2, 0, 1), how)


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
    mean, std = (torch.tensor(values, device=pixels.device).view(3, 1, 1) for values in (how.mean, how.std))
    return (
        pixels.contiguous().to(torch.float32, copy=True).div_(255).sub_(mean).div_(std)
    )  # thrice as fast as out of order


def _read(data: bytes, max_pixels: int) -> tuple[Image.Image, str]:
    """The photo upright, in 8-bit RGB, and the format of its file."""
    if not data:
        raise BadImage("The file is empty. Send the bytes of a photo.")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > max_pixels:
            raise TooLarge(
                f"The image is {image.width} x {image.height} pixels; at most {max_pixels:,} pixels are taken. "
                "Send a smaller copy."
            )
        name = str(image.format)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return to_rgb(image), name
    except AttentionError:
        raise
    except UnidentifiedImageError:
        raise BadImage(
            "These bytes are not an image of a known format. Send a JPEG, PNG, WebP, GIF, BMP or TIFF."
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooLarge(f"The image unpacks to far more pixels than the {max_pixels:,} that are taken.") from None
    except Exception as error:  # decoders of a dozen formats say what is wrong with the bytes in as many ways
        told = str(error).rstrip(".")[:200] or type(error).__name__
        raise BadImage(f"The image is damaged or cut short ({told}). Save it again and send the whole file.") from None
