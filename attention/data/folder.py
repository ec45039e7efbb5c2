"""The data sets of a service: what lies in ``datasets``, and how an uploaded zip gets there.

Listing reads names only, never pixels. A zip gets its name after it has been read through once, and in one step, so
nobody ever sees half a data set or a bad one.
"""

import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from attention.data.images import inspect
from attention.data.sources import SUFFIXES, UNPACKING, split_and_class, zip_items
from attention.errors import AttentionError, BadData, InvalidRequest
from attention.storage.base import Depot, Entry, State

ARCHIVES = (".tar.gz", ".tgz", ".tar")
CIFAR_IMAGES = 60_000
"""Images in each of the CIFAR archives, the only ones that are read."""
MAX_NAME = 100
NAME = re.compile(r"\w[\w-]*")


@dataclass(frozen=True)
class Listed:
    """A data set as far as names tell: ``images`` and ``classes`` are None where only reading it would tell."""

    name: str
    kind: str
    images: int | None
    classes: tuple[str, ...] | None
    split: bool | None


class Taken(InvalidRequest):
    """There is a data set of that name already."""


def data_set_name(text: str) -> str:
    """A name for a data set: letters, digits, ``_`` and ``-``, without folders or the suffix of a file.

    Raises:
        InvalidRequest: nothing is left of it.
    """
    last = text.replace("\\", "/").rstrip("/").rpartition("/")[2]
    stem = re.sub(r"\.(zip|tar|tgz|gz)$", "", last, flags=re.IGNORECASE)
    name = re.sub(r"\W+", "-", stem.replace("-", " ")).strip("-_")[:MAX_NAME]
    if not name:
        raise InvalidRequest(f"{text[:100]!r} leaves no name for a data set. Use letters and digits.")
    return name


class DataFolder:
    """The folder ``datasets`` among a service's files. Every method blocks."""

    def __init__(self, depot: Depot) -> None:
        self._depot = depot

    @property
    def folder(self) -> Path:
        """Where on this machine a data set is made that is to be adopted."""
        return self._depot.root / "datasets"

    def entries(self) -> tuple[Entry, ...]:
        """The files and folders there."""
        return tuple(self._depot.entries("datasets"))

    def all(self) -> tuple[Listed, ...]:
        """Every data set that a study can name, by name."""
        found: dict[str, Listed] = {}
        for entry in self.entries():
            listed = self._look(entry)
            if listed is not None and NAME.fullmatch(listed.name):
                found.setdefault(listed.name, listed)
        return tuple(found[name] for name in sorted(found))

    def get(self, name: str) -> Listed | None:
        """The data set of a name; None if there is none."""
        called = _stem(name)
        there = (self._look(entry) for entry in self.entries() if _stem(entry.last) == called)
        return next(filter(None, there), None) if NAME.fullmatch(called) else None

    def path(self, name: str) -> Path | None:
        """Where on this machine the data set of a name can be read now; None if there is none."""
        found = [entry for entry in self.entries() if _stem(entry.last) == _stem(name)]
        return self._depot.path(found[0].name) if found else None

    def state(self, name: str) -> State:
        """Changes when the data set of a name may have; empty if there is none."""
        found = [entry for entry in self.entries() if _stem(entry.last) == _stem(name)]
        return [one for entry in found for one in self._depot.state(entry.name)]

    def check_free(self, name: str) -> None:
        """Raise Taken if a name is taken."""
        if any(_stem(entry.last) == name for entry in self.entries()):
            raise Taken(f"There is a data set {name!r} already. Give this one another name.")

    def adopt(self, zipped: Path, name: str) -> Listed:
        """Look a zip over and give it its name; ``zipped`` lies in the same folder, and is gone if all is well.

        Raises:
            BadData, TooLarge: it is not a data set that can be trained on.
            Taken: the name is taken.
        """
        check_zip(zipped, name)
        self.check_free(name)
        with zipped.open("rb") as file:
            listed = _zip_listed(name, file)
        try:
            self._depot.create(f"datasets/{name}.zip", zipped)
        except FileExistsError:
            raise Taken(f"There is a data set {name!r} already. Give this one another name.") from None
        return listed

    def _look(self, entry: Entry) -> Listed | None:
        return _listed(self._depot, entry, hash(tuple(self._depot.state(entry.name))) if entry.folder else 0)


def _stem(name: str) -> str:
    """What a file is called as a data set."""
    return name.partition(".")[0]


def check_zip(path: Path, name: str) -> None:
    """Read a zip through once: every byte unpacks, no file points outside, classes are there, each begins with a photo.

    Raises:
        BadData, TooLarge: what is wrong with it.
    """
    if not zipfile.is_zipfile(path):
        raise BadData(f"The data set {name} is not a zip. Pack a folder for each class, with photos in it, as a zip.")
    classes: set[str] = set()
    split: set[bool] = set()
    try:
        for item in zip_items(path):
            split.add(item.split is not None)
            content = item.read()
            if item.label not in classes:
                assert isinstance(content, bytes)
                try:
                    inspect(content)
                except AttentionError as error:
                    raise BadData(f"The file {item.name} cannot be used: {error}") from error
                classes.add(item.label)
    except AttentionError as error:
        raise type(error)(str(error).replace(path.name, f"{name}.zip")) from None
    if len(classes) < 2:
        there = f"only the class folder {next(iter(classes))!r}" if classes else "no folder with photos"
        raise BadData(
            f"The archive {name}.zip has {there}. It needs a folder for each class, and at least two of them."
        )
    if len(split) == 2:
        raise BadData(
            f"The archive {name}.zip is split for some images only. Put all of them under train and test, or none."
        )


@lru_cache(maxsize=256)
def _listed(depot: Depot, entry: Entry, state: int) -> Listed | None:
    """A file or folder as a data set; None if it is none. Another entry or state makes it be looked at again."""
    name = _stem(entry.last)
    if entry.folder:
        files = depot.entries(entry.name, deep=True)
        inside = [PurePosixPath(one.name.removeprefix(f"{entry.name}/")) for one in files]
        if any(one.suffix == ".parquet" for one in inside):
            return Listed(name, "parquet", None, None, None)
        return _named(name, "folder", inside)
    if entry.last.endswith(ARCHIVES):
        return Listed(name, "CIFAR archive", CIFAR_IMAGES, None, True)
    if entry.last.endswith(".parquet"):
        return Listed(name, "parquet", None, None, None)
    try:
        with depot.open(entry.name) as file:
            return _zip_listed(name, file)
    except UNPACKING:
        return None


def _zip_listed(name: str, file: BinaryIO) -> Listed:
    with zipfile.ZipFile(file) as archive:
        return _named(name, "zip", (PurePosixPath(one.replace("\\", "/")) for one in archive.namelist()))


def _named(name: str, kind: str, files: Iterable[PurePosixPath]) -> Listed:
    places = [
        found
        for file in files
        if file.suffix.lower() in SUFFIXES
        and "__MACOSX" not in file.parts
        and (found := split_and_class(file)) is not None
    ]
    classes = tuple(sorted({label for _, label in places}))
    return Listed(name, kind, len(places), classes, any(split is not None for split, _ in places))
