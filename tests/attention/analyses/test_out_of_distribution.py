"""Out of distribution: scores and quantiles as their formulas say, and an area that counting pairs gives too."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from attention.analyses import run
from attention.analysis import Outputs
from attention.data.files import samples
from attention.errors import InvalidRequest
from attention.measuring.out_of_distribution import area_under_curve, maximum_softmax, negative_energy, quantile
from attention.reports.out_of_distribution import OutOfDistributionReport, OutOfDistributionRequest
from attention.spec import Ablation, Pictures, Variant
from tests.attention.direct_lab import DirectLab


def test_scores_are_their_formulas() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
    powers = np.exp(logits.numpy().astype(float))
    assert maximum_softmax(logits) == pytest.approx(powers.max(1) / powers.sum(1))
    assert negative_energy(logits) == pytest.approx(np.log(powers.sum(1)))


def test_the_area_under_the_curve_counts_pairs() -> None:
    random = np.random.default_rng(0)
    own, foreign = random.integers(0, 9, 40).astype(float), random.integers(0, 7, 30).astype(float)
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in own for b in foreign]
    assert area_under_curve(own, foreign) == pytest.approx(np.mean(pairs))
    assert area_under_curve(own, own) == 0.5 and area_under_curve(own + 100, foreign) == 1
    assert [quantile(score, np.arange(4.0)) for score in (-1.0, 1.0, 9.0)] == [0.0, 0.375, 1.0]


class SureOfBright(DirectLab):
    """A lab whose network is the surer that an image is of its first class the brighter the image is."""

    def forward(self, variant: Variant, images: Tensor, ablation: Ablation | None = None) -> Outputs:
        logits = torch.zeros(len(images), 10)
        logits[:, 0] = images.mean((1, 2, 3)) * 3
        return Outputs(logits, {}, ())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for label in ("day", "noon"):
        for index in range(15):
            path = tmp_path / "datasets" / "bright" / "test" / label / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (200 + 3 * index,) * 3).save(path)
    for split in ("train",):
        for label in ("day", "noon"):
            path = tmp_path / "datasets" / "bright" / split / label / "0.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (220, 221, 222)).save(path)
    return tmp_path


OWN = Pictures(data="bright", limit=100)
NONE = Variant.parse("none")


def test_dark_photos_are_probably_of_no_class_of_a_network_of_bright_things(root: Path) -> None:
    lab = SureOfBright(root)
    dark, bright = (Image.new("RGB", (32, 32), (shade,) * 3) for shade in (5, 221))
    ids = []
    for number, image in enumerate((dark, bright)):
        image.save(root / f"{number}.png")
        ids.append(lab.files.put_image((root / f"{number}.png").read_bytes()))
    request = OutOfDistributionRequest(variants=(NONE,), photos=Pictures(images=tuple(ids)), own=OWN)
    report = run(request, lab)
    assert isinstance(report, OutOfDistributionReport)
    assert [surety.probably_none for surety in report.photos] == [True, False]
    assert report.photos[0].softmax_quantile == report.photos[0].energy_quantile == 0
    assert 0.3 < report.photos[1].energy_quantile < 0.7
    (separation,) = report.networks
    assert (separation.own, separation.photos) == (30, 2)
    own = [200 + 3 * index for index in range(15)] * 2
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in own for b in (5, 221)]
    assert separation.energy_area == pytest.approx(np.mean(pairs))
    assert "no probability" in report.caveats[0]


@pytest.mark.full
def test_a_shipped_network_gives_every_photo_both_scores(root: Path) -> None:
    photos = Pictures(images=tuple(sample.id for sample in samples()[:3]))
    request = OutOfDistributionRequest(variants=(NONE, Variant.parse("se")), photos=photos, own=OWN)
    report = run(request, DirectLab(root))
    assert [surety.image for surety in report.photos] == [name for name in photos.images for _ in range(2)]
    assert all(0.1 <= surety.maximum_softmax <= 1 and surety.label for surety in report.photos)


def test_too_few_own_images_get_a_sentence(root: Path) -> None:
    photos = Pictures(images=(samples()[0].id,))
    with pytest.raises(ValidationError, match="Quantiles need 20 own images at least"):
        OutOfDistributionRequest(photos=photos, own=photos)
    few = Pictures(data="bright", limit=4)
    with pytest.raises(InvalidRequest, match="Quantiles need 20 own images at least; there are 4"):
        run(OutOfDistributionRequest(variants=(NONE,), photos=photos, own=few), DirectLab(root))
