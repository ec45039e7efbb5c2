"""Images kept by the hash of their bytes, written whole or not at all."""

import hashlib
import os
import stat
from pathlib import Path

import pytest

from attention.data.files import Files, samples
from attention.data.images import inspect
from attention.errors import NotFound, StorageFailed
from attention.storage.base import write_whole
from attention.storage.folder import FolderStore


def test_an_image_is_kept_once_under_the_hash_of_its_bytes(tmp_path: Path) -> None:
    files = Files(tmp_path)
    assert files.put_image(b"photo") == files.put_image(b"photo") == hashlib.sha256(b"photo").hexdigest()
    assert files.image_bytes(hashlib.sha256(b"photo").hexdigest()) == b"photo"
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_a_removed_image_is_gone_and_removing_twice_is_nothing(tmp_path: Path) -> None:
    files = Files(tmp_path)
    name = files.put_image(b"photo")
    files.remove_image(name)
    files.remove_image(name)
    with pytest.raises(NotFound, match="Upload it first"):
        files.image_bytes(name)


@pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "", "abc", "0" * 63 + "/"])
def test_what_is_not_an_id_never_becomes_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound, match="is not an image id"):
        Files(tmp_path).image_bytes(name)


def test_a_write_that_fails_in_the_middle_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "kept", b"before")

    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_room)
    with pytest.raises(StorageFailed, match="disk of the data folder is full"):
        write_whole(tmp_path / "kept", b"after")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"] and (tmp_path / "kept").read_bytes() == b"before"


def test_a_file_that_was_asked_for_follows_the_umask_and_one_of_a_service_is_its_owners(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "card.json", b"{}")
        FolderStore(tmp_path).write("kept", b"x")
        FolderStore(tmp_path, private=False).write("own", b"x")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"card.json": 0o640, "kept": 0o600, "own": 0o640}


def test_the_gallery_is_readable_credited_and_found_like_an_upload(tmp_path: Path) -> None:
    gallery = samples()
    assert len(gallery) >= 10 and len({sample.id for sample in gallery}) == len(gallery)
    for sample in gallery:
        assert sample.title and sample.credit.count(",") >= 2, f"{sample.name} needs author, licence and source"
        facts = inspect(Files(tmp_path).image_bytes(sample.id))
        assert facts.width >= 96 and facts.height >= 96
    listed = {sample.path for sample in gallery}
    assert {path for path in gallery[0].path.parent.iterdir() if path.suffix not in (".csv", ".py")} == listed
