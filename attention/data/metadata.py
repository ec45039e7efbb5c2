"""What an image file has beside its pixels, left out where it hinders reading them; and pixels that are missing."""

import struct
import zlib
from collections.abc import Iterator

PNG_HEAD = b"\x89PNG\r\n\x1a\n"
PNG_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
WEBP_PIXELS = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"}
TIFF_PIXELS = {
    *(254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 317, 320, 322, 323, 324, 325, 338, 339),
    *(347, 530, 532),
}
"""Tags of a TIFF that its pixels need: sizes, packing, places, colours, and how it was held (TIFF 6.0, part 1)."""

PRIVATE_TAG = 65_000


def without_metadata(data: bytes) -> Iterator[bytes]:
    """A file with less and less beside its pixels: first only EXIF is left, then nothing.

    Only formats that keep metadata in parts of their own: JPEG, PNG, WebP, TIFF. For others there is nothing to try.
    """
    for exif in (True, False):
        try:
            bare = _bare(data, exif)
        except (struct.error, IndexError):
            return
        if bare is not None and bare != data:
            yield bare


def _bare(data: bytes, exif: bool) -> bytes | None:
    if data.startswith(b"\xff\xd8"):
        return _bare_jpeg(data, exif)
    if data.startswith(PNG_HEAD):
        return _bare_png(data, exif)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _bare_webp(data)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _bare_tiff(data)
    return None


def _bare_jpeg(data: bytes, exif: bool) -> bytes:
    """Segments up to the first scan without APPn, but for JFIF (0) and Adobe (14), which say what the colours are."""
    parts, at = [data[:2]], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == 0xDA:
            break
        segment = data[at : at + 2 + length]
        is_exif = marker == 0xE1 and segment[4:8] == b"Exif"
        if marker in (0xE0, 0xEE) or not (0xE0 <= marker <= 0xEF or marker == 0xFE) or (exif and is_exif):
            parts.append(segment)
        at += 2 + length
    return b"".join([*parts, data[at:]])


def _bare_png(data: bytes, exif: bool) -> bytes:
    """The chunks that the pixels need; a kept EXIF chunk gets the checksum that belongs to it."""
    parts, at = [PNG_HEAD], len(PNG_HEAD)
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        chunk = data[at : at + 12 + length]
        if name in PNG_PIXELS:
            parts.append(chunk)
        elif exif and name == b"eXIf":
            parts.append(chunk[: 8 + length] + struct.pack(">I", zlib.crc32(chunk[4 : 8 + length])))
        at += 12 + length
    return b"".join(parts)


def _bare_webp(data: bytes) -> bytes:
    parts, at = [], 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        chunk = bytearray(data[at : at + 8 + length + length % 2])
        if name == b"VP8X":
            chunk[8] &= 0b11010011  # no profile, no EXIF, no XMP follow
        if name in WEBP_PIXELS:
            parts.append(bytes(chunk))
        at += 8 + length + length % 2
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _bare_tiff(data: bytes) -> bytes:
    """Entries of the first directory that the pixels do not need become one byte under a private tag."""
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    bare = bytearray(data)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from(f"{order}H", data, at)
        if tag not in TIFF_PIXELS:
            struct.pack_into(f"{order}HHII", bare, at, PRIVATE_TAG, 1, 1, 0)
    return bytes(bare)


# ---------------------------------------------------------------- pixels that are missing


def png_is_cut(data: bytes) -> bool:
    """Whether the packed pixels of a PNG end before its last row, though its checksums are right."""
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    row_bits = width * depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
    packer, size, at = zlib.decompressobj(), 0, len(PNG_HEAD)
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"IDAT":
            pending = data[at + 8 : at + 8 + length]
            while pending:
                size += len(packer.decompress(pending, 1_000_000))
                pending = packer.unconsumed_tail
        at += 12 + length
    return size < height * ((row_bits + 7) // 8)


def jpeg_with_filler(data: bytes) -> bytes:
    """A JPEG with 64 more bytes behind its last scan; a decoder that has all of its pixels passes over them."""
    at, end = 2, len(data)
    while at + 2 <= len(data):
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if data[at] != 0xFF or marker == 0xD9:
            end = at
            break
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            at = _scan_end(data, at)
    filler = bytes((37 * number + 11) % 255 for number in range(64))
    return data[:end] + filler + data[end:]


def _scan_end(data: bytes, at: int) -> int:
    """Where the packed numbers of a scan end: at the first marker that is neither stuffing nor a restart."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        if data[at + 1] != 0 and not 0xD0 <= data[at + 1] <= 0xD7:
            return at
        at += 2
    return len(data)
