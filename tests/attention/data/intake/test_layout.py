"""Split and class of photos by their folders and names, for the ways that people lay out data sets."""

from collections import Counter

import pytest

from attention.data.intake.label_lists import Listing
from attention.data.intake.layout import Layout, understand
from attention.data.intake.split_words import split_folders
from attention.errors import InvalidRequest
from attention.reports.parts.inventory import AS_FOUND, Choices

CLASSES = ("cat", "dog")


def under(*folders: str, count: int = 3) -> list[str]:
    return [f"{folder}/{number}.jpg" for folder in folders for number in range(count)]


def below(splits: str, classes: tuple[str, ...] = CLASSES, around: str = "") -> list[str]:
    return under(*(f"{around}{split}/{label}" for split in splits.split() for label in classes))


def counted(layout: Layout) -> dict[tuple[str | None, str], int]:
    """Photos of each split and class."""
    return dict(Counter((place.split, place.label) for place in layout.places if place is not None))


def classes(layout: Layout) -> set[str]:
    return {place.label for place in layout.places if place is not None}


GIVEN = {
    ("train", "test"): [
        "train test",
        "Training Testing",
        "seg_train seg_test",
        "training_set test_set",
        "TRAIN TEST",
        "train test1",
        "01_train 02_test",
        "train_v2 test_v1",
    ],
    ("train", "validation"): ["train val", "train2017 val2017", "flowers-train flowers-valid", "train dev"],
    ("train", "validation", "test"): ["train valid test", "trainset valset testset", "Train Validation Holdout"],
}


@pytest.mark.parametrize(("splits", "words"), [(splits, words) for splits, some in GIVEN.items() for words in some])
def test_a_split_is_known_by_many_words_and_none_is_merged_with_another(splits: tuple[str, ...], words: str) -> None:
    layout = understand(below(words), AS_FOUND, {})
    assert counted(layout) == {(split, label): 3 for split in splits for label in CLASSES}
    assert layout.splits == dict(zip(words.split(), splits, strict=True)) and not layout.problems


@pytest.mark.parametrize(
    "paths",
    [
        below("train test", around="data/images/"),
        below("train/train test/test"),
        below("seg_train/seg_train seg_test/seg_test"),
        below("train/images test/images"),
        below("train test", around="pets/v1/"),
        [*below("train test", around="pets/") * 6, "preview.jpg"],
    ],
)
def test_folders_that_only_wrap_others_are_passed_over(paths: list[str]) -> None:
    assert set(counted(understand(paths, AS_FOUND, {}))) == {
        (split, label) for split in ("train", "test") for label in CLASSES
    }


@pytest.mark.parametrize(
    "names",
    [("bus", "car", "train"), ("test", "control"), ("train_cats", "test_dogs"), ("dev", "ops"), ("val", "test")],
)
def test_a_word_is_no_split_unless_all_beside_it_are(names: tuple[str, ...]) -> None:
    layout = understand(under(*names), AS_FOUND, {})
    assert split_folders(names) == {} == layout.splits and classes(layout) == set(names)


def test_a_class_below_splits_may_be_called_like_one() -> None:
    layout = understand(below("train val", ("bus", "car", "train")), AS_FOUND, {})
    assert classes(layout) == {"bus", "car", "train"} and set(layout.splits.values()) == {"train", "validation"}


def test_the_class_is_the_outermost_folder_and_deeper_ones_are_told() -> None:
    paths = under(
        *(f"train/{label}/{year}" for label in CLASSES for year in (2019, 2020)), "test/cat/2019", "test/dog/2019"
    )
    layout = understand(paths, AS_FOUND, {})
    assert classes(layout) == set(CLASSES)
    assert [(level.level, level.folders) for level in layout.levels] == [(1, ("cat", "dog")), (2, ("2019", "2020"))]
    assert [suggestion.choice for suggestion in layout.suggestions] == ["class_level=2"]
    assert classes(understand(paths, Choices(class_level=2), {})) == {"2019", "2020"}


def test_the_same_folders_below_each_class_are_a_guess_that_is_said() -> None:
    layout = understand(under("camera1/cat", "camera1/dog", "camera2/cat", "camera2/dog"), AS_FOUND, {})
    assert classes(layout) == {"camera1", "camera2"} and "class_level=2" in layout.guesses[0]


def test_splits_in_words_that_are_not_known_can_be_said_as_the_guess_proposes() -> None:
    paths = under("Testdaten/cat", "Testdaten/dog", count=2) + under("Trainingsdaten/cat", "Trainingsdaten/dog")
    (guess,) = understand(paths, AS_FOUND, {}).guesses
    proposed = guess.partition("split=")[2].rstrip(".")
    assert proposed == "Trainingsdaten=train,Testdaten=test", "the larger one is trained on"
    chosen = understand(paths, Choices(split=proposed), {})
    assert counted(chosen) == {(split, name): n for split, n in (("train", 3), ("test", 2)) for name in CLASSES}


def test_pictures_and_their_masks_are_not_taken_for_classes_without_a_word() -> None:
    (guess,) = understand(under("images", "masks"), AS_FOUND, {}).guesses
    assert "masks of a segmentation set" in guess
    assert not understand(under("cats", "masks"), AS_FOUND, {}).guesses


def test_splits_below_classes_are_read() -> None:
    layout = understand(under(*(f"{label}/{split}" for label in CLASSES for split in ("train", "test"))), AS_FOUND, {})
    assert set(counted(layout)) == {(split, label) for split in ("train", "test") for label in CLASSES}


def test_split_and_class_in_the_name_of_one_folder_are_read() -> None:
    layout = understand(under("train_cat", "train_dog", "test_cat", "test_dog"), AS_FOUND, {})
    assert set(counted(layout)) == {(split, label) for split in ("train", "test") for label in CLASSES}


def test_a_folder_beside_splits_that_is_none_is_asked_about_and_can_be_chosen() -> None:
    paths = below("train test extra")
    layout = understand(paths, AS_FOUND, {})
    assert "'extra' is not" in layout.problems[0] and "extra=none" in layout.problems[0]
    chosen = understand(paths, Choices(split="train=train,test=test,extra=none"), {})
    assert not chosen.problems and set(chosen.left_out.values()) == {"left out by choice"} and len(chosen.left_out) == 6
    renamed = understand(below("a b c"), Choices(split="a=train,b=val,c=test"), {})
    assert {split for split, _ in counted(renamed)} == {"train", "validation", "test"}


@pytest.mark.parametrize(
    "choices",
    [
        Choices(split="train=train"),
        Choices(split="train=training,test=cats"),
        Choices(split="by colour"),
        Choices(split="nowhere=train,train=train,test=test"),
        Choices(labels="labels.csv"),
        Choices(labels="{class}{class}"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused_with_what_does(choices: Choices) -> None:
    with pytest.raises(InvalidRequest, match="choice split|list of labels|pattern"):
        understand(below("train test"), choices, {})


def test_folders_with_the_classes_of_the_training_folder_are_asked_about() -> None:
    layout = understand(below("train query gallery"), AS_FOUND, {})
    assert "'train' is a split and 'query', 'gallery' are not" in layout.problems[0]
    assert not understand(below("train query gallery"), Choices(class_level=1), {}).problems
    assert not understand([*under("bus/a", "car/b"), *under("train/c")], AS_FOUND, {}).problems


def test_a_split_without_class_folders_is_left_out_and_counted() -> None:
    layout = understand([*below("train"), *under("test", count=10)], AS_FOUND, {})
    assert set(counted(layout)) == {("train", "cat"), ("train", "dog")} and len(layout.left_out) == 10


def test_photos_of_one_split_alone_stay_what_they_are() -> None:
    assert set(counted(understand(below("test"), AS_FOUND, {}))) == {("test", "cat"), ("test", "dog")}
    assert set(counted(understand(below("train"), AS_FOUND, {}))) == {("train", "cat"), ("train", "dog")}
    assert set(counted(understand(under("test/cat"), AS_FOUND, {}))) == {("test", "cat")}


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg"], {"cat", "dog"}),
        (
            ["great_pyrenees_1.jpg", "great_pyrenees_2.jpg", "Bombay_7.jpg", "Bombay_100.jpg"],
            {"great_pyrenees", "Bombay"},
        ),
        (["oak (1).png", "oak (2).png", "elm (1).png", "elm (2).png"], {"oak", "elm"}),
        (
            ["n01440764_18.JPEG", "n01440764_36.JPEG", "n01443537_2.JPEG", "n01443537_5.JPEG"],
            {"n01440764", "n01443537"},
        ),
    ],
)
def test_classes_in_numbered_names_are_a_guess_that_is_said(names: list[str], labels: set[str]) -> None:
    for paths in (names, [f"all/{name}" for name in names]):
        layout = understand(paths, AS_FOUND, {})
        assert classes(layout) == labels and "file names" in layout.guesses[0]


@pytest.mark.parametrize(
    "names", [["IMG_1.jpg", "IMG_2.jpg", "DSC_1.jpg", "DSC_2.jpg"], ["1.jpg", "2.jpg"], ["a.jpg", "b.jpg"]]
)
def test_names_that_cameras_give_are_no_classes(names: list[str]) -> None:
    layout = understand(names, AS_FOUND, {})
    assert classes(layout) == set() and len(layout.left_out) == len(names)


@pytest.mark.parametrize(
    ("pattern", "path", "label"),
    [
        ("{class}_*", "x/cat_big_1.jpg", "cat"),
        ("*-{class}", "x/0001-dog.jpg", "dog"),
        ("*_{class}_*.jpg", "x/7_owl_b.jpg", "owl"),
    ],
)
def test_a_pattern_says_where_in_a_name_the_class_is(pattern: str, path: str, label: str) -> None:
    layout = understand([path, "x/other.gif"], Choices(labels=pattern), {})
    assert [place and place.label for place in layout.places] == [label, None]


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    with pytest.raises(InvalidRequest, match="at most four"):
        understand(["a" * 250], Choices(labels="*a*a*a*a*a{class}"), {})


def test_labels_of_a_list_are_used_where_folders_tell_none_or_as_chosen() -> None:
    listing = {"photos.csv": {"photos/1.jpg": Listing("cat", "train"), "photos/2.jpg": Listing("dog", "test")}}
    flat = understand(["photos/1.jpg", "photos/2.jpg", "photos/3.jpg"], AS_FOUND, listing)
    assert counted(flat) == {("train", "cat"): 1, ("test", "dog"): 1} and list(flat.left_out) == [2]
    paths = ["a/1.jpg", "b/2.jpg"]
    own = {"fine.csv": {"a/1.jpg": Listing("x"), "b/2.jpg": Listing("y")}}
    assert classes(understand(paths, AS_FOUND, own)) == {"a", "b"}
    assert classes(understand(paths, Choices(labels="fine.csv"), own)) == {"x", "y"}


def test_lists_say_what_folders_do_not() -> None:
    """Validation photos of one folder with a list of their classes, and splits in lists of names."""
    paths = [*under("train/n01/images", "train/n02/images"), *under("val/images")]
    rows = {path: Listing(f"n0{1 + n % 2}", "validation") for n, path in enumerate(under("val/images"))}
    layout = understand(paths, AS_FOUND, {"val/val_annotations.txt": rows})
    assert counted(layout)["validation", "n01"] == 2 and not layout.left_out
    foods = under("images/pie", "images/soup", count=4)
    names = {path: Listing("", "test" if n % 4 == 3 else "train") for n, path in enumerate(foods)}
    assert counted(understand(foods, AS_FOUND, {"meta/lists.txt": names})) == {
        ("train", "pie"): 3,
        ("test", "pie"): 1,
        ("train", "soup"): 3,
        ("test", "soup"): 1,
    }
