"""What is sent as a photo and is none: damaged, lying, huge, or something else. It decodes, or it gets a sentence."""

import gc
import io
import struct
import tracemalloc
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from attention.data.images import decode, eight_bits, inspect
from attention.data.pixel_range import STRIP_PIXELS, deep_range, deep_to_rgb
from attention.errors import BadImage, TooLarge
from tests.mutations import damaged, originals, picture, png_chunk, saved

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]
"""Pillow says what is strange about a file and reads on; what is too large is refused all the same."""

PNG = b"\x89PNG\r\n\x1a\n"

READINGS = 6
"""How often a decoder may go over a file. Sound files are gone over once or twice, and one without its end marker three
times, its head twice each; a table of contents that leads back to itself, or a false length, must not make it more."""

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class File(io.BytesIO):
    """A file in memory that counts the bytes read of it, and of all others, since `start`."""

    bytes_read = 0

    @classmethod
    def start(cls) -> None:
        cls.bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        return self._counted(super().read(size))

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._counted(super().readline(size))

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        count = super().readinto(buffer)
        File.bytes_read += count
        return count

    @staticmethod
    def _counted(data: bytes) -> bytes:
        File.bytes_read += len(data)
        return data


@pytest.fixture(autouse=True)
def counted_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every photo be read from a file that counts."""
    monkeypatch.setattr("attention.data.images.io", SimpleNamespace(BytesIO=File))


def opened(name: str, data: bytes, max_pixels: int = 1_000_000) -> bool:
    """Whether a file is read; if it is not, it has to be refused with a sentence. Either takes few readings of it."""
    File.start()
    try:
        facts, image = inspect(data, max_pixels), decode(data, max_pixels)
    except (BadImage, TooLarge) as error:
        assert str(error).endswith(".") and len(str(error)) < 500, name
        return False
    finally:
        assert File.bytes_read <= 2 * READINGS * len(data), name  # `inspect` and `decode`
    assert image.mode == "RGB" and image.size == (facts.width, facts.height), name
    assert image.width * image.height <= max_pixels, name
    return True


def memory() -> float:
    """Megabytes of this process that are in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def test_the_originals_are_sound() -> None:
    assert {name for name, data in originals().items() if not opened(name, data)} == set()
    assert {inspect(data).format for data in originals().values()} >= {
        "JPEG",
        "PNG",
        "GIF",
        "BMP",
        "TIFF",
        "PPM",
        "TGA",
    }


@pytest.mark.full
def test_damaged_files_are_read_or_refused() -> None:
    read = [opened(name, data) for name, data in damaged(800, seed=1)]
    assert 0.1 < sum(read) / len(read) < 0.9  # both happen, or the damage would teach nothing


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
def test_thousands_of_damaged_files_are_read_or_refused(seed: int) -> None:
    for name, data in damaged(2000, seed):
        opened(name, data)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_thousands_of_damaged_files_leave_nothing_in_memory() -> None:
    for name, data in damaged(5000, seed=20):  # decoders and their tables are there now
        opened(name, data)
    gc.collect()
    before = memory()
    for name, data in damaged(10_000, seed=21):
        opened(name, data)
    gc.collect()
    assert memory() - before < 32


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4, 7, 8, 12, 16, 20, 25, 26])
def test_the_first_bytes_of_a_file_are_no_file(cut: int) -> None:
    for name, data in originals().items():
        with pytest.raises(BadImage):
            decode(data[:cut])
            pytest.fail(name)


def png(side: int, colour: int = 2, depth: int = 8, packed: bytes | None = None, *extra: bytes) -> bytes:
    """A PNG of black pixels, which pack to a thousandth, or with other packed pixels."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    if packed is None:
        row = b"\0" + bytes(side * channels * depth // 8)
        packer = zlib.compressobj(9)
        packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0)
    chunks = [png_chunk(b"IHDR", head), *extra, png_chunk(b"IDAT", packed), png_chunk(b"IEND", b"")]
    return PNG + b"".join(chunks)


@pytest.mark.full
def test_a_bomb_with_all_its_pixels_is_refused_by_its_header() -> None:
    data = png(20_000, 0, 1)  # 50 MB of black in 50 KB
    File.start()
    with pytest.raises(TooLarge, match="far more pixels"):
        inspect(data)
    assert 0 < File.bytes_read < 100 < len(data) / 100  # the signature, the header, and the head of what follows


@pytest.mark.parametrize("side", [2**16, 2**31 - 1])
def test_sides_that_no_memory_holds_are_refused(side: int) -> None:
    tall = PNG + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, side, 8, 2, 0, 0, 0)) + png_chunk(b"IDAT", b"")
    for data in (png(side, packed=zlib.compress(b"\0")), tall):
        with pytest.raises((BadImage, TooLarge)):
            inspect(data)


def test_no_side_is_no_picture() -> None:
    for form in ("BMP", "GIF", "TIFF", "PNG"):
        data = bytearray(saved(picture(37, 29), form))
        for number, width in ((37, 4), (37, 2)):
            for order in ("<", ">"):
                said = struct.pack(f"{order}{'I' if width == 4 else 'H'}", number)
                if said in data:
                    opened(form, bytes(data).replace(said, bytes(width), 1))
    with pytest.raises(BadImage):
        decode(b"P6 0 0 255\n")


@pytest.mark.full
def test_text_that_unpacks_to_a_hundred_megabytes_is_refused() -> None:
    bomb = zlib.compress(bytes(100_000_000), 9)
    for chunk in (b"zTXt", b"iCCP"):
        data = png(8, 2, 8, None, png_chunk(chunk, b"name\0\0" + bomb))
        tracemalloc.start()
        opened(chunk.decode(), data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 10_000_000


@pytest.mark.full
def test_many_frames_cost_no_more_than_one() -> None:
    frame = picture(200, 200).convert("P")
    frames = [picture(200 - number, 200 - number).resize((200, 200)).convert("P") for number in range(60)]
    film, still = (saved(frame, "GIF", save_all=True, append_images=more) for more in (frames, []))
    read = {}
    for data in (film, still):
        File.start()
        decode(data)
        read[data] = File.bytes_read
    assert len(film) > 20 * len(still) and len(still) <= read[still]
    assert read[film] < 2 * read[still]


@pytest.mark.full
def test_a_picture_with_a_thousand_pages_is_its_first() -> None:
    pages = [Image.new("L", (8, 8), number % 256) for number in range(1000)]
    data = saved(Image.new("RGB", (9, 7), "teal"), "TIFF", save_all=True, append_images=pages)
    assert decode(data).size == (9, 7)


BILLION_LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "&%c;&%c;&%c;&%c;&%c;&%c;&%c;&%c;">' % (n + 1, *[n] * 8) for n in range(97, 110))
    + b']><svg xmlns="http://www.w3.org/2000/svg"><text>&n;</text></svg>'
)


@pytest.mark.parametrize(
    "data",
    [
        BILLION_LAUGHS,
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
        b"<!doctype html><script>alert(1)</script>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
        b"%PDF-1.7\n",
        b"PK\x03\x04" + bytes(60),
        b"\x80\x04\x95" + bytes(60),
        b"/* XPM */\nstatic char *x[] = {",
        b"#!/bin/sh\n",
        b"GIF89a" + b"<script>",
        b"RIFF\x10\0\0\0WEBPVP8 ",
        b"\xff\xd8\xff",
        b"\0" * 5000,
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_only_looks_like_a_picture_is_refused(data: bytes) -> None:
    with pytest.raises(BadImage):
        decode(data)


@pytest.mark.full
def test_an_icon_with_a_picture_inside_is_not_opened() -> None:
    """Containers of other formats would lead to any of Pillow's readers."""
    for form in ("ICO", "ICNS", "PDF", "EPS", "PCX", "SGI", "DDS"):
        try:
            data = saved(picture(64, 64), form)
        except (OSError, KeyError):
            continue  # not written by this Pillow
        with pytest.raises(BadImage, match="not an image of a known format"):
            decode(data)


@pytest.mark.full
def test_strips_give_the_pixels_of_the_whole() -> None:
    width, height = 1500, 1500  # three strips
    assert width * height > 2 * STRIP_PIXELS
    y, x = np.mgrid[:height, :width]
    clear = Image.fromarray(np.stack([x % 256, y % 256, (x + y) % 256, (x * 3 + y) % 256], -1).astype(np.uint8), "RGBA")
    white = Image.new("RGBA", clear.size, (255, 255, 255, 255))
    assert np.array_equal(np.asarray(eight_bits(clear)), np.asarray(Image.alpha_composite(white, clear).convert("RGB")))
    deep = Image.fromarray((x * 43).astype(np.uint16))
    expected = np.round(np.asarray(deep) / 65535 * 255).astype(np.uint8)
    assert np.array_equal(np.asarray(deep_to_rgb(deep, deep_range(deep))), np.repeat(expected[..., None], 3, -1))
    real = Image.fromarray((x + y).astype(np.float32))
    expected = np.round((x + y) / (width + height - 2) * 255).astype(np.uint8)
    assert np.array_equal(np.asarray(deep_to_rgb(real, deep_range(real)))[..., 0], expected)


@pytest.mark.slow
@pytest.mark.parametrize(("colour", "depth"), [(6, 8), (0, 16)])
def test_the_largest_picture_takes_few_hundred_megabytes(colour: int, depth: int) -> None:
    """Fifty megapixels of black come in 150 KB; opened they were up to 1.2 GB before they were changed in strips."""
    import subprocess
    import sys

    code = (
        "import resource, sys\n"
        "from attention.data.images import decode\n"
        "data = sys.stdin.buffer.read()\n"
        "used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3\n"
        "before = used()\n"
        "decode(data)\n"
        "print(used() - before)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], input=png(7000, colour, depth), capture_output=True, check=True)
    assert float(ran.stdout) < 450


def test_a_damaged_note_about_orientation_does_not_hide_the_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    sound = saved(picture(30, 20), "JPEG", exif=exif.tobytes())
    at = sound.index(b"Exif")
    for number in range(6, 40):
        for value in (0, 255):
            data = bytearray(sound)
            data[at + number] = value
            opened(f"byte {number} of the note", bytes(data))
    assert decode(sound).size == (20, 30)


def test_the_bytes_that_were_read_are_not_kept_by_the_picture() -> None:
    data = saved(picture(), "PNG")
    image = decode(data + bytes(1_000_000))
    out = io.BytesIO()
    image.save(out, "PNG")
    assert len(out.getvalue()) < 10_000
