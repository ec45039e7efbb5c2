"""Files: images kept by the hash of their bytes, checkpoints, and the sample gallery."""

import csv
import hashlib
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image

from attention.data.images import decode
from attention.errors import NotFound
from attention.storage import open_file_store
from attention.storage.base import Entry
from attention.weights.find import Checkpoints
from attention.weights.hub import Hub

IMAGE = re.compile(r"[0-9a-f]{64}")
"""The id of an image."""

SAMPLES = Path(__file__).parent / "samples"

ABANDONED_S = 3600.0
"""After so long, nobody is writing a file any more that is still called unfinished."""

PUBLISHERS = ("timm",)
"""Whose repositories are fetched for whoever can send a request; a folder should not fill up with anybody's."""


@dataclass(frozen=True)
class Sample:
    """A photo of the gallery that comes with the project."""

    id: str
    path: Path
    title: str
    credit: str
    label: str
    """Which of CIFAR-10's classes it shows; empty if none of them."""

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
            Sample(
                image_id((path := SAMPLES / row["file"]).read_bytes()), path, row["title"], row["credit"], row["label"]
            )
            for row in csv.DictReader(rows)
        )


def image_id(data: bytes) -> str:
    """The name of an image: the SHA-256 of its bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def owned_name(name: str, owner: str) -> str:
    """Append the owner's key id to a name; leave the name as it is without an owner."""
    return f"{name}-{owner}" if owner and not name.endswith(f"-{owner}") else name


class Files:
    """The files of one service, and the samples that come with the project.

    Args:
        root: the service's data folder.
        url: the store that its files are in, such as ``s3://bucket/prefix``; None is the data folder itself.
        owner: id of the API key whose runs and checkpoints analyses keep and find here; empty where all belongs to all.
        any_path: whether ``weights=file:PATH`` and a data set may be any path: in the user's own process, never over a
            network.

    Raises:
        InvalidRequest: there can be no such store here.
    """

    def __init__(self, root: Path, url: str | None = None, owner: str = "", any_path: bool = False) -> None:
        self.root = root
        self.any_path = any_path
        self.url = url
        self.owner = owner
        self.file_store = open_file_store(root, url)

    @property
    def checkpoints(self) -> Checkpoints:
        """Checkpoints by name under ``checkpoints/``, and published ones under ``hub/``."""
        store, hub = self.file_store, Hub(self.root / "hub", PUBLISHERS)
        return Checkpoints(store.root / "checkpoints", hub, any_path=self.any_path, file_store=store)

    def put_image(self, data: bytes) -> str:
        """Keep an image's bytes; the same bytes twice are kept once, as new. Returns the id."""
        name = image_id(data)
        if not self.file_store.renew(_place(name)):
            self.file_store.write(_place(name), data)
        return name

    def images(self) -> Iterator[Entry]:
        """List the files of uploaded images, by id; a file's time is that of the latest upload of the image."""
        return (file for file in self.file_store.entries("images", deep=True) if IMAGE.fullmatch(file.last))

    def has_image(self, name: str) -> bool:
        """Whether an image is here, a sample or an upload."""
        if any(sample.id == name for sample in samples()):
            return True
        try:
            return bool(self.file_store.state(_place(name)))
        except FileNotFoundError:
            return False

    def sweep(self) -> int:
        """Remove what uploads that were cut off left behind; nobody could read it. Gives how many files that were."""
        moment = time.time() - ABANDONED_S
        places = ("images/*/.*.part", "copies/*/.*.part", "checkpoints/.*.part", "datasets/.*.part", "exports/.*.part")
        left = [path for place in places for path in self.root.glob(place) if _written(path) < moment]
        for path in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        return len(left)

    def image_bytes(self, name: str) -> bytes:
        """The bytes of an image by id.

        Raises:
            NotFound: no image of that id is stored here.
        """
        place = _place(name)
        for sample in samples():
            if sample.id == name:
                return sample.path.read_bytes()
        try:
            return self.file_store.read(place)
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
        self.file_store.remove(_place(name))


class FilesAndPhotos(Files):
    """The files of a folder, and photos in memory that are kept nowhere else.

    Args:
        photos: bytes of images by id.
        owner: as of `Files`.
    """

    def __init__(self, files: Files, photos: Mapping[str, bytes], owner: str = "") -> None:
        self.root, self.url, self.file_store = files.root, files.url, files.file_store  # not opened a second time
        self.any_path = files.any_path
        self.owner = owner
        self._photos = photos

    def forget_photos(self) -> None:
        """Forget the photos in memory."""
        self._photos = {}

    def image_bytes(self, name: str) -> bytes:
        """The bytes of an image by id."""
        return self._photos[name] if name in self._photos else super().image_bytes(name)


def _place(name: str) -> str:
    """Where an image is kept."""
    if not IMAGE.fullmatch(name):
        raise NotFound(f"{name[:80]!r} is not an image id. An id is the 64 hex digits that POST /v1/images gives.")
    return f"images/{name[:2]}/{name}"


def _written(path: Path) -> float:
    """When a file was written last, seconds since 1970; never, if it is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
