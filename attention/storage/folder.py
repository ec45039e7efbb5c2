"""Files in a folder of this machine, or in one that several machines share."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from attention.storage.base import Entry, State, write_whole


@dataclass(frozen=True)
class FolderStore:
    """Files in a folder of this machine, or in one that several machines share under the same path.

    Args:
        private: whether only their owner may read the files, as in the data folder of a service.
    """

    root: Path
    private: bool = True

    def path(self, name: str) -> Path:
        """Where a file or folder is."""
        path = self.root / name
        if not path.exists():
            raise FileNotFoundError(name)
        return path

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        return (self.root / name).read_bytes()

    def open(self, name: str) -> BinaryIO:
        """A file to read parts of."""
        return (self.root / name).open("rb")

    def write(self, name: str, data: bytes) -> None:
        """Keep a file, in place of any other of its name."""
        write_whole(self.root / name, data, private=self.private)

    def create(self, name: str, made: Path) -> None:
        """Keep a file that was made below `root`, which is gone then."""
        final = self.root / name
        try:
            os.link(made, final)  # unlike a rename, it never replaces what is there
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            made.rename(final)
        with suppress(FileNotFoundError):
            made.unlink()

    def send(self, name: str) -> None:
        """Do nothing: a file written below the root of a folder is kept by that."""

    def renew(self, name: str) -> bool:
        """Let a file count as new; False if there is none."""
        try:
            os.utime(self.root / name)
        except FileNotFoundError:
            return False
        return True

    def remove(self, name: str) -> None:
        """Forget a file or folder; nothing happens if it is not there."""
        path = self.root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def move(self, name: str, new: str) -> None:
        """Give a file or folder another name."""
        if (self.root / new).exists():
            raise FileExistsError(new)
        (self.root / name).rename(self.root / new)

    def entries(self, folder: str, *, deep: bool = False) -> Iterator[Entry]:
        """What lies in a folder, by name; with ``deep``, the files in all folders below it."""
        yield from _entries(str(self.root / folder), folder, deep)

    def state(self, name: str) -> State:
        """Give a state that changes when a file does, or when something comes into or leaves a folder or one in it."""
        path = self.root / name
        inside = sorted(child for depth in ("*", "*/*") for child in path.glob(f"{depth}/")) if path.is_dir() else ()
        stats = [(child.name, child.stat()) for child in (path, *inside)]
        return [(last, about.st_size, about.st_mtime_ns) for last, about in stats]


def _entries(path: str, name: str, deep: bool) -> Iterator[Entry]:
    """What lies in a folder, by name; a folder that is not there, or may not be read, has nothing."""
    try:
        with os.scandir(path) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    for entry in inside:
        with suppress(FileNotFoundError):
            folder, below = entry.is_dir(), f"{name}/{entry.name}"
            if not (deep and folder):
                if deep or not entry.name.startswith("."):
                    about = entry.stat()
                    yield Entry(below, folder, about.st_size, about.st_mtime_ns)
            elif not entry.is_symlink():
                yield from _entries(entry.path, below, deep)
