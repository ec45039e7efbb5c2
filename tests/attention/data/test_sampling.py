"""The images a question is about: the same draw everywhere, as many of one class as of another."""

import io
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from attention.data.files import Files, samples
from attention.data.sampling import batches, how_many, label_numbers, pictures, stamp
from attention.errors import BadData, NotFound
from attention.spec import Pictures, Preprocess

SMALL = Preprocess(size=8, resize=8)


def png(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Twelve test images of cats and four of dogs, and one of each to train on."""
    for split, label, count in (("test", "cat", 12), ("test", "dog", 4), ("train", "cat", 1), ("train", "dog", 1)):
        for number in range(count):
            path = tmp_path / "datasets" / "pets" / split / label / f"{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(number + 100 * (label == "dog") + 1000 * (split == "train")))
    return Files(tmp_path)


def names(asked: Pictures, files: Files) -> list[str]:
    return [picture.name for picture in pictures(asked, files)]


def test_photos_come_in_the_order_asked_for() -> None:
    ids = tuple(sample.id for sample in samples()[:3])
    found = list(pictures(Pictures(images=ids), Files(Path("nowhere"))))
    assert [one.name for one in found] == list(ids) and all(one.label is None for one in found)
    assert Pictures.model_validate(list(ids)) == Pictures(images=ids)  # a list of ids is short for photos


def test_a_draw_takes_alike_many_of_each_class_until_one_runs_out(files: Files) -> None:
    drawn = [one.label for one in pictures(Pictures(data="pets", limit=6), files)]
    assert drawn == ["cat", "dog"] * 3
    assert Counter(one.label for one in pictures(Pictures(data="pets", limit=10), files)) == {"cat": 6, "dog": 4}
    assert how_many(Pictures(data="pets"), files) == 16


def test_a_smaller_draw_is_the_beginning_of_a_larger_one_and_another_seed_draws_others(files: Files) -> None:
    more, fewer = (names(Pictures(data="pets", limit=limit), files) for limit in (8, 4))
    assert more[:4] == fewer and len(set(more)) == 8
    assert names(Pictures(data="pets", limit=8), files) == more
    assert names(Pictures(data="pets", limit=8, seed=1), files) != more


def test_the_draw_goes_by_content_so_a_zip_of_the_folder_gives_the_same(files: Files) -> None:
    folder = files.root / "datasets" / "pets"
    with zipfile.ZipFile(files.root / "datasets" / "packed.zip", "w") as archive:
        for path in folder.rglob("*.png"):
            archive.write(path, path.relative_to(folder))
    a, b = (list(batches(Pictures(data=name, limit=8), SMALL, files)) for name in ("pets", "packed"))
    assert torch.equal(torch.cat([inputs for _, inputs in a]), torch.cat([inputs for _, inputs in b]))


def test_only_the_classes_and_the_split_asked_for(files: Files) -> None:
    assert {one.label for one in pictures(Pictures(data="pets", classes=("dog",)), files)} == {"dog"}
    assert how_many(Pictures(data="pets", split="train"), files) == 2
    with pytest.raises(NotFound, match="no class 'cow'"):
        names(Pictures(data="pets", classes=("cow",)), files)


def test_batches_hold_what_a_network_sees(files: Files) -> None:
    found = list(batches(Pictures(data="pets"), SMALL, files, size=5))
    assert [tuple(inputs.shape) for _, inputs in found] == [(5, 3, 8, 8)] * 3 + [(1, 3, 8, 8)]
    assert [len(some) for some, _ in found] == [5, 5, 5, 1]


def test_what_is_missing_or_broken_is_said(files: Files) -> None:
    with pytest.raises(NotFound, match=r"no data set 'birds'.*pets"):
        names(Pictures(data="birds"), files)
    with pytest.raises(NotFound, match="no data set"):
        names(Pictures(data="../pets"), files)
    (files.root / "datasets" / "pets" / "test" / "cat" / "00.png").write_bytes(b"no image")
    with pytest.raises(BadData, match=r"00\.png cannot be used"):
        list(pictures(Pictures(data="pets"), files))


def test_a_data_set_that_changed_is_drawn_anew(files: Files) -> None:
    archive = files.root / "datasets" / "packed.zip"
    for count in (2, 3):
        with zipfile.ZipFile(archive, "w") as packed:
            for number in range(count):
                packed.writestr(f"test/cat/{number}.png", png(number))
        before = stamp(Pictures(data="packed"), files)
        assert how_many(Pictures(data="packed"), files) == count
    assert stamp(Pictures(data="packed"), files) == before and stamp(Pictures(images=("x",)), files) == ""


def test_labels_are_numbered_as_the_network_does_or_not_at_all() -> None:
    assert label_numbers(["dog", "cat"], ("cat", "dog")) == [1, 0]
    assert label_numbers(["dog", "cow"], ("cat", "dog")) is None
    assert label_numbers([None], ("cat", "dog")) is None


@pytest.mark.parametrize("wrong", [{}, {"images": ["a"], "data": "pets"}, {"data": ""}, {"data": "pets", "limit": 0}])
def test_images_come_from_one_place(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Pictures.model_validate(wrong)
