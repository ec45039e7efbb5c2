"""The reports that come along: each is one of today's, and what several of them say of the same network agrees."""

import pytest

from attention import shipped_reports
from attention.analyses import analyses, request_type
from attention.reports.disagreement import DisagreementRequest
from attention.reports.fold import FoldRequest
from attention.reports.latency import LatencyRequest
from attention.reports.study import StudyRequest
from attention.reports.sweep import SweepRequest
from attention.schemas import SHIPPED
from attention.spec import Variant
from attention.weights import load as weights


def test_a_report_of_every_kind_that_pages_open_with_comes_along() -> None:
    kinds = {stored.analysis for stored in shipped_reports.all_reports().values()}
    assert kinds == {"study", "sweep", "fold", "diagnose", "disagreement", "latency"}
    assert all(f"{SHIPPED}{kind}" in shipped_reports.all_reports() for kind in kinds), (
        "one of each is the first of its kind"
    )


@pytest.mark.parametrize("name", sorted(shipped_reports.all_reports()))
def test_each_is_a_question_and_an_answer_of_today(name: str) -> None:
    stored = shipped_reports.all_reports()[name]
    assert stored.id == name and stored.analysis in analyses
    request = request_type(analyses[stored.analysis])
    assert request.model_validate(stored.request)
    report = request.report.model_validate(stored.report)
    assert report.model_dump(mode="json") == stored.report, "nothing in it is of another version"
    if stored.analysis != "study":
        assert stored.conditions is not None and stored.conditions.device and stored.conditions.torch


def test_they_take_little_room() -> None:
    sizes = [path.stat().st_size for path in shipped_reports.FOLDER.glob("*.json")]
    assert (
        len(sizes) == len(shipped_reports.all_reports()) and sum(sizes) < 1_600_000
    )  # two thirds of it are the curves of 96 runs


def test_three_analyses_say_the_same_of_one_network() -> None:
    """Mean gates everywhere are asked for by sweep, fold and disagreement, each with code of its own."""
    ((_, sweep),) = shipped_reports.of(SweepRequest)
    ((_, fold),) = shipped_reports.of(FoldRequest)
    ((_, disagreement),) = shipped_reports.of(DisagreementRequest)
    assert (sweep.images, sweep.calibration, sweep.n) == (fold.images, fold.calibration, fold.n)
    every = next(effect for effect in sweep.effects if effect.family == "all" and effect.kind == "mean")
    arm = next(arm for arm in fold.arms if arm.kind == "mean")
    flips = next(flips for flips in disagreement.flips if flips.network == sweep.network)
    whole = next(arm for arm in disagreement.arms if arm.network == sweep.network and arm.removed is None)
    assert every.agreement == pytest.approx(arm.agreement) == pytest.approx(1 - flips.share)
    assert sweep.accuracy == pytest.approx(fold.arms[0].accuracy) == pytest.approx(whole.accuracy)
    assert every.accuracy_change is not None and arm.change is not None
    assert every.accuracy_change.estimate == pytest.approx(arm.change.estimate)
    assert sweep.accuracy is not None and every.accuracy is not None
    assert every.accuracy_change.estimate == pytest.approx(every.accuracy - sweep.accuracy)


def test_latencies_are_trusted_and_of_every_network_that_comes_along() -> None:
    reports = {stored.id: report for stored, report in shipped_reports.of(LatencyRequest)}
    for report in reports.values():
        assert report.withheld is None and (report.batch, report.threads) == (1, 1)
        assert all(timing.ratio is not None for timing in report.timings)
    photos = reports["shipped-latency"]
    assert photos.input_size == 96
    timed = {weights.bare(timing.variant).model_copy(update={"classes": None}) for timing in photos.timings}
    shipped = {variant for variant in weights.shipped() if variant.backbone == "resnet18"}
    study = next(report for stored, report in shipped_reports.of(StudyRequest) if stored.id == "shipped-study")
    arms = {arm.variant for arm in study.arms if arm.variant.backbone_options == Variant.parse("none").backbone_options}
    expected = {variant.model_copy(update={"classes": None}) for variant in shipped | arms if variant.attention}
    assert timed == expected and len(timed) == 12
