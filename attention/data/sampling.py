"""The images a question is about, ready for a network: photos by id, or a fair draw from a data set.

The draw depends on the files' contents and the seed alone, so the same question sees the same images on any machine,
and the images of one class are as many as those of another.
"""

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from attention.data.dataset import opened
from attention.data.files import Files
from attention.data.folder import DataFolder
from attention.data.intake.inventory import check_readable, placed
from attention.data.preprocessing import preprocess
from attention.errors import BadData, NotFound, listing
from attention.spec import Pictures, Preprocess

BATCH = 64
"""Images that are decoded at a time."""

BATCH_PIXELS = 64_000_000
"""Pixels of them all together; a quarter of a gigabyte."""


@dataclass(frozen=True)
class Picture:
    """One image: what to call it (a photo's id, or its place in the data set), its class if it has one, its pixels."""

    name: str
    label: str | None
    image: Image.Image


def pictures(selection: Pictures, files: Files) -> Iterator[Picture]:
    """Read a selection's images in order: photos as they were asked for, those of a data set class by class in turn.

    Raises:
        NotFound: there is no such photo, data set or class.
        BadData, BadImage: an image cannot be used.
    """
    if selection.data is None:
        for name in selection.images:
            yield Picture(name, None, files.image(name))
        return
    path = data_path(selection.data, files)
    folder = DataFolder(files.file_store, files.any_path)
    order = _drawn(folder, path.stat().st_mtime_ns, selection)
    numbers, images = set(order), {}
    for number, item in enumerate(placed(path, folder.intake(selection.data))):
        if number in numbers:
            images[number] = (item.name, item.label, item.read())
    for number in order:
        name, label, content = images.pop(number)
        yield Picture(name, label, opened(name, content))


def batches(
    selection: Pictures, how: Preprocess, files: Files, size: int = BATCH
) -> Iterator[tuple[list[Picture], Tensor]]:
    """Read a selection's images a few at a time, with a network's input made of them: (B, 3, S, S)."""
    some: list[Picture] = []
    for picture in pictures(selection, files):
        some.append(picture)
        if len(some) == size or sum(example.image.width * example.image.height for example in some) >= BATCH_PIXELS:
            yield some, torch.stack([preprocess(example.image, how) for example in some])
            some = []
    if some:
        yield some, torch.stack([preprocess(example.image, how) for example in some])


def how_many(selection: Pictures, files: Files) -> int:
    """Count the images of a selection."""
    if selection.data is None:
        return len(selection.images)
    path = data_path(selection.data, files)
    return len(_drawn(DataFolder(files.file_store, files.any_path), path.stat().st_mtime_ns, selection))


def stamp(selection: Pictures, files: Files) -> str:
    """Give a text that changes when the images of a selection may have changed, as a data set of one name can."""
    return str(data_path(selection.data, files).stat().st_mtime_ns) if selection.data else ""


def data_path(name: str, files: Files) -> Path:
    """The file or folder of a data set, by its name or, in the user's own process, by its path.

    Raises:
        NotFound: there is none of that name.
    """
    folder = DataFolder(files.file_store, files.any_path)
    if folder.is_path(name):
        return Path(name)
    path = None if name.startswith(".") or folder.get(name) is None else folder.path(name)
    if path is None:
        names = ", ".join(entry.name for entry in folder.all()) or "none yet; bring one with POST /v1/datasets"
        raise NotFound(f"There is no data set {name!r}. There is: {names}.")
    return path


def label_numbers(labels: Sequence[str | None], classes: Sequence[str]) -> list[int] | None:
    """Which of a network's classes each label is; None if any is not among them."""
    numbers = {name: number for number, name in enumerate(classes)}
    label_indices = [numbers.get(label) if label is not None else None for label in labels]
    return None if None in label_indices else [number for number in label_indices if number is not None]


def why_unlabelled(labels: Sequence[str | None], classes: Sequence[str], selection: Pictures) -> str:
    """Say why `label_numbers` is None for images, as the beginning of a sentence without its full stop."""
    if selection.data is None:
        return "Photos have no true class"
    if not classes:
        return "The network does not say what its classes are called"
    others = sorted({label for label in labels if label is not None} - set(classes))
    return f"The images have classes that the network does not know ({listing(others)})"


class _Listed(NamedTuple):
    """An image of a data set, as far as a draw has to know it."""

    number: int
    split: str
    label: str
    digest: bytes


@lru_cache(maxsize=4)
def _listing(folder: DataFolder, name: str, changed: int) -> tuple[_Listed, ...]:
    """Every image of a data set that is used. ``changed`` makes a newer file be looked at again."""
    intake = folder.intake(name)
    check_readable(intake.inventory, name)
    used = (record for record in intake.records if record.split is not None)
    return tuple(_Listed(number, record.split or "", record.label, record.digest) for number, record in enumerate(used))


@lru_cache(maxsize=64)
def _drawn(folder: DataFolder, changed: int, selection: Pictures) -> tuple[int, ...]:
    """The numbers of the images that are drawn, one class after the other in turn."""
    by_class: dict[str, list[_Listed]] = {}
    for record in _listing(folder, selection.data or "", changed):
        if record.split == selection.split and (not selection.classes or record.label in selection.classes):
            by_class.setdefault(record.label, []).append(record)
    missing = [name for name in selection.classes if name not in by_class]
    if missing:
        raise NotFound(f"{selection.data} has no class {missing[0]!r} with images to {selection.split}.")
    if not by_class:
        raise BadData(f"{selection.data} has no images to {selection.split}.")
    salt = selection.seed.to_bytes(8)

    def rank(record: _Listed) -> tuple[bytes, int]:
        return hashlib.sha256(salt + record.digest).digest(), record.number

    in_order = [heapq.nsmallest(selection.limit, by_class[label], key=rank) for label in sorted(by_class)]
    in_turn = chain.from_iterable(zip_longest(*in_order))
    return tuple(record.number for record in in_turn if record is not None)[: selection.limit]
