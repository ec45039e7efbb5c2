"""A photo in any form that a script has it in, as the bytes of an image file: needs neither torch nor Pillow."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any, Protocol

from attention.errors import BadImage, NotFound


class HasSave(Protocol):
    """Protocol of a PIL image, as far as a photo is read from it."""

    def save(self, fp: Any, format: str) -> None:
        """Write the image into a file."""


class HasBytes(Protocol):
    """Protocol of an array (H, W, 3) or (H, W): of bytes 0..255, or of floats 0..1."""

    @property
    def dtype(self) -> Any:
        """What the entries are."""

    @property
    def shape(self) -> Any:
        """Height, width and channels."""

    def tobytes(self) -> bytes:
        """The entries row by row."""


Photo = str | Path | bytes | HasSave | HasBytes


def photo_bytes(photo: Photo) -> bytes:
    """The bytes of an image file that holds a photo.

    Args:
        photo: a path, the bytes themselves, a PIL image, or an array (H, W, 3) or (H, W) of bytes or of floats 0..1.

    Raises:
        NotFound: there is no file of that name.
        BadImage: an array is no picture.
    """
    if isinstance(photo, bytes):
        return photo
    if isinstance(photo, str | Path):
        path = Path(photo).expanduser()
        if not path.is_file():
            raise NotFound(f"There is no file {str(photo)!r}.")
        return path.read_bytes()
    if hasattr(photo, "tobytes") and hasattr(photo, "dtype"):
        return _png(photo)
    if hasattr(photo, "save"):
        file = io.BytesIO()
        photo.save(file, format="PNG")
        return file.getvalue()
    raise BadImage(f"A {type(photo).__name__} is no photo. Give a path, bytes, an array (H, W, 3) or a PIL image.")


def _png(array: Any) -> bytes:
    """An array as a PNG (https://www.w3.org/TR/png-3/): one filter byte before each row, all of it deflated."""
    shape, kind = tuple(array.shape), str(array.dtype)
    if not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))) or 0 in shape:
        raise BadImage(f"An array {shape} is no photo: it has the shape (H, W, 3) or (H, W).")
    if kind.startswith("float"):
        if not (array.min() >= 0 and array.max() <= 1):
            raise BadImage(f"An array of floats has values 0 to 1, and this has {array.min():g} to {array.max():g}.")
        array, kind = (array * 255).round().astype("uint8"), "uint8"
    if kind != "uint8":
        raise BadImage(f"An array of {kind} is no photo: it holds bytes 0 to 255 (uint8) or floats 0 to 1.")
    height, width, channels = (*shape, 1)[:3]
    flat, row = array.tobytes(), width * channels
    rows = b"".join(b"\0" + flat[start : start + row] for start in range(0, len(flat), row))
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 0, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
