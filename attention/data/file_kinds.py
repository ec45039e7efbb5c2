"""What a file is, told by its first bytes: formats that are read, and by name many that are not.

Signatures: https://en.wikipedia.org/wiki/List_of_file_signatures; brands of ``ftyp`` boxes: ISO/IEC 14496-12.
"""

import re
from dataclasses import dataclass

HEAD_BYTES = 512
"""How many of a file's first bytes `file_kind` looks at."""


ADVICE = "Send a JPEG, PNG, WebP, GIF, BMP or TIFF."


@dataclass(frozen=True)
class FileKind:
    """A format: its name in a sentence, whether Pillow reads it as a photo here, and what its owner can do with it."""

    name: str
    photo: bool = False
    advice: str = ADVICE


def _photo(name: str) -> FileKind:
    return FileKind(name, photo=True)


CONVERT = "Convert it to PNG or JPEG first."
HEIC = FileKind(
    "HEIC photo", advice="Export it as JPEG, or install the extra that reads it: pip install 'attention-lab[heic]'."
)
AVIF = _photo("AVIF")
RAW = "Develop it to JPEG or TIFF in the camera's program first."
UNPACK = "Unpack it, and send the photos; a data set of many photos goes to POST /v1/datasets."
VIDEO = "Save its frames as photos first."

SIGNATURES: tuple[tuple[bytes, FileKind], ...] = (
    (b"\xff\xd8\xff", _photo("JPEG")),
    (b"\x89PNG\r\n\x1a\n", _photo("PNG")),
    (b"GIF87a", _photo("GIF")),
    (b"GIF89a", _photo("GIF")),
    (b"II*\0", _photo("TIFF")),
    (b"MM\0*", _photo("TIFF")),
    (b"II+\0", _photo("TIFF")),
    (b"MM\0+", _photo("TIFF")),
    (b"\0\0\0\x0cjP  \r\n\x87\n", _photo("JPEG 2000")),
    (b"\xff\x4f\xff\x51", _photo("JPEG 2000")),
    (b"8BPS", FileKind("PSD document of Photoshop", advice="Export it as PNG or JPEG first.")),
    (b"%PDF", FileKind("PDF document", advice="Export its pages as PNG or JPEG first.")),
    (b"%!PS", FileKind("PostScript document", advice=CONVERT)),
    (b"\xc5\xd0\xd3\xc6", FileKind("PostScript document", advice=CONVERT)),
    (b"FUJIFILMCCD-RAW", FileKind("RAF camera raw file", advice=RAW)),
    (b"\0\0\0\x0cJXL \r\n\x87\n", FileKind("JPEG XL photo", advice=CONVERT)),
    (b"\xff\x0a", FileKind("JPEG XL photo", advice=CONVERT)),
    (b"v/1\x01", FileKind("OpenEXR image", advice=CONVERT)),
    (b"#?RADIANCE", FileKind("Radiance HDR image", advice=CONVERT)),
    (b"\x93NUMPY", FileKind("NumPy array", advice=CONVERT)),
    (b"SIMPLE  =", FileKind("FITS image", advice=CONVERT)),
    (b"NRRD0", FileKind("NRRD volume", advice=CONVERT)),
    (b"\x89HDF\r\n\x1a\n", FileKind("HDF5 file", advice=CONVERT)),
    (b"MATLAB 5.0", FileKind("MATLAB file", advice=CONVERT)),
    (b"\0\0\x01\0", FileKind("ICO icon", advice=CONVERT)),
    (b"icns", FileKind("ICNS icon", advice=CONVERT)),
    (b"DDS ", FileKind("DDS texture", advice=CONVERT)),
    (b"\0\x05\x16\x07", FileKind("AppleDouble file of macOS", advice="It holds no pixels; leave it out.")),
    (b"PK\x03\x04", FileKind("ZIP archive", advice=UNPACK)),
    (b"PK\x05\x06", FileKind("ZIP archive", advice=UNPACK)),
    (b"\x1f\x8b", FileKind("GZIP archive", advice=UNPACK)),
    (b"BZh", FileKind("BZIP2 archive", advice=UNPACK)),
    (b"\xfd7zXZ\0", FileKind("XZ archive", advice=UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", FileKind("7-Zip archive", advice=UNPACK)),
    (b"Rar!\x1a\x07", FileKind("RAR archive", advice=UNPACK)),
    (b"PAR1", FileKind("Parquet table", advice=UNPACK)),
    (b"SQLite format 3\0", FileKind("SQLite database", advice=UNPACK)),
    (b"\x1aE\xdf\xa3", FileKind("WebM or Matroska video", advice=VIDEO)),
    (b"FLV\x01", FileKind("FLV video", advice=VIDEO)),
    (b"\0\0\x01\xba", FileKind("MPEG video", advice=VIDEO)),
    (b"ID3", FileKind("MP3 sound")),
    (b"fLaC", FileKind("FLAC sound")),
    (b"OggS", FileKind("Ogg sound or video")),
    (b"\xd0\xcf\x11\xe0", FileKind("Microsoft Office document", advice=CONVERT)),
    (b"#!", FileKind("script")),
)

EMPTY = FileKind("empty file", advice="Send the bytes of a photo.")
UNKNOWN = FileKind("file of an unknown format")


def file_kind(head: bytes, name: str = "") -> FileKind:
    """The format of a file by its first `HEAD_BYTES` bytes; ``name`` decides only where a format has no signature."""
    if not head:
        return EMPTY
    for signature, kind in SIGNATURES:
        if head.startswith(signature):
            return _camera_raw(head) or kind if kind.name == "TIFF" else kind
    return _structured(head) or _text(head, name) or UNKNOWN


def _camera_raw(head: bytes) -> FileKind | None:
    """Raw files that begin as a TIFF and say so behind its header."""
    return FileKind("CR2 camera raw file", advice=RAW) if head[8:10] == b"CR" else None


def _structured(head: bytes) -> FileKind | None:
    """Formats that show further inside than in their first bytes."""
    if head[4:8] == b"ftyp":
        return _brand(head)
    if head[:4] == b"RIFF":
        words = {b"WEBP": _photo("WebP"), b"AVI ": FileKind("AVI video", advice=VIDEO), b"WAVE": FileKind("WAV sound")}
        return words.get(head[8:12])
    if head[128:132] == b"DICM":
        return FileKind("DICOM image", advice="Export it as PNG or TIFF in a DICOM viewer first.")
    if head[:2] == b"BM" and head[14:18] in {bytes([size, 0, 0, 0]) for size in (12, 40, 52, 56, 64, 108, 124)}:
        return _photo("BMP")
    if re.match(rb"P[1-7]\s|P[Ff]\s|Pf4\s", head):
        return _photo("PPM")
    if head[0] == 0x80 and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return FileKind("Python pickle")
    if head[257:262] == b"ustar":
        return FileKind("TAR archive", advice=UNPACK)
    return None


def _brand(head: bytes) -> FileKind:
    """What the brands of an ISO base media file say it is."""
    length = min(max(int.from_bytes(head[:4], "big"), 12), len(head))
    major, brands = head[8:12], {head[8:12], *(head[at : at + 4] for at in range(16, length, 4))}
    if brands & {b"avif", b"avis"}:
        return AVIF
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
        return HEIC
    if major == b"crx ":
        return FileKind("CR3 camera raw file", advice=RAW)
    return FileKind("QuickTime video" if major == b"qt  " else "MP4 video", advice=VIDEO)


def _text(head: bytes, name: str) -> FileKind | None:
    """Files of letters: drawings, pages, lists."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if re.match(rb"(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!doctype svg[^>]*>\s*)?<svg[\s>]", start, re.DOTALL):
        return FileKind("SVG drawing", advice="Export it as PNG first.")
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return FileKind("HTML page", advice="The photo was not downloaded; fetch it again.")
    if start.startswith(b"<?xml"):
        return FileKind("SVG drawing" if b"<svg" in start else "XML file", advice=CONVERT)
    if b"\0" in head or sum(byte < 9 or 13 < byte < 32 for byte in head) > 0:
        return None
    words = {"csv": "CSV table", "json": "JSON file", "jsonl": "JSON file", "md": "text file", "txt": "text file"}
    return FileKind(words.get(name.lower().rpartition(".")[2], "text file"))


def article(name: str) -> str:
    """``a`` or ``an``, as a name is spoken."""
    spoken = name[:1] in "aeiouAEIO" or name.startswith(("HTML", "HEIF", "MP", "SVG", "XML", "XZ", "RA", "FL"))
    return "an" if spoken and not name.startswith(("RAW", "FLAC", "Ra", "u")) else "a"
