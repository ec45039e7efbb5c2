"""The answer table equals the evidence it is made of, and prices equal the counts."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from attention import shipped_reports
from attention.analyses import run
from attention.counting.cost import count
from attention.errors import InvalidRequest
from attention.reports.latency import LatencyRequest
from attention.reports.modules import PublishedRequest
from attention.reports.overview import FAMILIAR, OverviewRequest
from attention.reports.study import StudyReport
from attention.spec import Variant
from tests.attention.direct_lab import DirectLab

STUDY = shipped_reports.all_reports()["shipped-study-cifar10"].report


@pytest.fixture
def lab(tmp_path: Path) -> DirectLab:
    return DirectLab(tmp_path)


@pytest.mark.full
def test_the_shipped_study_is_told_as_it_is(lab: DirectLab) -> None:
    report = run(OverviewRequest(evidence="shipped-study-cifar10"), lab)
    told = {arm["name"]: arm for arm in STUDY["arms"]}
    measured = [row for row in report.rows if row.state == "measured"]
    assert {row.network for row in measured} | {report.rows[0].network} == set(told)
    for row in measured:
        arm = told[row.network]
        assert row.gain == arm["verdict"]["difference"]["estimate"]
        assert row.gain == pytest.approx(sum(arm["differences"]) / len(arm["differences"]))
        assert row.verdict is not None and row.verdict.kind == arm["verdict"]["kind"]
        assert (row.added_parameters, row.added_macs) == (arm["extra_parameters"], arm["extra_macs"])
        assert row.look is not None and "weights=shipped" in row.look
    gains = [row.gain for row in measured if row.gain is not None]
    assert gains == sorted(gains, reverse=True)


@pytest.mark.full
def test_modules_without_evidence_come_last_with_their_price(lab: DirectLab) -> None:
    report = run(OverviewRequest(evidence="shipped-study-cifar10"), lab)
    missing = [row for row in report.rows if row.state == "no evidence"]
    assert report.rows[-len(missing) :] == tuple(missing)
    assert {row.module for row in report.rows} >= set(FAMILIAR)
    for row in missing:
        bill = count(Variant.parse(row.network), 32)
        price = (row.added_parameters, row.added_macs, row.added_bytes)
        assert price == (bill.delta.parameters, bill.delta.macs, bill.delta.bytes)
        assert row.gain is None and row.look is None


@pytest.mark.slow
def test_published_results_have_no_verdict_and_are_ranked_only_within_one_recipe(lab: DirectLab) -> None:
    for group in run(PublishedRequest(), lab).groups:
        report = run(OverviewRequest(evidence=group.key), lab)
        assert report.ranked == group.same_recipe
        plain = next((result.score for result in group.results if result.attention == "none"), None)
        told = {row.title: row for row in report.rows if row.state in ("baseline", "one run")}
        for result in group.results:
            row = told[result.name]
            assert row.accuracy == result.score and row.verdict is None and row.interval is None
            if plain is not None:
                assert row.gain == pytest.approx(result.score - plain, abs=0.006)


def test_a_study_of_ones_own_is_evidence(lab: DirectLab) -> None:
    study = StudyReport.model_validate(STUDY)
    runs = tuple(one.model_copy(update={"weights": None}) for one in study.runs)
    report = run(OverviewRequest(study=study.model_copy(update={"runs": runs, "complete": False})), lab)
    assert not any(row.look for row in report.rows)
    assert report.warning is not None and "not complete" in report.warning


def test_a_confounded_arm_has_its_reason_instead_of_a_gain(lab: DirectLab) -> None:
    study = StudyReport.model_validate(STUDY)
    arm = study.arms[-1]
    assert arm.verdict is not None
    withheld = {"kind": "withheld", "difference": None, "sentence": "x: withheld. Its backbone differs in width."}
    other = arm.model_copy(update={"verdict": arm.verdict.model_copy(update=withheld)})
    report = run(OverviewRequest(study=study.model_copy(update={"arms": (*study.arms[:-1], other)})), lab)
    (row,) = (row for row in report.rows if row.network == arm.name)
    assert row.gain is None and row.accuracy == arm.accuracy.estimate  # type: ignore[union-attr]
    assert report.warning is not None and "Its backbone differs in width." in report.warning


def test_evidence_that_is_not_there_is_a_sentence(lab: DirectLab) -> None:
    with pytest.raises(InvalidRequest, match="There is: shipped"):
        run(OverviewRequest(evidence="shiped"), lab)


def test_a_study_whose_baseline_is_no_arm_is_refused() -> None:
    with pytest.raises(ValidationError, match="none of the arms"):
        OverviewRequest.model_validate({"study": {**STUDY, "baseline": "vgg11/none"}})


def test_an_analysis_that_runs_out_of_items_raises_what_a_future_can_carry(
    lab: DirectLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A future never ends whose exception is a StopIteration, and its caller waited for ever."""
    monkeypatch.setattr("attention.analyses._analysis", lambda name: lambda request, lab: next(iter(())))
    with pytest.raises(RuntimeError, match="'overview' did not find"):
        run(OverviewRequest(), lab)


@pytest.mark.full
def test_a_time_is_of_the_same_network_at_the_same_size_or_none(lab: DirectLab) -> None:
    reports = {stored.id: report for stored, report in shipped_reports.of(LatencyRequest)}
    timed = [row for row in run(OverviewRequest(evidence="shipped-study-cifar10"), lab).rows if row.time]
    assert {row.module for row in timed} == {"none", *FAMILIAR}
    for row in timed:
        assert row.time is not None
        report = reports[row.time.report]
        assert (report.input_size, report.device, report.date) == (
            STUDY["data"]["size"],
            row.time.device,
            row.time.date,
        )
        if row.module == "none":
            assert row.time.ratio == report.control
        else:
            names = {timing.variant.attention: timing for timing in report.timings}
            assert row.time.ratio == names[row.module].ratio
            assert names[row.module].variant.backbone == Variant.parse(row.network).backbone
    larger = {**STUDY, "data": {**STUDY["data"], "size": 64}}
    assert not any(row.time for row in run(OverviewRequest(study=StudyReport.model_validate(larger)), lab).rows)
    assert not any(row.time for row in run(OverviewRequest(evidence="timm_resnet33ts"), lab).rows)


@pytest.mark.full
def test_a_network_that_cannot_be_built_has_the_time_of_no_other(
    lab: DirectLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks of packages that are not installed could not be told apart."""
    stored, report = next(found for found in shipped_reports.of(LatencyRequest) if found[1].input_size == 32)
    absent = report.timings[-1].model_copy(update={"variant": Variant(backbone="absent", attention="se")})
    timed = report.model_copy(update={"timings": (*report.timings, absent)})
    monkeypatch.setattr(shipped_reports, "of", lambda question: [(stored, timed)] if question is LatencyRequest else [])
    study = StudyReport.model_validate(STUDY)
    other = study.arms[-1].model_copy(update={"name": "x", "variant": Variant(backbone="other", attention="se")})
    report_of = run(OverviewRequest(study=study.model_copy(update={"arms": (*study.arms, other)})), lab)
    assert [row.time for row in report_of.rows if row.network == "x"] == [None]
    assert sum(row.time is not None for row in report_of.rows) >= len(study.arms)
