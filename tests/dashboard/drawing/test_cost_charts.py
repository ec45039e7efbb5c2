"""Pictures and tables of costs show the report's numbers, in the unit that is asked for."""

import csv
import io
import json
from typing import Any

import pytest

from attention.counting.conventions import rules
from attention.reports.cost import ConventionCount, Cost, CostReport, VariantCost
from attention.reports.court import CourtReport, Reason, Spelling, Witness
from attention.reports.modules import FitReport, Refusal
from attention.spec import Variant
from dashboard.drawing import marks as charts
from dashboard.drawing import tables
from dashboard.views.price import counted_charts as cost_charts

UNITS = {
    ("macs", "parameters"): ("parameters", 1),
    ("macs", "work"): ("MACs", 1),
    ("eca_paper", "parameters"): ("Mi parameters", 2**20),
    ("eca_paper", "work"): ("Gi FLOPs", 2**30),
}


def drawn(chart: charts.Chart | None) -> Any:
    assert chart is not None
    return json.loads(chart.to_json())


def rows_of(spec: Any) -> list[dict[str, Any]]:
    return [row for data in spec["datasets"].values() for row in data]


def bill(name: str, attention: int, whole: int = 25_557_032, work: str = "Gi FLOPs") -> VariantCost:
    """A network of so many parameters, twice as many MACs, and four times as many bytes."""

    def cost(amount: int) -> Cost:
        return Cost(parameters=amount, macs=2 * amount, bytes=4 * amount)

    counts = []
    for (convention, quantity), (unit, size) in UNITS.items():
        if unit == "Gi FLOPs" and work != unit:
            unit, size = work, 2**20
        factor = (1 if quantity == "parameters" else 2) / size
        counts.append(
            ConventionCount(
                name=convention,
                quantity=quantity,  # type: ignore[arg-type]
                unit=unit,
                source="a paper",
                total=(whole + attention) * factor,
                attention=attention * factor,
                delta=attention * factor,
            )
        )
    return VariantCost(
        name=name,
        variant=Variant.parse(name),
        input_size=224,
        buffers=0,
        total=cost(whole + attention),
        attention=cost(attention),
        delta=cost(attention),
        modules=16 if attention else 0,
        conventions=tuple(counts),
        not_counted=(),
    )


def report_of(*bills: VariantCost) -> CostReport:
    known = {name for name, _ in UNITS}
    return CostReport(
        variants=bills,
        convention="One multiply and one add is one.",
        conventions=tuple(rule for rule in rules() if rule.name in known),
    )


@pytest.fixture
def costs() -> CostReport:
    return report_of(bill("resnet50/none", 0), bill("resnet50/eca", 86), bill("resnet50/se", 2_514_944))


def test_the_bill_is_exact_and_readable(costs: CostReport) -> None:
    table = tables.costs_text(costs, "macs")
    assert table.loc["SE", "attention parameters"] == "2,514,944  (2.51 M)"
    assert table.loc["ECA", "Δ parameters"] == "+86"
    assert table.loc["None", "Δ MACs"] == "0"
    rows = list(csv.DictReader(io.StringIO(costs.csv())))
    assert rows[1]["delta_macs"] == "172"
    assert rows[0]["total_parameters"] == "25557032"


def test_the_bill_in_the_eca_papers_units_reads_as_the_paper_prints_it(costs: CostReport) -> None:
    table = tables.costs_text(costs, "eca_paper")
    assert table.loc["None", "parameters"] == "24.373 Mi"
    assert table.loc["SE", "parameters"] == "26.772 Mi"
    assert table.loc["SE", "Δ parameters"] == "+2.3984 Mi"
    assert table.loc["None", "FLOPs"].endswith(" Gi")


def test_the_scatter_leaves_out_what_a_log_axis_cannot_show(costs: CostReport) -> None:
    spec = drawn(cost_charts.scatter(costs, "macs"))
    assert [(row["variant"], row["parameters"], row["work"]) for row in rows_of(spec)] == [
        ("ECA", 86, 172),
        ("SE", 2_514_944, 5_029_888),
    ]
    assert spec["encoding"]["x"]["scale"]["type"] == "log"
    assert "MACs" in spec["encoding"]["x"]["title"]
    assert cost_charts.scatter(report_of(costs.variants[0]), "macs") is None
    assert cost_charts.traffic(report_of(costs.variants[0])) is None


def test_networks_whose_units_differ_stand_on_one_axis() -> None:
    large, small = bill("resnet50/se", 2**20), bill("resnet20/se", 2**20, 270_000, "Mi FLOPs")
    rows = rows_of(drawn(cost_charts.scatter(report_of(large, small), "eca_paper")))
    assert rows[0]["work"] == rows[1]["work"] == pytest.approx(2 / 1024)
    bars = rows_of(drawn(cost_charts.bars(report_of(large, small), "eca_paper", "work")))
    assert [row["amount"] for row in bars if row["part"] == "attention"] == pytest.approx([2 / 1024] * 2)


def test_many_networks_are_named_beside_their_dots_and_no_two_names_meet() -> None:
    names = [f"resnet50/m{number}" for number in range(12)]
    bills = [bill(name, 1000 + 40 * number) for number, name in enumerate(names)]
    spec = drawn(cost_charts.scatter(report_of(*bills), "macs"))
    texts = {row["text"] for row in rows_of(spec) if "text" in row}
    shown = {name for text in texts for name in text.split(", ")}
    assert shown == {name.partition("/")[2].upper() for name in names}
    spots = [(layer["mark"]["dx"], layer["mark"]["dy"]) for layer in spec["layer"] if layer["mark"]["type"] == "text"]
    assert len(spots) == len(set(spots)) > 1


def test_bytes_are_bars_from_zero_unless_they_are_far_apart() -> None:
    near = drawn(cost_charts.traffic(report_of(bill("resnet50/eca", 100), bill("resnet50/se", 200))))
    assert near["layer"][0]["mark"]["type"] == "bar"
    assert near["layer"][0]["encoding"]["x"]["scale"]["domain"][0] == 0
    far = drawn(cost_charts.traffic(report_of(bill("resnet50/eca", 100), bill("resnet50/danet", 20_000))))
    assert far["layer"][0]["mark"]["type"] == "circle"
    assert far["layer"][0]["encoding"]["x"]["scale"]["type"] == "log"
    assert {row["text"] for row in rows_of(far)} == {"400 B", "80 kB"}


def test_bars_add_up_to_the_whole_network(costs: CostReport) -> None:
    rows = rows_of(drawn(cost_charts.bars(costs, "macs", "parameters")))
    for one, name in zip(costs.variants, ("None", "ECA", "SE"), strict=True):
        assert sum(row["amount"] for row in rows if row["variant"] == name) == one.total.parameters


def test_what_does_not_fit_is_a_table_of_sentences(costs: CostReport) -> None:
    fit = FitReport(costs=costs, refused=(Refusal(name="resnet50/fca", attention="fca", why="It needs 16 | C."),))
    assert tables.refusals(fit).loc["fca", "why it does not fit"] == "It needs 16 | C."


@pytest.fixture
def court() -> CourtReport:
    spelled = [("nn.Conv1d", {"thop": 804_352, "fvcore": 1280}), ("F.conv1d", {"thop": 0, "fvcore": 1280})]
    return CourtReport(
        name="resnet50/eca",
        variant=Variant.parse("resnet50/eca"),
        input_size=224,
        macs=1000,
        attention_macs=10,
        witnesses=(
            Witness(
                counter="thop",
                unit="FLOPs, one for each multiply-accumulate",
                how="restated",
                source="https://example.org, hooks.py",
                total=1500,
                attention=0,
                difference=500,
                reasons=(
                    Reason(kind="normalisation", amount=600, text="Two an entry."),
                    Reason(kind="skipped", amount=-100, text="F.conv1d."),
                ),
            ),
        ),
        channels=256,
        side=56,
        kernel_size=5,
        spellings=tuple(
            Spelling(pool="x.mean", convolution=convolution, macs=1280, reported=reported)
            for convolution, reported in spelled
        ),
    )


def test_the_court_table_has_the_ledger_first_and_every_reason_with_its_amount(court: CourtReport) -> None:
    table = tables.court(court)
    assert table.index[0] == "this ledger" and table.loc["this ledger", "reports"] == "1,000 MACs"
    assert table.loc["thop", "reports"] == "1,500 FLOPs"
    assert table.loc["thop", "beyond the ledger"] == "+500"
    assert table.loc["thop", "because"].split("  \n") == ["+600: Two an entry.", "-100: F.conv1d."]


def test_a_counter_that_measures_the_spelling_has_dots_far_apart(court: CourtReport) -> None:
    rows = [row for row in rows_of(drawn(cost_charts.spellings(court))) if "reported" in row]
    assert {(row["counter"], row["reported"]) for row in rows} == {("thop", 804_352), ("thop", 0), ("fvcore", 1280)}
    assert {row["spelling"] for row in rows} == {"x.mean, nn.Conv1d", "x.mean, F.conv1d"}
