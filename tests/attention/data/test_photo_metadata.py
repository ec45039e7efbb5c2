"""Trouble beside the pixels never spoils a photo: it is read, upright where it says so; but no pixel is made up."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageCms

from attention.data.images import decode, inspect, read_photo
from attention.data.preprocessing import preprocess
from attention.errors import BadImage
from attention.spec import Preprocess
from tests.mutations import picture, png_chunk, saved

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

ORIENTATION, RATIONAL, SIGNED_RATIONAL = 0x112, 5, 10


def exif(*entries: tuple[int, int, int, bytes], more: bytes = b"") -> bytes:
    """A block of tags, little-endian: tag, type, count and four bytes of value or place."""
    rows = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + bytes(4) + more


def turned(kind: int = 3, value: bytes = struct.pack("<HH", 6, 0)) -> tuple[int, int, int, bytes]:
    return ORIENTATION, kind, 1, value


def behind(count: int) -> bytes:
    """The place of what stands behind ``count`` tags."""
    return struct.pack("<I", 8 + 2 + 12 * count + 4)


def jpeg(*segments: tuple[int, bytes]) -> bytes:
    """A sound JPEG of 37 x 29 pixels behind segments: number of APPn, content."""
    whole = saved(picture(), "JPEG", quality=95, subsampling=0)
    front = b"".join(b"\xff" + bytes([0xE0 + n]) + struct.pack(">H", len(body) + 2) + body for n, body in segments)
    return whole[:2] + front + whole[2:]


def png(*chunks: bytes) -> bytes:
    whole = saved(picture(), "PNG")
    return whole[:33] + b"".join(chunks) + whole[33:]


def upright(data: bytes) -> bool:
    """Whether a file is the picture turned by orientation 6, up to the losses of JPEG."""
    wanted = np.asarray(picture().transpose(Image.Transpose.ROTATE_270)).astype(int)
    found = np.asarray(decode(data)).astype(int)
    return found.shape == wanted.shape and float(np.abs(found - wanted).mean()) < 6


TAGS = {
    "impossible signed rational": exif(
        turned(), (0x11A, SIGNED_RATIONAL, 1, behind(2)), more=struct.pack("<ii", -1, 0)
    ),
    "rational of nothing": exif(turned(), (0x11A, RATIONAL, 1, behind(2)), more=bytes(8)),
    "text for a number": exif(turned(), (0x11B, 2, 8, behind(2)), more=b"seventy\0"),
    "a place outside": exif(turned(), (0x8769, 4, 1, struct.pack("<I", 0x7FFFFFFF))),
    "type that is none": exif(turned(), (0x9000, 99, 7, b"0230")),
    "orientation as a long": exif(turned(4, struct.pack("<I", 6))),
    "orientation as a rational": exif(turned(RATIONAL, behind(1)), more=struct.pack("<II", 6, 1)),
}


@pytest.mark.parametrize("name", TAGS)
def test_an_impossible_tag_hides_neither_pixels_nor_orientation(name: str) -> None:
    assert upright(jpeg((1, b"Exif\0\0" + TAGS[name])))
    assert upright(png(png_chunk(b"eXIf", TAGS[name])))


def broken(name: bytes, body: bytes) -> bytes:
    """A chunk whose checksum is wrong."""
    return png_chunk(name, body)[:-4] + b"\0\1\2\3"


@pytest.mark.parametrize(
    "data",
    [
        lambda: png(png_chunk(b"eXIf", b"\0\x08\0\x02")),
        lambda: png(png_chunk(b"eXIf", b"")),
        lambda: png(broken(b"tEXt", b"Comment\0hello")),
        lambda: png(broken(b"iCCP", b"name\0\0" + zlib.compress(b"no profile"))),
        lambda: png(png_chunk(b"iCCP", b"name\0\x07" + b"junk")),
        lambda: png(png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(100_000_000)))),
        lambda: png(png_chunk(b"pHYs", b"\0")),
        lambda: jpeg(
            (1, b"Exif\0\0" + b"garbage" * 9), (2, b"ICC_PROFILE\0\1\1" + bytes(40)), (13, b"Photoshop 3.0\0" + b"8")
        ),
        lambda: jpeg((2, b"MPF\0" + b"\xff" * 40)),
    ],
    ids=["no tags", "empty tags", "text", "profile's sum", "profile", "text bomb", "density", "JPEG", "multi-picture"],
)
def test_garbage_beside_the_pixels_leaves_them_as_they_are_stored(data: Callable[[], bytes]) -> None:
    found = np.asarray(decode(data())).astype(int)
    assert found.shape == (29, 37, 3) and np.abs(found - np.asarray(picture())).mean() < 6


def test_a_readable_orientation_beside_a_broken_text_is_applied() -> None:
    assert upright(png(broken(b"tEXt", b"a\0b"), png_chunk(b"eXIf", exif(turned()))))


@pytest.mark.parametrize("order", ["<", ">"])
def test_tags_of_a_tiff_that_pixels_do_not_need_are_passed_over(order: str) -> None:
    whole = bytearray(saved(picture(), "TIFF"))
    at = int.from_bytes(whole[4:8], "little")
    place = whole.index(struct.pack("<HH", 258, 3), at)  # behind the sizes comes BitsPerSample
    assert whole[:2] == b"II" and place > at
    count = int.from_bytes(whole[at : at + 2], "little")
    entries = [bytes(whole[at + 2 + 12 * n : at + 14 + 12 * n]) for n in range(count)]
    bad = struct.pack("<HHII", 282, 2, 0x7FFFFFFF, 0x7FFFFFF0)  # a resolution of two billion letters
    moved = struct.pack("<H", count + 1) + b"".join([*entries, bad]) + bytes(4)
    whole[4:8] = len(whole).to_bytes(4, "little")
    assert np.array_equal(np.asarray(decode(bytes(whole) + moved)), np.asarray(picture()))


def ends_early(image: Image.Image, **options: object) -> bytes:
    """A JPEG without its lower half that says it is whole."""
    data = saved(image, "JPEG", **options)
    return data[: len(data) // 2] + b"\xff\xd9"


def test_a_jpeg_that_lost_its_lower_half_is_refused_though_it_has_an_end() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 80, 3), dtype=np.uint8))
    for image in (noise, noise.convert("L")):
        for options in ({}, {"subsampling": 0}, {"restart_marker_rows": 1}):
            with pytest.raises(BadImage, match="its lower part is missing"):
                inspect(ends_early(image, **options))


def test_a_photo_that_ends_in_middle_grey_is_whole() -> None:
    image = picture(64, 64)
    image.paste((128, 128, 128), (0, 32, 64, 64))
    for options in ({}, {"progressive": True}, {"subsampling": 0}):
        assert inspect(saved(image, "JPEG", quality=95, **options)).height == 64


def test_a_png_whose_packed_rows_end_early_is_refused_and_a_black_one_is_not() -> None:
    for mode in ("RGB", "L", "RGBA", "1", "P"):
        image = picture(40, 40, "RGB").convert(mode)
        whole = saved(image, "PNG")
        at = whole.index(b"IDAT")
        rows = zlib.decompress(whole[at + 4 : at + 4 + int.from_bytes(whole[at - 4 : at], "big")])
        short = whole[: at - 4] + png_chunk(b"IDAT", zlib.compress(rows[: len(rows) // 2])) + png_chunk(b"IEND", b"")
        with pytest.raises(BadImage, match="its lower part is missing"):
            inspect(short)
        assert inspect(saved(Image.new(mode, (50, 40)), "PNG")).width == 50


def test_colours_of_a_wide_profile_are_those_that_littlecms_makes_of_the_whole_photo() -> None:
    """Red and green of the file exchanged by its profile: what is red there is green in sRGB."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for tag, other in ((b"rXYZ", b"gXYZ"), (b"gXYZ", b"rXYZ")):
        profile[profile.index(tag) : profile.index(tag) + 4] = other.lower()
    swapped = bytes(profile).replace(b"gxyz", b"gXYZ").replace(b"rxyz", b"rXYZ").replace(b"s\0R\0G\0B", b"t\0e\0s\0t")
    how = Preprocess(size=8, resize=8, mean=(0, 0, 0), std=(1, 1, 1))
    red = Image.new("RGB", (30, 20), (255, 0, 0))
    seen = preprocess(decode(saved(red, "PNG", icc_profile=swapped)), how)[:, 4, 4]
    assert seen[1] > 0.98 and seen[0] < 0.05
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert preprocess(decode(saved(red, "PNG", icc_profile=own)), how)[0].min() == 1


def test_a_profile_of_printers_inks_is_passed_over_and_said_so() -> None:
    file = io.BytesIO()
    picture(mode="CMYK").save(file, "JPEG", icc_profile=b"\0" * 200)
    assert inspect(file.getvalue()).notes == ("Its CMYK colour profile is not applied.",)


@pytest.mark.parametrize("profile", [b"no profile", b"\0" * 16 + b"RGB " + b"\0" * 180], ids=["text", "zeros"])
def test_a_profile_that_cannot_be_read_is_said_in_the_notes(profile: bytes) -> None:
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    photo = read_photo(saved(red, "PNG", icc_profile=profile))
    assert photo.notes == ("Its colour profile cannot be read, so its colours are taken for sRGB.",)
    assert photo.image.tobytes() == red.tobytes()
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read_photo(saved(red, "PNG", icc_profile=own)).notes == ()
