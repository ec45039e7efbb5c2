"""Listing a folder: files by name in the order of their paths' parts, links to files, and nothing that is not there."""

from pathlib import Path

import pytest

from attention.storage.folder import FolderStore


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a/x/1", "a.b/2", ".hidden/f", "a.txt", "B"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").symlink_to(tmp_path / "a.txt")
    return tmp_path


def test_all_files_below_a_folder_come_by_their_parts_and_no_linked_folder_is_entered(root: Path) -> None:
    found = list(FolderStore(root.parent).entries(root.name, deep=True))
    names = [".hidden/f", "B", "a/x/1", "a.b/2", "a.txt", "file"]
    assert [entry.name for entry in found] == [f"{root.name}/{name}" for name in names]
    for entry, name in zip(found, names, strict=True):
        about = (root / name).stat()
        assert (entry.folder, entry.size, entry.changed) == (False, about.st_size, about.st_mtime_ns)


def test_a_folder_itself_lists_what_is_not_hidden(root: Path) -> None:
    found = {entry.last: entry.folder for entry in FolderStore(root.parent).entries(root.name)}
    assert found == {"B": False, "a": True, "a.b": True, "a.txt": False, "file": False}
    assert list(FolderStore(root).entries("nothing", deep=True)) == list(FolderStore(root).entries("B")) == []
