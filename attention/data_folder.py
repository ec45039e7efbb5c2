"""The data sets of a service: what lies in ``<data folder>/datasets``, and how an uploaded zip gets there.

Listing reads names only, never pixels. A zip gets its name after it has been read through once, and in one step, so
nobody ever sees half a data set or a bad one.
"""

import os
import re
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from attention.errors import AttentionError, BadData, InvalidRequest
from attention.images import inspect
from attention.sources import SUFFIXES, split_and_class, zip_items

ARCHIVES = (".tar.gz", ".tgz", ".tar")
CIFAR_IMAGES = 60_000
"""Images in each of the CIFAR archives, the only ones that are read."""
MAX_NAME = 100


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
    """The folder ``datasets`` below a service's data folder. Every method blocks."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "datasets"

    def all(self) -> tuple[Listed, ...]:
        """Every data set that a study can name, by name."""
        found: dict[str, Listed] = {}
        for path in sorted(self.folder.glob("[!.]*")):
            listed = _listed(path, path.stat().st_mtime_ns)
            if listed is not None and re.fullmatch(r"\w[\w-]*", listed.name):
                found.setdefault(listed.name, listed)
        return tuple(found[name] for name in sorted(found))

    def get(self, name: str) -> Listed | None:
        """The data set of a name; None if there is none."""
        return next((one for one in self.all() if one.name == name.partition(".")[0]), None)

    def check_free(self, name: str) -> None:
        """Raise Taken if a name is taken."""
        if any(self.folder.glob(f"{name}.*")) or (self.folder / name).exists():
            raise Taken(f"There is a data set {name!r} already. Give this one another name.")

    def adopt(self, zipped: Path, name: str) -> Listed:
        """Look a zip over and give it its name; ``zipped`` lies in the same folder, and is gone if all is well.

        Raises:
            BadData, TooLarge: it is not a data set that can be trained on.
            Taken: the name is taken.
        """
        check_zip(zipped, name)
        final = self.folder / f"{name}.zip"
        self.check_free(name)
        try:
            os.link(zipped, final)  # unlike a rename, it never replaces what is there
        except FileExistsError:
            raise Taken(f"There is a data set {name!r} already. Give this one another name.") from None
        except OSError:  # a file system without links
            zipped.rename(final)
        with suppress(FileNotFoundError):
            zipped.unlink()
        listed = _listed(final, final.stat().st_mtime_ns)
        assert listed is not None
        return listed


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
def _listed(path: Path, changed: int) -> Listed | None:
    """A file or folder as a data set; None if it is none. ``changed`` makes a newer one be looked at again."""
    name = path.name.partition(".")[0]
    if path.is_dir() and any(path.rglob("*.parquet")):
        return Listed(name, "parquet", None, None, None)
    if path.is_dir():
        inside = (PurePosixPath(one.relative_to(path).as_posix()) for one in path.rglob("*"))
        return _named(name, "folder", inside)
    if path.name.endswith(ARCHIVES):
        return Listed(name, "CIFAR archive", CIFAR_IMAGES, None, True)
    if path.suffix == ".parquet":
        return Listed(name, "parquet", None, None, None)
    try:
        with zipfile.ZipFile(path) as archive:
            return _named(name, "zip", (PurePosixPath(one.replace("\\", "/")) for one in archive.namelist()))
    except (zipfile.BadZipFile, OSError):
        return None


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
