"""The data set that comes along: found by name like one's own, never changed, hidden by one's own of its name."""

import csv
import zipfile
from pathlib import Path

import pytest

from attention.data.folder import SHIPPED, DataFolder
from attention.errors import InvalidRequest
from attention.storage.folder import FolderStore
from tests.attention.data.archives import photo

NAME = "flowers-sample"


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(FolderStore(tmp_path))


def test_it_is_listed_and_read_where_there_is_nothing_else(folder: DataFolder) -> None:
    (listed,) = folder.all()
    assert (listed.name, listed.kind, listed.shipped) == (NAME, "zip", True)
    inventory = folder.intake(NAME).inventory
    assert inventory.images == 200 and not inventory.split_by_hash
    assert [entry.name for entry in inventory.classes] == ["daisy", "dandelion", "roses", "sunflowers", "tulips"]
    assert all((entry.train, entry.validation, entry.test) == (20, 0, 20) for entry in inventory.classes)
    again = folder.get(NAME)
    assert again is not None and again.shipped and again.inventory == inventory


def test_every_photo_is_credited() -> None:
    with zipfile.ZipFile(SHIPPED.path(f"datasets/{NAME}.zip")) as photos:
        files = photos.namelist()
    rows = list(csv.DictReader(SHIPPED.read(f"datasets/{NAME}.csv").decode().splitlines()))
    assert sorted(row["file"] for row in rows) == sorted(files)
    assert all(row["licence"] == "CC BY 2.0" and row["flickr"] in row["file"] for row in rows)


def test_it_can_be_neither_deleted_nor_renamed(folder: DataFolder) -> None:
    for change in (lambda: folder.remove(NAME), lambda: folder.rename(NAME, "mine")):
        with pytest.raises(InvalidRequest, match="comes with the service"):
            change()
    assert SHIPPED.path(f"datasets/{NAME}.zip").exists() and [listed.name for listed in folder.all()] == [NAME]


def test_ones_own_of_its_name_hides_it_until_it_is_deleted(folder: DataFolder, tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    with zipfile.ZipFile(tmp_path / "datasets" / f"{NAME}.zip", "w") as packed:
        for number in range(8):
            packed.writestr(f"{'cat' if number % 2 else 'dog'}/{number}.jpg", photo(number))
    (listed,) = folder.all()
    assert not listed.shipped and folder.intake(NAME).inventory.images == 8
    folder.remove(NAME)
    assert folder.intake(NAME).inventory.images == 200
