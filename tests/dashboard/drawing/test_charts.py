"""Charts and tables are pure functions of a report, and show its numbers rather than others."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest

from attention.reports.compare import Comparison
from dashboard.drawing import marks as charts
from dashboard.drawing import tables, words

Make = Callable[..., Comparison]
NAMES = ["resnet20/none", "resnet20/se", "resnet20/eca"]
ROWS = [[0.1, 0.5, 0.9, 0.5], [0.5, 0.6], [0.2, 0.4, 0.6, 0.8]]


def drawn(chart: charts.Chart | None) -> Any:
    assert chart is not None
    return json.loads(chart.to_json())


def rows_of(spec: Any) -> list[dict[str, Any]]:
    return [row for data in spec["datasets"].values() for row in data]


@pytest.fixture
def report(comparison: Make) -> Comparison:
    return comparison(NAMES, ROWS)


def test_labels_are_short_only_while_they_differ() -> None:
    assert words.labels(["resnet20/se?weights=shipped", "resnet20/eca"]) == {
        "resnet20/se?weights=shipped": "SE",
        "resnet20/eca": "ECA",
    }
    both = ["resnet20/se?weights=shipped", "resnet20/se"]
    assert list(words.labels(both).values()) == ["SE · trained", "SE · untrained"]
    assert list(words.labels(["resnet20/coord", "resnet50/none"]).values()) == ["CA · ResNet-20", "None · ResNet-50"]
    most = [f"resnet18(width=0.25)/{name}" for name in ("none", "se", "eca", "coord")]
    widened = [*most, "resnet18(width=0.253)/none"]
    assert list(words.labels(widened).values()) == ["None", "SE", "ECA", "CA", "None · ResNet-18 (width=0.253)"]
    assert next(iter(words.labels(widened[2:]).values())) == "ECA · ResNet-18 (width=0.25)"
    assert list(words.labels(["resnet20/se (quick)"]).values()) == ["resnet20/se (quick)"], "what is no network's name"
    assert words.network_label("mobilenetv2/eca?weights=shipped") == "ECA · MobileNetV2"
    assert (
        words.network_label("fpn_resnet18(width=0.5)/se(reduction=4)") == "SE · fpn_resnet18 (width=0.5) (reduction=4)"
    )
    listed = words.in_lists(["resnet20/se?weights=shipped", "resnet20/se", "resnet20/eca?weights=shipped", "re//s"])
    assert list(listed.values()) == [
        "SE · ResNet-20 · trained",
        "SE · ResNet-20 · untrained",
        "ECA · ResNet-20 · trained",
        "re//s",
    ]


def test_gates_of_several_kinds_in_a_block_keep_the_channel_gates_comparable(report: Comparison) -> None:
    gate = report.predictions[1].gates[0]
    spatial = gate.model_copy(update={"path": "layer1.0.standard.0.spatial.gate", "kind": "spatial"})
    assert list(words.gate_labels([gate, spatial]).values()) == ["1.1", "1.1 spatial"]
    second = gate.model_copy(update={"path": "layer1.0.post.0.gate"})
    assert list(words.gate_labels([gate, second]).values()) == ["1.1 standard.0.gate", "1.1 post.0.gate"]


@pytest.mark.parametrize(
    ("number", "text"), [(86, "86"), (4_089_184_256, "4.09 G"), (25_557_032, "25.6 M"), (-1500, "-1.5 k"), (0, "0")]
)
def test_human_numbers_keep_three_digits(number: int, text: str) -> None:
    assert words.human(number) == text


def test_a_plain_network_alone_draws_no_gates(comparison: Make) -> None:
    report = comparison(["resnet20/none"], ROWS)
    assert charts.depth(report, "photo") is None
    assert tables.weights_csv(report).decode().splitlines() == ["image,variant,gate,entry,weight"]
    assert report.csv("gates").count("\n") <= 1


def test_depth_draws_mean_and_spread_in_order(report: Comparison) -> None:
    spec = drawn(charts.depth(report, "photo"))
    row = next(row for row in rows_of(spec) if row["layer"] == "1.1")
    assert row["mean"] == pytest.approx(0.5)
    assert row["high"] - row["mean"] == pytest.approx(np.std(ROWS[0]))
    assert spec["layer"][0]["encoding"]["x"]["sort"] == ["1.1", "1.2", "2.1"]


def test_statistics_are_the_reports_numbers(report: Comparison) -> None:
    table = tables.statistics(report, "photo")
    assert len(table) == 6
    first = table.iloc[0]
    assert (first["variant"], first["layer"], first["entries"]) == ("SE", "1.1", 4)
    assert first["min"] == 0.1
    assert list(tables.statistics_text(report, "photo")["mean"])[1] == "0.5500"


def test_the_csv_holds_every_weight_of_every_photo(comparison: Make) -> None:
    report = comparison(NAMES, ROWS, images=("a", "b"))
    rows = list(csv.DictReader(io.StringIO(tables.weights_csv(report).decode())))
    assert len(rows) == 2 * 2 * sum(len(row) for row in ROWS)
    assert rows[2] == {
        "image": "a",
        "variant": "resnet20/se",
        "gate": "layer1.0.standard.0.gate",
        "entry": "2",
        "weight": "0.9",
    }


def test_a_name_beside_a_mark_stands_on_the_side_that_has_room() -> None:
    """On a phone the name of the mark furthest right was cut off by the end of the picture."""
    base = alt.Chart(
        pd.DataFrame([{"name": "SE", "name_x": 0.9, "name_y": 0}, {"name": "ECA", "name_x": 0.2, "name_y": 0}])
    )
    sides = {names.mark.align: names.to_dict()["transform"][0]["filter"] for names in charts.named(base)}
    assert sides == {"left": "datum.name_x <= 0.5", "right": "datum.name_x > 0.5"}


def test_no_name_beside_a_mark_stands_on_another() -> None:
    gains = (0.1, 0.0, -0.05, 0.12, -1.5)
    rows: list[dict[str, Any]] = [
        {"name": f"module {n}", "gain": gain, "low": gain - 2, "high": gain + 2} for n, gain in enumerate(gains)
    ]
    charts.place_names(rows, [0.7, 0.71, 0.72, 0.1, 0.7])
    near = sorted(float(row["name_y"]) for row in rows[:3])
    line = charts.LINE * (rows[3]["high"] - rows[4]["low"])
    assert min(near[1] - near[0], near[2] - near[1]) == pytest.approx(line)
    assert [row["name_y"] for row in rows[3:]] == [0.12, -1.5], "far from others a name stands beside its mark"
    assert sorted(range(3), key=lambda one: gains[one]) == sorted(range(3), key=lambda one: float(rows[one]["name_y"]))
