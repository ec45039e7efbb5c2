"""Folder names that say which split they hold, in many spellings: ``train``, ``seg_test``, ``Testing``, ``val2017``."""

import re
from collections.abc import Collection

from attention.reports.parts.inventory import Split

WORDS: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training", "trn", "fit", "训练", "训练集"),
    "validation": ("validation", "validate", "valid", "val", "dev", "development", "tune", "tuning", "验证", "验证集"),
    "test": (
        *("test", "testing", "tst", "holdout", "heldout", "eval", "evaluation", "publictest", "privatetest"),
        *("测试", "测试集"),
    ),
}
SPLIT_OF: dict[str, Split] = {word: split for split, words in WORDS.items() for word in words}

FILLERS = {"set", "sets", "data", "dataset", "images", "image", "imgs", "img", "photos", "pictures", "split", "files"}
"""Words beside a split's word that say nothing: ``training_set``, ``test-images``."""

PLAIN = re.compile(rf"({'|'.join(sorted(SPLIT_OF, key=len, reverse=True))})({'|'.join(sorted(FILLERS))})?(\d*)")
VERSION = re.compile(r"v?\d+")
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def split_word(name: str) -> tuple[Split, tuple[str, ...]] | None:
    """The split that a folder's name tells, and the other words in it; None if no word or more than one is a split.

    A number or version beside the word, as in ``test1``, ``02_val`` and ``train_v2``, says nothing.
    """
    spaced = CAMEL.sub(" ", name).lower().replace("hold-out", "holdout").replace("hold_out", "holdout")
    words = [word for word in re.split(r"[\W_]+", spaced) if word]
    joined = PLAIN.fullmatch("".join(words))
    if joined is not None:
        return SPLIT_OF[joined[1]], ()
    matches = [(word, match) for word in words if (match := PLAIN.fullmatch(word)) is not None]
    if len({SPLIT_OF[match[1]] for _, match in matches}) != 1:
        return None
    split_words = {word for word, _ in matches}
    return SPLIT_OF[matches[0][1][1]], tuple(
        word for word in words if word not in split_words and word not in FILLERS and not VERSION.fullmatch(word)
    )


def split_folders(names: Collection[str]) -> dict[str, Split]:
    """Which split each folder holds, of folders that lie side by side; empty unless all of them are splits.

    ``bus``, ``car`` and ``train`` are classes. ``seg_train`` and ``seg_test`` are splits, ``train_cats`` and
    ``test_dogs`` are not: beside the split's word they must say the same.
    """
    word_of_folder = {name: word for name in names if (word := split_word(name)) is not None}
    if len(word_of_folder) < len(names) or len({others for _, others in word_of_folder.values()}) > 1:
        return {}
    splits: dict[str, Split] = {name: split for name, (split, _) in word_of_folder.items()}
    return splits if "train" in splits.values() and len(set(splits.values())) > 1 else {}


def some_are_splits(names: Collection[str]) -> dict[str, Split]:
    """The folders that look like splits beside others that do not; empty unless train and another split are there."""
    splits: dict[str, Split] = {name: word[0] for name in names if (word := split_word(name)) is not None}
    return splits if "train" in splits.values() and len(set(splits.values())) > 1 else {}


def split_and_class(names: Collection[str]) -> dict[str, tuple[Split, str]]:
    """Split and class of folders that name both, as ``train_cat``, ``train_dog``, ``test_cat`` and ``test_dog`` do.

    Empty unless all do, of two classes at least, and each class is there to train on.
    """
    words = {name: word for name in names if (word := split_word(name)) is not None and word[1]}
    classes = {others for _, others in words.values()}
    trained = {others for split, others in words.values() if split == "train"}
    if (
        len(words) < len(names)
        or len(classes) < 2
        or trained != classes
        or len({split for split, _ in words.values()}) < 2
    ):
        return {}
    return {name: (split, "_".join(others)) for name, (split, others) in words.items()}
