"""What was understood of a data set, as plain data: its layout, classes and splits, what was left out, what is bad."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from attention.reports.writing.tables import Report
from attention.spec import Plain

Split = Literal["train", "validation", "test"]


class Choices(Plain):
    """How a data set is to be understood where more than one reading is possible."""

    split: str | None = Field(
        default=None,
        max_length=1000,
        description="'hash': make a split whatever the folders say; or a split for each of the topmost folders, "
        "'seg_train=train,holdout=test,extra=none'. None: as the folders' names tell.",
    )
    class_level: int | None = Field(
        default=None,
        ge=1,
        le=20,
        description="Which folder is the class: 1 is the one below the split, or below the root without a split.",
    )
    skip_bad: bool = Field(default=False, description="Leave out files that cannot be read instead of refusing all.")
    names: str | None = Field(
        default=None,
        max_length=40,
        description="Encoding of names in an archive, and of a list of labels, that do not say it: gbk, cp437.",
    )
    labels: str | None = Field(
        default=None,
        max_length=200,
        description="Where the classes stand if not in folders: the path of a CSV or JSON-lines file, or a pattern of "
        "file names such as '{class}_*' or '*-{class}.*'.",
    )
    ignore_case: bool = Field(default=False, description="Take class names that differ only in case as the same.")


AS_FOUND = Choices()
"""Nothing chosen: a data set is understood by what its files and folders tell."""


class ClassCount(Plain):
    """The images of one class."""

    name: str = Field(description="The class.")
    train: int = Field(description="Images to train on.")
    validation: int = Field(description="Images to choose by.")
    test: int = Field(description="Images to test on.")


class LeftOut(Plain):
    """Files that are not part of the data set, and why."""

    what: str = Field(description="What they are: 'MP4 video', 'hidden file', 'photo without a class'.")
    count: int = Field(description="How many there are.")
    why: str = Field(description="Why they are left out.")
    examples: tuple[str, ...] = Field(description="Names of the first of them.")


class BadFile(Plain):
    """A file in the place of a photo that cannot be read."""

    name: str = Field(description="Its name inside the data set.")
    reason: str = Field(description="What is wrong with it.")


class Level(Plain):
    """Folders at one depth below the split, or below the root without a split."""

    level: int = Field(description="1 is the outermost; the choice `class_level` names one.")
    folders: tuple[str, ...] = Field(description="Names at this depth; the first 20.")
    count: int = Field(description="How many names there are.")


class Suggestion(Plain):
    """A choice that would make something of the data set differently."""

    choice: str = Field(description="What to say, as in a query: 'class_level=2'.")
    effect: str = Field(description="What it would do.")


class Inventory(Report):
    """What was understood of a data set."""

    main: ClassVar[str] = "classes"

    layout: str = Field(description="How its files lie and where its classes come from, as a sentence.")
    images: int = Field(description="Images that are used, all splits together.")
    train_images: int = Field(description="Images to train on.")
    validation_images: int = Field(description="Images to choose by.")
    test_images: int = Field(description="Images to test on.")
    split_by_hash: bool = Field(description="Whether the split between train and test was made here.")
    splits: dict[str, Split] = Field(description="Folder (or word in a list) -> the split it was taken for.")
    classes: tuple[ClassCount, ...] = Field(description="Every class with its images.")
    levels: tuple[Level, ...] = Field(description="Levels of folders, where there is more than one.")
    left_out: tuple[LeftOut, ...] = Field(description="What is no part of it.")
    bad: tuple[BadFile, ...] = Field(description="Every file that should be a photo and cannot be read.")
    duplicates: int = Field(description="Images that repeat the pixels of another one.")
    duplicates_across_splits: int = Field(description="Groups of the same pixels that stand in more than one split.")
    label_conflicts: int = Field(description="Groups of the same pixels that stand there with more than one label.")
    pixel_range: str | None = Field(description="How pixels of more than eight bits were scaled, all by one range.")
    problems: tuple[str, ...] = Field(description="Why it cannot be trained on as it is; empty if it can.")
    guesses: tuple[str, ...] = Field(description="What was taken as likely and should be looked at.")
    notes: tuple[str, ...] = Field(description="What else was noticed.")
    suggestions: tuple[Suggestion, ...] = Field(description="Choices that would change what was understood.")
    choices: Choices = Field(description="What was chosen.")

    def text(self) -> str:
        """All of it as lines for people: what was understood, each class, what is bad or left out, and why."""
        origin = "a split made by hash" if self.split_by_hash else "as given"
        lines = [
            self.layout,
            f"{self.images:,} images: {self.train_images:,} to train on, {self.validation_images:,} to choose by, "
            f"{self.test_images:,} to test on ({origin}).",
            *(f"The folder {folder!r} is the split {split}." for folder, split in self.splits.items()),
            *(
                f"  {counts.name}: {counts.train:,} train, {counts.validation:,} validation, {counts.test:,} test"
                for counts in self.classes
            ),
        ]
        if self.duplicates or self.label_conflicts:
            lines.append(
                f"{self.duplicates:,} images repeat the pixels of another; {self.duplicates_across_splits:,} of them "
                f"stand in more than one split, {self.label_conflicts:,} with more than one label."
            )
        lines += [
            f"Left out: {out.count:,} x {out.what} ({', '.join(out.examples)}). {out.why}" for out in self.left_out
        ]
        for reason, names in by_reason(self.bad).items():
            lines.append(f"Bad: {len(names):,} ({', '.join(names)}). {reason}")
        lines += [self.pixel_range] if self.pixel_range else []
        lines += [*self.notes, *(f"Guessed: {guess}" for guess in self.guesses)]
        lines += [f"Possible: {suggestion.choice}. {suggestion.effect}" for suggestion in self.suggestions]
        lines += [f"Problem: {problem}" for problem in self.problems]
        return "\n".join(lines)


def by_reason(bad: Sequence[BadFile]) -> dict[str, list[str]]:
    """Names of bad files by what is wrong with them, in their order."""
    names: dict[str, list[str]] = {}
    for file in bad:
        names.setdefault(file.reason, []).append(file.name)
    return names
