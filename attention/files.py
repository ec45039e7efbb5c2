"""Files: images under one root folder, kept by the hash of their bytes, checkpoints, and the sample gallery."""

import csv
import errno
import hashlib
import os
import re
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image

from attention.checkpoints import Checkpoints
from attention.errors import NotFound, StorageFailed
from attention.hub import Hub
from attention.images import decode

SAMPLES = Path(__file__).parent / "samples"

ABANDONED_S = 3600.0
"""After so long, nobody is writing a file any more that is still called unfinished."""

PUBLISHERS = ("timm",)
"""Whose repositories are fetched for whoever can send a request; a folder should not fill up with anybody's."""


FULL = "The disk of the data folder is full, so this was not kept. Make room there, and ask again."
CLOSED = "The data folder cannot be written, so this was not kept. Let the user that the service runs as write there."

NOT_WRITABLE = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: FULL,
    errno.EROFS: CLOSED,
    errno.EACCES: CLOSED,
    errno.EPERM: CLOSED,
}
"""What a system says when a file cannot be written, and what that means to whoever runs the service."""


@dataclass(frozen=True)
class Sample:
    """A photo of the gallery that comes with the project."""

    id: str
    path: Path
    title: str
    credit: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name


@cache
def samples() -> tuple[Sample, ...]:
    """The gallery, in the order of its list ``samples.csv``."""
    listing = SAMPLES / "samples.csv"
    if not listing.exists():
        return ()
    with listing.open(newline="", encoding="utf-8") as rows:
        return tuple(
            Sample(image_id((path := SAMPLES / row["file"]).read_bytes()), path, row["title"], row["credit"])
            for row in csv.DictReader(rows)
        )


def image_id(data: bytes) -> str:
    """The name of an image: the SHA-256 of its bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that no reader ever sees half of it, whatever happens in the middle.

    Raises:
        StorageFailed: the disk is full, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        _fill(handle, temporary, path, data)
    except OSError as error:
        if error.errno not in NOT_WRITABLE:
            raise
        raise StorageFailed(NOT_WRITABLE[error.errno]) from error


def _fill(handle: int, temporary: str, path: Path, data: bytes) -> None:
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


class Files:
    """The files of one service under ``root``, and the samples that come with the project."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def checkpoints(self) -> Checkpoints:
        """Checkpoints by name under ``checkpoints/``, and published ones under ``hub/``; no other path is read."""
        return Checkpoints(self.root / "checkpoints", Hub(self.root / "hub", PUBLISHERS))

    def put_image(self, data: bytes) -> str:
        """Keep an image's bytes; the same bytes twice are kept once, as new. Returns the id."""
        name = image_id(data)
        path = self._image_path(name)
        try:
            os.utime(path)
        except FileNotFoundError:
            write_whole(path, data)
        return name

    def images_before(self, moment: float) -> list[str]:
        """Ids of uploaded images that came, the last time they did, before a moment (seconds since 1970)."""
        found = (self.root / "images").glob(f"{'[0-9a-f]' * 2}/{'[0-9a-f]' * 64}")
        return sorted(path.name for path in found if path.stat().st_mtime < moment)

    def sweep(self) -> int:
        """Remove what uploads that were cut off left behind; nobody could read it. Gives how many files that were."""
        moment = time.time() - ABANDONED_S
        left = [path for path in (self.root / "images").glob("*/.*.part") if _written(path) < moment]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def image_bytes(self, name: str) -> bytes:
        """The bytes of an image by id.

        Raises:
            NotFound: no image of that id is stored here.
        """
        path = self._image_path(name)
        for sample in samples():
            if sample.id == name:
                path = sample.path
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise NotFound(f"There is no image {name!r} here. Upload it first: POST /v1/images.") from None

    def image(self, name: str) -> Image.Image:
        """An image by id, upright, in RGB.

        Raises:
            NotFound, BadImage: it is not here, or not readable.
        """
        return decode(self.image_bytes(name))

    def remove_image(self, name: str) -> None:
        """Forget an uploaded image; nothing happens if it is not here."""
        self._image_path(name).unlink(missing_ok=True)

    def _image_path(self, name: str) -> Path:
        if not re.fullmatch(r"[0-9a-f]{64}", name):
            raise NotFound(f"{name[:80]!r} is not an image id. An id is the 64 hex digits that POST /v1/images gives.")
        return self.root / "images" / name[:2] / name


def _written(path: Path) -> float:
    """When a file was written last, seconds since 1970; never, if it is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
