"""Image data sets as hubs keep them: parquet files with a column of images and a column of class numbers or names."""

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from attention.data.intake.split_words import split_word
from attention.errors import BadData
from attention.reports.parts.inventory import Split

IMAGE_COLUMNS = ("image", "img", "jpg", "png")
LABEL_COLUMNS = ("label", "fine_label", "labels", "class")


def parquet_images(paths: list[Path]) -> Iterator[tuple[Split | None, str, str, bytes]]:
    """Split, class, name and bytes of every image.

    Images stand there as ``{bytes, path}``; the split is in the file's name, as in ``train-00000-of-00001.parquet``.

    Raises:
        BadData: pyarrow is not installed, or a file is none, or has no such columns.
    """
    for path in paths:
        file, image, label = opened(path)
        names = _class_names(file.schema_arrow.metadata or {}, label)
        file_split = split_word(path.stem.split("-")[0]) or split_word(path.parent.name)
        number = 0
        for batch in file.iter_batches(256, columns=[image, label]):
            for row in batch.to_pylist():
                content = row[image]["bytes"] if isinstance(row[image], dict) else row[image]
                value = row[label]
                class_name = (
                    names[value] if names and isinstance(value, int) and 0 <= value < len(names) else str(value)
                )
                yield file_split[0] if file_split else None, class_name, f"row {number} of {path.name}", content or b""
                number += 1


def opened(path: Path) -> tuple[Any, str, str]:
    """A parquet file with the names of its image and label columns.

    Raises:
        BadData: see `parquet_images`.
    """
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError:
        raise BadData("Reading parquet needs pyarrow: pip install pyarrow.") from None
    try:
        file = parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise BadData(f"The file {path.name} is not a parquet file ({error}).") from error
    columns = file.schema_arrow.names
    image = next((name for name in IMAGE_COLUMNS if name in columns), None)
    label = next((name for name in LABEL_COLUMNS if name in columns), None)
    if image is None or label is None:
        raise BadData(
            f"The file {path.name} has the columns {', '.join(columns)}; an image and a label column are needed."
        )
    return file, image, label


def _class_names(metadata: dict[bytes, bytes], label: str) -> list[str]:
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return [str(name) for name in features[label]["names"]]
    except (KeyError, TypeError, ValueError):
        return []
