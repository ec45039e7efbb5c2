"""Scale: what a selective kernel's choice does as the middle of an image grows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from attention.analyses import run
from attention.analyses.scale import enlarged
from attention.build import build
from attention.data.files import samples
from attention.data.preprocessing import preprocess
from attention.errors import InvalidRequest
from attention.gate import capture
from attention.network import describe
from attention.reports.scale import ScaleRequest
from attention.spec import Variant
from tests.attention.direct_lab import DirectLab

PHOTOS = tuple(sample.id for sample in samples()[:3])
SK = Variant.parse("resnet20(width=4)/sk@spatial:3")


@pytest.fixture
def lab(tmp_path: Path) -> DirectLab:
    return DirectLab(tmp_path)


def ask(**asked: Any) -> ScaleRequest:
    return ScaleRequest(**asked)


@pytest.mark.full
def test_every_point_is_the_mean_difference_of_the_two_branches(lab: DirectLab) -> None:
    report = run(ask(variant=SK, pictures=PHOTOS), lab)
    assert len(report.gates) == 3 and (report.images, report.total) == (3, 3)
    model, how = build(report.network.variant), describe(SK).preprocess
    for gate in report.gates:
        assert (gate.kind, gate.branches, gate.stage, gate.channels) == ("branch", 2, 3, 16)
        differences = []
        for point in gate.points:
            column = []
            for photo in PHOTOS:
                with torch.inference_mode(), capture(model) as seen:
                    model(preprocess(enlarged(lab.files.image(photo), point.factor), how)[None])
                weights = seen[gate.path][0, :, :, 0, 0].double()
                column.append(float((weights[1] - weights[0]).mean()))
            differences.append(column)
            assert point.preference == pytest.approx(np.mean(column), abs=1e-7)
            assert point.std == pytest.approx(np.std(column, ddof=1), abs=1e-7)
        first, last = np.array(differences[0]), np.array(differences[-1])
        change = gate.points[-1].change
        assert gate.points[0].change is None and change is not None and change.n == 3
        interval = stats.ttest_rel(last, first).confidence_interval()
        assert (change.low, change.high) == pytest.approx((interval.low, interval.high), abs=1e-6)


def test_enlarging_by_one_is_the_image_itself_and_by_two_its_middle() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    assert enlarged(noise, 1).tobytes() == noise.tobytes()
    middle = noise.crop((15, 10, 45, 30)).resize((60, 40), Image.Resampling.BICUBIC)
    inside = np.s_[8:-8, 8:-8]  # at its edges a box sees the pixels around it, a crop does not
    assert enlarged(noise, 2).size == noise.size
    np.testing.assert_array_equal(np.asarray(enlarged(noise, 2))[inside], np.asarray(middle)[inside])


def test_factors_come_out_sorted_and_once(lab: DirectLab) -> None:
    report = run(ask(variant=SK, pictures=PHOTOS[:1], factors=(2, 1, 2)), lab)
    assert [point.factor for point in report.gates[0].points] == [1, 2]
    assert all(point.std is None and point.change is None for point in report.gates[0].points)
    assert any("One image" in one for one in report.caveats) and report.network.warning in report.caveats


def test_a_network_that_does_not_choose_is_told_which_would(lab: DirectLab) -> None:
    for variant in ("resnet20/eca?weights=shipped", "resnet20/none?weights=shipped"):
        with pytest.raises(InvalidRequest, match="such as resnet20/sk"):
            run(ask(variant=variant, pictures=PHOTOS), lab)
    with pytest.raises(InvalidRequest, match="two different factors"):
        run(ask(variant=SK, pictures=PHOTOS, factors=(2, 2)), lab)
