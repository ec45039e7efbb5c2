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

import torch
from PIL import Image
from torch import Tensor

from attention.data_folder import DataFolder
from attention.datasets import split_of
from attention.errors import AttentionError, BadData, NotFound
from attention.files import Files
from attention.images import decode, preprocess
from attention.sources import Item, items
from attention.spec import Pictures, Preprocess

BATCH = 64
"""Images that are decoded at a time."""


@dataclass(frozen=True)
class Picture:
    """One image: what to call it (a photo's id, or its place in the data set), its class if it has one, its pixels."""

    name: str
    label: str | None
    image: Image.Image


def pictures(asked: Pictures, files: Files) -> Iterator[Picture]:
    """The images in their order: photos as asked for, those of a data set class by class in turn.

    Raises:
        NotFound: there is no such photo, data set or class.
        BadData, BadImage: an image cannot be used.
    """
    if asked.data is None:
        for name in asked.images:
            yield Picture(name, None, files.image(name))
        return
    path = data_path(asked.data, files)
    for item in _drawn(path, path.stat().st_mtime_ns, asked):
        yield Picture(item.name.replace(f"{path}/", ""), item.label, _opened(item))


def batches(
    asked: Pictures, how: Preprocess, files: Files, size: int = BATCH
) -> Iterator[tuple[list[Picture], Tensor]]:
    """The images a few at a time, each with what a network sees of them: (B, 3, S, S)."""
    some: list[Picture] = []
    for picture in pictures(asked, files):
        some.append(picture)
        if len(some) == size:
            yield some, torch.stack([preprocess(one.image, how) for one in some])
            some = []
    if some:
        yield some, torch.stack([preprocess(one.image, how) for one in some])


def how_many(asked: Pictures, files: Files) -> int:
    """How many images there are."""
    if asked.data is None:
        return len(asked.images)
    path = data_path(asked.data, files)
    return len(_drawn(path, path.stat().st_mtime_ns, asked))


def stamp(asked: Pictures, files: Files) -> str:
    """Changes when the images behind a question may have changed, as a data set of the same name can."""
    return str(data_path(asked.data, files).stat().st_mtime_ns) if asked.data else ""


def data_path(name: str, files: Files) -> Path:
    """The file or folder of a data set.

    Raises:
        NotFound: there is none of that name.
    """
    folder = DataFolder(files.root)
    if name.startswith(".") or folder.get(name) is None:
        there = ", ".join(one.name for one in folder.all()) or "none yet; bring one with POST /v1/datasets"
        raise NotFound(f"There is no data set {name!r}. There is: {there}.")
    return next(path for path in sorted(folder.folder.glob("[!.]*")) if path.name.partition(".")[0] == name)


def label_numbers(labels: Sequence[str | None], classes: Sequence[str]) -> list[int] | None:
    """Which of a network's classes each label is; None if any is not among them."""
    numbers = {name: number for number, name in enumerate(classes)}
    found = [numbers.get(label) if label is not None else None for label in labels]
    return None if None in found else [number for number in found if number is not None]


def why_unlabelled(labels: Sequence[str | None], classes: Sequence[str], asked: Pictures) -> str:
    """Why `label_numbers` has none for these images, in words without an end."""
    if asked.data is None:
        return "Photos have no true class"
    if not classes:
        return "The network does not say what its classes are called"
    others = sorted({label for label in labels if label is not None} - set(classes))
    shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    return f"The images have classes that the network does not know ({shown})"


@lru_cache(maxsize=4)
def _drawn(path: Path, changed: int, asked: Pictures) -> tuple[Item, ...]:
    """The images of the draw, one class after the other in turn; ``changed`` makes a newer file be read again."""
    drawn: dict[str, list[tuple[int, int, Item]]] = {}
    for number, item in enumerate(items(path)):
        raw = item.content if isinstance(item.content, bytes) else item.content.tobytes()
        digest = hashlib.sha256(raw).digest()
        if (item.split or split_of(digest)) != asked.split or (asked.classes and item.label not in asked.classes):
            continue
        rank = int.from_bytes(hashlib.sha256(asked.seed.to_bytes(8) + digest).digest()[:8])
        kept = drawn.setdefault(item.label, [])
        entry = (-rank, number, item)
        if len(kept) < asked.limit:
            heapq.heappush(kept, entry)
        else:
            heapq.heappushpop(kept, entry)
    missing = [name for name in asked.classes if name not in drawn]
    if missing:
        raise NotFound(f"{asked.data} has no class {missing[0]!r} with images to {asked.split}.")
    if not drawn:
        raise BadData(f"{asked.data} has no images to {asked.split}.")
    in_order = [[item for _, _, item in sorted(drawn[label], reverse=True)] for label in sorted(drawn)]
    in_turn = chain.from_iterable(zip_longest(*in_order))
    return tuple(item for item in in_turn if item is not None)[: asked.limit]


def _opened(item: Item) -> Image.Image:
    try:
        return decode(item.content) if isinstance(item.content, bytes) else Image.fromarray(item.content)
    except AttentionError as error:
        raise BadData(f"{item.name} cannot be used: {error}") from error
