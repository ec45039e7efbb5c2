"""What reading a data set costs in memory and time, and what a colour profile adds to a photo.

    python -m benchmarks.data_sets [--images 20000] [--side 32] [--turns 15] [--unpacked]

A data set is a zip in the data folder, or with ``--unpacked`` a folder of files there. The time is by the clock, in a
fresh process, until the images are ready to train on. The pack is the decoded images, N x S x S x 3 bytes. Peak memory
is the most that the process had while it read the data set, beyond what it had before; once with nothing kept, and once
from the kept inventory and pixels, as a second study does. A photo's colour profile is applied when it has the input's
size, 224 pixels; what that takes is told as a share of decoding the photo, in CPU time of the process.
"""

import argparse
import io
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from attention.data.dataset import read
from attention.data.folder import DataFolder
from attention.data.images import decode
from attention.data.pixel_cache import PixelCache
from attention.data.preprocessing import in_srgb, resized
from attention.spec import Preprocess
from attention.storage.folder import FolderStore
from benchmarks.measure import line, paired_ratio, side_by_side

LOOK_S = 0.002
"""How often a process looks at its memory while it reads."""


def resident_bytes() -> int:
    """Memory of this process, mapped files included, bytes."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGESIZE")


def peak_bytes(run: Callable[[], object]) -> int:
    """Most memory that this process had during a call, beyond that before it."""
    before, peak, ended = resident_bytes(), 0, threading.Event()

    def look() -> None:
        nonlocal peak
        while not ended.wait(LOOK_S):
            peak = max(peak, resident_bytes() - before)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        run()
    finally:
        ended.set()
        looking.join()
    return peak


def archive(path: Path, count: int, side: int, unpacked: bool = False) -> None:
    """Write different JPEG photos in ten classes, without a split, into a zip, or into a folder of its name."""
    random = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as file:
        for number in range(count):
            content = io.BytesIO()
            pixels = random.integers(0, 256, (side // 4, side // 4, 3), np.uint8)
            Image.fromarray(pixels).resize((side, side)).save(content, "JPEG", quality=90)
            file.writestr(f"class{number % 10}/{number:06}.jpg", content.getvalue())
    if unpacked:
        shutil.unpack_archive(path, path.with_suffix(""))
        path.unlink()


def reading(root: Path, side: int) -> tuple[int, float]:
    """Measure the peak memory, bytes, and the seconds of reading a data set as a study does.

    What a read of another one left is not counted.
    """
    folder, cache = DataFolder(FolderStore(root)), PixelCache(root / "pixels")

    def study(name: str) -> None:
        path = folder.path(name)
        assert path is not None
        read(path, side, intake=folder.intake(name), cache=cache)

    study("small")
    began = time.perf_counter()
    peak = peak_bytes(lambda: study("large"))
    return peak, time.perf_counter() - began


def studies(count: int, side: int, unpacked: bool) -> None:
    """Print the peaks and times of a first and a second study."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "datasets").mkdir()
        archive(Path(place, "datasets", "small.zip"), 200, side, unpacked)
        archive(Path(place, "datasets", "large.zip"), count, side, unpacked)
        pack = count * side * side * 3
        for name in ("first study", "second study"):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                peak, seconds = pool.apply(reading, (Path(place), side))
            print(
                f"{name:<14} {count:,} images of {side} px: {seconds:.2f} s, "
                f"peak {peak / 2**20:.1f} MiB, {peak / pack:.3f} of the pack"
            )


def wide_colours() -> bytes:
    """A profile that is not sRGB: its red and green exchanged, so that a conversion has something to do."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    content = content.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
    return bytes(content).replace(b"s\0R\0G\0B", b"w\0i\0d\0e").replace(b"sRGB", b"wide")


def profile(width: int, height: int, turns: int) -> None:
    """Print what converting a photo's colours adds to decoding it."""
    content = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    Image.fromarray(pixels).resize((width, height)).save(content, "JPEG", quality=90, icc_profile=wide_colours())
    seen = resized(decode(content.getvalue()), Preprocess())
    assert np.asarray(in_srgb(seen)).tobytes() != seen.tobytes()
    times = side_by_side(
        {"decode": lambda: decode(content.getvalue()), "convert": lambda: in_srgb(seen)}, n=turns, warm_up=1
    )
    for name, taken in times.items():
        print(line(f"{width} x {height} pixels, {name}", taken))
    print(paired_ratio("convert / decode", times["convert"], times["decode"]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--unpacked", action="store_true", help="the data set is a folder of files")
    given = parser.parse_args()
    studies(given.images, given.side, given.unpacked)
    for width, height in ((4032, 3024), (1024, 768)):
        profile(width, height, given.turns)


if __name__ == "__main__":
    main()
