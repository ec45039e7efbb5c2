"""A split where a data set has none: the same share of every class, by hash, and the same pixels on one side."""

from collections import Counter
from collections.abc import Mapping, Sequence

from attention.errors import BadData


def held_out(labels: Sequence[str], contents: Sequence[bytes], share: float) -> set[int]:
    """Choose the images to test on: ``share`` of all to the nearest image, and of each class as near as can be.

    The choice depends on the images alone, not on their order and names. Images of the same content stay together, also
    where they stand in several classes, and each class has at least one to train on; and one to test on, unless what it
    shares with other classes leaves these none to train on.

    Args:
        labels: the class of each image.
        contents: digest of each image's pixels.
        share: of the images, 0..1.

    Raises:
        BadData: a class has too few different images to be in both splits.
    """
    groups: dict[bytes, list[int]] = {}
    for number, content in enumerate(contents):
        groups.setdefault(content, []).append(number)
    by_class: dict[str, list[bytes]] = {}
    classes = {content: {labels[number] for number in numbers} for content, numbers in groups.items()}
    for content in groups:
        for label in sorted(classes[content]):
            by_class.setdefault(label, []).append(content)
    small = [label for label in sorted(by_class) if len(by_class[label]) < 2]
    if small:
        raise BadData(
            f"There is no split, and {_listed(small)} {'has' if len(small) == 1 else 'have'} only one different image, "
            "which cannot be both trained on and tested on. Add images, or remove the class."
        )
    quotas = apportion(Counter(labels), share)
    chosen: set[bytes] = set()
    decided: set[bytes] = set()
    to_train_on = {label: len(different) for label, different in by_class.items()}
    for label in sorted(by_class):
        of_class = {content: sum(labels[number] == label for number in groups[content]) for content in by_class[label]}
        taken = sum(of_class[content] for content in of_class if content in chosen)
        for content in sorted(set(of_class) - chosen, key=lambda content: (content in decided, content)):
            if taken >= quotas[label] or (taken and content in decided):
                break
            if all(to_train_on[other] > 1 for other in classes[content]):
                chosen.add(content)
                taken += of_class[content]
                for other in classes[content]:
                    to_train_on[other] -= 1
        decided |= set(of_class)
    return {number for content in chosen for number in groups[content]}


def apportion(counts: Mapping[str, int], share: float) -> dict[str, int]:
    """Share out ``share`` of a total over classes by largest remainders, at least one each.

    >>> apportion({"cats": 12, "dogs": 12}, 0.2)
    {'cats': 3, 'dogs': 2}
    """
    exact = {label: share * count for label, count in counts.items()}
    whole = {label: max(int(value), 1) for label, value in exact.items()}
    spare = round(share * sum(counts.values())) - sum(whole.values())
    by_remainder = sorted(exact, key=lambda label: (whole[label] - exact[label], label))
    for label in by_remainder[: max(spare, 0)]:
        whole[label] += 1
    return whole


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return f"class {shown}" if len(names) == 1 else f"{len(names)} classes ({shown}{', ...' if len(names) > 5 else ''})"
