"""Photos are prepared as publishers of networks prepare them: timm's and torchvision's rules, restated with Pillow."""

import math
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attention.data.files import samples
from attention.data.images import decode
from attention.data.preprocessing import MOST_RESIZED_PIXELS, crop, resized
from attention.spec import Preprocess
from attention.weights.find import published_preprocess

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

# Input size, crop_pct, interpolation and crop_mode of timm's configurations, as they are on the hub.
CONFIGURATIONS = [
    ("resnet50.a1_in1k", 224, 0.95, "bicubic", "center"),
    ("resnet50.a3_in1k", 160, 0.95, "bicubic", "center"),
    ("volo_d4_448.sail_in1k", 448, 1.15, "bicubic", "center"),
    ("resnet50.tv_in1k", 224, 0.875, "bilinear", "center"),
    ("resnet50.tv2_in1k", 176, 0.875, "bilinear", "center"),
    ("seresnet33ts.ra2_in1k", 256, 0.9, "bicubic", "center"),
    ("ecaresnet50t.ra2_in1k", 256, 0.875, "bicubic", "center"),
    ("an odd size", 225, 0.9, "bicubic", "center"),
    ("a whole side", 224, 1.0, "bicubic", "squash"),
    ("a squashed crop", 224, 0.9, "bilinear", "squash"),
    ("a border", 224, 0.9, "bicubic", "border"),
    ("all of the photo", 224, 1.0, "lanczos", "border"),
]


def photos() -> list[Image.Image]:
    found = [decode(sample.path.read_bytes()) for sample in samples()]
    found += [found[0].crop((0, 0, *size)) for size in ((201, 200), (99, 301), (57, 31), (224, 224), (236, 235))]
    assert len(found) > 15
    return found


def config(size: int, crop_pct: float, interpolation: str, mode: str) -> dict[str, Any]:
    """The part of a repository's configuration that says how photos are prepared."""
    said = {"input_size": [3, size, size], "crop_pct": crop_pct, "interpolation": interpolation, "crop_mode": mode}
    return {"pretrained_cfg": {**said, "mean": MEAN, "std": STD}}


def torchvision_resize(image: Image.Image, size: int, interpolation: str) -> Image.Image:
    """torchvision.transforms.Resize of a number: the shorter side becomes it, the longer one is cut to whole pixels."""
    width, height = image.size
    short, long = (width, height) if width <= height else (height, width)
    new_short, new_long = size, int(size * long / short)
    new_width, new_height = (new_short, new_long) if width <= height else (new_long, new_short)
    return image.resize((new_width, new_height), Image.Resampling[interpolation.upper()])


def centre_crop_or_pad(image: Image.Image, size: int, fill: tuple[int, ...]) -> Pixels:
    """timm's center_crop_or_pad; without padding it is torchvision.transforms.CenterCrop."""
    pixels = np.asarray(image)
    across, down = max(size - image.width, 0), max(size - image.height, 0)
    sides = ((down // 2, (down + 1) // 2), (across // 2, (across + 1) // 2))
    channels = [np.pad(pixels[..., c], sides, constant_values=fill[c]) for c in range(3)]
    padded = np.stack(channels, -1)
    top = int(round((padded.shape[0] - size) / 2.0))  # noqa: RUF046
    left = int(round((padded.shape[1] - size) / 2.0))  # noqa: RUF046
    return padded[top : top + size, left : left + size]


def timm_eval(image: Image.Image, size: int, crop_pct: float, interpolation: str, mode: str) -> Pixels:
    """timm's transforms_imagenet_eval up to the tensor."""
    scale_size = math.floor(size / crop_pct)
    if mode == "squash":
        small = image.resize((scale_size, scale_size), Image.Resampling[interpolation.upper()])
    elif mode == "border":  # ResizeKeepRatio with longest=1
        ratio = max(image.height / scale_size, image.width / scale_size)
        sides = (round(image.width / ratio), round(image.height / ratio))
        small = image.resize(sides, Image.Resampling[interpolation.upper()])
    else:
        small = torchvision_resize(image, scale_size, interpolation)
    fill = (0, 0, 0) if mode == "center" else tuple(round(255 * value) for value in MEAN)
    return centre_crop_or_pad(small, size, fill)


@pytest.mark.full
@pytest.mark.parametrize(("name", "size", "crop_pct", "interpolation", "mode"), CONFIGURATIONS)
def test_pixels_are_those_of_timms_own_transform(
    name: str, size: int, crop_pct: float, interpolation: str, mode: str
) -> None:
    how = published_preprocess(config(size, crop_pct, interpolation, mode))
    assert how is not None
    for photo in photos():
        expected = timm_eval(photo, size, crop_pct, interpolation, mode)
        assert np.array_equal(np.asarray(resized(photo, how)), expected), (name, photo.size)


@pytest.mark.full
@pytest.mark.parametrize(("size", "resize"), [(224, 256), (224, 232), (176, 235)])
def test_pixels_are_those_of_torchvisions_presets(size: int, resize: int) -> None:
    how = Preprocess(size=size, resize=resize, filter="bilinear", rounding="torchvision")
    for photo in photos():
        expected = centre_crop_or_pad(torchvision_resize(photo, resize, "bilinear"), size, (0, 0, 0))
        assert np.array_equal(np.asarray(resized(photo, how)), expected), photo.size


def test_a_very_long_photo_is_resized_under_its_crop_only_and_is_the_same_to_a_grey_level() -> None:
    how = Preprocess(size=224, resize=256, filter="bilinear", rounding="torchvision")
    ramp = np.linspace(0, 255, 64 * 4000).reshape(64, 4000)
    photo = Image.fromarray(np.stack([ramp] * 3, -1).astype(np.uint8))
    long = int(256 * 4000 / 64)
    assert long * 256 > MOST_RESIZED_PIXELS
    expected = centre_crop_or_pad(torchvision_resize(photo, 256, "bilinear"), 224, (0, 0, 0))
    assert np.abs(np.asarray(resized(photo, how), np.int16) - expected).max() <= 1


@pytest.mark.parametrize("size", [(3, 40_000), (40_000, 3), (1, 1), (1, 9000)])
@pytest.mark.parametrize("rounding", ["nearest", "torchvision"])
@pytest.mark.parametrize("mode", ["center", "squash", "border"])
def test_photos_of_any_shape_give_the_size_that_was_asked_for(size: tuple[int, int], rounding: Any, mode: Any) -> None:
    for resize in (32, 20):
        how = Preprocess(size=28, resize=resize, rounding=rounding, mode=mode)
        assert resized(Image.new("RGB", size, (9, 9, 9)), how).size == (28, 28)


@pytest.mark.parametrize("rounding", ["nearest", "torchvision"])
@pytest.mark.parametrize(("wide", "seen"), [(None, (224, 200)), (320, (286, 214))])
def test_a_photo_resized_to_less_than_the_input_keeps_its_shape_and_is_padded(
    rounding: Any, wide: int | None, seen: tuple[int, int]
) -> None:
    how = Preprocess(size=224, width=wide, resize=200, rounding=rounding)
    pixels = np.asarray(resized(Image.new("RGB", (400, 300), (9, 9, 9)), how))[..., 0]
    assert (pixels.any(0).sum(), pixels.any(1).sum()) == seen


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize("rounding", ["nearest", "torchvision"])
@pytest.mark.parametrize("wide", [None, 320])
def test_the_crop_says_where_in_the_photo_a_pixel_of_the_input_came_from(mode: Any, rounding: Any, wide: Any) -> None:
    how = Preprocess(size=200, width=wide, resize=220, mode=mode, rounding=rounding, filter="bilinear")
    width, height, x, y = 600, 480, 330, 250
    photo = Image.new("RGB", (width, height))
    photo.paste((255, 255, 255), (x - 3, y - 3, x + 3, y + 3))
    pixels = np.asarray(resized(photo, how)).astype(float)[..., 0]
    pixels -= pixels[0, 0]  # what is filled
    pixels = np.clip(pixels, 0, None)
    across = wide or 200
    rows, columns = np.mgrid[:200, :across] + 0.5
    seen = (pixels * columns).sum() / pixels.sum() / across, (pixels * rows).sum() / pixels.sum() / 200
    left, top, right, bottom = crop(width, height, how)
    assert seen[0] == pytest.approx((x / width - left) / (right - left), abs=0.003)
    assert seen[1] == pytest.approx((y / height - top) / (bottom - top), abs=0.003)


@pytest.mark.parametrize(
    "changes",
    [{"interpolation": "random"}, {"crop_mode": "fancy"}, {"input_size": [3, 224, 192]}, {"std": None}],
)
def test_what_a_configuration_says_of_unknown_ways_is_not_half_followed(changes: dict[str, Any]) -> None:
    said = config(224, 0.9, "bicubic", "center")["pretrained_cfg"] | changes
    assert published_preprocess({"pretrained_cfg": said}) is None


def test_what_a_configuration_leaves_out_is_timms_default() -> None:
    said = {"input_size": [3, 224, 224], "mean": MEAN, "std": STD}
    expected = Preprocess(size=224, resize=256, filter="bicubic", rounding="torchvision")
    assert published_preprocess({"pretrained_cfg": said}) == expected


@pytest.mark.skipif(find_spec("timm") is None, reason="needs timm: pip install 'attention-lab[timm]'")
@pytest.mark.slow
def test_pixels_are_those_of_timm_itself_for_every_way_that_its_configurations_know() -> None:
    timm = pytest.importorskip("timm")
    ways: dict[object, dict[str, Any]] = {}
    for name in timm.list_pretrained("*"):
        said = timm.get_pretrained_cfg(name).to_dict()
        way = *said["input_size"], said["crop_pct"], said["interpolation"], said["crop_mode"]
        if said["input_size"][1] == said["input_size"][2] < 500:
            ways.setdefault(way, said | {"name": name})
    assert len(ways) >= 90
    shown = [*photos()[6:24:6], *photos()[-5:]]  # wide, high and square ones, and those smaller than an input
    for said in ways.values():
        how, name = published_preprocess({"pretrained_cfg": said}), said["name"]
        assert how is not None, name
        transform = timm.data.create_transform(**timm.data.resolve_data_config(pretrained_cfg=said), normalize=False)
        for photo in shown:
            expected = np.asarray(transform(photo)).transpose(1, 2, 0)
            assert np.array_equal(np.asarray(resized(photo, how)), expected), name
