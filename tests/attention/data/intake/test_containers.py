"""Archives that lie, point outside, or unpack to far more than photos do, are refused with the reason."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from attention.data.intake import containers
from attention.data.intake.inventory import take_inventory
from attention.errors import BadData, TooLarge
from tests.attention.data.archives import folder, photo, photos, write_tar, write_zip

PETS = photos([*folder("cats", 3), *folder("dogs", 3)])


@pytest.mark.parametrize("name", ["../../etc/cat/9.png", "/cat/9.png", "cat/../../9.png", "C:/cat/9.png"])
def test_a_name_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    for path in (
        write_zip(tmp_path / "d.zip", PETS | {name: photo(9)}),
        write_tar(tmp_path / "d.tgz", PETS | {name: photo(9)}),
    ):
        with pytest.raises(BadData, match="points outside of it"):
            take_inventory(path)


def test_links_in_a_tar_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(photo(77))
    path = write_tar(tmp_path / "d.tar", PETS, "w:")
    with tarfile.open(path, "a:") as archive:
        for name, kind, target in (
            ("cats/s.png", tarfile.SYMTYPE, str(tmp_path / "secret.png")),
            ("cats/h.png", tarfile.LNKTYPE, "dogs/0.png"),
            ("cats/p.png", tarfile.FIFOTYPE, ""),
            ("cats/d.png", tarfile.CHRTYPE, ""),
        ):
            about = tarfile.TarInfo(name)
            about.type, about.linkname = kind, target
            archive.addfile(about)
    inventory = take_inventory(path).inventory
    assert inventory.images == 6
    assert [(left.what, left.count) for left in inventory.left_out] == [("link", 2)]


@pytest.mark.full
def test_a_tar_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tgz"
    with gzip.open(path, "wb") as packed, tarfile.open(fileobj=packed, mode="w|") as archive:
        about = tarfile.TarInfo("cats/0.png")
        about.size = (containers.MAX_RATIO + 50) * 1_000_000
        archive.addfile(about, io.BytesIO(bytes(about.size)))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(TooLarge, match="far more than photos do"):
        take_inventory(path)


def test_a_header_of_a_tar_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    """Long names and extended headers are read whole by whoever opens a tar, so their size is a bomb of its own."""
    path = tmp_path / "d.tgz"
    about = tarfile.TarInfo("././@LongLink")
    about.type, about.size = tarfile.GNUTYPE_LONGNAME, 3_000_000_000
    with gzip.open(path, "wb") as file:
        file.write(about.tobuf(tarfile.GNU_FORMAT) + b"a" * 100_000)
    with pytest.raises((BadData, TooLarge)):
        take_inventory(path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_packed_tar_that_is_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    path = write_tar(tmp_path / "d.tgz", PETS)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BadData, match="cannot be unpacked"):
        take_inventory(path)


def test_more_files_than_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_FILES", 5)
    for path in (write_zip(tmp_path / "d.zip", PETS), write_tar(tmp_path / "d.tar", PETS, "w:")):
        with pytest.raises(TooLarge, match="at most 5|more than 5"):
            take_inventory(path)


def test_a_zip_in_a_zip_is_named_and_left_out(tmp_path: Path) -> None:
    inner = write_zip(tmp_path / "inner.zip", PETS).read_bytes()
    inventory = take_inventory(write_zip(tmp_path / "d.zip", PETS | {"more.zip": inner})).inventory
    assert [(left.what, left.examples) for left in inventory.left_out] == [("ZIP archive", ("more.zip",))]


@pytest.mark.parametrize("share", [0.3, 0.99])
def test_a_zip_that_is_cut_short_is_told_as_one(tmp_path: Path, share: float) -> None:
    path = tmp_path / "cut.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cats/1.png", b"x" * 10_000)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(BadData, match="is cut short"):
        take_inventory(path)


def test_an_empty_archive_holds_no_images(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "d.zip", "w"):
        pass
    for path in (tmp_path / "d.zip", write_tar(tmp_path / "d.tgz", {})):
        assert "holds no images" in take_inventory(path).inventory.problems[0]


def test_a_gzip_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d.gz").write_bytes(gzip.compress(b"hello" * 1000))
    with pytest.raises(BadData, match="cannot be unpacked"):
        take_inventory(tmp_path / "d.gz")


def test_a_damaged_photo_in_a_sound_archive_is_a_bad_file_and_no_bad_archive(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "d.zip", PETS | {"cats/x.jpg": b"\xff\xd8\xff" + bytes(900)})
    assert [bad.name for bad in take_inventory(path).inventory.bad] == ["cats/x.jpg"]
