"""Which images are trained on, chosen by and tested on: as the data says, or by the hash of each file."""

from collections.abc import Iterable, Sequence

TEST_SHARE = 0.2
"""Share of the images that a split by hash tests on."""

VALIDATION_SHARE = 0.1
"""Share of the training images that choices are made by, unless another is asked for."""


def split_of(digest: bytes) -> str:
    """Choose the split of an image whose source says none, by the SHA-256 of its content."""
    return "test" if digest[0] < 256 * TEST_SHARE else "train"


def with_test(splits: Iterable[str]) -> list[str]:
    """Let a data set's only held-out split be its test: where there is no test split, validation takes its place."""
    known = list(splits)
    return known if "test" in known else ["test" if split == "validation" else split for split in known]


def with_validation(
    splits: Sequence[str],
    labels: Sequence[str],
    digests: Sequence[bytes],
    share: float,
    contents: Sequence[bytes] | None = None,
) -> list[str]:
    """Cut a validation split from the training images, the same share of each class, by the hash of each file.

    Whatever the files' order and names, the same images are cut. Images of the same content stay together, and each
    class keeps at least one image to train on.

    Args:
        splits: of each image, without any ``validation``.
        digests: of each file.
        share: of the training images of each class, to the nearest image.
        contents: digest of each image's pixels; by default of its file.
    """
    by_class: dict[str, dict[bytes, list[int]]] = {}
    for number, (split, label, content) in enumerate(zip(splits, labels, contents or digests, strict=True)):
        if split == "train":
            by_class.setdefault(label, {}).setdefault(content, []).append(number)
    cut = list(splits)
    for groups in by_class.values():
        count = sum(map(len, groups.values()))
        target, taken = round(share * count), 0
        for numbers in sorted(groups.values(), key=lambda same: min(digests[number] for number in same)):
            if taken >= target or taken + len(numbers) >= count:
                break
            taken += len(numbers)
            for number in numbers:
                cut[number] = "validation"
    return cut
