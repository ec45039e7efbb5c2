"""Files: images under one root folder, kept by the hash of their bytes, checkpoints, and the sample gallery."""

import csv
import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image

from attention.checkpoints import Checkpoints
from attention.errors import NotFound
from attention.hub import Hub
from attention.images import decode

SAMPLES = Path(__file__).parent / "samples"

PUBLISHERS = ("timm",)
"""Whose repositories are fetched for whoever can send a request; a folder should not fill up with anybody's."""


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
    """Write a file so that no reader ever sees half of it, whatever happens in the middle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
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
        """Keep an image's bytes; the same bytes twice are kept once. Returns the id."""
        name = image_id(data)
        path = self._image_path(name)
        if not path.exists():
            write_whole(path, data)
        return name

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
