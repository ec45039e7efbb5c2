"""Latency: fair turns, an interval that covers, and no number from a machine that cannot tell a thing from itself."""

import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pydantic import ValidationError

from attention.analyses import run
from attention.analyses.latency import verdict, why_withheld
from attention.errors import InvalidRequest
from attention.reports.latency import LatencyReport, LatencyRequest, Timing
from attention.reports.parts.evidence import Interval
from attention.running.timing import bandwidth, median_interval, rounds
from attention.spec import Variant
from tests.attention.direct_lab import DirectLab
from tests.attention.running.test_export import needs_onnx

SMALL = tuple(Variant.parse(f"resnet20(width=4)/{name}") for name in ("se", "eca"))


def about(low: float, middle: float, high: float) -> Interval:
    return Interval(estimate=middle, low=low, high=high, confidence=0.95, n=30, method="given")


@pytest.mark.full
def test_the_interval_of_the_median_covers_it_as_often_as_it_says() -> None:
    generator, hits, confidence = np.random.default_rng(0), 0, 0.0
    for _ in range(2000):
        found = median_interval(generator.lognormal(0.0, 1.0, 25))  # skewed, as times are; its median is 1
        hits += found.low <= 1.0 <= found.high
        confidence = found.confidence
    assert confidence >= 0.95
    assert hits / 2000 == pytest.approx(confidence, abs=0.012)


def test_the_interval_is_between_order_statistics() -> None:
    """For n = 10 the binomial puts 0.979 between the second smallest and the second largest."""
    found = median_interval(range(10))
    assert (found.low, found.high) == (1.0, 8.0) and found.estimate == 4.5
    assert found.confidence == pytest.approx(1 - 22 / 1024)
    with pytest.raises(ValueError, match="too few"):
        median_interval(range(5))


def test_every_alternative_runs_once_a_round_and_none_always_comes_first() -> None:
    called: list[str] = []
    names = ("a", "b", "c")
    done: list[int] = []
    times = rounds(
        {name: (lambda name=name: called.append(name)) for name in names},  # type: ignore[misc]
        20,
        warm_up=2,
        after_round=done.append,
    )
    assert [sorted(called[start : start + 3]) for start in range(0, 66, 3)] == [list(names)] * 22
    assert len({called[start] for start in range(0, 66, 3)}) == 3
    assert {name: len(values) for name, values in times.items()} == dict.fromkeys(names, 20)
    assert done == [0, 0, *range(1, 21)]


def test_what_takes_longer_is_measured_as_longer() -> None:
    times = rounds({"long": lambda: time.sleep(0.004), "short": lambda: time.sleep(0.001)}, 8, warm_up=1)
    assert np.median(times["long"]) > np.median(times["short"])


@pytest.mark.parametrize(
    ("control", "said"),
    [
        (about(0.995, 1.001, 1.008), None),
        (about(1.02, 1.03, 1.04), "differ by up to 3.0%"),
        (about(0.90, 1.0, 1.10), "differ by up to 10.0%"),
    ],
)
def test_numbers_are_withheld_when_the_baseline_disagrees_with_itself(control: Interval, said: str | None) -> None:
    found = why_withheld(control, tolerance=0.02)
    assert (found is None) if said is None else (found is not None and said in found)


def test_a_claim_needs_more_than_two_timings_of_the_same_differ() -> None:
    control = about(0.99, 1.0, 1.01)
    assert verdict(about(1.03, 1.05, 1.07), control, 0.02) == "slower"
    assert verdict(about(0.93, 0.95, 0.97), control, 0.02) == "faster"
    assert verdict(about(1.001, 1.005, 1.009), control, 0.02) == "no difference"  # sure, but within the noise
    assert verdict(about(0.95, 1.01, 1.07), control, 0.02) == "undecided"


@pytest.mark.full
@pytest.mark.parametrize("mode", ["eager", "served"])
def test_a_report_gives_all_numbers_or_none_with_the_reason(tmp_path: Path, mode: str) -> None:
    lab = DirectLab(tmp_path)
    report = run(LatencyRequest(variants=SMALL, rounds=8, warm_up=1, mode=mode, tolerance=0.5), lab)  # type: ignore[arg-type]
    assert isinstance(report, LatencyReport)
    assert report.baseline == "resnet20(width=4)/none?classes=10" and report.input_size == 32
    assert report.control.n == 8 and report.bandwidth > 1e8
    for one in report.timings:
        given = [one.median_ms, one.low_ms, one.high_ms, one.ratio, one.measured_extra_ms]
        assert all(value is None for value in given) == (report.withheld is not None)
        assert (one.verdict == "withheld") == (report.withheld is not None)
        assert one.extra_bytes > 0 and one.predicted_extra_ms > 0
        assert one.bytes is not None and one.macs is not None and report.baseline_bytes is not None
        assert one.bytes - report.baseline_bytes == one.extra_bytes
        assert report.baseline_macs is not None and one.macs - report.baseline_macs == one.extra_macs
        if one.median is not None and one.median_ms is not None:
            assert one.median.low <= one.median_ms <= one.median.high
            assert one.median_ms == pytest.approx(one.median.estimate)
    assert report.baseline_pair is not None
    first, second = (one.estimate for one in report.baseline_pair)
    slack = 1e-9 * second
    assert min(first, second) - slack <= report.baseline_ms <= max(first, second) + slack, "that of all is between"
    assert (report.warm_up, report.tolerance) == (1, 0.5) and "on cpu" in report.conditions
    assert report.headline == report.withheld or report.baseline in report.headline
    assert lab.told[-1] == (8, 8)
    assert len(report.csv().splitlines()) == 3
    head, *rows = (line.split(",") for line in report.csv().splitlines())
    assert all(len(row) == len(head) for row in rows) and rows[0][head.index("bytes")] == str(report.timings[0].bytes)
    assert report.latex().count(r" \\") == 1 + 1 + len(report.timings)


@needs_onnx
@pytest.mark.full
def test_networks_are_timed_in_onnx_runtime(tmp_path: Path) -> None:
    arms = (Variant.parse("vgg11_small(width=0.25)/eca@standard:5"),)
    report = run(LatencyRequest(variants=arms, rounds=6, warm_up=1, mode="onnx", tolerance=0.5), DirectLab(tmp_path))
    assert report.mode == "onnx" and "mode onnx" in report.conditions and report.baseline_ms > 0
    assert any(caveat.startswith("Run in ONNX Runtime ") for caveat in report.caveats)


@pytest.mark.full
def test_without_onnx_runtime_its_mode_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnxscript", ModuleType("onnxscript"))
    with pytest.raises(InvalidRequest, match=r"needs the package onnxruntime: pip install 'attention-lab\[onnx\]'"):
        run(LatencyRequest(variants=SMALL[:1], mode="onnx"), DirectLab(tmp_path))
    with pytest.raises(InvalidRequest, match="timed on the CPU in float32"):
        run(LatencyRequest(variants=SMALL[:1], mode="onnx", dtype="bfloat16"), DirectLab(tmp_path))


@pytest.mark.full
def test_a_machine_that_cannot_tell_says_so(tmp_path: Path) -> None:
    report = run(LatencyRequest(variants=SMALL[:1], rounds=6, warm_up=1, tolerance=1e-9), DirectLab(tmp_path))
    assert report.withheld is not None and "No number is given" in report.headline
    assert report.timings[0].median_ms is None and report.timings[0].ratio is None


@pytest.mark.full
def test_the_ledger_predicts_more_time_for_a_larger_batch(tmp_path: Path) -> None:
    one, four = (
        run(LatencyRequest(variants=SMALL[:1], rounds=6, warm_up=1, batch=batch), DirectLab(tmp_path)).timings[0]
        for batch in (1, 4)
    )
    assert four.extra_bytes == 4 * one.extra_bytes and four.extra_macs == 4 * one.extra_macs


def test_what_cannot_be_timed_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="float16"):
        run(LatencyRequest(variants=SMALL, dtype="float16"), DirectLab(tmp_path))
    with pytest.raises(InvalidRequest, match="There is no device 'cuda:5'"):
        run(LatencyRequest(variants=SMALL, device="cuda:5"), DirectLab(tmp_path))
    with pytest.raises(InvalidRequest, match="CUDA only"):
        run(LatencyRequest(variants=SMALL, mode="graphs"), DirectLab(tmp_path))
    with pytest.raises(ValidationError, match="named twice"):
        LatencyRequest(variants=(Variant.parse("resnet20/se"),) * 2)


def given(median: float | None, high: float | None) -> Timing:
    return Timing(
        name="x",
        variant=SMALL[0],
        median_ms=median,
        low_ms=median,
        high_ms=high,
        ratio=None,
        verdict="undecided",
        extra_bytes=0,
        extra_macs=0,
        predicted_extra_ms=0.0,
        measured_extra_ms=None,
    )


def test_a_network_fits_a_budget_when_three_of_four_passes_do() -> None:
    assert given(2.0, 3.0).fit(3.0) == "fits"
    assert given(2.0, 3.0).fit(2.5) == "at times"
    assert given(2.0, 3.0).fit(1.9) == "too slow"
    assert given(None, None).fit(100.0) == "withheld"


@pytest.mark.full
def test_a_table_for_a_paper_escapes_names_and_carries_the_conditions(tmp_path: Path) -> None:
    report = run(LatencyRequest(variants=SMALL[:1], rounds=6, warm_up=1, tolerance=1e-9, batch=2), DirectLab(tmp_path))
    text = report.latex()
    assert r"\caption{Wall-clock time of a forward pass of 2 images of 32 x 32 pixels in float32" in text
    assert "No number is given" in text and r"allowed" in text and r"\%" in text
    assert " & -- & -- & withheld & " in text.splitlines()[-4]


def test_bandwidth_is_that_of_memory() -> None:
    assert 1e8 < bandwidth("cpu", megabytes=16, repeats=2) < 1e13
