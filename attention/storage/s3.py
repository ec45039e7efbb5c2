"""Files in an S3-compatible store, one store for many machines.

The store is the truth: whatever is read is looked up there, and one put replaces a whole object. A machine's folder
holds copies of what has to be a file to be read; a copy counts while its size and time are those of its object. The
time's microseconds stand for the object's ETag, so that two objects of one second are told apart. The folder may be
lost at any moment, and copies that were not used for longest leave it when its disk gets full.

fsspec and s3fs bring the protocol (https://s3fs.readthedocs.io). They take keys and addresses from where every S3
client does, and from variables such as ``FSSPEC_S3_ENDPOINT_URL``.
"""

import fcntl
import importlib
import io
import logging
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from time import monotonic, time, time_ns
from typing import TYPE_CHECKING, Any, BinaryIO

from attention.errors import AttentionError, InvalidRequest, StorageFailed
from attention.storage.base import FULL, NOT_WRITABLE, Entry, State

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

log = logging.getLogger(__name__)

URL = re.compile(r"(s3|memory)://[^/\s]+(/[^/\s]+)*/?")
"""Stores in which one put replaces a whole object; ``memory`` lasts as long as its process, and is for tests."""

CHECK_AFTER_S = 2.0
"""For so long a copy that was just compared with its object is not compared again."""

TIMEOUTS = {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 2}}
"""What s3fs waits for, in seconds, unless ``FSSPEC_S3_CONFIG_KWARGS`` says otherwise: somebody waits for an answer."""

PART = 1 << 16
"""Bytes that come at a time from a file that is opened to read parts of."""

KEEP_FREE_BYTES = 5_000_000_000
"""Bytes of the disk that copies leave free, if that can be had by dropping older ones."""

IN_USE_S = 3600.0
"""For so long after it was asked for, somebody may still be reading a copy, so it stays."""

_compared: dict[tuple[Path, str, str], tuple[float, Entry]] = {}


def check_url(url: str) -> None:
    """Raise InvalidRequest unless a URL names an S3 store that can be used here.

    Raises:
        InvalidRequest: it does not, or what it needs is not installed.
    """
    if not URL.fullmatch(url):
        raise InvalidRequest(
            f"ATTENTION_FILES is {url!r}; it takes s3://BUCKET or s3://BUCKET/PREFIX. A folder that all machines share "
            "goes into ATTENTION_DATA instead."
        )
    _opened(url)


@lru_cache(maxsize=8)
def _opened(url: str) -> tuple[Any, str]:
    """A store's file system, and the path that a URL means in it."""
    try:
        fsspec = importlib.import_module("fsspec")
        options: dict[str, Any] = {"use_listings_cache": False}
        if url.startswith("s3:") and "config_kwargs" not in fsspec.config.conf.get("s3", {}):
            options["config_kwargs"] = TIMEOUTS
        system, top = fsspec.core.url_to_fs(url, **options)
    except ImportError:
        raise InvalidRequest(
            "Files in an S3-compatible store need fsspec and s3fs: pip install 'attention-lab[scale]'."
        ) from None
    return system, top.rstrip("/")


@dataclass(frozen=True)
class S3Store:
    """Files in a store, with copies in a folder of this machine.

    Args:
        root: the folder of copies.
        url: where the files are, such as ``s3://bucket/prefix``.
    """

    root: Path
    url: str

    # ---------------------------------------------------------------- without a copy

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        with self._translate_errors():
            return bytes(self._system.cat_file(self._key(name)))

    def open(self, name: str) -> BinaryIO:
        """A file to read parts of: only those come over the network."""
        return io.BufferedReader(_Parts(self, self._stat(name)[0]), PART)

    def part(self, name: str, start: int, end: int) -> bytes:
        """Some of the bytes of a file."""
        with self._translate_errors():
            return bytes(self._system.cat_file(self._key(name), start=start, end=end))

    def write(self, name: str, data: bytes) -> None:
        """Keep a file, in place of any other of its name."""
        with self._translate_errors(making=True):
            self._system.pipe_file(self._key(name), data)

    def create(self, name: str, made: Path) -> None:
        """Keep a file that was made below `root`, which is gone then."""
        with self._translate_errors(making=True):
            self._system.put_file(str(made), self._key(name), mode="create")
        made.unlink()

    def renew(self, name: str) -> bool:
        """Return False: an object gets another time only by being written again."""
        return False

    def remove(self, name: str) -> None:
        """Forget a file or folder; nothing happens if it is not there."""
        with suppress(FileNotFoundError), self._translate_errors():
            inside = self._system.find(self._key(name))
            for path in inside or (self._key(name),):
                self._system.rm_file(path)
        self._drop(name)

    def move(self, name: str, new: str) -> None:
        """Give a file or folder another name; a store has no names of folders, so each file in it is copied."""
        with suppress(FileNotFoundError):
            self._stat(new)
            raise FileExistsError(new)
        with self._translate_errors():
            for path in self._system.find(self._key(name)):
                self._system.cp_file(path, path.replace(self._key(name), self._key(new), 1))
        self.remove(name)

    def entries(self, folder: str, *, deep: bool = False) -> Iterator[Entry]:
        """What lies in a folder, by name; with ``deep``, the files in all folders below it."""
        top = self._key(folder)
        with self._translate_errors():
            try:
                objects = self._system.find(top, detail=True).values() if deep else self._system.ls(top, detail=True)
            except FileNotFoundError:
                objects = ()
        entries = [self._entry(about) for about in objects if about["name"].rstrip("/") != top]
        for entry in sorted(entries, key=lambda entry: entry.name):
            if deep or not entry.last.startswith("."):
                if not entry.folder:
                    self._remember(entry)
                yield entry

    def state(self, name: str) -> State:
        """Give a state that changes when a file does, or any file in a folder."""
        entry, inside = self._stat(name)
        return [(file.name, file.size, file.changed) for file in (inside or (entry,))]

    # ---------------------------------------------------------------- with a copy

    def path(self, name: str) -> Path:
        """Where a file or folder can be read on this machine now; it is fetched if the copy is not what is kept."""
        here = self.root / name
        at, remote_state = _compared.get((self.root, self.url, name), (-CHECK_AFTER_S, None))
        if remote_state is not None and monotonic() - at < CHECK_AFTER_S and _is_copy(here, remote_state):
            return _used(here, remote_state)
        try:
            entry, inside = self._stat(name)
        except FileNotFoundError:
            self._drop(name)
            raise
        if not _is_copy(here, entry):
            with self._translate_errors(), _file_lock(here):
                if not _is_copy(here, entry):  # nobody else has fetched it meanwhile
                    self._fetch(here, entry, inside)
        if not entry.folder:
            self._remember(entry)
        return _used(here, entry)

    def send(self, name: str) -> None:
        """Keep the file that was written whole to ``root / name``, in place of any other of its name."""
        here = self.root / name
        with self._translate_errors(making=True):
            self._system.put_file(str(here), self._key(name))
        entry, _ = self._stat(name)
        if entry.size == here.stat().st_size:
            os.utime(here, ns=(entry.changed, entry.changed))

    def _fetch(self, here: Path, entry: Entry, inside: tuple[Entry, ...]) -> None:
        """Put a copy in place, in one step; whatever goes wrong, nothing of it stays."""
        self._make_room(entry.size)
        coming = Path(tempfile.mkdtemp(dir=here.parent, prefix=".", suffix=".part"))
        try:
            whole = coming / here.name
            for file in inside or (entry,):
                path = whole / file.name.removeprefix(f"{entry.name}/") if entry.folder else whole
                path.parent.mkdir(parents=True, exist_ok=True)
                self._system.get_file(self._key(file.name), str(path))
                if path.stat().st_size != file.size:
                    raise OSError(f"{file.name} came with {path.stat().st_size} of {file.size} bytes")
            os.utime(whole, ns=(entry.changed, entry.changed))
            if here.is_dir():
                here.rename(coming / "before")
            whole.replace(here)
        finally:
            shutil.rmtree(coming, ignore_errors=True)

    def _make_room(self, size: int) -> None:
        """Drop copies that were not used for longest, until so many bytes more leave `KEEP_FREE_BYTES` on the disk."""
        copies = []
        for path in self.root.glob("*/[!.]*"):
            with suppress(FileNotFoundError):
                copies.append((path.stat().st_atime, path))
        for used, path in sorted(copies):
            if shutil.disk_usage(self.root).free >= size + KEEP_FREE_BYTES or time() - used < IN_USE_S:
                return
            log.info("The copy %s leaves to make room.", path)
            self._drop(path.relative_to(self.root).as_posix())

    def _drop(self, name: str) -> None:
        """Forget a copy."""
        here = self.root / name
        _compared.pop((self.root, self.url, name), None)
        if here.is_dir():
            shutil.rmtree(here, ignore_errors=True)
        else:
            here.unlink(missing_ok=True)

    # ---------------------------------------------------------------- what the store says

    @property
    def _system(self) -> Any:
        return _opened(self.url)[0]

    def _key(self, name: str) -> str:
        return f"{_opened(self.url)[1]}/{name}"

    def _stat(self, name: str) -> tuple[Entry, tuple[Entry, ...]]:
        """What the store says of a file, or of a folder and the files in it."""
        with self._translate_errors():
            entry = self._entry(self._system.info(self._key(name)))
        if not entry.folder:
            return entry, ()
        inside = tuple(self.entries(name, deep=True))
        if not inside:
            raise FileNotFoundError(name)
        mark = repr([(file.name, file.size, file.changed) for file in inside])
        seconds = max(file.changed for file in inside) // 10**9
        return Entry(name, True, sum(file.size for file in inside), _changed(seconds, mark)), inside

    def _entry(self, about: Mapping[str, Any]) -> Entry:
        name = about["name"].removeprefix(_opened(self.url)[1] + "/").rstrip("/")
        if about["type"] == "directory":
            return Entry(name, True, 0, 0)
        when = about.get("LastModified") or about["created"]
        seconds = when.timestamp() if isinstance(when, datetime) else float(when)
        return Entry(name, False, int(about["size"]), _changed(int(seconds), str(about.get("ETag", seconds))))

    def _remember(self, entry: Entry) -> None:
        if len(_compared) > 100_000:
            _compared.clear()
        _compared[self.root, self.url, entry.name] = monotonic(), entry

    @contextmanager
    def _translate_errors(self, making: bool = False) -> Iterator[None]:
        """What a store raises, as a sentence. When something is made, a missing bucket is the store's fault."""
        try:
            yield
        except (AttentionError, FileExistsError):
            raise
        except Exception as error:
            if isinstance(error, FileNotFoundError) and not making:
                raise
            if isinstance(error, OSError) and NOT_WRITABLE.get(error.errno or 0) == FULL:
                raise StorageFailed(FULL) from error
            log.warning("The store of files, %s: %s: %s", self.url, type(error).__name__, error)
            raise StorageFailed(
                f"The store of files does not do what it is asked for now ({type(error).__name__}). Try again; whoever "
                "runs the service finds more in its log, and with `python -m server check`."
            ) from error


class _Parts(io.RawIOBase):
    """An object as a file to read from; what goes wrong on the way is a sentence, not what a broken file would give."""

    def __init__(self, bucket: S3Store, entry: Entry) -> None:
        self._bucket = bucket
        self._entry = entry
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._entry.size}[whence]
        if start + offset < 0:
            raise ValueError(f"negative seek position {start + offset}")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer)
        end = min(self._at + len(view), self._entry.size)
        if end <= self._at:
            return 0
        data = self._bucket.part(self._entry.name, self._at, end)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


def _changed(seconds: int, mark: str) -> int:
    """A time, ns since 1970, whose microseconds stand for what else tells two objects apart."""
    return seconds * 10**9 + zlib.crc32(mark.encode()) % 10**6 * 1000


def _is_copy(here: Path, entry: Entry) -> bool:
    try:
        about = here.stat()
    except FileNotFoundError:
        return False
    return about.st_mtime_ns == entry.changed and (entry.folder or about.st_size == entry.size)


def _used(here: Path, entry: Entry) -> Path:
    """A copy that is used now: the time of its last reading says so, whatever the file system notes by itself."""
    with suppress(FileNotFoundError):
        os.utime(here, ns=(time_ns(), entry.changed))
    return here


@contextmanager
def _file_lock(here: Path) -> Iterator[None]:
    """Inside, no other thread or process of this machine is there for the same path."""
    here.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(here.parent / f".{here.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # released with the descriptor, however the process ends
        yield
    finally:
        os.close(handle)
