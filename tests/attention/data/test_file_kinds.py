"""Formats are told by their first bytes, and a refusal names the one it saw."""

import io
import zipfile

import pytest

from attention.data.file_kinds import HEAD_BYTES, file_kind
from attention.data.images import FORMATS, inspect
from attention.errors import BadImage
from tests.mutations import originals, picture, saved


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    brands = major + bytes(4) + b"".join(compatible)
    return (8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands + bytes(60)


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("a.jpg", b"x")
    return file.getvalue()


UNREAD = {
    "HEIC photo": [ftyp(b"heic", b"mif1"), ftyp(b"mif1", b"heic"), ftyp(b"msf1", b"hevc")],
    "DICOM image": [bytes(128) + b"DICM" + bytes(60)],
    "SVG drawing": [
        b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- made by hand -->\n<svg width='2'/>",
        b"<svg\n xmlns='http://www.w3.org/2000/svg'/>",
    ],
    "PDF document": [b"%PDF-1.7\n"],
    "PSD document": [b"8BPS\0\1" + bytes(20)],
    "MP4 video": [ftyp(b"isom", b"iso2", b"mp41")],
    "QuickTime video": [ftyp(b"qt  ")],
    "CR2 camera raw": [b"II*\0\x10\0\0\0CR\2\0" + bytes(60)],
    "CR3 camera raw": [ftyp(b"crx ", b"isom")],
    "JPEG XL": [b"\xff\x0a" + bytes(30)],
    "ZIP archive": [archive()],
    "HTML page": [b"<!DOCTYPE html>\n<title>404</title>"],
    "NumPy array": [b"\x93NUMPY\1\0"],
    "AppleDouble": [b"\0\x05\x16\x07\0\2\0\0"],
    "FITS image": [b"SIMPLE  =                    T"],
}


@pytest.mark.parametrize("name", UNREAD)
def test_a_refusal_names_the_format_and_what_to_do(name: str) -> None:
    for data in UNREAD[name]:
        with pytest.raises(BadImage, match=name) as refusal:
            inspect(data)
        sentences = str(refusal.value).split(". ")
        assert len(sentences) >= 2 and ("damaged" not in str(refusal.value) or "HEIF" in FORMATS)


def test_every_format_that_is_read_is_known_by_its_first_bytes() -> None:
    unknown = {name for name, data in originals().items() if not file_kind(data[:HEAD_BYTES]).photo}
    assert all("tga" in name for name in unknown), unknown  # TGA begins with no signature


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (b"BM is short for something\n", "", "text file"),
        (b"P5 is a room\n", "", "PPM"),
        (b"a,b\n1,2\n", "labels.csv", "CSV table"),
        (b"\0\1\2\3" * 20, "", "file of an unknown format"),
        (b"", "", "empty file"),
    ],
)
def test_what_has_no_signature_is_told_by_what_is_left(data: bytes, name: str, kind: str) -> None:
    assert file_kind(data, name).name == kind


def test_heic_is_read_where_its_extra_is_installed() -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="HEIC needs pillow-heif: pip install 'attention-lab[heic]'")
    pillow_heif.register_heif_opener()
    assert inspect(saved(picture(), "HEIF")).width == 37
