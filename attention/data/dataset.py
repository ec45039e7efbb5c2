"""Data sets for training: decoded once, kept as one tensor, and looked over for what spoils a comparison.

    FOLDER/train/<class>/*.jpg   FOLDER/test/<class>/*.jpg      a split as it is given (``val`` serves as ``test``)
    FOLDER/<class>/*.jpg                                        split by the hash of each file, a fifth for the test

The same inside a zip; CIFAR's binary archives; parquet files of a hub (see `attention.data.sources`).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from attention.data.images import decode
from attention.data.sources import Content, Item, items
from attention.errors import AttentionError, BadData
from attention.reports.study import DataFacts
from attention.spec import Preprocess

TEST_SHARE = 0.2
"""Share of the images that a split by hash tests on."""


@dataclass(frozen=True)
class Split:
    """Images as uint8 (N, S, S, 3) and labels as int64 (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class DataSet:
    """A data set as it should be called, with its classes, its two splits, and what was found in it."""

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    facts: DataFacts | None = None

    @property
    def size(self) -> int:
        """Height and width of the images in pixels."""
        return self.train.images.shape[1]

    def preprocess(self) -> Preprocess:
        """What an input must look like: the size of these images, the mean and spread of the training split."""
        seen = np.stack([np.bincount(channel, minlength=256) for channel in self.train.images.view(-1, 3).T.numpy()])
        levels = np.arange(256) / 255
        mean = seen @ levels / seen.sum(1)
        std = np.sqrt(np.maximum(seen @ levels**2 / seen.sum(1) - mean**2, 1 / 255**2))
        red, green, blue = (tuple(np.round(pair, 4).tolist()) for pair in zip(mean, std, strict=True))
        return Preprocess(
            size=self.size, resize=self.size, mean=(red[0], green[0], blue[0]), std=(red[1], green[1], blue[1])
        )


def read(path: Path, size: int, name: str | None = None) -> DataSet:
    """Read a data set from a folder, a zip, a CIFAR archive or a parquet file.

    Args:
        size: height and width the images are brought to: shorter side resized, centre cropped.
        name: what to call it; the file's name if None.

    Raises:
        BadData: a split or class is missing or empty, or a file is not an image.
        TooLarge: an archive beyond the limits.
    """
    return collect(items(path), size, name or path.name.partition(".")[0])


def collect(source: Iterable[Item], size: int, name: str) -> DataSet:
    """Decode a stream of images into a data set.

    Raises:
        BadData: see `read`.
    """
    pixels: list[NDArray[np.uint8]] = []
    labels: list[str] = []
    splits: list[str] = []
    digests: list[bytes] = []
    given: Counter[bool] = Counter()
    for item in source:
        content = item.read()
        digest = digest_of(content)
        given[item.split is not None] += 1
        pixels.append(_pixels(item.name, content, size))
        labels.append(item.label)
        digests.append(digest)
        splits.append(item.split or split_of(digest))
    if not pixels:
        raise BadData(f"{name} holds no images. It needs a folder for each class, with photos in it.")
    if len(given) == 2:
        raise BadData(
            f"{name} is split for {given[True]} of {len(pixels)} images only. "
            "Put all of them under train and test, or none."
        )
    classes = tuple(sorted(set(labels)))
    if len(classes) < 2:
        raise BadData(f"{name} has 1 class folder ({classes[0]!r}); a classifier needs at least 2.")
    in_train = np.array([split == "train" for split in splits])
    numbers = np.array([classes.index(label) for label in labels])
    for split, chosen in (("train", in_train), ("test", ~in_train)):
        for number, label in enumerate(classes):
            if not (numbers[chosen] == number).any():
                raise BadData(f"Class {label!r} of {name} has no images in its {split} split. Add some, or remove it.")
    facts = _facts(name, size, classes, numbers, in_train, digests, split_by_hash=not given[True])
    whole = torch.from_numpy(np.stack(pixels))
    parts = [
        Split(whole[torch.from_numpy(chosen)], torch.from_numpy(numbers[chosen])) for chosen in (in_train, ~in_train)
    ]
    return DataSet(name, classes, parts[0], parts[1], facts)


def digest_of(content: Content) -> bytes:
    """The SHA-256 of an image's file, or of its pixels where the source has no files."""
    return hashlib.sha256(content if isinstance(content, bytes) else content.tobytes()).digest()


def split_of(digest: bytes) -> str:
    """The split of an image whose source says none, by the SHA-256 of its content."""
    return "test" if digest[0] < 256 * TEST_SHARE else "train"


def opened(name: str, content: Content) -> Image.Image:
    """An image of a data set, upright, in RGB.

    Raises:
        BadData: it is none.
    """
    try:
        return decode(content) if isinstance(content, bytes) else Image.fromarray(content)
    except AttentionError as error:
        raise BadData(f"{name} cannot be used: {error}") from error


def _pixels(name: str, content: Content, size: int) -> NDArray[np.uint8]:
    """An image as (size, size, 3) bytes: untouched if it has that size, else shorter side resized and cropped."""
    image = opened(name, content)
    if image.size != (size, size):
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        image = image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    return np.array(image)


def _facts(
    name: str,
    size: int,
    classes: tuple[str, ...],
    numbers: NDArray[np.int64],
    in_train: NDArray[np.bool_],
    digests: list[bytes],
    split_by_hash: bool,
) -> DataFacts:
    seen: dict[bytes, list[int]] = {}
    for index, digest in enumerate(digests):
        seen.setdefault(digest, []).append(index)
    repeated = [where for where in seen.values() if len(where) > 1]
    order = sorted(zip(digests, numbers.tolist(), in_train.tolist(), strict=True))
    whole = hashlib.sha256(repr((size, classes)).encode())
    for row in order:
        whole.update(repr(row).encode())
    return DataFacts(
        name=name,
        classes=classes,
        train_images=int(in_train.sum()),
        test_images=int((~in_train).sum()),
        size=size,
        split_by_hash=split_by_hash,
        duplicates=sum(len(where) - 1 for where in repeated),
        duplicates_across_splits=sum(len(set(in_train[where].tolist())) == 2 for where in repeated),
        label_conflicts=sum(len(set(numbers[where].tolist())) > 1 for where in repeated),
        fingerprint=whole.hexdigest(),
    )
