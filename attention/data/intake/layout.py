"""What the folders and names of photos say: the split and the class of each, and what could also be meant.

The class is the folder below the split, or below the root, as torchvision's ImageFolder, Keras and Hugging Face's
imagefolder read it; deeper folders are told. A folder is a split only if all beside it are.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

from attention.data.intake.label_lists import Listing
from attention.data.intake.split_words import FILLERS, some_are_splits, split_and_class, split_folders, split_word
from attention.errors import InvalidRequest
from attention.reports.parts.inventory import Choices, Level, Split, Suggestion

NO_CLASS = "photo without a class"
LOOSE_SHARE = 10
"""Of so many photos one may lie beside the folder that holds the others."""

Side = Literal["train", "validation", "test", "none"]
"""A split, or left out by choice."""

MASKS = {"mask", "masks", "annotation", "annotations", "segmentation", "segmentations", "groundtruth", "gt", "labels"}
"""Folders of pictures that say where things are in other pictures."""

CAMERA_WORDS = {"img", "dsc", "dscn", "dscf", "image", "photo", "pxl", "screenshot", "file", "picture", "p", "frame"}
NUMBERED = (
    re.compile(r"(.*[^\d\s._()-])[\s._-]*\(?\d+\)?(?:[\s._-]\d+)*"),
    re.compile(r"(.*[^\W\d_].*?)[\s._-]+\(?\d+\)?"),
)
"""A class and a number, or several numbers; a class that ends in a number itself."""


@dataclass(frozen=True)
class ClassAndSplit:
    """Class and split of one photo."""

    label: str
    split: Split | None = None


@dataclass
class Layout:
    """What was understood of the paths of photos; ``places`` has None for a photo that is left out."""

    description: str
    places: list[ClassAndSplit | None]
    splits: dict[str, Split] = field(default_factory=dict)
    root: tuple[str, ...] = ()
    used_lists: set[str] = field(default_factory=set)
    left_out: dict[int, str] = field(default_factory=dict)
    levels: tuple[Level, ...] = ()
    problems: list[str] = field(default_factory=list)
    guesses: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    suggestions: list[Suggestion] = field(default_factory=list)


Folders = tuple[str, ...]


def understand(paths: Sequence[str], choices: Choices, lists: Mapping[str, Mapping[str, Listing]]) -> Layout:
    """Tell split and class of photos from their paths, or from lists beside them.

    Args:
        paths: of photos, with ``/`` between their parts.
        lists: path of each list of labels -> what it says of photos.

    Raises:
        InvalidRequest: a choice makes no sense for these paths.
    """
    folders = [tuple(path.split("/")[:-1]) for path in paths]
    root = _root(folders)
    below = [folder[len(root) :] if folder[: len(root)] == root else () for folder in folders]
    splits, question = _splits_of(below, choices)
    layout = Layout("", [None] * len(paths), {name: side for name, side in splits.items() if side != "none"}, root)
    if question:
        layout.problems.append(question)
    placed = _unwrapped([_below_split(folder, splits) for folder in below])
    only = split_word(root[-1]) if root and not splits and choices.split is None else None
    if only is not None and only[1] == ():
        layout.splits = {root[-1]: only[0]}
        placed = [(only[0], folder) for _, folder in placed]
    classes = {folder[0] for _, folder in placed if folder}
    chosen = choices.labels
    labelled = any(listing.label for rows in lists.values() for listing in rows.values())
    if chosen is not None and "{class}" in chosen:
        _by_pattern(layout, paths, [split for split, _ in placed], chosen)
    elif chosen is not None or (len(classes) < 2 and labelled):
        _by_list(layout, paths, placed, lists, chosen)
    elif len(classes) < 2 and choices.class_level is None and _by_numbered_names(layout, paths, placed):
        pass
    elif not _class_above_split(layout, placed, choices):
        _by_folders(layout, root, placed, choices)
        _completed(layout, paths, [split for split, _ in placed], lists)
    return layout


def _root(folders: Sequence[Folders]) -> Folders:
    """The folders that stand around everything but a few loose photos."""
    root: Folders = ()
    while True:
        within = [folder for folder in folders if folder[: len(root)] == root]
        names = {folder[len(root)] for folder in within if len(folder) > len(root)}
        loose = sum(len(folder) == len(root) for folder in within)
        if len(names) != 1 or LOOSE_SHARE * loose > len(within):
            return root[:-1] if loose == len(within) else root  # the only folder is the only class
        root = (*root, *names)


def _splits_of(below: Sequence[Folders], choices: Choices) -> tuple[Mapping[str, Side], str | None]:
    """The topmost folders that are splits; and a question if only some of them look like it."""
    names = list(dict.fromkeys(folder[0] for folder in below if folder))
    choice = choices.split
    if choice is not None and "=" in choice:
        return _said_splits(choice, names), None
    if choice not in (None, "hash"):
        raise InvalidRequest(
            f"The choice split is {choice[:80]!r}. Say 'hash', or a split for each folder: 'folder=train,other=test'."
        )
    splits = split_folders(names)
    if splits or choice == "hash":
        return splits, None
    partly = some_are_splits(names) or _by_structure(below, choices)
    if not partly:
        return {}, None
    others = [name for name in names if name not in partly]
    if not others:  # train_cats and test_dogs
        return {}, None
    shown = ", ".join(repr(name) for name in others[:5])
    like = ",".join([*(f"{name}={split}" for name, split in partly.items()), f"{others[0]}=none"])
    return {}, (
        f"Of the topmost folders {', '.join(map(repr, partly))} {'is a split' if len(partly) == 1 else 'are splits'} "
        f"and {shown} {'is' if len(others) == 1 else 'are'} not. "
        f"Say which each is (train, validation, test or none), such as split={like}."
    )


def _by_structure(below: Sequence[Folders], choices: Choices) -> dict[str, Split]:
    """The folder called like training, if beside it there are others with the same classes, as ``query/`` is."""
    inner: dict[str, set[str]] = {}
    for folder in below:
        if len(folder) > 1:
            inner.setdefault(folder[0], set()).add(folder[1])
    trained = [name for name in inner if (word := split_word(name)) is not None and word == ("train", ())]
    alike = len(trained) == 1 and all(len(names & inner[trained[0]]) > 1 for names in inner.values())
    complete = len(inner) > 1 and set(inner) == {folder[0] for folder in below if folder}
    return {trained[0]: "train"} if alike and complete and choices.class_level is None else {}


def _said_splits(choice: str, names: Sequence[str]) -> dict[str, Side]:
    """The choice ``folder=train,other=none`` as a mapping; a folder without a split is mapped to ``none``."""
    splits: dict[str, Side] = {}
    for pair in choice.split(","):
        name, _, word = (part.strip() for part in pair.rpartition("="))
        split = split_word(word)
        if name not in names or (split is None and word != "none"):
            raise InvalidRequest(
                f"The choice split says {pair.strip()!r}, which is not one of the topmost folders "
                f"({', '.join(names[:10])}) with train, validation, test or none."
            )
        splits[name] = split[0] if split else "none"
    missing = [name for name in names if name not in splits]
    if missing:
        raise InvalidRequest(
            f"The choice split says nothing of the folder {missing[0]!r}. Say which split it is, or none."
        )
    return splits


def _below_split(folder: Folders, splits: Mapping[str, Side]) -> tuple[str | None, Folders]:
    """The split of a folder, and what of it lies below; ``none`` if it is left out by choice."""
    if not splits:
        return None, folder
    return (splits[folder[0]], folder[1:]) if folder else ("unsplit", ())


def _unwrapped(placed: list[tuple[str | None, Folders]]) -> list[tuple[str | None, Folders]]:
    """Without folders that only wrap a split again, as in ``seg_train/seg_train/forest``."""
    for split in {split for split, _ in placed}:
        while True:
            inner = {folder[:1] for above, folder in placed if above == split}
            name = next(iter(inner))[0] if len(inner) == 1 and () not in inner else None
            if split is None or name is None or not (split_word(name) or name.lower() in FILLERS):
                break
            placed = [(above, folder[1:] if above == split else folder) for above, folder in placed]
    return placed


# ---------------------------------------------------------------- where classes come from


def _by_folders(layout: Layout, root: Folders, placed: Sequence[tuple[str | None, Folders]], choices: Choices) -> None:
    level = choices.class_level or 1
    depths: dict[int, Counter[str]] = {}
    for number, (split, folder) in enumerate(placed):
        for depth, name in enumerate(folder, 1):
            depths.setdefault(depth, Counter())[name] += 1
        if split in ("none", "unsplit"):
            layout.left_out[number] = "left out by choice" if split == "none" else "photo outside of the splits"
        elif len(folder) < level:
            layout.left_out[number] = NO_CLASS
        else:
            layout.places[number] = ClassAndSplit(folder[level - 1], _known(split))
    layout.levels = tuple(
        Level(level=depth, folders=tuple(sorted(names))[:20], count=len(names))
        for depth, names in sorted(depths.items())
    )
    where = "below each split" if layout.splits else f"below {'/'.join(root)}" if root else "at the top"
    layout.description = f"The class is the folder {where}" + (f", level {level}." if level > 1 else ".")
    _deeper(layout, placed, level)


def _known(split: str | None) -> Split | None:
    return {"train": "train", "validation": "validation", "test": "test"}.get(split or "")  # type: ignore[return-value]


def _deeper(layout: Layout, placed: Sequence[tuple[str | None, Folders]], level: int) -> None:
    """Tell of folders below the classes, and say whether they could be the classes."""
    for deeper in layout.levels:
        if deeper.level == level:
            continue
        shown = ", ".join(deeper.folders[:6]) + (", ..." if deeper.count > 6 else "")
        layout.suggestions.append(
            Suggestion(
                choice=f"class_level={deeper.level}", effect=f"Take {shown} as the classes ({deeper.count} names)."
            )
        )
    inner: dict[str, set[str]] = {}
    for _, folder in placed:
        if len(folder) > level:
            inner.setdefault(folder[level - 1], set()).add(folder[level])
    names = list(inner.values())
    if len(names) > 1 and len(names[0]) > 1 and all(other == names[0] for other in names):
        outer = Counter(folder[level - 1] for _, folder in placed if len(folder) >= level)
        sides = ("train", "test", "validation")[: len(outer)]
        splits = ",".join(f"{name}={side}" for (name, _), side in zip(outer.most_common(), sides, strict=False))
        layout.guesses.append(
            f"Below each of {', '.join(sorted(inner)[:4])} there are the same folders "
            f"({', '.join(sorted(names[0])[:4])}). If those are the classes, say class_level={level + 1}"
            + (
                f"; if the outer ones are splits, say which, such as split={splits}."
                if len(outer) < 4 and level == 1
                else "."
            )
        )
    masks = {name.lower() for name in inner or {folder[-1] for _, folder in placed if folder}}
    if len(masks) > 1 and masks & MASKS and masks <= MASKS | FILLERS:
        layout.guesses.append(
            f"{', '.join(sorted(masks))} look like the pictures and masks of a segmentation set, not like classes."
        )


def _class_above_split(layout: Layout, placed: Sequence[tuple[str | None, Folders]], choices: Choices) -> bool:
    """Whether splits are below classes or beside them, as in ``cat/train`` or ``train_cat``; then photos are placed."""
    if layout.splits or choices.split or choices.class_level:
        return False
    joined = split_and_class({folder[0] for _, folder in placed if folder})
    if joined and all(folder for _, folder in placed):
        layout.splits = {name: split for name, (split, _) in joined.items()}
        layout.description = "Split and class stand in the name of one folder."
        layout.places = [ClassAndSplit(joined[folder[0]][1], joined[folder[0]][0]) for _, folder in placed]
        return True
    if not all(len(folder) == 2 for _, folder in placed):
        return False
    inner: dict[str, set[str]] = {}
    for _, (label, split) in placed:
        inner.setdefault(label, set()).add(split)
    splits = split_folders({name for names in inner.values() for name in names})
    if len(inner) < 2 or not splits or not all(split_folders(names) for names in inner.values()):
        return False
    layout.splits = splits
    layout.description = "The class is the topmost folder, and the split the folder below it."
    layout.places = [ClassAndSplit(label, splits[split]) for _, (label, split) in placed]
    return True


def _completed(
    layout: Layout, paths: Sequence[str], splits: Sequence[str | None], lists: Mapping[str, Mapping[str, Listing]]
) -> None:
    """Take from lists what folders do not say: classes of photos that lie in no class folder, and the split."""
    classes = {place.label for place in layout.places if place is not None}
    listings = {path: listing for rows in lists.values() for path, listing in rows.items()}
    for number in [number for number, what in layout.left_out.items() if what == NO_CLASS]:
        listing = listings.get(paths[number])
        if listing is not None and listing.label in classes:
            layout.places[number] = ClassAndSplit(listing.label, _known(splits[number]) or listing.split)
            del layout.left_out[number]
            layout.used_lists |= {name for name, rows in lists.items() if paths[number] in rows}
    placed = [(number, place) for number, place in enumerate(layout.places) if place is not None]
    listed = {number: listings[paths[number]].split for number, _ in placed if paths[number] in listings}
    if not layout.splits and placed and all(listed.get(number) for number, _ in placed) and "train" in listed.values():
        layout.places = [
            ClassAndSplit(place.label, listed[number]) if place is not None else None
            for number, place in enumerate(layout.places)
        ]
        layout.used_lists |= {name for name, rows in lists.items() if any(listing.split for listing in rows.values())}
        layout.splits = {split: split for split in listed.values() if split}
    if layout.used_lists:
        layout.notes.append(f"What folders do not say is taken from {', '.join(sorted(layout.used_lists))}.")


def _by_list(
    layout: Layout,
    paths: Sequence[str],
    placed: Sequence[tuple[str | None, Folders]],
    lists: Mapping[str, Mapping[str, Listing]],
    chosen: str | None,
) -> None:
    if chosen is not None and chosen not in lists:
        list_names = ", ".join(lists) or "none that names the photos"
        raise InvalidRequest(f"There is no list of labels {chosen!r} in it. There is: {list_names}.")
    used = {chosen: lists[chosen]} if chosen is not None else lists
    for number, (path, (split, _)) in enumerate(zip(paths, placed, strict=True)):
        listings = [listing[path] for listing in used.values() if path in listing and listing[path].label]
        if not listings:
            layout.left_out[number] = "photo that no list of labels names"
            continue
        if len({listing.label for listing in listings}) > 1:
            layout.guesses.append(f"{path} has more than one class in the lists; {listings[0].label!r} is taken.")
        listed = next((listing.split for listing in listings if listing.split), None)
        layout.places[number] = ClassAndSplit(listings[0].label, _known(split) or listed)
    names = ", ".join(used)
    layout.used_lists = set(used)
    layout.description = f"The classes stand in {names}."
    layout.notes.append(f"The labels come from {names}.")
    layout.splits |= {place.split: place.split for place in layout.places if place is not None and place.split}


def _by_pattern(layout: Layout, paths: Sequence[str], splits: Sequence[str | None], pattern: str) -> None:
    if pattern.count("{class}") != 1 or pattern.count("*") > 4:
        raise InvalidRequest("A pattern of file names has {class} once and at most four *, such as '{class}_*'.")
    before, after = (re.escape(part).replace(r"\*", ".*") for part in pattern.split("{class}"))
    compiled = re.compile(f"{before}(?P<label>.+?){after}")
    after = pattern.partition("{class}")[2]
    for number, (path, split) in enumerate(zip(paths, splits, strict=True)):
        whole = PurePosixPath(path if "/" in pattern else PurePosixPath(path).name)
        match = compiled.fullmatch(str(whole) if "." in after else str(whole.with_suffix("")))
        if match is None:
            layout.left_out[number] = "photo whose name is not like the pattern"
        else:
            layout.places[number] = ClassAndSplit(match["label"].strip(" ._-") or match["label"], _known(split))
    layout.description = f"The class stands in the file's name: {pattern}."


def _by_numbered_names(layout: Layout, paths: Sequence[str], placed: Sequence[tuple[str | None, Folders]]) -> bool:
    """Whether names are a class and a number, as in ``cat.0.jpg``; then photos are placed by them."""
    for form in NUMBERED:
        matches = [form.fullmatch(PurePosixPath(path).stem) for path in paths]
        labels = [match[1].strip(" ._-") if match else "" for match in matches]
        trained = [label for label, (split, _) in zip(labels, placed, strict=True) if split in (None, "train")]
        counts = Counter(trained)
        likely = 2 <= len(counts) <= len(trained) / 2 and min(counts.values()) > 1
        if likely and not any(re.split(r"[\W_]", label.lower())[0] in CAMERA_WORDS | {""} for label in counts):
            break
    else:
        return False
    for number, (label, (split, _)) in enumerate(zip(labels, placed, strict=True)):
        if label in counts:
            layout.places[number] = ClassAndSplit(label, _known(split))
        else:
            layout.left_out[number] = NO_CLASS
    example = next(PurePosixPath(path).name for path, place in zip(paths, layout.places, strict=True) if place)
    layout.description = "The class stands in the file's name, before its number."
    layout.guesses.append(
        f"There are no class folders; the classes were read from file names such as {example!r}: "
        f"{', '.join(sorted(counts)[:6])}."
    )
    return True
