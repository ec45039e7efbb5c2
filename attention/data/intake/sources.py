"""Where the images of a data set come from: folders, zips, tars, CIFAR's archives, parquet files of a hub.

Each is a stream of `Item`, so nothing is unpacked to disk, nothing of an archive becomes a path, and nothing is
unpickled: CIFAR is read from its binary archives.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from attention.data.file_kinds import HEAD_BYTES, file_kind
from attention.data.intake.cifar import cifar_images, is_cifar
from attention.data.intake.containers import Container, open_container
from attention.data.intake.label_lists import MAX_LIST_BYTES, LabelList, is_list, read_list
from attention.data.intake.layout import Layout, understand
from attention.data.intake.parquet import parquet_images
from attention.data.intake.system_files import left_by_system
from attention.errors import BadData, listing
from attention.reports.parts.inventory import AS_FOUND, Choices, LeftOut, Split

SUFFIXES = {
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".jp2"),
    *(".avif", ".tga", ".heic", ".heif"),
}
"""Endings of files that should be photos: one that cannot be read is bad, not left out."""

EXAMPLES = 5
Content = bytes | NDArray[np.uint8]


@dataclass(frozen=True)
class Item:
    """One image: its split if the source says one, its class, what to call it in a sentence, and how to read it.

    ``read`` gives a file's bytes, or pixels (H, W, 3) in uint8 where the source has pixels. It is to be called before
    the next item is taken, for an archive is open only so long.
    """

    split: Split | None
    label: str
    name: str
    read: Callable[[], Content]


@dataclass(frozen=True)
class Source:
    """A data set as it was understood before any photo of it was decoded.

    Args:
        kind: folder, zip, tar, CIFAR archive or parquet.
        items: begins a stream of its images, in an order that does not change.
        left_out: what is no part of it.
        images: how many images it has; 0 where only reading all of it would tell.
    """

    kind: str
    layout: Layout
    items: Callable[[], Iterator[Item]]
    left_out: tuple[LeftOut, ...] = ()
    images: int = 0


def open_source(path: Path, choices: Choices = AS_FOUND) -> Source:
    """Understand how the files of a folder, zip, tar, CIFAR archive or parquet file lie.

    Raises:
        BadData: there is no such file, or it is nothing that can be read.
        TooLarge: an archive that unpacks to more than the limits.
        InvalidRequest: a choice makes no sense for it.
    """
    if not path.exists():
        raise BadData(f"There is no data set at {path}.")
    if not (path.is_file() or path.is_dir()):
        raise BadData(f"{path} is neither a file nor a folder but a device or a pipe, which is not read.")
    tables = _tables(path)
    if tables:
        return Source(
            "parquet", Layout("Rows of parquet files, each with its class.", []), partial(parquet_rows, tables)
        )
    container = open_container(path, choices.names)
    if container is None:
        raise BadData(
            f"The file {path.name} is no data set: give a folder per class, a zip or tar of one, or a CIFAR archive."
        )
    return _understood(path, container, choices)


def items(path: Path, choices: Choices = AS_FOUND) -> Iterator[Item]:
    """The images of a data set; raises as `open_source` does."""
    return open_source(path, choices).items()


def _tables(path: Path) -> list[Path]:
    """The parquet files of a data set that is kept in them."""
    if path.is_dir():
        return [
            table for table in sorted(path.rglob("*.parquet")) if not left_by_system(table.relative_to(path).as_posix())
        ]
    with path.open("rb") as file:
        return [path] if file.read(4) == b"PAR1" else []


def parquet_rows(tables: list[Path]) -> Iterator[Item]:
    for split, label, name, content in parquet_images(tables):
        yield Item(split, label, name, partial(_same, content))


def _same(content: Content) -> Content:
    return content


def _cifar(container: Container, name: str) -> Iterator[Item]:
    for split, label, number, image in cifar_images(container, name):
        yield Item(split, label, number, partial(_same, image))


class _LeftOut:
    """Counts what is left out, by what it is, with the first names."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], list[str]] = {}

    def add(self, what: str, why: str, name: str) -> None:
        key = what, why
        self._counts[key] += 1
        examples = self._examples.setdefault(key, [])
        if len(examples) < EXAMPLES:
            examples.append(name)

    def all(self) -> tuple[LeftOut, ...]:
        return tuple(
            LeftOut(what=what, count=count, why=why, examples=tuple(self._examples[what, why]))
            for (what, why), count in self._counts.most_common()
        )


def _understood(path: Path, container: Container, choices: Choices) -> Source:
    left_out, photos, lists = _LeftOut(), [], {}
    paths: list[str] = []
    for file in container.files():
        paths.append(file.path)
        if not file.path or left_by_system(file.path):
            left_out.add(
                "hidden or system file", "Systems and programs leave such files; they are never data.", file.path
            )
        elif file.link:
            left_out.add("link", "Links are not followed.", file.path)
        elif is_photo(file.path, file.read(HEAD_BYTES)):
            photos.append(file.path)
        elif is_list(file.path) and file.size <= MAX_LIST_BYTES:
            lists[file.path] = file.read(None)
        else:
            left_out.add(file_kind(file.read(HEAD_BYTES), file.path).name, "It is no photo.", file.path)
    if is_cifar(paths):
        layout = Layout("A binary archive of CIFAR.", [], {"train": "train", "test": "test"})
        return Source("CIFAR archive", layout, partial(_cifar, container, path.name))
    label_lists = _label_lists(lists, photos, choices)
    layout = understand(photos, choices, {name: label_list.listings for name, label_list in label_lists.items()})
    for name in sorted(layout.used_lists):
        _describe_list(layout, name, label_lists[name], choices)
    for name in lists:
        if name not in layout.used_lists:
            left_out.add(
                file_kind(lists[name][:HEAD_BYTES], name).name, "It is no photo, and no class is taken from it.", name
            )
    for number, what in layout.left_out.items():
        left_out.add(
            what, "No folder, list or name says its class." if "choice" not in what else "As chosen.", photos[number]
        )
    if not photos and any(what.what == "Python pickle" for what in left_out.all()):
        layout.problems.append(
            "It holds pickles, which are not opened. Of CIFAR take cifar-10-binary.tar.gz or cifar-100-binary.tar.gz."
        )
    if container.encoding not in ("ascii", "utf-8") and choices.names is None:
        shown = ", ".join(sorted({place.label for place in layout.places if place is not None})[:6])
        layout.guesses.append(
            f"The names do not say their encoding and were read as {container.encoding}: {shown}. If that is wrong, "
            "say names=ENCODING, such as names=cp437."
        )
    kind = {"Folder": "folder", "Zip": "zip", "Tar": "tar"}[type(container).__name__]
    places = dict(zip(photos, layout.places, strict=True))

    def stream() -> Iterator[Item]:
        for file in container.files():
            place = None if file.link else places.get(file.path)
            if place is not None:
                yield Item(place.split, place.label, file.path, partial(file.read, None))

    return Source(kind, layout, stream, left_out.all(), len(photos) - sum(place is None for place in layout.places))


def is_photo(path: str, head: bytes) -> bool:
    """Whether a file is a photo by its content, or should be one by its ending."""
    kind = file_kind(head, path)
    suffix = PurePosixPath(path).suffix.lower()
    return kind.photo or suffix in SUFFIXES


def _label_lists(lists: dict[str, bytes], photos: list[str], choices: Choices) -> dict[str, LabelList]:
    """What lists say of photos; one that says nothing of them is none."""
    label_lists = {}
    for name, content in lists.items():
        try:
            label_list = read_list(name, content, photos, choices.names)
        except BadData:
            if choices.labels == name:
                raise
            continue
        if label_list.listings:
            label_lists[name] = label_list
    return label_lists


def _describe_list(layout: Layout, name: str, label_list: LabelList, choices: Choices) -> None:
    """Tell in which encoding a list was read where it does not say it, and which files it names in vain."""
    if label_list.encoding not in ("utf-8", "utf-16") and choices.names is None:
        shown = ", ".join(sorted({said.label for said in label_list.listings.values()})[:6])
        layout.guesses.append(
            f"{name} does not say its encoding and was read as {label_list.encoding}: {shown}. If that is wrong, say "
            "names=ENCODING, such as names=gbk."
        )
    if absent := label_list.absent:
        layout.notes.append(
            f"{name} names {len(absent):,} file{'s' * (len(absent) > 1)} that no photo here is, or more than one "
            f"could be: {listing(absent, EXAMPLES)}."
        )
