"""Pixels of more than eight bits: which range of numbers an image uses, and how that becomes 0..255.

A camera of 12 bits writes files of 16, a program writes floats of 0..1: by the whole range of the type such a picture
is black. So whole numbers are scaled by the bits in use, floats of 0..1 by 1, numbers below zero by least and greatest.
One pixel never decides: what lies far beyond all but a hundred-thousandth of the pixels is cut off.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attention.errors import BadImage

STRIP_PIXELS = 1_000_000
OUTLIER_SHARE = 100_000
"""One pixel of so many may lie beyond the range, and at least one of any image."""

OUTLIER_FACTOR = 4.0
"""How far beyond the others it must lie to be left out of the range."""


@dataclass(frozen=True)
class PixelRange:
    """The numbers that become 0 and 255, of images stored as ``stored``: ``16-bit`` or ``float``."""

    low: float
    high: float
    stored: str

    def __or__(self, other: "PixelRange") -> "PixelRange":
        """The range of two images together, so that a grey level means the same in both."""
        stored = self.stored if self.stored == other.stored else "mixed"
        return PixelRange(min(self.low, other.low), max(self.high, other.high), stored)

    @property
    def sentence(self) -> str:
        """What was done, in words: ``16-bit, 12 used: levels 0 to 4,095 became 0 to 255.``"""
        used = f", {int(self.high).bit_length()} used" if self.stored.endswith("bit") and self.low >= 0 else ""
        return f"{self.stored}{used}: levels {self.low:,.6g} to {self.high:,.6g} became 0 to 255."

    def scale(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Numbers as 0..255; what is no number becomes 0."""
        with np.errstate(invalid="ignore", over="ignore"):  # a damaged file may hold any bits
            shares = (values.astype(np.float64) - self.low) / max(self.high - self.low, 1e-300)
            return np.nan_to_num(np.clip(shares, 0.0, 1.0) * 255).round().astype(np.uint8)


def range_in_use(strips: Iterator[NDArray[np.generic]], pixels: int, stored: str) -> PixelRange:
    """The range of an image by all its numbers, which come a strip at a time.

    Args:
        pixels: how many numbers come in all.
        stored: how they are stored, such as ``16-bit``; ``float`` for real numbers.

    Raises:
        BadImage: none of them is a finite number.
    """
    spare = max(pixels // OUTLIER_SHARE, 1)
    least = most = np.empty(0)
    for strip in strips:
        finite = strip[np.isfinite(strip)].astype(np.float64).ravel()
        least = _first(np.concatenate([least, finite]), spare + 1)
        most = -_first(np.concatenate([-most, -finite]), spare + 1)
    if not len(most):
        raise BadImage("No pixel of the image is a finite number: all are NaN or infinite, so it shows nothing.")
    high = _without_outliers(most[0], most[-1])
    low = -_without_outliers(-least[0], -least[-1]) if least[0] < 0 else 0.0
    if low < 0 and -low > 0.1 * high:
        return PixelRange(low, max(high, low + 1e-12), stored)
    return PixelRange(0.0, _float_top(high) if stored == "float" else _whole_top(high), stored)


def _first(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The ``count`` least values, in order."""
    if len(values) > count:
        values = np.partition(values, count - 1)[:count]
    return np.sort(values)


def _without_outliers(extreme: float, usual: float) -> float:
    """The extreme value, unless it lies far beyond what all but a few pixels have."""
    return usual if 0 < OUTLIER_FACTOR * usual < extreme else extreme


def _whole_top(high: float) -> float:
    """The largest number of the bits in use, eight of them at least."""
    return float(2 ** max(int(high).bit_length(), 8) - 1)


def _float_top(high: float) -> float:
    if 1 / 256 <= high <= 1:
        return 1.0
    return 255.0 if 128 <= high <= 255 else max(high, 1e-12)


# ---------------------------------------------------------------- Pillow's images

BITS, UNSIGNED = "attention_bits", "attention_unsigned"
"""What is kept in an image's ``info`` of how its file stores whole numbers."""


def deep_range(image: Image.Image) -> PixelRange:
    """The range that a grey image of more than eight bits uses."""
    arrays = (_numbers(image, strip) for _, strip in strips(image))
    return range_in_use(arrays, image.width * image.height, _stored(image))


def deep_to_rgb(image: Image.Image, used: PixelRange) -> Image.Image:
    """A grey image of more than eight bits in 8-bit RGB."""
    return by_strips(image, lambda strip: Image.fromarray(used.scale(_numbers(image, strip)), "L"))


def _numbers(image: Image.Image, strip: Image.Image) -> NDArray[np.generic]:
    """The numbers of a strip; Pillow reads 32 bits without a sign as if they had one."""
    values = np.asarray(strip)
    unsigned = image.mode == "I" and image.info.get(UNSIGNED, False)
    return values.astype(np.int32).view(np.uint32) if unsigned else values


def _stored(image: Image.Image) -> str:
    if image.mode == "F":
        return "float"
    return f"{image.info.get(BITS, 16 if image.mode.startswith('I;16') else 32)}-bit"


def joined_bytes_to_rgb(high: Image.Image, low: Image.Image, used: PixelRange | None) -> tuple[Image.Image, PixelRange]:
    """An image of 16 bits a channel, which Pillow reads a byte at a time: its high bytes and its low ones.

    Args:
        used: the range to scale by; the image's own if None.
    """

    def numbers(top: int, bottom: int) -> NDArray[np.uint16]:
        box = (0, top, high.width, bottom)
        parts = [np.asarray(part.crop(box))[..., :3].astype(np.uint16) for part in (high, low)]
        return np.asarray(256 * parts[0] + parts[1], np.uint16)

    rows = [(top, top + strip.height) for top, strip in strips(high)]
    used = used or range_in_use((numbers(*row) for row in rows), 3 * high.width * high.height, "16-bit")
    scaled = high.convert("RGB")
    for top, bottom in rows:
        scaled.paste(Image.fromarray(used.scale(numbers(top, bottom)), "RGB"), (0, top))
    if high.mode == "RGBA":
        scaled.putalpha(high.getchannel("A"))
    return scaled, used


def by_strips(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """An image in RGB, changed a few rows at a time: of a large one, the steps between are larger than itself."""
    changed = Image.new("RGB", image.size)
    for top, strip in strips(image):
        changed.paste(change(strip).convert("RGB"), (0, top))
    return changed


def strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """An image's rows, some at a time, and where each strip begins."""
    rows = max(STRIP_PIXELS // max(image.width, 1), 1)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))
