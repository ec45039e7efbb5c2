"""Preprocessing: what a network sees of a decoded photo, resized, cropped, in sRGB, scaled to 0..1, normalised.

Photos of phones and cameras in wide colours become sRGB, which networks were trained on. Converting a photo of twelve
million pixels takes twice as long as decoding it, so its colour profile (ICC) stays with it and is applied last.
"""

import io
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, Literal, get_args

import numpy as np
import torch
from PIL import Image, ImageCms
from torch import Tensor

from attention.names import Size, height_and_width
from attention.spec import Filter, Preprocess

FILTERS = {name: Image.Resampling[name.upper()] for name in get_args(Filter)}

MODES: Final = {"crop": "center", "pad": "border", "stretch": "squash"}
"""How a photo is fitted -> the mode of `Preprocess`, named as timm names them."""

MOST_RESIZED_PIXELS = 4_000_000
"""A photo that has more after it was resized is resized under its crop only: exact to a grey level."""


def preprocess(image: Image.Image, how: Preprocess) -> Tensor:
    """Turn an upright RGB photo into a network's input (3, H, W), float32."""
    return normalise(torch.from_numpy(np.array(in_srgb(resized(image, how)))).permute(2, 0, 1), how)


def prepared(
    photos: Iterable[Image.Image], ways: Iterable[Preprocess]
) -> tuple[dict[Preprocess, Tensor], tuple[tuple[int, int], ...]]:
    """Prepare photos (B, 3, H, W) in each of several ways; give their widths and heights, too.

    One photo is in memory at a time, if they come so: decoded photos take thousands of times as much as files may.
    """
    rows: dict[Preprocess, list[Tensor]] = {how: [] for how in ways}
    sizes = []
    for photo in photos:
        sizes.append(photo.size)
        for how, inputs in rows.items():
            inputs.append(preprocess(photo, how))
    return {how: torch.stack(inputs) for how, inputs in rows.items()}, tuple(sizes)


def fitted(how: Preprocess, input_size: Size | None, fit: Literal["crop", "pad", "stretch"] | None) -> Preprocess:
    """Change a preprocessing to another input size or another fit.

    A crop keeps the share of the photo that is cut off around it; padded and stretched photos are seen whole.

    Args:
        input_size: of the input, pixels; None leaves it as it is.
        fit: what is done with a photo of another shape; None leaves it to the network's publisher.
    """
    height, width = how.height_and_width if input_size is None else height_and_width(input_size)
    shorter, margin = min(height, width), how.resize / min(how.height_and_width)
    sizes = {
        "size": height,
        "width": None if width == height else width,
        "resize": shorter if fit in ("pad", "stretch") else round(shorter * margin),
    }
    return how.model_copy(update=sizes | ({} if fit is None else {"mode": MODES[fit]}))


def resized(image: Image.Image, how: Preprocess) -> Image.Image:
    """Resize and crop (or pad) a photo to the input size of a network, (H, W) pixels."""
    down, across = how.height_and_width
    width, height = _resized_size(image.width, image.height, how)
    left, top = _offset(width, across, how), _offset(height, down, how)
    part = max(left, 0), max(top, 0), min(left + across, width), min(top + down, height)
    if how.mode == "center" and (how.rounding == "nearest" or width * height > MOST_RESIZED_PIXELS):
        scale_x, scale_y = image.width / width, image.height / height
        box = (part[0] * scale_x, part[1] * scale_y, part[2] * scale_x, part[3] * scale_y)
        region = image.resize((part[2] - part[0], part[3] - part[1]), FILTERS[how.filter], box=box)
    else:
        whole = image if image.size == (width, height) else image.resize((width, height), FILTERS[how.filter])
        region = whole.crop(part)
    if region.size == (across, down):
        return region
    colour = (0, 0, 0) if how.mode == "center" else tuple(round(255 * value) for value in how.mean)
    filled = Image.new("RGB", (across, down), colour)
    filled.paste(region, (max(-left, 0), max(-top, 0)))
    filled.info = region.info
    return filled


def crop(photo_width: int, photo_height: int, how: Preprocess) -> tuple[float, float, float, float]:
    """The part of a photo that becomes the input: left, top, right, bottom as shares of its width and height.

    Below 0 and above 1 is what is filled.
    """
    down, across = how.height_and_width
    width, height = _resized_size(photo_width, photo_height, how)
    left, top = _offset(width, across, how), _offset(height, down, how)
    return left / width, top / height, (left + across) / width, (top + down) / height


def _resized_size(width: int, height: int, how: Preprocess) -> tuple[int, int]:
    """Width and height of the whole photo after it was resized, pixels."""
    down, across = how.height_and_width
    margin = how.resize / min(across, down)
    wide, high = (how.resize if side == min(across, down) else round(side * margin) for side in (across, down))
    if how.mode == "squash":
        return wide, high
    if how.mode == "border":
        ratio = max(width / wide, height / high)
        return max(round(width / ratio), 1), max(round(height / ratio), 1)
    if how.rounding == "torchvision" and across == down:
        longer = int(how.resize * max(width, height) / min(width, height))
        return (how.resize, longer) if width <= height else (longer, how.resize)
    scale = max(wide / width, high / height)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _offset(side: int, extent: int, how: Preprocess) -> int:
    """Where the crop begins on a side of the resized photo; below 0 where the photo is smaller.

    Args:
        extent: pixels of the side that the network sees.
    """
    if side < extent:
        return -((extent - side) // 2)
    return (side - extent) // 2 if how.rounding == "nearest" else round((side - extent) / 2)


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


# ---------------------------------------------------------------- colours

PROFILE = "icc_profile"


def kept_profile(profile: object, mode: str) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """What an image in RGB must carry on of its file's profile, nothing where its colours are sRGB already; and notes.

    Args:
        profile: the profile's bytes; none where the file has no profile.
        mode: how Pillow calls the file's colours.
    """
    if not (profile and isinstance(profile, bytes)):
        return {}, ()
    if mode not in ("RGB", "RGBA", "P"):
        return {}, ("Its CMYK colour profile is not applied.",) if mode == "CMYK" else ()
    try:
        return {PROFILE: profile} if _to_srgb(profile) is not None else {}, ()
    except ValueError:
        return {}, ("Its colour profile cannot be read, so its colours are taken for sRGB.",)


def in_srgb(image: Image.Image) -> Image.Image:
    """A small RGB image in sRGB."""
    profile = image.info.get(PROFILE)
    convert = _to_srgb(profile) if isinstance(profile, bytes) else None
    if convert is None:
        return image
    converted = ImageCms.applyTransform(image, convert)
    if converted is None:
        return image
    converted.info.pop(PROFILE, None)
    return converted


@lru_cache(maxsize=16)
def _to_srgb(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """The conversion from a profile; None if it is sRGB itself.

    Raises:
        ValueError: it cannot be read, or is not one of RGB colours.
    """
    if profile[16:20] != b"RGB ":
        raise ValueError("This is no profile of RGB colours.")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    except (ImageCms.PyCMSError, OSError, TypeError) as error:
        raise ValueError("This profile cannot be read.") from error
