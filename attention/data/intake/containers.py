"""The files of a folder, a zip or a tar, one after the other: nothing is unpacked to disk, no name becomes a path.

A file is read only while it is the current one. Iterating again begins anew.
"""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from attention.data.file_kinds import HEAD_BYTES
from attention.data.intake.name_encodings import check_encoding, decode_name, guess_encoding
from attention.errors import BadData, TooLarge

MAX_FILES = 1_000_000
MAX_ENTRY_BYTES = 64_000_000
MAX_UNPACKED_BYTES = 16_000_000_000
MAX_RATIO = 200
"""Unpacked over packed bytes of a whole archive; photos hardly shrink at all."""

UNPACKING = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, RuntimeError, EOFError, OSError, ValueError),
    struct.error,
)
"""What a bad archive raises."""


@dataclass(frozen=True)
class File:
    """A file in a container.

    Args:
        path: its name below the container, with ``/`` and in Unicode's normal form C.
        read: gives its bytes, or its first ones if a number is given.
        link: whether it only points at another file; then it is not read.
    """

    path: str
    size: int
    read: Callable[[int | None], bytes]
    link: bool = False


class Container(Protocol):
    """Something that holds files."""

    @property
    def encoding(self) -> str:
        """The encoding of names that do not say theirs; ``utf-8`` if all do."""

    def files(self) -> Iterator[File]:
        """Every file, by name.

        Raises:
            BadData: it cannot be unpacked, or a name points outside of it.
            TooLarge: it unpacks to more than the limits.
        """


def open_container(path: Path, names: str | None = None) -> Container | None:
    """The files of a folder, zip or tar; None if it is none of these.

    Args:
        names: encoding of names that do not say theirs; guessed if None.

    Raises:
        BadData: a zip that was cut short.
    """
    if path.is_dir():
        return Folder(path)
    if zipfile.is_zipfile(path):
        return Zip(path, names)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head[:4] == b"PK\x03\x04":
        raise BadData(
            f"The zip {path.name} is cut short: the list of its files, at its end, is missing. Send it whole."
        )
    if head[257:262] == b"ustar" or head[:2] == b"\x1f\x8b" or head[:3] == b"BZh" or head[:6] == b"\xfd7zXZ\0":
        return Tar(path, names)
    return None


@dataclass(frozen=True)
class Folder:
    """The files below a folder of this machine."""

    path: Path
    encoding: str = "utf-8"

    def files(self) -> Iterator[File]:
        """Every file, by name."""
        for count, path in enumerate(sorted(self.path.rglob("*"))):
            if count >= 2 * MAX_FILES:
                raise TooLarge(f"The folder {self.path.name} holds more than {MAX_FILES:,} files.")
            if path.is_file():
                name = path.relative_to(self.path).as_posix().encode("utf-8", "surrogateescape")
                yield File(clean(name.decode("utf-8", "replace")), path.stat().st_size, Reader(path))


@dataclass(frozen=True)
class Reader:
    """What reads a file of a folder."""

    path: Path

    def __call__(self, first: int | None = None) -> bytes:
        """The bytes of the file, or its first ones."""
        with self.path.open("rb") as file:
            content = file.read(MAX_ENTRY_BYTES + 1 if first is None else first)
        return content if first is not None else checked(content, self.path.name, self.path.parent.name)


@dataclass
class Zip:
    """The files inside a zip."""

    path: Path
    names: str | None = None
    encoding: str = field(init=False, default="utf-8")

    def files(self) -> Iterator[File]:
        """Every file, by name."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                entries = [entry for entry in archive.infolist() if entry.filename and not entry.is_dir()]
                self._check(entries)
                named = sorted(zip(self._decoded(entries), entries, strict=True), key=lambda pair: pair[0])
                for name, entry in named:
                    link = stat.S_ISLNK(entry.external_attr >> 16)
                    yield File(name, entry.file_size, self._reader(archive, entry, name), link)
        except UNPACKING as error:
            raise not_unpacked(self.path.name, error) from error

    def _decoded(self, entries: list[zipfile.ZipInfo]) -> list[str]:
        """The names of entries in one encoding, unless they say theirs."""
        raw = [entry.orig_filename.encode("cp437") for entry in entries if not entry.flag_bits & 0x800]
        self.encoding = check_encoding(self.names) if self.names else guess_encoding(raw)
        decoded = []
        for entry in entries:
            name = entry.orig_filename
            if not entry.flag_bits & 0x800:
                name = decode_name(name.encode("cp437"), self.encoding)
            decoded.append(inside(name, self.path.name))
        return decoded

    def _check(self, entries: list[zipfile.ZipInfo]) -> None:
        if len(entries) > MAX_FILES:
            raise TooLarge(
                f"The archive {self.path.name} holds {len(entries):,} files; at most {MAX_FILES:,} are read."
            )
        check_unpacked(self.path, sum(entry.file_size for entry in entries))

    def _reader(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> Callable[[int | None], bytes]:
        def read(first: int | None = None) -> bytes:
            try:
                with archive.open(entry) as file:
                    content = file.read(MAX_ENTRY_BYTES + 1 if first is None else first)
            except UNPACKING as error:
                raise not_unpacked(self.path.name, error) from error
            return content if first is not None else checked(content, name, self.path.name)

        return read


@dataclass
class Tar:
    """The files inside a tar, packed by gzip, bzip2 or xz, or not at all; in the order they lie in."""

    path: Path
    names: str | None = None
    encoding: str = field(init=False, default="utf-8")

    def files(self) -> Iterator[File]:
        """Every file, in its order, which is the only one that a packed tar is read in without beginning again."""
        unpacked = 0
        try:
            with (
                self._unpacked() as stream,
                tarfile.open(fileobj=stream, mode="r:", errors="surrogateescape") as archive,
            ):
                for count, member in enumerate(archive, 1):
                    unpacked += member.size
                    if count > MAX_FILES:
                        raise TooLarge(f"The archive {self.path.name} holds more than {MAX_FILES:,} files.")
                    check_unpacked(self.path, unpacked)
                    if member.isfile() or member.issym() or member.islnk():
                        name = inside(self._decoded(member.name), self.path.name)
                        yield File(name, member.size, self._reader(archive, member, name), not member.isfile())
                    archive.members = []  # type: ignore[attr-defined]  # or all of a million would be kept
        except UNPACKING as error:
            raise not_unpacked(self.path.name, error) from error

    def _unpacked(self) -> "Bounded":
        """The tar itself."""
        with self.path.open("rb") as file:
            head = file.read(6)
        openers: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
        opener = openers.get(head[:2])
        return Bounded(self.path.open("rb") if opener is None else opener(self.path))

    def _decoded(self, name: str) -> str:
        raw = name.encode("utf-8", "surrogateescape")
        if self.names:
            return decode_name(raw, check_encoding(self.names))
        likely = guess_encoding([raw])
        if likely not in ("ascii", "utf-8"):
            self.encoding = likely
        return decode_name(raw, likely)

    def _reader(self, archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> Callable[[int | None], bytes]:
        def read(first: int | None = None) -> bytes:
            try:
                byte_count = min(member.size, MAX_ENTRY_BYTES + 1 if first is None else first)
                content = b"".join(_pieces(archive.extractfile(member), byte_count))
            except UNPACKING as error:
                raise not_unpacked(self.path.name, error) from error
            return content if first is not None else checked(content, name, self.path.name)

        return read


def _pieces(file: IO[bytes] | None, size: int) -> Iterator[bytes]:
    """The first bytes of a file, a few million at a time.

    Raises:
        EOFError: it ends before.
    """
    while size > 0 and file is not None:
        piece = file.read(min(size, 4_000_000))
        if not piece:
            raise EOFError("it ends in the middle of a file")
        size -= len(piece)
        yield piece


class Bounded(io.BufferedIOBase):
    """A stream that never gives more than `MAX_ENTRY_BYTES` at once: headers of a tar are read whole, however long."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int | None = -1, /) -> bytes:
        """Bytes from here on."""
        if size is None or not 0 <= size <= MAX_ENTRY_BYTES + 1:
            raise tarfile.ReadError("a header is longer than any file may be")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Where the stream is."""
        return self._stream.tell()

    def close(self) -> None:
        """Close it, and the file below."""
        self._stream.close()
        super().close()


def clean(name: str) -> str:
    """A name in normal form C, without ``./`` and backslashes."""
    parts = unicodedata.normalize("NFC", name).replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", "."))


def inside(name: str, archive: str) -> str:
    """A clean name that points nowhere but into its archive.

    Raises:
        BadData: it points outside.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]):
        raise BadData(f"The archive {archive} holds a file that points outside of it ({name!r}). Pack it again.")
    return clean(name)


def check_unpacked(path: Path, size: int) -> None:
    """Raise TooLarge if an archive unpacks to more than photos do."""
    if size > MAX_UNPACKED_BYTES or size > MAX_RATIO * max(path.stat().st_size, 1_000_000):
        raise TooLarge(f"The archive {path.name} would unpack to {size:,} bytes, far more than photos do.")


def checked(content: bytes, name: str, container: str) -> bytes:
    """The content, if it is no longer than a photo may be."""
    if len(content) > MAX_ENTRY_BYTES:
        raise TooLarge(f"The file {name} in {container} is larger than {MAX_ENTRY_BYTES:,} bytes.")
    return content


def not_unpacked(name: str, error: Exception) -> BadData:
    """The sentence about an archive that cannot be unpacked."""
    return BadData(f"The archive {name} cannot be unpacked ({error}). Pack it again without a password.")
