"""The Latency page: the address is the question, the baseline's own timings the yardstick, and no number is doubted."""

from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from streamlit.testing.v1 import AppTest

from attention.client import Client
from attention.reports.cost import CostRequest
from attention.reports.latency import LatencyReport, LatencyRequest, Timing
from attention.reports.parts.evidence import Interval
from attention.spec import Variant
from dashboard import connect
from dashboard.views.price import measured_charts as latency_charts
from dashboard.views.price import measured_form as latency_form
from dashboard.views.price import measured_panels as latency_panels
from server.settings import Settings
from tests.dashboard.page_parts import done, linked, page_of, table, texts

SMALL = tuple(Variant.parse(f"resnet20(width=4)/{name}") for name in ("se", "eca"))


@pytest.fixture
def page(client: Client, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(connect, "client", lambda: client)
    return AppTest.from_file(page_of("price/measured"), default_timeout=120)


def about(low: float, middle: float, high: float) -> Interval:
    return Interval(estimate=middle, low=low, high=high, confidence=0.96, n=30, method="given")


def reported(withheld: str | None = None) -> LatencyReport:
    """A report made by hand: SE is slower and takes 5 to 7 ms, ECA is undecided and takes 3 to 5 ms."""

    def timing(variant: Variant, ms: float, ratio: Interval, verdict: Any, extra: float) -> Timing:
        return Timing(
            name=variant.name,
            variant=variant,
            median_ms=None if withheld else ms,
            median=None if withheld else about(ms - 0.5, ms, ms + 0.5),
            low_ms=None if withheld else ms - 1,
            high_ms=None if withheld else ms + 1,
            ratio=None if withheld else ratio,
            verdict="withheld" if withheld else verdict,
            macs=41_000_000,
            bytes=7_770_000,
            extra_bytes=1_040_000,
            extra_macs=2016,
            predicted_extra_ms=extra,
            measured_extra_ms=None if withheld else ms - 4,
        )

    return LatencyReport(
        headline=withheld or "Against resnet20/none: resnet20/se: slower; resnet20/se(reduction=8): undecided.",
        timings=(
            timing(Variant.parse("resnet20/se"), 6.0, about(1.4, 1.5, 1.6), "slower", 0.1),
            timing(Variant.parse("resnet20/se(reduction=8)"), 4.0, about(0.9, 1.0, 1.1), "undecided", 0.2),
        ),
        baseline="resnet20/none",
        baseline_ms=4.05,
        baseline_pair=(about(3.9, 4.0, 4.1), about(4.0, 4.1, 4.3)),
        baseline_macs=40_900_000,
        baseline_bytes=6_730_000,
        control=about(0.99, 1.01, 1.02),
        withheld=withheld,
        tolerance=0.05,
        warm_up=3,
        rounds=30,
        input_size=32,
        batch=2,
        dtype="bfloat16",
        mode="served",
        threads=2,
        bandwidth=1e10,
        device="cpu: a chip",
        torch="2.0",
        date="2026-01-01",
        caveats=("Times are of the forward pass alone.",),
    )


def drawn(report: LatencyReport, budget: str = "") -> AppTest:
    """What the page shows of a report."""

    def script() -> None:
        import streamlit as st

        from dashboard.views.price import measured_panels as latency_panels

        latency_panels.show(st.session_state["report"], True)

    shown = AppTest.from_function(script, default_timeout=60)
    shown.session_state["report"] = report
    if budget:
        shown.query_params["budget"] = budget
    shown.run()
    assert not shown.exception
    return shown


@pytest.mark.full
def test_the_page_opens_with_a_question_that_can_be_asked(page: AppTest, client: Client) -> None:
    page.run()
    assert not page.exception and not page.error
    page.button(key="latency").click().run()
    (job,) = client.jobs()
    assert LatencyRequest.model_validate(job.request) == LatencyRequest(
        variants=tuple(one.model_copy(update={"weights": None}) for one in LatencyRequest().variants)
    )
    assert linked(page, "job") == [job.id]


@pytest.mark.full
def test_a_link_carries_the_whole_question(page: AppTest, client: Client) -> None:
    asked: dict[str, list[str]] = {
        "variant": [variant.name for variant in SMALL],
        "baseline": [SMALL[1].name],
        "batch": ["2"],
        "size": ["16"],
        "threads": ["2"],
        "rounds": ["7"],
        "warm_up": ["4"],
        "tolerance": ["9"],
        "mode": ["served"],
        "dtype": ["bfloat16"],
    }
    for name, value in asked.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception and not page.error
    assert all(linked(page, name) == value for name, value in asked.items())
    page.button(key="latency").click().run()
    request = LatencyRequest.model_validate(client.jobs()[0].request)
    assert request == LatencyRequest(
        variants=SMALL,
        baseline=SMALL[1],
        input_size=16,
        batch=2,
        threads=2,
        rounds=7,
        warm_up=4,
        tolerance=0.09,
        mode="served",
        dtype="bfloat16",
    )
    assert "batch 2, 16 pixels, bfloat16, served, threads: 2 · 7 rounds" in latency_form.described(request)


@pytest.mark.full
def test_trained_and_untrained_are_the_same_to_a_clock(page: AppTest, client: Client) -> None:
    page.query_params["variant"] = ["resnet20/se?weights=shipped", "resnet20/se"]
    page.run()
    page.button(key="latency").click().run()
    (variant,) = LatencyRequest.model_validate(client.jobs()[0].request).variants
    assert variant.attention == "se" and variant.weights is None


@pytest.mark.full
def test_a_measurement_is_done_and_shown(page: AppTest, client: Client, settings: Settings) -> None:
    client.submit(LatencyRequest(variants=SMALL, rounds=6, warm_up=1, tolerance=0.5))
    job = done(client, settings)
    report = client.report(job, LatencyReport)
    page.query_params["job"] = job
    page.run()
    assert not page.exception and not page.error
    ratios = table(page, "network", "median", "low", "high")
    pair = [*(report.baseline_pair or ()), report.control]
    assert any(ratios["median"][0] == pytest.approx(one.estimate) for one in pair)
    assert len(page.table[0].value) == 1 + len(SMALL)
    assert "Wall-clock time of a forward pass of 1 image of 32 x 32 pixels" in texts(page.caption)


@pytest.mark.full
def test_while_it_runs_the_page_says_why_there_is_no_number_yet(page: AppTest, client: Client) -> None:
    page.query_params["job"] = client.submit(LatencyRequest(variants=SMALL, rounds=6)).id
    page.run()
    assert not page.exception and "when all rounds are done" in texts(page.caption)


@pytest.mark.full
def test_a_budget_says_who_fits_and_stands_in_the_address() -> None:
    shown = drawn(reported(), "5.5")
    assert linked(shown, "budget") == ["5.5"]
    said = texts(shown.markdown)
    assert ":green-badge[fits] SE (reduction=8)" in said and ":red-badge[too slow] SE" in said
    assert list(shown.table[0].value["within 5.5 ms"]) == ["", "too slow", "fits"]
    assert table(shown, "budget")["budget"][0] == 5.5
    shown.number_input(key="budget").set_value(8.0).run()
    assert linked(shown, "budget") == ["8"] and list(shown.table[0].value["within 8 ms"]) == ["", "fits", "fits"]
    shown.number_input(key="budget").set_value(None).run()
    assert linked(shown, "budget") == [] and "within" not in " ".join(shown.table[0].value.columns)


@pytest.mark.full
def test_pictures_are_drawn_as_the_report_has_it_with_the_baseline_twice() -> None:
    report = reported()
    shown = drawn(report)
    assert report.baseline_pair is not None
    times = table(shown, "network", "quarter", "three quarters")
    assert list(times["network"]) == ["None · first", "None · again", "SE", "SE (reduction=8)"]
    assert list(times["median"]) == [4.0, 4.1, 6.0, 4.0]
    assert list(times["low"][:2]) == [one.low for one in report.baseline_pair]
    band = latency_charts.times(report)
    assert band is not None and {"low": 3.9, "high": 4.3} in [
        row for rows in band.to_dict()["datasets"].values() for row in rows
    ]
    extras = table(shown, "how", "extra")
    assert list(extras["extra"]) == [0.1, 2.0, 0.2, 0.0]
    assert "Against None: SE: slower; SE (reduction=8): undecided." in texts(shown.markdown)
    numbers = shown.table[0].value
    assert list(numbers["ratio"]) == ["1", "1.5 [1.4, 1.6]", "1 [0.9, 1.1]"]
    assert list(numbers["bytes"]) == ["6.73\u202fMB", "7.77\u202fMB", "7.77\u202fMB"]


@pytest.mark.full
def test_what_is_withheld_is_withheld_everywhere_with_the_reason() -> None:
    reason = "No number is given: two timings of the same network differ by up to 9.0% here."
    report = reported(reason)
    shown = drawn(report, "5")
    assert reason in texts(shown.warning)
    numbers = shown.table[0].value
    for column in ("median, ms", "ratio", "measured extra, ms"):
        assert set(numbers[column]) <= {"withheld", ""}
    assert set(numbers["predicted extra, ms"]) == {"", "+0.100", "+0.200"}, "the ledger does not need a clock"
    assert latency_charts.times(report) is None
    ratios = table(shown, "network", "verdict")
    assert list(ratios["network"]) == ["None, by itself"] and ratios["median"][0] == 1.01
    assert ":gray-badge[withheld]" in latency_panels.fitting(report, 5.0)
    assert "4.05" not in report.latex()


@pytest.mark.full
def test_the_cost_page_leads_here_with_its_networks(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "client", lambda: client)
    cost = AppTest.from_file(page_of("price/page"), default_timeout=120)
    cost.query_params["backbone"], cost.query_params["size"] = "resnet20", "40"
    cost.run()
    assert not cost.exception
    link = next(one.value for one in cost.markdown if "measured?" in one.value)
    asked = parse_qs(urlparse(link.partition("](")[2].partition(")")[0]).query)
    names = [
        bill.name for bill in client.ask(CostRequest(variants=tuple(map(Variant.parse, asked["variant"])))).variants
    ]
    assert asked["size"] == ["40"] and names == asked["variant"] and len(names) == 2, (
        "se and eca; their plain twin comes by itself"
    )


@pytest.mark.full
@pytest.mark.parametrize(("device", "modes", "formats", "where"), [("cpu: a chip", 4, 2, 1), ("cuda: a GPU", 5, 3, 2)])
def test_only_what_the_device_can_do_is_offered(
    page: AppTest, client: Client, monkeypatch: pytest.MonkeyPatch, device: str, modes: int, formats: int, where: int
) -> None:
    health = client.health().model_copy(update={"device": device})
    monkeypatch.setattr(client, "health", lambda: health)
    page.run()
    assert not page.exception
    offered = {name: len(page.selectbox(key=name).options) for name in ("mode", "dtype", "device")}
    assert offered == {"mode": modes, "dtype": formats, "device": where}
