"""A corpus of damaged pictures made from a seed: small sound originals of every format that is read, and what can be
done to them.

The same seed gives the same bytes with the same Pillow, so a finding is named by its number.
"""

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from PIL import Image, PngImagePlugin, features

Mutation = Callable[[bytes, random.Random], bytes]

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)


def picture(width: int = 37, height: int = 29, mode: str = "RGB") -> Image.Image:
    """A small picture with some structure, of odd sides."""
    y, x = np.mgrid[:height, :width]
    made = Image.fromarray(np.stack([x * 6, y * 8, x * y], -1).astype(np.uint8))
    return made if mode == "RGB" else made.convert(mode)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    """The bytes of an image file."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


@cache
def originals() -> dict[str, bytes]:
    """Sound files by a name, at least one for each format and each way of packing that this Pillow writes."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x8769] = 6, "camera", {0x9286: b"ASCII\0\0\0note"}
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "hello " * 30, zip=True)
    text.add_itxt("Title", "sky", "en", "Titel", zip=True)
    rgb, grey, palette, clear = picture(), picture(mode="L"), picture(mode="P"), picture(mode="RGBA")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    real = Image.fromarray(np.asarray(grey).astype(np.float32))
    frames = [picture(20 + number, 20).resize((20, 20)) for number in range(3)]
    found = {
        "jpeg": saved(rgb, "JPEG", exif=exif.tobytes()),
        "jpeg progressive": saved(rgb, "JPEG", progressive=True, icc_profile=b"\0" * 200),
        "jpeg cmyk": saved(picture(mode="CMYK"), "JPEG"),
        "jpeg grey": saved(grey, "JPEG", restart_marker_rows=1),
        "png": saved(rgb, "PNG", pnginfo=text, exif=exif.tobytes(), icc_profile=b"\0" * 200),
        "png palette": saved(palette, "PNG", transparency=3),
        "png deep": saved(deep, "PNG"),
        "png clear": saved(clear, "PNG"),
        "png bits": saved(picture(mode="1"), "PNG"),
        "apng": saved(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "gif": saved(frames[0].convert("P"), "GIF", save_all=True, append_images=frames[1:], comment=b"hello"),
        "bmp": saved(rgb, "BMP"),
        "bmp palette": saved(palette, "BMP"),
        "ppm": saved(rgb, "PPM"),
        "ppm text": b"P3\n# hello\n4 3 255\n" + b" ".join(b"%d" % (n * 7) for n in range(36)),
        "pgm deep": saved(deep, "PPM"),
        "tga": saved(rgb, "TGA"),
        "tga packed": saved(clear, "TGA", compression="tga_rle"),
        "tiff": saved(rgb, "TIFF", exif=exif.tobytes()),
        "tiff deep": saved(deep, "TIFF"),
        "tiff float": saved(real, "TIFF"),
    }
    packings = ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4") if features.check("libtiff") else ()
    for packing in packings:
        source = picture(mode="1") if packing == "group4" else rgb
        found[f"tiff {packing}"] = saved(source, "TIFF", compression=packing)
    if features.check("webp"):
        found["webp"] = saved(rgb, "WEBP", exif=exif.tobytes())
        found["webp lossless"] = saved(clear, "WEBP", lossless=True)
        found["webp animated"] = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    if features.check("avif"):
        found["avif"] = saved(rgb, "AVIF", speed=10)
    if features.check("jpg_2000"):
        found["jpeg 2000"] = saved(rgb, "JPEG2000")
    return found


def _flip(data: bytes, dice: random.Random) -> bytes:
    """Some bits the other way round."""
    made = bytearray(data)
    for _ in range(dice.randint(1, 12)):
        made[dice.randrange(len(made))] ^= 1 << dice.randrange(8)
    return bytes(made)


def _flip_early(data: bytes, dice: random.Random) -> bytes:
    """The same among the first bytes, where headers are."""
    head = min(len(data), 80)
    return _flip(data[:head], dice) + data[head:]


def _cut(data: bytes, dice: random.Random) -> bytes:
    """The file ends too early."""
    return data[: dice.randrange(len(data))]


def _without(data: bytes, dice: random.Random) -> bytes:
    """A piece is missing."""
    start = dice.randrange(len(data))
    return data[:start] + data[start + dice.randint(1, 64) :]


def _twice(data: bytes, dice: random.Random) -> bytes:
    """A piece stands there twice."""
    start = dice.randrange(len(data))
    end = start + dice.randint(1, 200)
    return data[:end] + data[start:]


def _noise(data: bytes, dice: random.Random) -> bytes:
    """A piece is noise."""
    start = dice.randrange(len(data))
    noise = dice.randbytes(dice.randint(1, 40))
    return data[:start] + noise + data[start + len(noise) :]


def _extreme(data: bytes, dice: random.Random) -> bytes:
    """A number is the least or the greatest: a length, a side, an offset."""
    width = dice.choice((1, 2, 4))
    at = dice.randrange(max(len(data) - width, 1))
    number = dice.choice(EXTREMES) & (256**width - 1)
    return data[:at] + number.to_bytes(width, dice.choice(("big", "little"))) + data[at + width :]


def _spliced(data: bytes, dice: random.Random) -> bytes:
    """The head of one file on the rest of another."""
    other = dice.choice(list(originals().values()))
    return data[: dice.randrange(len(data))] + other[dice.randrange(len(other)) :]


def _renamed(data: bytes, dice: random.Random) -> bytes:
    """The magic number of another format."""
    other = dice.choice(list(originals().values()))
    length = dice.choice((4, 8, 12))
    return other[:length] + data[length:]


def _relabelled(data: bytes, dice: random.Random) -> bytes:
    """A PNG whose chunks lie, with sums that are right, so that readers get as far as to believe them."""
    chunks = list(png_chunks(data)) if data.startswith(b"\x89PNG") else []
    if not chunks:
        return _extreme(data, dice)
    at = dice.randrange(len(chunks))
    name, body = chunks[at]
    match dice.randrange(5):
        case 0:
            chunks[at] = name, _extreme(body + b"\0\0\0\0", dice)
        case 1:
            chunks[at] = name, _noise(body + b"\0", dice)
        case 2:
            chunks.insert(dice.randrange(len(chunks)), chunks[at])
        case 3:
            chunks.pop(at)
        case _:
            dice.shuffle(chunks)
    return data[:8] + b"".join(png_chunk(name, body) for name, body in chunks)


MUTATIONS: tuple[Mutation, ...] = (
    _flip,
    _flip_early,
    _cut,
    _without,
    _twice,
    _noise,
    _extreme,
    _extreme,
    _spliced,
    _renamed,
    _relabelled,
)


def png_chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG, with its sum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and bodies of a sound PNG's chunks."""
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def damaged(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """So many damaged files, each with a name that says where it comes from."""
    named = list(originals().items())
    for number in range(count):
        dice = random.Random(f"{seed} {number}")
        name, data = named[number % len(named)]
        for mutation in dice.choices(MUTATIONS, k=dice.choice((1, 1, 1, 2, 3))):
            if data:
                data = mutation(data, dice)
        yield f"{name} #{number} of seed {seed}", data
