"""Data sets as people have them: an inventory names everything, and the data set that is read keeps to it."""

import unicodedata
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image

from attention.data.dataset import read
from attention.data.intake.inventory import Refused, check, take_inventory
from attention.errors import BadData
from attention.reports.parts.inventory import AS_FOUND, Choices, Inventory
from tests.attention.data.archives import folder, photo, photos, write_folder, write_tar, write_zip
from tests.mutations import saved

PETS = photos([*folder("cats", 12), *folder("dogs", 12)])
SPLIT = photos(
    [
        f"{split}/{label}/{n}.png"
        for split, count in (("train", 6), ("test", 3))
        for label in ("cat", "dog")
        for n in range(count)
    ]
)


def inventory(path: Path, choices: Choices = AS_FOUND) -> Inventory:
    return take_inventory(path, choices).inventory


def zipped(tmp_path: Path, files: dict[str, bytes], choices: Choices = AS_FOUND) -> Inventory:
    return inventory(write_zip(tmp_path / "d.zip", files), choices)


def counts(about: Inventory) -> dict[str, tuple[int, int, int]]:
    return {one.name: (one.train, one.validation, one.test) for one in about.classes}


def test_a_folder_a_zip_and_every_tar_give_the_same_inventory_and_the_same_data(tmp_path: Path) -> None:
    paths = [write_folder(tmp_path / "folder", PETS), write_zip(tmp_path / "z.bin", PETS)]
    paths += [write_tar(tmp_path / f"t{n}", PETS, mode) for n, mode in enumerate(("w:gz", "w:bz2", "w:xz", "w:"))]
    found = [inventory(path) for path in paths]
    assert found[0].images == 24 and found[0].split_by_hash and counts(found[0]).keys() == {"cats", "dogs"}
    assert all(one == found[0] for one in found)
    sets = [read(path, 6) for path in paths]
    assert len({one.facts.fingerprint for one in sets if one.facts}) == 1
    assert all(
        sorted(map(bytes, one.test.images.numpy())) == sorted(map(bytes, sets[0].test.images.numpy())) for one in sets
    )


def test_what_a_list_names_in_vain_and_how_it_was_read_is_told(tmp_path: Path) -> None:
    files = photos([f"images/{number}.png" for number in range(8)])
    rows = [
        "filename,label",
        *(f"{number}.png,{'花园' if number % 2 else '大山'}" for number in range(8)),
        "9.png,花园",
    ]
    files["labels.csv"] = "\n".join(rows).encode("gbk")
    about = zipped(tmp_path, files)
    assert counts(about).keys() == {"花园", "大山"}
    assert any("labels.csv names 1 file that no photo here is" in note and "9.png" in note for note in about.notes)
    assert any("labels.csv does not say its encoding and was read as gbk" in guess for guess in about.guesses)
    chosen = zipped(tmp_path, files, Choices(names="gbk"))
    assert counts(chosen) == counts(about) and not chosen.guesses


def test_archives_inside_are_to_be_unpacked_first(tmp_path: Path) -> None:
    inner = write_zip(tmp_path / "inner.zip", PETS).read_bytes()
    (problem,) = zipped(tmp_path, {"data/inner.zip": inner}).problems
    assert problem.endswith(
        "There is: 1 x ZIP archive, as data/inner.zip. Archives inside are not opened: unpack them first."
    )


HIDDEN = [
    *("cats/.ipynb_checkpoints/0-checkpoint.png", "cats/._0.png", "__MACOSX/cats/0.png", ".git/objects/0.png"),
    *("cats/@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg", "$RECYCLE.BIN/0.png", "dogs/.thumbnails/0.png", "dogs/Thumbs.db"),
    *("dogs/desktop.ini", "System Volume Information/x.png", "dogs/0.png.part", "lost+found/0.png", "#recycle/0.png"),
]


@pytest.mark.parametrize("name", HIDDEN)
def test_what_systems_leave_is_never_data_and_is_counted(tmp_path: Path, name: str) -> None:
    for path in (
        write_zip(tmp_path / "d.zip", PETS | {name: photo(99)}),
        write_folder(tmp_path / "d", PETS | {name: photo(99)}),
    ):
        about = inventory(path)
        assert (about.images, set(counts(about))) == (24, {"cats", "dogs"})
        assert [(left.count, left.examples) for left in about.left_out] == [(1, (name,))]


def test_photos_are_told_by_their_content_and_what_is_none_is_named_by_format(tmp_path: Path) -> None:
    scene = Image.fromarray(np.random.default_rng(1).integers(0, 255, (9, 9), dtype=np.uint8))
    odd = {"cats/a.jfif": photo(50, "JPEG"), "cats/b": photo(51, "JPEG"), "dogs/c.dat": photo(52, "WEBP")}
    odd |= {"dogs/d.pgm": saved(scene, "PPM"), "dogs/e.jp2": photo(53, "JPEG2000")}
    others = {f"dogs/clip{n}.mp4": b"\0\0\0\x18ftypmp42" + bytes(90) for n in range(7)} | {"readme.md": b"hello"}
    about = zipped(tmp_path, PETS | odd | others)
    assert about.images == 29
    assert {left.what: left.count for left in about.left_out} == {"MP4 video": 7, "text file": 1}
    assert about.left_out[0].examples[0] == "dogs/clip0.mp4"


def test_every_file_that_cannot_be_read_is_named_in_one_answer_and_can_be_left_out(tmp_path: Path) -> None:
    bad = {"cats/half.png": photo(60)[:60], "dogs/empty.jpg": b"", "dogs/page.jpg": b"<html>404</html>"}
    bad["cats/phone.jpg"] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50)
    about = zipped(tmp_path, PETS | bad)
    assert {file.name for file in about.bad} == set(bad) and about.images == 24
    reasons = {file.name: file.reason for file in about.bad}
    assert "HTML page" in reasons["dogs/page.jpg"] and "HEIC" in reasons["cats/phone.jpg"]
    with pytest.raises(Refused, match="skip_bad=true") as refused:
        check(about, "pets")
    assert {fault["field"] for fault in refused.value.faults()} == set(bad)
    skipped = zipped(tmp_path, PETS | bad, Choices(skip_bad=True))
    assert not skipped.problems and len(skipped.bad) == 4
    assert len(read(tmp_path / "d.zip", 6, choices=Choices(skip_bad=True)).test) == skipped.test_images


def test_a_split_is_made_where_the_test_folder_has_no_classes(tmp_path: Path) -> None:
    files = {name: data for name, data in SPLIT.items() if name.startswith("train")} | photos(folder("test", 10))
    about = zipped(tmp_path, files)
    assert about.split_by_hash and not about.problems and about.train_images + about.test_images == 12
    assert [(left.what, left.count) for left in about.left_out] == [("photo without a class", 10)]


def test_three_splits_stay_three_and_a_single_one_held_out_is_the_test(tmp_path: Path) -> None:
    valid = {
        f"valid/{label}/{n}.png": photo(200 + 10 * k + n) for k, label in enumerate(("cat", "dog")) for n in range(2)
    }
    about = zipped(tmp_path, SPLIT | valid)
    assert counts(about) == {"cat": (6, 2, 3), "dog": (6, 2, 3)} and about.splits["valid"] == "validation"
    two = {name.replace("test/", "val/"): data for name, data in SPLIT.items()}
    found = zipped(tmp_path, two)
    assert counts(found) == {"cat": (6, 0, 3), "dog": (6, 0, 3)} and "'val'" in found.notes[0]


def test_photos_that_were_set_apart_for_testing_are_not_trained_on_unasked(tmp_path: Path) -> None:
    only = {name: data for name, data in SPLIT.items() if name.startswith("test")}
    assert "no images in their train split" in zipped(tmp_path, only).problems[0]
    assert zipped(tmp_path, only, Choices(split="hash")).problems == ()


def test_a_split_by_hash_can_be_asked_for_over_folders_that_are_splits(tmp_path: Path) -> None:
    about = zipped(tmp_path, SPLIT, Choices(split="hash"))
    assert about.split_by_hash and about.test_images == 4 and set(counts(about)) == {"cat", "dog"}


def test_names_of_two_systems_are_the_same_class(tmp_path: Path) -> None:
    names = ("café", "thé")
    forms: dict[str, Literal["NFC", "NFD"]] = {"train": "NFD", "test": "NFC"}
    paths = [
        f"{split}/{unicodedata.normalize(form, name)}/{n}.png"
        for split, form in forms.items()
        for name in names
        for n in range(3)
    ]
    files = photos(paths)
    for path in (
        write_zip(tmp_path / "d.zip", files),
        write_tar(tmp_path / "d.tar", files),
        write_folder(tmp_path / "d", files),
    ):
        assert counts(inventory(path)) == dict.fromkeys(names, (3, 0, 3))


def test_class_names_that_differ_in_case_are_asked_about(tmp_path: Path) -> None:
    files = {name.replace("test/cat", "test/Cat"): data for name, data in SPLIT.items()}
    about = zipped(tmp_path, files)
    assert "'Cat' (test)" in about.problems[0] and "'cat' (train)" in about.problems[0]
    assert counts(zipped(tmp_path, files, Choices(ignore_case=True))) == {"cat": (6, 0, 3), "dog": (6, 0, 3)}


def test_blanks_at_the_ends_of_class_names_are_told(tmp_path: Path) -> None:
    files = {name.replace("test/cat/", "test/cat /"): data for name, data in SPLIT.items()}
    about = zipped(tmp_path, files)
    assert counts(about)["cat"] == (6, 0, 3) and "'cat '" in about.notes[0]


def test_names_in_a_code_page_are_read_and_told_or_read_as_said(tmp_path: Path) -> None:
    files = photos([*folder("猫", 3), *folder("狗", 3)])
    path = write_zip(tmp_path / "d.zip", files, "gbk")
    about = inventory(path)
    assert set(counts(about)) == {"猫", "狗"} and "gbk" in about.guesses[0]
    assert inventory(path, Choices(names="gbk")).guesses == ()
    assert set(counts(inventory(path, Choices(names="cp437")))) == {"├¿", "╣╖"}


def test_the_same_pixels_in_two_files_stay_together_and_are_counted(tmp_path: Path) -> None:
    files = dict(PETS)
    for number in range(6):
        image = Image.open(write_folder(tmp_path / "x", {"p.png": photo(number)}) / "p.png")
        files[f"cats/copy{number}.bmp"] = saved(image, "BMP")
    about = zipped(tmp_path, files)
    assert (about.duplicates, about.duplicates_across_splits, about.label_conflicts) == (6, 0, 0)
    given = zipped(tmp_path, SPLIT | {"test/cat/again.bmp": saved(image, "BMP"), "train/dog/x.png": photo(5)})
    assert given.duplicates_across_splits == 1 and given.label_conflicts == 1


def test_one_range_for_all_deep_images_of_a_data_set(tmp_path: Path) -> None:
    """A dim and a bright image of 12 bits in 16: in the data set, dim stays dim."""
    y, x = np.mgrid[:8, :8]
    files = {}
    for n in range(10):
        for label, top in (("dim", 500), ("bright", 4095)):
            values = ((x + y + n) / (14 + n) * top).astype(np.uint16)
            files[f"{label}/{n}.png"] = saved(Image.fromarray(values), "PNG")
    data = read(write_zip(tmp_path / "d.zip", files), 8)
    assert data.facts and data.facts.inventory and data.facts.inventory.pixel_range
    assert "16-bit, 12 used" in data.facts.inventory.pixel_range
    brightest = {data.classes[k]: int(data.train.images[data.train.labels == k].max()) for k in range(2)}
    assert brightest == {"bright": 255, "dim": round(500 / 4095 * 255)}


def test_a_label_list_beside_flat_photos_gives_the_classes(tmp_path: Path) -> None:
    names = folder("images", 12)
    rows = "\n".join(f"{name.split('/')[1]},{'cat' if n % 2 else 'dog'}" for n, name in enumerate(names))
    files = photos(names) | {"labels.csv": f"file,label\n{rows}\n".encode()}
    about = zipped(tmp_path, files)
    assert set(counts(about)) == {"cat", "dog"} and about.images == 12 and not about.left_out
    assert "labels.csv" in about.layout


def test_a_study_keeps_the_inventory_and_its_splits(tmp_path: Path) -> None:
    data = read(write_zip(tmp_path / "d.zip", SPLIT), 6)
    assert data.facts and data.facts.inventory == inventory(tmp_path / "d.zip")
    assert data.validation is not None and not data.facts.split_by_hash
    assert (len(data.train) + len(data.validation), len(data.test)) == (12, 6)


def test_an_unknown_thing_is_refused_with_what_would_be_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello" * 200)
    with pytest.raises(BadData, match="zip or tar"):
        take_inventory(tmp_path / "x")
    assert "holds no images" in zipped(tmp_path, {"a/readme.txt": b"hi"}).problems[0]
    deeper = Choices(class_level=3)
    assert (
        "no class_level=3: its folders are 2 deep"
        in zipped(tmp_path, photos(["a/x/1.png", "b/y/1.png"]), deeper).problems[0]
    )
    assert "lie in no class folder" in zipped(tmp_path, photos(["1.png", "2.png", "3.png"])).problems[0]


def test_order_of_images_is_that_of_names_in_folder_and_zip(tmp_path: Path) -> None:
    one, other = (
        read(write_folder(tmp_path / "d", SPLIT), 6),
        read(write_zip(tmp_path / "d.zip", dict(reversed(SPLIT.items()))), 6),
    )
    assert torch.equal(one.train.images, other.train.images) and torch.equal(one.test.labels, other.test.labels)
