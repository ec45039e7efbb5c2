"""What runs give class by class: a description without verdicts, and its tables."""

from collections.abc import Iterable, Sequence

from pydantic import Field

from attention.reports.parts.evidence import Interval
from attention.reports.writing.tables import Printed, Table, named
from attention.spec import Plain

HEADING = "Description, not corrected, no verdict"
"""What stands over intervals per class: there are as many as arms times classes, and each has 95 % by itself."""


MOST_MISTAKEN = 5
"""Pairs of classes of each network that its confusion is printed by; a table of all has the square of the classes."""


class ClassRecall(Plain):
    """One class under one arm, over its seeds."""

    name: str = Field(description="The class.")
    test_images: int | None = Field(description="Test images of the class; None where not known.")
    recall: float = Field(description="Mean over seeds of the share of them that is told rightly, points.")
    spread: float | None = Field(description="Standard deviation over seeds, points; None for one run.")
    difference: Interval | None = Field(
        description="Recall minus the baseline's on the same seeds, points, with a plain 95 % paired t interval: a "
        "description, not corrected for the number of classes. None for the baseline and for fewer than two pairs."
    )


class ArmClasses(Plain):
    """One arm, class by class: a description, from which no verdict follows."""

    arm: str = Field(description="Short name of the arm.")
    n: int = Field(description="Runs that were counted.")
    balanced_accuracy: float = Field(description="Mean over seeds of the mean recall of the classes, points.")
    spread: float | None = Field(description="Standard deviation of it over seeds, points; None for one run.")
    macro_f1: float | None = Field(
        description="Mean over seeds of the mean F1 of the classes, points; None if a run lacks it."
    )
    confusion: tuple[tuple[float, ...], ...] | None = Field(
        description="Mean over seeds of the test images by true class (row) and first class (column)."
    )
    classes: tuple[ClassRecall, ...] = Field(description="Every class, in the order of the labels.")
    gains_most: str | None = Field(description="Class with the largest mean difference above zero; None without one.")
    loses_most: str | None = Field(description="Class with the largest mean difference below zero; None without one.")


def classes_table(
    runs: Iterable[tuple[str, int, Sequence[int]]], names: Sequence[str], test_images: Sequence[int]
) -> Table:
    """Make a row for every run and class.

    Args:
        runs: arm, seed and the test images told rightly of each class; empty for a run without a result.
    """
    rows = [
        (arm, seed, name, images, right, right / images)
        for arm, seed, recalls in runs
        for name, images, right in zip(names, test_images, recalls, strict=bool(recalls))
    ]
    columns = named("arm", "seed", "class", "test_images", "right", "recall")
    return Table(name="classes", caption="Every class of every run.", columns=columns, rows=tuple(rows))


def confusion_table(
    runs: Iterable[tuple[str, int, Sequence[Sequence[int]] | None]], arms: Sequence[ArmClasses], names: Sequence[str]
) -> Table:
    """Make a row for every entry above 0 of each run's confusion matrix; printed are what arms mistake most often.

    Args:
        runs: arm, seed and the test images by true class (row) and first class (column); None where it was not kept.
    """
    rows = [
        (arm, seed, names[true], names[first], images)
        for arm, seed, matrix in runs
        for true, row in enumerate(matrix or ())
        for first, images in enumerate(row)
        if images
    ]
    printed = []
    for arm in arms:
        entries = (
            (images, t, p) for t, row in enumerate(arm.confusion or ()) for p, images in enumerate(row) if t != p
        )
        worst = sorted((entry for entry in entries if entry[0]), reverse=True)[:MOST_MISTAKEN]
        printed += [(arm.arm, names[true], names[first], f"{images:.1f}") for images, true, first in worst]
    return Table(
        name="confusion",
        caption=f"The {MOST_MISTAKEN} most frequent mistakes of each network: test images of a class that are told as "
        "another, mean over seeds.",
        columns=named("arm", "seed", "class", "told", "images"),
        rows=tuple(rows),
        printed=Printed(head=("network", "class", "told as", "images"), rows=tuple(printed)),
    )


def recall_table(arms: Sequence[ArmClasses], data: str) -> Table:
    """Make a row for the recall of every class, an arm a column."""
    names = [(score.name, score.test_images) for score in arms[0].classes] if arms else []
    means = [[score.recall for score in arm.classes] for arm in arms]
    printed = [[_recall(score) for score in arm.classes] for arm in arms]
    rows = [(*name, *cells) for name, *cells in zip(names, *means, strict=True)]
    balanced = ("Balanced accuracy", None, *(arm.balanced_accuracy for arm in arms))
    texts = [(name, str(images or "--"), *cells) for (name, images), *cells in zip(names, *printed, strict=True)]
    texts.append(("Balanced accuracy", "", *(f"{arm.balanced_accuracy:.2f}" for arm in arms)))
    caption = (
        f"Recall of each class on {data}, per cent, mean over seeds, with the difference to the baseline and its plain "
        f"95 % paired t interval. {HEADING}."
    )
    head = ("class", "images", *(arm.arm for arm in arms))
    printed_table = Printed(head=head, rows=tuple(texts))
    columns, table_rows = named("class", "test_images", *(arm.arm for arm in arms)), (*rows, balanced)
    return Table(name="recall", caption=caption, columns=columns, rows=table_rows, printed=printed_table)


def _recall(score: ClassRecall) -> str:
    if (difference := score.difference) is None:
        return f"{score.recall:.2f}"
    return f"{score.recall:.2f} ({difference.text()})"
