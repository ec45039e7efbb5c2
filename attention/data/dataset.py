"""Data sets for training: decoded once, kept as one tensor, and looked over for what spoils a comparison.

    FOLDER/train/<class>/*.jpg   FOLDER/test/<class>/*.jpg      a split as it is given
    FOLDER/<class>/*.jpg                                        a fifth of each class for the test, by hash

Curves and choices are of a validation split: ``val``, ``valid``, ``validation`` or ``dev`` beside ``test`` as it is, or
else a share of the training images. Where there is no ``test``, that split is the test. The same inside a zip or tar;
CIFAR's binary archives; parquet files of a hub (see `attention.data.intake.inventory`).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from attention.data.images import decode
from attention.data.intake.inventory import Intake, check, digest_of, placed, take_inventory
from attention.data.intake.sources import Content, Item
from attention.data.intake.splits import VALIDATION_SHARE, split_of, with_test, with_validation
from attention.data.pixel_cache import PixelCache, fingerprint_of, in_parallel
from attention.data.preprocessing import in_srgb
from attention.errors import AttentionError, BadData
from attention.reports.parts.inventory import AS_FOUND, Choices
from attention.reports.parts.predictions import PackedClasses
from attention.reports.study import DataFacts, ValidationOrigin
from attention.spec import Preprocess


@dataclass(frozen=True)
class Split:
    """Images as uint8 (N, S, S, 3) and labels as int64 (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class DataSet:
    """A data set as it should be called, with its classes, its splits, and what was found in it.

    ``validation`` is what curves and choices are of; without it they are of the test images.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    facts: DataFacts | None = None
    validation: Split | None = None

    @property
    def watched(self) -> Split:
        """What is looked at while networks are trained."""
        return self.test if self.validation is None else self.validation

    @property
    def size(self) -> int:
        """Height and width of the images in pixels."""
        return self.train.images.shape[1]

    def preprocess(self) -> Preprocess:
        """What an input must look like: the size of these images, the mean and spread of the training split."""
        counts = np.stack([np.bincount(channel, minlength=256) for channel in self.train.images.view(-1, 3).T.numpy()])
        levels = np.arange(256) / 255
        mean = counts @ levels / counts.sum(1)
        std = np.sqrt(np.maximum(counts @ levels**2 / counts.sum(1) - mean**2, 1 / 255**2))
        red, green, blue = (tuple(np.round(pair, 4).tolist()) for pair in zip(mean, std, strict=True))
        return Preprocess(
            size=self.size, resize=self.size, mean=(red[0], green[0], blue[0]), std=(red[1], green[1], blue[1])
        )


def read(
    path: Path,
    size: int,
    name: str | None = None,
    validation: float = VALIDATION_SHARE,
    *,
    choices: Choices = AS_FOUND,
    intake: Intake | None = None,
    cache: PixelCache | None = None,
) -> DataSet:
    """Read a data set from a folder, a zip, a tar, a CIFAR archive or a parquet file.

    Args:
        size: height and width the images are brought to: shorter side resized, centre cropped.
        name: what to call it; the file's name if None.
        validation: share of the training images, 0 to 0.5, that a data set without a validation split of its own has
            cut from them; 0 leaves a validation split out altogether, its own too.
        choices: how it is understood where more than one reading is possible.
        intake: its inventory, if it was taken of these very files before.
        cache: where decoded images are kept; files that it knows are not decoded, and of a known inventory not read.

    Raises:
        BadData: a split or class is missing or empty, or a file is not an image.
        TooLarge: an archive beyond the limits.
    """
    intake = intake or take_inventory(path, choices)
    called = name or path.name.partition(".")[0]
    check(intake.inventory, called)
    used = [record for record in intake.records if record.split is not None]
    contents, digests = [record.content for record in used], [record.digest for record in used]
    fingerprint = cached = None
    if cache and intake.used is None:
        fingerprint = fingerprint_of(digests, size)
        cached = cache.read(fingerprint)
    elif cache:  # deep pixels are scaled by the range of all, so files do not tell them
        fingerprint = fingerprint_of((digest_of(item.read()) for item in placed(path, intake)), size)
    if cached is not None:
        labels, splits = [record.label for record in used], [str(record.split) for record in used]
        by_hash = intake.inventory.split_by_hash
        data = _data_set(called, cached, labels, splits, digests, validation, contents, split_by_hash=by_hash)
    else:
        data = collect(placed(path, intake), size, called, validation, contents, cache, fingerprint)
    assert data.facts is not None
    inventory = intake.inventory
    facts = data.facts.model_copy(
        update={
            "split_by_hash": inventory.split_by_hash,
            "duplicates": inventory.duplicates,
            "duplicates_across_splits": inventory.duplicates_across_splits,
            "label_conflicts": inventory.label_conflicts,
            "inventory": inventory,
        }
    )
    return replace(data, facts=facts)


def collect(
    source: Iterable[Item],
    size: int,
    name: str,
    validation: float = VALIDATION_SHARE,
    contents: Sequence[bytes] | None = None,
    cache: PixelCache | None = None,
    expected: str | None = None,
) -> DataSet:
    """Decode a stream of images into a data set.

    Args:
        contents: digest of each image's pixels, so that the same pixels in two files are cut together; by default of
            its file.
        cache: where decoded images are kept.
        expected: fingerprint that the images are looked up there by.

    Raises:
        BadData: see `read`.
    """
    labels: list[str] = []
    splits: list[str] = []
    digests: list[bytes] = []
    with_split: Counter[bool] = Counter()

    def named_files() -> Iterator[tuple[str, Content]]:
        for item in source:
            content = item.read()
            digest = digest_of(content)
            with_split[item.split is not None] += 1
            labels.append(item.label)
            digests.append(digest)
            splits.append(item.split or split_of(digest))
            yield item.name, content

    pixels = _images(named_files(), size, cache.read(expected) if cache and expected else None, len(contents or ()))
    if not labels:
        raise BadData(f"{name} holds no images. It needs a folder for each class, with photos in it.")
    if len(with_split) == 2:
        raise BadData(
            f"{name} is split for {with_split[True]} of {len(labels)} images only. "
            "Put all of them under train and test, or none."
        )
    fingerprint = fingerprint_of(digests, size)
    if expected not in (None, fingerprint):
        raise BadData(f"The files of {name} changed while they were read. Read it again when they do not.")
    if cache and not isinstance(pixels, np.memmap):
        cache.keep(fingerprint, pixels)
    return _data_set(name, pixels, labels, splits, digests, validation, contents, split_by_hash=not with_split[True])


def _data_set(
    name: str,
    pixels: NDArray[np.uint8],
    labels: Sequence[str],
    splits: list[str],
    digests: list[bytes],
    validation: float,
    contents: Sequence[bytes] | None,
    *,
    split_by_hash: bool,
) -> DataSet:
    """Put decoded images (N, S, S, 3) into their splits, with the facts about them.

    Raises:
        BadData: a split or class is missing or empty.
    """
    size = pixels.shape[1]
    classes = tuple(sorted(set(labels)))
    if len(classes) < 2:
        raise BadData(f"{name} has 1 class folder ({classes[0]!r}); a classifier needs at least 2.")
    splits = with_test(splits)
    origin: ValidationOrigin = "off" if not validation else "own" if "validation" in splits else "cut"
    if origin == "cut":
        splits = with_validation(splits, labels, digests, validation, contents)
    numbers, where = np.array([classes.index(label) for label in labels]), np.array(splits)
    parts = _parted(pixels, numbers, where)
    for split in ("train", "test"):
        for label, count in zip(classes, per_class(parts[split], classes), strict=True):
            if not count:
                raise BadData(f"Class {label!r} of {name} has no images in its {split} split. Add some, or remove it.")
    held = parts["validation"] if validation and len(parts["validation"]) else None
    facts = DataFacts(
        name=name,
        classes=classes,
        train_images=len(parts["train"]),
        validation_images=len(held or ()),
        test_images=len(parts["test"]),
        train_per_class=per_class(parts["train"], classes),
        test_per_class=per_class(parts["test"], classes),
        test_labels=PackedClasses.of(parts["test"].labels.tolist()),
        size=size,
        split_by_hash=split_by_hash,
        validation=origin if held is not None else "off",
        unused_images=0 if validation else len(parts["validation"]),
        **_repeats(digests, numbers, where),
        fingerprint=_fingerprint(size, classes, digests, numbers, splits),
    )
    return DataSet(name, classes, parts["train"], parts["test"], facts, held)


def per_class(split: Split, classes: Sequence[str]) -> tuple[int, ...]:
    """Count a split's images of each class."""
    return tuple(torch.bincount(split.labels, minlength=len(classes)).tolist())


def opened(name: str, content: Content) -> Image.Image:
    """An image of a data set, upright, in RGB.

    Raises:
        BadData: it is none.
    """
    try:
        return decode(content) if isinstance(content, bytes) else Image.fromarray(content)
    except AttentionError as error:
        raise BadData(f"{name} cannot be used: {error}") from error


def _parted(pixels: NDArray[np.uint8], numbers: NDArray[np.int64], where: NDArray[np.str_]) -> dict[str, Split]:
    """Each split's images and labels; the images are moved in place, so that no second copy of them is in memory."""
    order = np.concatenate([np.flatnonzero(where == split) for split in ("train", "validation", "test")])
    arrange(pixels, order)
    images, labels = torch.from_numpy(pixels), torch.from_numpy(numbers[order])
    parts, begin = {}, 0
    for split in ("train", "validation", "test"):
        end = begin + int((where == split).sum())
        parts[split] = Split(images[begin:end], labels[begin:end])
        begin = end
    return parts


def arrange(rows: NDArray[np.uint8], order: NDArray[np.int64]) -> None:
    """Bring rows (N, ...) into an order, as ``rows[order]`` does, with one row copied at a time."""
    rows, sources = np.asarray(rows), order.tolist()  # a row of a memory map takes three times as long to name
    for start, source in enumerate(sources):
        if source in (start, -1):  # it is where it belongs, or was brought there
            continue
        row, place = rows[start].copy(), start
        while sources[place] != start:
            rows[place] = rows[sources[place]]
            sources[place], place = -1, sources[place]
        rows[place] = row
        sources[place] = -1


def _images(
    contents: Iterator[tuple[str, Content]], size: int, cached: NDArray[np.uint8] | None, count: int
) -> NDArray[np.uint8]:
    """Decode the images of named contents, (N, size, size, 3); those that are kept are only gone through.

    Args:
        count: how many there should be, so that none is in memory twice; 0 where that is not known.
    """
    if cached is not None:
        for _ in contents:
            pass
        return cached
    decoded = in_parallel(lambda named: _pixels(*named, size), contents)
    pack = np.empty((count, size, size, 3), np.uint8)
    number = -1
    for number, image in enumerate(islice(decoded, count)):
        pack[number] = image
    more = list(decoded)
    return pack[: number + 1] if not more else np.concatenate([pack[: number + 1], np.stack(more)])


def _pixels(name: str, content: Content, size: int) -> NDArray[np.uint8]:
    """An image as (size, size, 3) bytes: untouched if it has that size, else shorter side resized and cropped."""
    image = opened(name, content)
    if image.size != (size, size):
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        image = image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    return np.array(in_srgb(image))


def _repeats(digests: list[bytes], numbers: NDArray[np.int64], where: NDArray[np.str_]) -> dict[str, Any]:
    """Count files that repeat others, and in what they disagree, as fields of the facts."""
    by_digest: dict[bytes, list[int]] = {}
    for index, digest in enumerate(digests):
        by_digest.setdefault(digest, []).append(index)
    repeated = [same for same in by_digest.values() if len(same) > 1]
    tested = where == "test"
    return {
        "duplicates": sum(len(same) - 1 for same in repeated),
        "duplicates_across_splits": sum(len(set(tested[same].tolist())) == 2 for same in repeated),
        "label_conflicts": sum(len(set(numbers[same].tolist())) > 1 for same in repeated),
    }


def _fingerprint(
    size: int, classes: tuple[str, ...], digests: list[bytes], numbers: NDArray[np.int64], splits: list[str]
) -> str:
    """SHA-256 of all that a run's result depends on, in whatever order the images came.

    A validation split, which data sets once did not have, has the number 2 beside False for test and True for train.
    """
    parts = {"test": False, "train": True, "validation": 2}
    whole = hashlib.sha256(repr((size, classes)).encode())
    for row in sorted(zip(digests, numbers.tolist(), (parts[split] for split in splits), strict=True)):
        whole.update(repr(row).encode())
    return whole.hexdigest()
