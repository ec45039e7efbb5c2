"""Where the images of a data set come from: folders, zips, CIFAR's archives, parquet files of a hub.

Each is a stream of `Item`, so nothing is unpacked to disk, nothing of an archive becomes a path, and nothing is
unpickled: CIFAR is read from its binary archives.
"""

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from attention.errors import BadData, TooLarge

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"}
SPLITS = {
    "train": "train",
    "training": "train",
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    "test": "test",
}
"""Folder names that are splits, and which split each is."""

MAX_FILES = 2_000_000
MAX_ENTRY_BYTES = 64_000_000
MAX_UNPACKED_BYTES = 16_000_000_000
MAX_RATIO = 200
"""Unpacked over packed bytes of a whole zip; photos hardly shrink at all."""


Content = bytes | NDArray[np.uint8]


@dataclass(frozen=True)
class Item:
    """One image: its split if the source says one, its class, what to call it in a sentence, and how to read it.

    ``read`` gives a file's bytes, or pixels (H, W, 3) in uint8 where the source has pixels. It is to be called before
    the next item is taken, for an archive is open only so long.
    """

    split: str | None
    label: str
    name: str
    read: Callable[[], Content]


def items(path: Path) -> Iterator[Item]:
    """The images of a folder, zip or CIFAR archive.

    Raises:
        BadData: there is no such file, or it is nothing that can be read.
        TooLarge: an archive that unpacks to more than the limits.
    """
    if path.is_dir():
        tables = sorted(path.rglob("*.parquet"))
        return parquet_items(tables) if tables else folder_items(path)
    if not path.exists():
        raise BadData(f"There is no data set at {path}.")
    if zipfile.is_zipfile(path):
        return zip_items(path)
    if path.suffix == ".parquet":
        return parquet_items([path])
    if path.name.endswith((".tar.gz", ".tgz", ".tar")):
        return cifar_items(path)
    raise BadData(f"The file {path.name} is no data set: give a folder per class, a zip of one, or a CIFAR archive.")


def folder_items(folder: Path) -> Iterator[Item]:
    """``[train|test/]<class>/<image>`` below a folder."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            place = split_and_class(PurePosixPath(path.relative_to(folder).as_posix()))
            if place is not None:
                yield Item(*place, str(path), path.read_bytes)


def zip_items(path: Path) -> Iterator[Item]:
    """The same inside a zip, whatever folders stand around it."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename and not entry.is_dir()]
            _check(path.name, entries, path.stat().st_size)
            for entry in sorted(entries, key=lambda entry: entry.filename):
                inside = PurePosixPath(entry.filename.replace("\\", "/"))
                place = split_and_class(inside)
                if inside.suffix.lower() in SUFFIXES and "__MACOSX" not in inside.parts and place is not None:
                    read = partial(_unpacked, archive, entry, path.name)
                    yield Item(*place, f"{entry.filename} in {path.name}", read)
    except UNPACKING as error:
        raise _not_unpacked(path.name, error) from error


UNPACKING = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, EOFError, OSError, ValueError, struct.error)
"""What a bad zip raises."""


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> bytes:
    try:
        with archive.open(entry) as file:
            content = file.read(MAX_ENTRY_BYTES + 1)
    except UNPACKING as error:
        raise _not_unpacked(name, error) from error
    if len(content) > MAX_ENTRY_BYTES:
        raise TooLarge(f"The file {entry.filename} in {name} is larger than {MAX_ENTRY_BYTES:,} bytes.")
    return content


def _not_unpacked(name: str, error: Exception) -> BadData:
    return BadData(f"The archive {name} cannot be unpacked ({error}). Pack it again without a password.")


def _check(name: str, entries: list[zipfile.ZipInfo], packed: int) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_FILES:
        raise TooLarge(f"The archive {name} holds {len(entries):,} files; at most {MAX_FILES:,} are read.")
    if unpacked > MAX_UNPACKED_BYTES or unpacked > MAX_RATIO * max(packed, 1_000_000):
        raise TooLarge(f"The archive {name} would unpack to {unpacked:,} bytes, far more than photos do.")
    for entry in entries:
        inside = PurePosixPath(entry.filename.replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts or ":" in "".join(inside.parts[:1]):
            raise BadData(
                f"The archive {name} holds a file that points outside of it ({entry.filename!r}). Pack it again."
            )


def split_and_class(inside: PurePosixPath) -> tuple[str | None, str] | None:
    """Split and class of a file by the folders it lies in; None if it lies in none."""
    folders = inside.parts[:-1]
    if not folders or folders[-1].lower() in SPLITS:
        return None
    return (SPLITS.get(folders[-2].lower()) if len(folders) > 1 else None), folders[-1]


CIFAR = {"batches.meta.txt": (1, 3072), "fine_label_names.txt": (2, 3072)}
"""File of class names -> bytes of labels before each image (CIFAR-100 has the coarse one first), bytes of the image."""


def cifar_items(path: Path) -> Iterator[Item]:
    """CIFAR-10 or CIFAR-100 from their binary archives, ``cifar-10-binary.tar.gz`` and ``cifar-100-binary.tar.gz``."""
    try:
        with tarfile.open(path) as archive:
            files = {PurePosixPath(member.name).name: member for member in archive if member.isfile()}
            listing = next((name for name in CIFAR if name in files), None)
            if listing is None:
                raise BadData(
                    f"The archive {path.name} is not a binary CIFAR archive. The Python version holds pickles, which "
                    "are not opened: take cifar-10-binary.tar.gz or cifar-100-binary.tar.gz."
                )
            names = _member(archive, files[listing]).decode().split()
            labels, pixels = CIFAR[listing]
            for name in sorted(files):
                if name.endswith(".bin"):
                    rows = np.frombuffer(_member(archive, files[name]), np.uint8)
                    if len(rows) % (labels + pixels):
                        raise BadData(f"The file {name} in {path.name} is cut short. Download the archive again.")
                    for number, row in enumerate(rows.reshape(-1, labels + pixels)):
                        image = row[labels:].reshape(3, 32, 32).transpose(1, 2, 0)
                        split = "test" if name.startswith("test") else "train"
                        yield Item(split, names[row[labels - 1]], f"image {number} of {name}", partial(_same, image))
    except (tarfile.TarError, EOFError, OSError, IndexError) as error:
        raise BadData(f"The archive {path.name} cannot be unpacked ({error}). Download it again.") from error


def _same(content: Content) -> Content:
    return content


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > 10 * MAX_ENTRY_BYTES:
        raise TooLarge(f"The file {member.name} is larger than anything in CIFAR.")
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


def parquet_items(paths: list[Path]) -> Iterator[Item]:
    """Image data sets as hubs keep them: a column of images (``{bytes, path}``) and a column of class numbers or names.

    The split is in the file's name, as in ``train-00000-of-00001.parquet``.
    """
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise BadData("Reading parquet needs pyarrow: pip install pyarrow.") from None
    for path in paths:
        try:
            file = parquet.ParquetFile(path)
        except (OSError, ValueError) as error:
            raise BadData(f"The file {path.name} is not a parquet file ({error}).") from error
        columns = file.schema_arrow.names
        image = next((name for name in ("image", "img", "jpg", "png") if name in columns), None)
        label = next((name for name in ("label", "fine_label", "labels", "class") if name in columns), None)
        if image is None or label is None:
            raise BadData(
                f"The file {path.name} has the columns {', '.join(columns)}; an image and a label column are needed."
            )
        names = _class_names(file.schema_arrow.metadata or {}, label)
        split = next((SPLITS[word] for word in path.stem.lower().split("-") if word in SPLITS), None)
        for batch in file.iter_batches(256, columns=[image, label]):
            for number, row in enumerate(batch.to_pylist()):
                content = row[image]["bytes"] if isinstance(row[image], dict) else row[image]
                value = row[label]
                known = names[value] if names and isinstance(value, int) and 0 <= value < len(names) else str(value)
                yield Item(split, known, f"row {number} of {path.name}", partial(_same, content or b""))


def _class_names(metadata: dict[bytes, bytes], label: str) -> list[str]:
    import json

    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return [str(name) for name in features[label]["names"]]
    except (KeyError, TypeError, ValueError):
        return []
