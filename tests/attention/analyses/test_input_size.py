"""Inputs that are not square: counts by hand, pixels restated with numpy, refusals by networks of one size."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor, nn

from attention.analyses import run
from attention.backbones import Backbone, backbones
from attention.build import build
from attention.counting.cost import count
from attention.data.files import samples
from attention.data.images import decode
from attention.data.preprocessing import crop, fitted, normalise, resized
from attention.errors import InvalidRequest
from attention.lab import Lab
from attention.models import own_models
from attention.models.own_models import OwnModel
from attention.modules import modules
from attention.registry.aliases import Names
from attention.reports.cam import CamRequest
from attention.reports.compare import CompareRequest
from attention.reports.cost import CostRequest, VariantCost
from attention.reports.latency import LatencyRequest
from attention.reports.seen import SeenRequest
from attention.spec import Ablation, Pictures, Preprocess, Variant
from attention.watch import watch
from tests.attention.direct_lab import DirectLab
from tests.attention.models.own import Excite, seeded

PLAIN = Variant.parse("resnet20/none")


@pytest.fixture
def lab(tmp_path: Path) -> DirectLab:
    return DirectLab(tmp_path)


def photo(lab: DirectLab, width: int, height: int) -> str:
    pixels = np.random.default_rng(width).integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
    path = lab.files.root / "photo.png"
    Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return lab.files.put_image(path.read_bytes())


# ------------------------------------------------------------------ counts


def naive_resnet20_macs(height: int, width: int) -> int:
    """Multiply-accumulates by loops over the layers of He et al. 2016, section 4.2."""
    macs, seen = height * width * 9 * 3 * 16, 16
    for stage, channels in enumerate((16, 32, 64)):
        rows, columns = -(-height // 2**stage), -(-width // 2**stage)
        for _ in range(3):
            macs += rows * columns * 9 * (seen * channels + channels * channels)
            seen = channels
    return macs + 64 * 10


@pytest.mark.parametrize(("height", "width"), [(32, 32), (48, 80), (33, 70)])
def test_a_network_is_counted_at_height_and_width_as_loops_count_it(height: int, width: int) -> None:
    bill = count(PLAIN, (height, width))
    assert bill.total.macs == naive_resnet20_macs(height, width)
    assert bill.total.parameters == count(PLAIN).total.parameters


def test_the_convolutions_of_resnet50_grow_with_the_pixels_and_its_classifier_does_not() -> None:
    classifier, square = 2048 * 1000, 4_089_184_256  # at 224 x 224, torchvision's count
    wide = count(Variant.parse("resnet50/none"), (224, 320)).total.macs
    assert wide == (square - classifier) * 320 // 224 + classifier


@pytest.mark.full
@pytest.mark.parametrize("module", list(modules))
def test_every_module_takes_a_map_that_is_not_square(module: str) -> None:
    bill = count(Variant.parse(f"resnet18/{module}@published"), (96, 160))
    assert bill.input_size == (96, 160) and bill.total.parameters > 0


def test_sizes_are_read_as_people_write_them() -> None:
    oblong: list[Any] = [[224, 320], (224, 320), "224x320", " 224 × 320 "]
    assert {CostRequest(input_size=said).input_size for said in oblong} == {(224, 320)}
    square: list[Any] = [224, [224, 224], "224x224"]
    assert {CostRequest(input_size=said).input_size for said in square} == {224}
    assert CostRequest(input_size=[224, 224]) == CostRequest(input_size=224)  # type: ignore[arg-type]


@pytest.mark.parametrize("said", [0, [224], [224, 224, 3], [0, 32], [32, 4096], "wide", "32x", 32.5, [32.5, 32], {}])
def test_what_is_no_size_is_refused_once_and_in_words(said: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        CostRequest(input_size=said)
    (fault,) = refused.value.errors()
    assert "height and width, such as [224, 320] or 224x320" in fault["msg"]


def test_what_was_stored_with_one_number_stays_readable() -> None:
    bill = count(PLAIN)
    assert bill.model_dump(mode="json")["input_size"] == 32
    assert VariantCost.model_validate_json(count(PLAIN, (48, 80)).model_dump_json()).input_size == (48, 80)
    assert Preprocess.model_validate({"size": 32, "resize": 36}).width is None


class OneSize(Backbone):
    """A network with a learned number for every place, as networks with position embeddings have."""

    input_size = 32

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.zeros(1, 3, 32, 32))
        self.head = nn.Linear(3 * 32 * 32, classes)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape != self.places.shape:
            raise AssertionError("The input does not match the position embedding")  # as timm's networks do
        return self.head((x + self.places).flatten(1))


def one_size(*, classes: int = 10) -> OneSize:
    return OneSize(classes)


def test_a_network_of_one_size_refuses_others_and_says_its_own(lab: DirectLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backbones._things, "one_size", one_size)
    monkeypatch.setitem(backbones._names, "one_size", Names("one_size"))
    variants, size = (Variant.parse("one_size/none"),), (32, 48)
    assert count(variants[0]).total.parameters == 3 * 32 * 32 * 11 + 10
    image = photo(lab, 60, 40)
    for request in (
        CostRequest(variants=variants, input_size=size),
        CompareRequest(images=(image,), variants=variants, input_size=size),
        SeenRequest(image=image, variants=variants, input_size=size),
        LatencyRequest(variants=variants, input_size=size, rounds=6),
    ):
        with pytest.raises(InvalidRequest, match=r"cannot take an image of 32 x 48 pixels.*made for 32 x 32"):
            run(request, lab)
    assert not lab.told  # nothing was run before


# ------------------------------------------------------------------ photos


def test_a_padded_photo_is_seen_whole_in_the_middle_of_the_mean_colour(lab: DirectLab) -> None:
    how = fitted(Preprocess(size=96, resize=110, filter="bilinear"), (60, 100), "pad")
    image = decode(lab.files.image_bytes(photo(lab, 400, 160)))
    seen = np.asarray(resized(image, how))
    assert seen.shape == (60, 100, 3)
    scaled = np.asarray(image.resize((100, 40), Image.Resampling.BILINEAR))  # 400 x 160 by 4
    expected = np.empty((60, 100, 3), np.uint8)
    expected[:] = np.round(255 * np.array(how.mean))
    expected[10:50] = scaled
    assert np.array_equal(seen, expected)
    assert crop(400, 160, how) == pytest.approx((0, -10 / 40, 1, 50 / 40))
    assert (how.size, how.width, how.resize, how.mode) == (60, 100, 60, "border")


def test_a_stretched_photo_is_seen_whole_and_a_cropped_one_loses_its_ends_with_the_margin(lab: DirectLab) -> None:
    own, image = Preprocess(size=80, resize=100, filter="box"), decode(lab.files.image_bytes(photo(lab, 500, 200)))
    stretched = fitted(own, (50, 100), "stretch")
    assert np.array_equal(
        np.asarray(resized(image, stretched)), np.asarray(image.resize((100, 50), Image.Resampling.BOX))
    )
    cropped = fitted(own, (64, 128), "crop")
    assert cropped.resize == 80, "five quarters of 64, as 100 is of 80"
    # 500 x 200 covers 160 x 80 at 0.4: 200 x 80; of it the middle 128 x 64 is seen.
    assert crop(500, 200, cropped) == pytest.approx((36 / 200, 8 / 80, 164 / 200, 72 / 80))
    assert fitted(own, None, None) == own


@pytest.mark.full
def test_comparison_at_height_and_width_is_the_networks_on_that_picture(lab: DirectLab) -> None:
    image, names = photo(lab, 90, 60), ("resnet20/none?weights=shipped", "resnet20/eca?weights=shipped")
    variants = tuple(map(Variant.parse, names))
    report = run(CompareRequest(images=(image,), variants=variants, input_size=(40, 60), fit="pad", top_k=10), lab)
    for variant, said, network in zip(variants, report.predictions, report.variants, strict=True):
        how = network.preprocess
        assert (how.size, how.width, how.mode) == (40, 60, "border"), "the report says how"
        pixels = np.asarray(lab.files.image(image).resize((60, 40), Image.Resampling[how.filter.upper()]))
        with torch.no_grad():
            shares = build(variant)(normalise(torch.tensor(pixels).permute(2, 0, 1), how)[None])[0].softmax(0)
        assert {score.index: score.probability for score in said.top} == pytest.approx(dict(enumerate(shares.tolist())))
        assert network.macs == count(variant, (40, 60)).total.macs
    assert "accuracies on the networks' cards" in report.caveats[-1]
    assert run(CompareRequest(images=(image,), variants=variants), lab).caveats == ()


def test_heat_covers_what_was_padded_too(lab: DirectLab) -> None:
    image, eca = photo(lab, 90, 60), Variant.parse("resnet20/eca?weights=shipped")
    report = run(CamRequest(images=(image,), variants=(eca,), fit="pad", input_size=(32, 64)), lab)
    (found,) = report.maps
    # 90 x 60 in 64 x 32 is 48 x 32: 8 pixels are padded at each side.
    assert found.crop == pytest.approx((-8 / 48, 0, 56 / 48, 1))
    assert (len(found.grid), len(found.grid[0])) == (8, 16), "a quarter of the input's sides"
    (seen,) = run(SeenRequest(image=image, variants=(eca,), fit="pad", input_size=(32, 64)), lab).pictures
    assert seen.crop == found.crop and (seen.preprocess.size, seen.preprocess.width) == (32, 64)


def test_gates_of_reference_images_and_another_size_do_not_go_together(lab: DirectLab) -> None:
    image = photo(lab, 90, 60)
    mean = Ablation(kind="mean", reference=Pictures(images=(image,)))
    with pytest.raises(InvalidRequest, match="Leave out input_size and fit"):
        run(CompareRequest(images=(image,), variants=(PLAIN,), fit="stretch", ablation=mean), lab)


@pytest.mark.full
def test_time_is_measured_at_height_and_width(lab: DirectLab) -> None:
    small = Variant.parse("resnet20(width=4)/eca")
    report = run(LatencyRequest(variants=(small,), input_size=(16, 24), rounds=6, warm_up=1, tolerance=0.5), lab)
    assert report.input_size == (16, 24) and "16 x 24 pixels" in report.conditions
    assert report.timings[0].macs == count(small, (16, 24)).total.macs
    assert "16x24" in report.csv()


def test_the_size_of_an_input_is_one_number_where_it_is_square() -> None:
    assert Preprocess(size=32, width=48).input_size == (32, 48)
    assert Preprocess(size=32).input_size == Preprocess(size=32, width=32).input_size == 32


class Wide(nn.Module):
    """Takes images of 16 x 24 pixels alone, which it says itself."""

    input_size = (16, 24)

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.se = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), Excite(8)
        self.head = nn.Linear(8 * 16 * 24, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.se(self.norm(self.stem(x)))).flatten(1))


@pytest.fixture
def wide() -> Iterator[str]:
    own_models.add(OwnModel("wide", lambda: seeded(Wide), labels=("a", "b", "c")))
    yield "own(name=wide)"
    own_models.remove("wide")


def test_a_model_that_is_watched_sees_an_image_of_its_own_height_and_width() -> None:
    assert watch(Wide()).paths == ("se",)


@pytest.mark.full
def test_analyses_take_a_network_that_is_made_for_no_square(tmp_path: Path, wide: str) -> None:
    lab = Lab(tmp_path, device="cpu")
    (image,) = (sample.id for sample in samples()[:1])
    pictures = Pictures(images=(image,))
    plain, filled = Variant.parse(f"{wide}/none"), Variant.parse(f"{wide}/se@after:norm")
    assert lab.gates(variant=plain).gates[0].path == "se"
    (where,) = lab.places(variants=[filled]).variants
    assert where.input_size == (16, 24) and [place.filled for place in where.places] == [True]
    rows = lab.permutation(modules=[], variants=[filled]).rows
    assert [row.path for row in rows] == ["attached.norm"]
    assert lab.diagnose(variant=filled, images=pictures).gates
    report = lab.fold(variant=plain, images=pictures, calibration=pictures, rounds=6, batch=1)
    assert report.timing is not None and report.timing.input_size == (16, 24)
    assert report.arms[-1].macs == 16 * 24 * 8 * 27 + 3 * 8 * 16 * 24
