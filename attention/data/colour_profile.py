"""Colour profiles (ICC): photos of phones and cameras in wide colours become sRGB, which networks were trained on.

Converting a photo of twelve million pixels takes twice as long as decoding it, so the profile stays with the image
and is applied after it was made small.
"""

import io
from functools import lru_cache

from PIL import Image, ImageCms

PROFILE = "icc_profile"


def kept_profile(profile: object, mode: str) -> dict[str, bytes]:
    """What an image in RGB must carry on of its file's profile: nothing where its colours are sRGB already."""
    colours = mode in ("RGB", "RGBA", "P")
    needed = colours and isinstance(profile, bytes) and profile[16:20] == b"RGB " and _to_srgb(profile) is not None
    return {PROFILE: profile} if needed and isinstance(profile, bytes) else {}


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
    """The conversion from a profile; None if it is sRGB itself, or cannot be read."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
