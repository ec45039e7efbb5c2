"""Where a service's files lie: a folder, or a store that many machines share.

A file is written whole or not at all, and never changed: it can be replaced by another one of its name, which no reader
ever sees half of. Names are paths below, such as ``checkpoints/run-1.json``. What has to be a file on this machine to
be read, such as a checkpoint, has a path here (`FileStore.path`); what is read at once needs none (`FileStore.read`).
"""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from attention.errors import StorageFailed

FULL = "The disk of the data folder is full, so this was not kept. Make room there, and ask again."
CLOSED = "The data folder cannot be written, so this was not kept. Let the user that the service runs as write there."

NOT_WRITABLE = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: FULL,
    errno.EROFS: CLOSED,
    errno.EACCES: CLOSED,
    errno.EPERM: CLOSED,
}
"""What a system says when a file cannot be written, and what that means to whoever runs the service."""

KEEP_FREE_BYTES = 256 << 20
"""Bytes that a large file must leave free on the disk."""

State = list[tuple[str, int, int]]
"""Names, bytes and times (ns since 1970): another list when any of it may have changed."""


class Entry(NamedTuple):
    """A file or folder as far as a listing tells; ``changed`` (ns since 1970) is another one after it was replaced."""

    name: str
    folder: bool
    size: int
    changed: int

    @property
    def last(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]


class FileStore(Protocol):
    """Files by name. It is plain data and travels to other machines, where it leads to the same files.

    Whatever names a file that is not there raises FileNotFoundError; what cannot be read or written for another reason
    raises StorageFailed.
    """

    def __hash__(self) -> int:
        """Plain data can be compared, so what is read once can be kept by where it was."""

    @property
    def root(self) -> Path:
        """The folder on this machine that paths lie below, and where files are made that are to be brought in."""

    def path(self, name: str) -> Path:
        """Where a file or folder can be read on this machine now; looked up again each time it is to be read."""

    def read(self, name: str) -> bytes:
        """The bytes of a file."""

    def open(self, name: str) -> BinaryIO:
        """A file to read parts of."""

    def write(self, name: str, data: bytes) -> None:
        """Keep a file, in place of any other of its name."""

    def create(self, name: str, made: Path) -> None:
        """Keep a file that was made below `root`, which is gone then.

        Raises:
            FileExistsError: there is one of that name.
        """

    def send(self, name: str) -> None:
        """Keep the file that was written whole to ``root / name``, in place of any other of its name."""

    def renew(self, name: str) -> bool:
        """Let a file count as new; False if it has to be written again for that."""

    def remove(self, name: str) -> None:
        """Forget a file or folder; nothing happens if it is not there."""

    def move(self, name: str, new: str) -> None:
        """Give a file or folder another name.

        Raises:
            FileExistsError: there is one of that name.
        """

    def entries(self, folder: str, *, deep: bool = False) -> Iterator[Entry]:
        """What lies in a folder, by name, without what is hidden; with ``deep``, the files in all folders below it."""

    def state(self, name: str) -> State:
        """Give a state that changes when a file does, or when something comes into a folder or leaves it."""


def check_room(folder: Path, what: str, size: int) -> None:
    """Raise StorageFailed unless a disk has room for a large file."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if size > free - KEEP_FREE_BYTES:
        raise StorageFailed(
            f"{what} has {size / 1e6:,.0f} MB, and the disk it would be kept on has {free / 1e6:,.0f} MB left. "
            "Make room there, and ask again."
        )


def write_whole(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a file so that no reader ever sees half of it, whatever happens in the middle.

    Args:
        private: whether only its owner may read it; else that follows the umask, as of any file.

    Raises:
        StorageFailed: the disk is full, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{uuid.uuid4().hex}.part"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
        _fill(handle, temporary, path, data)
    except OSError as error:
        if error.errno not in NOT_WRITABLE:
            raise
        raise StorageFailed(NOT_WRITABLE[error.errno]) from error


def _fill(handle: int, temporary: Path, path: Path, data: bytes) -> None:
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
