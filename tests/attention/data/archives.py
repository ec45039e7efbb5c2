"""Data sets for tests: small photos that are all different, packed as people pack them."""

import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

Files = Mapping[str, bytes]


@cache
def photo(number: int, form: str = "PNG", side: int = 6) -> bytes:
    """A small photo like no other of another number."""
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


def photos(paths: Iterable[str]) -> dict[str, bytes]:
    """Different photos at these paths."""
    return {path: photo(number) for number, path in enumerate(paths)}


def folder(path: str, count: int) -> list[str]:
    """Paths of so many photos in a folder."""
    return [f"{path}/{number}.png" for number in range(count)]


def write_zip(path: Path, files: Files, encoding: str | None = None) -> Path:
    """A zip; with an encoding, as a program writes it that has names in a code page and does not say so."""

    class Unflagged(zipfile.ZipInfo):
        def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802
            return self.filename.encode(encoding or "utf-8"), self.flag_bits & ~0x800

    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(Unflagged(name) if encoding else name, content)
    return path


def write_tar(path: Path, files: Files, mode: str = "w:gz") -> Path:
    """A tar, packed as its mode says."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return path


def write_folder(root: Path, files: Files) -> Path:
    """A folder of files."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root
