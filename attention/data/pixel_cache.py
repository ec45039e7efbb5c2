"""Decoded images of data sets, kept on disk so that files that are known are not decoded again.

The images of a data set at one size are one ``.npy`` file of bytes (N, S, S, 3), mapped into memory when it is read.
Its name is a fingerprint of the files in their order, the size and the decoder, and a checksum of the pixels. A file
that does not fit its name is removed and made anew.
"""

import hashlib
import logging
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import PIL
from numpy.typing import NDArray

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

MOST_BYTES = 8 * 2**30
"""Size that all kept files together may have; those that were read least recently leave first."""

DECODER = f"1, Pillow {PIL.__version__}"
"""Version of what makes pixels of a file: raise the number when another image would come out."""

CHUNK = 16
"""Images decoded in one task of a thread: handing over a single small one would cost as much as decoding it."""


@dataclass(frozen=True)
class PixelCache:
    """A folder of decoded images.

    Args:
        folder: made when the first file is kept.
        most_bytes: bound on the size of all files; images that alone are larger are not kept.
    """

    folder: Path
    most_bytes: int = MOST_BYTES

    def read(self, fingerprint: str) -> NDArray[np.uint8] | None:
        """Map kept images (N, S, S, 3) into memory, copied on write; None if there are none that are whole."""
        for path in sorted(self.folder.glob(f"{fingerprint}-*.npy")):
            try:
                pixels = np.load(path, mmap_mode="c")
                if pixels.dtype == np.uint8 and path.stem == f"{fingerprint}-{_checksum(pixels)}":
                    os.utime(path)
                    return pixels
            except (OSError, ValueError, EOFError) as error:
                log.warning("Kept images in %s cannot be read: %s", path, error)
            with suppress(OSError):
                path.unlink()
        return None

    def keep(self, fingerprint: str, pixels: NDArray[np.uint8]) -> None:
        """Write images whole, and remove old files beyond the bound; where that fails they are only not kept."""
        if pixels.nbytes > self.most_bytes:
            log.info("Decoded images of %d bytes are not kept: at most %d are.", pixels.nbytes, self.most_bytes)
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make_room(pixels.nbytes)
            with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as file:
                try:
                    np.save(file, pixels)
                    file.close()
                    Path(file.name).replace(self.folder / f"{fingerprint}-{_checksum(pixels)}.npy")
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
        except OSError as error:
            log.warning("Decoded images are not kept in %s: %s", self.folder, error)

    def _make_room(self, size: int) -> None:
        """Remove the files read least recently until so many bytes more stay within the bound."""
        files = sorted(
            ((path.stat(), path) for path in self.folder.glob("*.npy")), key=lambda pair: pair[0].st_mtime_ns
        )
        total = size + sum(facts.st_size for facts, _ in files)
        for facts, path in files:
            if total <= self.most_bytes:
                break
            path.unlink(missing_ok=True)
            total -= facts.st_size


def fingerprint_of(digests: Iterable[bytes], size: int) -> str:
    """Name decoded images by the SHA-256 of each file in their order, the size in pixels and the decoder."""
    whole = hashlib.sha256(repr((DECODER, size)).encode())
    for digest in digests:
        whole.update(digest)
    return whole.hexdigest()[:32]


def in_parallel(change: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Change items on as many threads as the process has CPUs, in their order, with few of them held at a time.

    Pillow decodes and resizes outside the interpreter lock.
    """
    stream = iter(items)
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pending: deque[Future[list[R]]] = deque()

    def changed(chunk: Sequence[T]) -> list[R]:
        return [change(item) for item in chunk]

    with ThreadPoolExecutor(threads) as pool:
        while chunk := list(islice(stream, CHUNK)):
            pending.append(pool.submit(changed, chunk))
            if len(pending) > 2 * threads:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()


def _checksum(pixels: NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()[:32]
