"""What a data set is: understood, read through once, counted, and everything that spoils a comparison named.

intake = take_inventory(path)            nothing is raised for what its owner can decide
check(intake.inventory)                  raises if it cannot be trained on as it is
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from attention.data.images import decode, read_photo
from attention.data.intake.layout import NO_CLASS
from attention.data.intake.sources import Content, Item, Source, items, open_source
from attention.data.intake.splits import TEST_SHARE
from attention.data.intake.stratify import held_out
from attention.data.pixel_range import PixelRange
from attention.errors import AttentionError, BadData, TooLarge, listing
from attention.reports.parts.inventory import AS_FOUND, BadFile, Choices, ClassCount, Inventory, Split, by_reason

MANY = 5
"""How many names a sentence shows."""

OnImage = Callable[[int, int], object]
"""Called after each image with how many were read, and how many there are in all; 0 where that is not known."""


def uncounted(done: int, total: int) -> None:
    """Ignore how many images were read."""


class Record(NamedTuple):
    """One image of a data set, in the order its source gives them; ``split`` is None for one that cannot be read."""

    name: str
    label: str
    split: Split | None
    digest: bytes
    """SHA-256 of its file, or of its pixels where the source has pixels."""
    content: bytes
    """Digest of its decoded pixels; empty for one that cannot be read."""


@dataclass(frozen=True)
class Intake:
    """A data set's inventory, each of its images, and the one range that deep pixels are scaled by."""

    inventory: Inventory
    records: tuple[Record, ...]
    used: PixelRange | None = None


class Refused(BadData):
    """A data set that cannot be trained on as it is; ``inventory`` says all of why."""

    inventory: Inventory

    def faults(self) -> list[dict[str, str]]:
        """Every file that cannot be read."""
        return [{"field": bad.name, "message": bad.reason, "kind": "bad_file"} for bad in self.inventory.bad]


@dataclass
class _Survey:
    """What was seen of the images so far."""

    names: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    splits: list[Split | None] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    bad: list[BadFile] = field(default_factory=list)
    used: PixelRange | None = None


def take_inventory(
    path: Path,
    choices: Choices = AS_FOUND,
    on_image: OnImage = uncounted,
) -> Intake:
    """Read a data set through once.

    Args:
        on_image: called after each image; see `OnImage`.

    Raises:
        BadData: it is nothing that can be read.
        TooLarge: an archive beyond the limits.
        InvalidRequest: a choice makes no sense for it.
    """
    source = open_source(path, choices)
    survey = _Survey()
    for item in source.items():
        _look(item, survey)
        on_image(len(survey.names), source.images)
    labels = _labels(survey, source, choices)
    splits, by_hash = _splits(survey, labels, source, choices)
    records = tuple(map(Record, survey.names, labels, splits, survey.digests, survey.contents))
    return Intake(_inventory(source, choices, survey, records, by_hash), records, survey.used)


def check(inventory: Inventory, name: str) -> None:
    """Raise Refused unless a data set, which sentences call ``name``, can be trained on as it is.

    Raises:
        Refused: it cannot; the sentences say why and what to choose.
    """
    if inventory.problems:
        refused = Refused(f"The data set {name} cannot be used as it is. {' '.join(inventory.problems)}")
        refused.inventory = inventory
        raise refused


def placed(path: Path, intake: Intake) -> Iterator[Item]:
    """The images of a data set that are used, each with its split and class, deep pixels scaled by its one range.

    Raises:
        BadData: it is no longer what it was when its inventory was taken.
    """
    try:
        for record, item in zip(intake.records, items(path, intake.inventory.choices), strict=True):
            if record.split is not None:
                read = item.read if intake.used is None else partial(_scaled, item.read, intake.used)
                yield Item(record.split, record.label, item.name, read)
    except ValueError:
        raise BadData(f"{path.name} changed while it was read. Try again.") from None


def _scaled(read: Callable[[], Content], used: PixelRange) -> Content:
    content = read()
    return np.asarray(decode(content, used=used)) if isinstance(content, bytes) else content


def check_readable(inventory: Inventory, name: str) -> None:
    """Raise Refused unless every image of a data set can be read, or those that cannot are to be left out.

    Raises:
        Refused: some cannot.
    """
    check(inventory.model_copy(update={"problems": _unreadable(inventory.bad, inventory.choices)}), name)


def digest_of(content: Content) -> bytes:
    """The SHA-256 of an image's file, or of its pixels where the source has no files."""
    return hashlib.sha256(content if isinstance(content, bytes) else content.tobytes()).digest()


def _look(item: Item, survey: _Survey) -> None:
    """Read one image and note what it is."""
    content: Content = b""
    pixels = b""
    try:
        content = item.read()
        if isinstance(content, bytes):
            photo = read_photo(content)
            pixels = _pixel_digest(photo.image)
            if photo.used is not None:
                survey.used = photo.used if survey.used is None else survey.used | photo.used
        else:
            pixels = _pixel_digest(Image.fromarray(content))
    except (BadData, TooLarge) as error:
        if not content:  # the archive itself
            raise
        survey.bad.append(BadFile(name=item.name, reason=str(error)))
    except AttentionError as error:
        survey.bad.append(BadFile(name=item.name, reason=str(error)))
    survey.names.append(item.name)
    survey.labels.append(item.label)
    survey.splits.append(item.split)
    survey.digests.append(digest_of(content))
    survey.contents.append(pixels)


def _pixel_digest(image: Image.Image) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16, key=repr(image.size).encode()).digest()


# ---------------------------------------------------------------- classes and splits


def _labels(survey: _Survey, source: Source, choices: Choices) -> list[str]:
    """The class of each image; names that differ only in case are asked about, or taken as one."""
    named = [label.strip() for label in survey.labels]
    blank = sorted({label for label in survey.labels if label != label.strip()})
    if blank:
        shown = ", ".join(map(repr, blank[:MANY]))
        source.layout.notes.append(f"Class names had blanks at their ends, which are left out: {shown}.")
    by_folded: dict[str, Counter[str]] = {}
    for label in named:
        by_folded.setdefault(label.casefold(), Counter())[label] += 1
    twins = [names for names in by_folded.values() if len(names) > 1]
    if twins and not choices.ignore_case:
        where: dict[str, set[str]] = {}
        for label, split in zip(named, survey.splits, strict=True):
            if label in twins[0]:
                where.setdefault(label, set()).add(split or "no split")
        spellings = ", ".join(f"{label!r} ({'/'.join(sorted(splits))})" for label, splits in where.items())
        source.layout.problems.append(
            f"Class names differ only in case: {spellings}: are they the same? Say ignore_case=true, or rename them."
        )
    if not choices.ignore_case:
        return named
    common = {folded: names.most_common(1)[0][0] for folded, names in by_folded.items()}
    return [common[label.casefold()] for label in named]


def _splits(
    survey: _Survey, labels: Sequence[str], source: Source, choices: Choices
) -> tuple[list[Split | None], bool]:
    """The split of each image, and whether it was made here."""
    layout = source.layout
    good = [bool(content) for content in survey.contents]
    splits: list[Split | None] = [split if fine else None for split, fine in zip(survey.splits, good, strict=True)]
    split_names = {split for split in splits if split is not None}
    unsplit = sum(split is None and fine for split, fine in zip(splits, good, strict=True))
    if choices.split == "hash":
        layout.splits = {}
    elif split_names == {"train", "validation"}:
        names = ", ".join(repr(name) for name, split in layout.splits.items() if split == "validation")
        layout.notes.append(f"The only images held out are those of {names or 'validation'}, so they are the test.")
        splits = ["test" if split == "validation" else split for split in splits]
        split_names = {"train", "test"}
    if choices.split != "hash" and "test" in split_names:
        if unsplit:
            layout.problems.append(
                f"It is split for {len(splits) - unsplit} of {len(splits)} images only. "
                "Put all of them under train and test, or none, or say split=hash."
            )
        return splits, False
    if split_names and choices.split != "hash":
        layout.notes.append("There are no labelled images to test on, so a fifth of the others is kept for it.")
    chosen = [number for number, fine in enumerate(good) if fine and splits[number] != "validation"]
    if choices.split == "hash":
        chosen = [number for number, fine in enumerate(good) if fine]
    try:
        tested = held_out([labels[n] for n in chosen], [survey.contents[n] for n in chosen], TEST_SHARE)
    except BadData as error:
        layout.problems.append(str(error))
        tested = set()
    for place, number in enumerate(chosen):
        splits[number] = "test" if place in tested else "train"
    return splits, True


# ---------------------------------------------------------------- what is told


def _inventory(
    source: Source, choices: Choices, survey: _Survey, records: Sequence[Record], by_hash: bool
) -> Inventory:
    good = [record for record in records if record.split is not None]
    counts = Counter((record.label, record.split) for record in good)
    classes = tuple(
        ClassCount(
            name=label,
            train=counts[label, "train"],
            validation=counts[label, "validation"],
            test=counts[label, "test"],
        )
        for label in sorted({record.label for record in records})
    )
    groups: dict[bytes, list[Record]] = {}
    for record in good:
        groups.setdefault(record.content, []).append(record)
    repeated = [group for group in groups.values() if len(group) > 1]
    layout = source.layout
    problems = [*layout.problems, *_problems(source, choices, survey, classes)]
    return Inventory(
        layout=layout.description,
        images=len(good),
        train_images=sum(counts.train for counts in classes),
        validation_images=sum(counts.validation for counts in classes),
        test_images=sum(counts.test for counts in classes),
        split_by_hash=by_hash,
        splits=layout.splits,
        classes=classes,
        levels=layout.levels if len(layout.levels) > 1 else (),
        left_out=source.left_out,
        bad=tuple(survey.bad),
        duplicates=sum(len(group) - 1 for group in repeated),
        duplicates_across_splits=sum(len({record.split for record in group}) > 1 for group in repeated),
        label_conflicts=sum(len({record.label for record in group}) > 1 for group in repeated),
        pixel_range=survey.used.sentence if survey.used else None,
        problems=tuple(problems),
        guesses=tuple(layout.guesses),
        notes=tuple(layout.notes),
        suggestions=tuple(layout.suggestions),
        choices=choices,
    )


def _problems(source: Source, choices: Choices, survey: _Survey, classes: Sequence[ClassCount]) -> list[str]:
    """Why a data set cannot be trained on as it is."""
    problems = list(_unreadable(survey.bad, choices))
    if not classes:
        problems.append(_no_images(source, choices))
    elif len(classes) < 2:
        problems.append(
            f"It has only the class folder {classes[0].name!r}. It needs a folder for each class, and at least two "
            f"of them: a classifier needs at least 2.{_levels(source)}"
        )
    elif not any("only one different image" in problem for problem in source.layout.problems):
        for split in ("train", "test"):
            empty = [counts.name for counts in classes if getattr(counts, split) == 0]
            shown = listing([repr(name) for name in empty], MANY)
            if len(empty) == 1:
                problems.append(f"Class {shown} has no images in its {split} split. Add some, or remove it.")
            elif empty:
                problems.append(f"Classes {shown} have no images in their {split} split. Add some, or remove them.")
    return problems


def _unreadable(bad: Sequence[BadFile], choices: Choices) -> tuple[str, ...]:
    """What is said of files that cannot be read, unless they are to be left out."""
    if not bad or choices.skip_bad:
        return ()
    sentences = []
    for reason, names in list(by_reason(bad).items())[:MANY]:
        files = "The file" if len(names) == 1 else f"{len(names)} files,"
        sentences.append(f"{files} {listing(names, MANY)} cannot be used: {reason}")
    out = "leave it out" if len(bad) == 1 else f"leave all {len(bad)} out"
    return (f"{' '.join(sentences)} Replace what cannot be read, or say skip_bad=true to {out}.",)


def _no_images(source: Source, choices: Choices) -> str:
    if (deepest := len(source.layout.levels)) and choices.class_level and choices.class_level > deepest:
        return f"There is no class_level={choices.class_level}: its folders are {deepest} deep."
    flat = next((out.count for out in source.left_out if out.what == NO_CLASS), 0)
    if flat:
        return (
            f"It has no folder with photos: its {flat} photos lie in no class folder. Put them into a folder for "
            "each class, or say labels=LIST.csv, or labels='{class}_*' if their names begin with it."
        )
    left = "; ".join(f"{out.count} x {out.what}, as {out.examples[0]}" for out in source.left_out[:MANY])
    there = f" There is: {left}." if left else ""
    if any("archive" in out.what for out in source.left_out):
        there += " Archives inside are not opened: unpack them first."
    return f"It holds no images. It needs a folder for each class, with photos in it.{there}"


def _levels(source: Source) -> str:
    deeper = [level for level in source.layout.levels if level.level > 1]
    shown = "; ".join(f"class_level={level.level}: {', '.join(level.folders[:MANY])}" for level in deeper)
    return f" Deeper folders can be the classes ({shown})." if shown else ""
