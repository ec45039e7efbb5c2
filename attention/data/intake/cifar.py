"""CIFAR-10 and CIFAR-100 in their binary form, told by what lies in an archive or folder, not by its name.

Learning Multiple Layers of Features from Tiny Images. Alex Krizhevsky. 2009. https://www.cs.toronto.edu/~kriz/cifar.html
"""

from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from attention.data.intake.containers import Container
from attention.errors import BadData
from attention.reports.parts.inventory import Split

LISTINGS = {"batches.meta.txt": (1, 3072), "fine_label_names.txt": (2, 3072)}
"""File of class names -> bytes of labels before each image (CIFAR-100 has the coarse one first), bytes of the image."""

MAX_BATCH_BYTES = 400_000_000


def is_cifar(paths: Collection[str]) -> bool:
    """Whether files are those of a binary CIFAR archive."""
    names = {PurePosixPath(path).name for path in paths}
    return bool(names & set(LISTINGS)) and any(name.endswith(".bin") for name in names)


def cifar_images(container: Container, name: str) -> Iterator[tuple[Split, str, str, NDArray[np.uint8]]]:
    """Split, class, name and pixels (32, 32, 3) of every image.

    Args:
        name: of the archive, for sentences.

    Raises:
        BadData: a file is cut short, or a label has no name.
    """
    batches: dict[str, bytes] = {}
    listing, words = "", b""
    for file in container.files():
        last = PurePosixPath(file.path).name
        if last in LISTINGS:
            listing, words = last, file.read(1_000_000)
        elif last.endswith(".bin"):
            batches[last] = file.read(MAX_BATCH_BYTES)
    classes = words.decode("utf-8", "replace").split()
    labels, pixels = LISTINGS[listing]
    for batch in sorted(batches):
        rows = np.frombuffer(batches.pop(batch), np.uint8)
        if len(rows) % (labels + pixels):
            raise BadData(f"The file {batch} in {name} is cut short. Download the archive again.")
        for number, row in enumerate(rows.reshape(-1, labels + pixels)):
            if row[labels - 1] >= len(classes):
                raise BadData(
                    f"Image {number} of {batch} in {name} has the label {row[labels - 1]}, which has no name."
                )
            image = row[labels:].reshape(3, 32, 32).transpose(1, 2, 0)
            split: Split = "test" if batch.startswith("test") else "train"
            yield split, classes[row[labels - 1]], f"image {number} of {batch}", image
