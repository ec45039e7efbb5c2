"""Data sets for training: a folder per class, decoded once and kept as one tensor.

FOLDER/train/<class>/*.jpg   FOLDER/test/<class>/*.jpg        (``val`` serves as ``test``)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from attention.errors import AttentionError, BadData
from attention.images import decode
from attention.spec import Preprocess

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"}


@dataclass(frozen=True)
class Split:
    """Images as uint8 (N, S, S, 3) and labels as int64 (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class DataSet:
    """A data set as it should be called, with its classes and its two splits."""

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split

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


def read_folder(folder: Path, size: int, name: str | None = None) -> DataSet:
    """Read a data set that has a folder for each split and in it a folder for each class.

    Args:
        folder: holds ``train`` and ``test`` (or ``val``).
        size: height and width the images are brought to: shorter side resized, centre cropped.
        name: what to call it; the folder's name if None.

    Raises:
        BadData: a split or class is missing or empty, or a file is not an image.
    """
    train_folder = folder / "train"
    test_folder = next((folder / split for split in ("test", "val") if (folder / split).is_dir()), folder / "test")
    for split in (train_folder, test_folder):
        if not split.is_dir():
            raise BadData(
                f"The data set {folder} has no folder {split.name!r}. It needs train/<class>/ and test/<class>/."
            )
    classes = tuple(sorted(entry.name for entry in train_folder.iterdir() if entry.is_dir()))
    if len(classes) < 2:
        raise BadData(f"{train_folder} has {len(classes)} class folders; a classifier needs at least 2.")
    return DataSet(
        name or folder.name, classes, _read_split(train_folder, classes, size), _read_split(test_folder, classes, size)
    )


def _read_split(folder: Path, classes: Sequence[str], size: int) -> Split:
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(path for path in (folder / name).glob("*") if path.suffix.lower() in SUFFIXES)
        if not found:
            raise BadData(f"Class {name!r} has no images in {folder}. Add some, or remove the class.")
        paths += found
        labels += [label] * len(found)
    images = torch.empty(len(paths), size, size, 3, dtype=torch.uint8)
    for number, path in enumerate(paths):
        try:
            images[number] = torch.from_numpy(_fit(decode(path.read_bytes()), size))
        except AttentionError as error:
            raise BadData(f"{path} cannot be used: {error}") from error
    return Split(images, torch.tensor(labels))


def _fit(image: Image.Image, size: int) -> np.ndarray:
    """The photo as (size, size, 3) bytes: untouched if it has that size, else shorter side resized and cropped."""
    if image.size != (size, size):
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        image = image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    return np.array(image)
