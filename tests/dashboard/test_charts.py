"""Charts and tables are pure functions of a report, and show its numbers rather than others."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attention.reports.compare import Comparison, Prediction
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
        "resnet20/se?weights=shipped": "resnet20/se",
        "resnet20/eca": "resnet20/eca",
    }
    both = ["resnet20/se?weights=shipped", "resnet20/se"]
    assert list(words.labels(both).values()) == both


def test_gates_of_several_kinds_in_a_block_keep_the_channel_gates_comparable(report: Comparison) -> None:
    gate = report.predictions[1].gates[0]
    spatial = gate.model_copy(update={"gate": "layer1.0.standard.0.spatial.gate", "kind": "spatial"})
    assert list(words.gate_labels([gate, spatial]).values()) == ["1.1", "1.1 spatial"]
    second = gate.model_copy(update={"gate": "layer1.0.post.0.gate"})
    assert list(words.gate_labels([gate, second]).values()) == ["1.1 standard.0.gate", "1.1 post.0.gate"]


@pytest.mark.parametrize(
    ("number", "text"), [(86, "86"), (4_089_184_256, "4.09 G"), (25_557_032, "25.6 M"), (-1500, "-1.5 k"), (0, "0")]
)
def test_human_numbers_keep_three_digits(number: int, text: str) -> None:
    assert words.human(number) == text


def test_every_variant_gets_its_bars_and_untrained_ones_are_pale(report: Comparison) -> None:
    bars = charts.predictions(report, "photo")
    assert list(bars) == NAMES
    spec = drawn(bars["resnet20/se"])
    assert rows_of(spec) == [{"class": "cat", "probability": 0.75}, {"class": "class 5", "probability": 0.2}]
    assert spec["layer"][0]["mark"]["opacity"] < 0.5
    axes = {json.dumps(drawn(chart)["layer"][0]["encoding"]["x"]["scale"]) for chart in bars.values()}
    assert len(axes) == 1


def test_channel_pictures_share_one_scale_centred_on_a_half(report: Comparison) -> None:
    maps = charts.channel_maps(report, "photo")
    assert list(maps) == ["resnet20/se", "resnet20/eca"]
    scales = [drawn(chart)["encoding"]["color"]["scale"] for chart in maps.values()]
    assert scales[0] == scales[1]
    assert scales[0]["domain"] == pytest.approx([0.1, 0.9])
    cells = rows_of(drawn(maps["resnet20/se"]))
    assert [cell["weight"] for cell in cells] == [weight for row in ROWS for weight in row]
    assert [cell["channel"] for cell in cells if cell["layer"] == "2.1"] == [0, 1, 2, 3]
    assert all(cell["gate"].endswith(".gate") for cell in cells)
    assert [cell["left"] for cell in cells if cell["layer"] == "1.2"] == [0, 0.5]


def test_sorted_rows_still_name_their_channels(comparison: Make) -> None:
    report = comparison(["resnet20/se"], [[0.9, 0.1, 0.5]])
    cells = rows_of(drawn(charts.channel_maps(report, "photo", ordered=True)["resnet20/se"]))
    assert [(cell["weight"], cell["channel"]) for cell in cells] == [(0.1, 1), (0.5, 2), (0.9, 0)]


def test_a_wide_network_stays_light_and_keeps_its_contrast(comparison: Make) -> None:
    random = np.random.default_rng(0)
    widths = [256] * 3 + [512] * 4 + [1024] * 6 + [2048] * 3
    assert sum(widths) == 15_104
    report = comparison(["resnet50/se", "resnet50/eca"], [random.uniform(0, 1, width).tolist() for width in widths])
    maps = charts.channel_maps(report, "photo")
    cells = rows_of(drawn(maps["resnet50/se"]))
    assert len(maps) * len(cells) <= charts.CELLS
    assert "at most 256 of a layer" in drawn(maps["resnet50/se"])["encoding"]["x"]["title"]
    narrow, wide = ([cell["weight"] for cell in cells if cell["layer"] == layer] for layer in ("1.1", "8.2"))
    assert np.std(wide) == pytest.approx(np.std(narrow), rel=0.15)


def test_one_layer_is_a_line_for_each_variant_with_attention(report: Comparison) -> None:
    assert words.channel_gates(report, "photo") == ["1.1", "1.2", "2.1"]
    spec = drawn(charts.channel_lines(report, "photo", "2.1"))
    lines = [row for row in rows_of(spec) if "variant" in row]
    assert {row["variant"] for row in lines} == {"resnet20/se", "resnet20/eca"}
    assert [row["weight"] for row in lines if row["variant"] == "resnet20/se"] == ROWS[2]
    tips = [tip["title"] for tip in spec["layer"][1]["encoding"]["tooltip"]]
    assert tips == ["channel", "resnet20/se", "resnet20/eca"]
    assert charts.channel_lines(report, "photo", "9.9") is None


def test_a_plain_network_alone_draws_no_gates(comparison: Make) -> None:
    report = comparison(["resnet20/none"], ROWS)
    assert charts.channel_maps(report, "photo") == {}
    assert charts.depth(report, "photo") is None
    assert tables.weights_csv(report).decode().splitlines() == ["image,variant,gate,entry,weight"]
    assert tables.statistics_csv(report).decode().count("\n") <= 1


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
    assert (first["variant"], first["layer"], first["entries"]) == ("resnet20/se", "1.1", 4)
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
    table = tables.first_classes(report, {"a": "1. Kitten", "b": "2. Dog"})
    assert table.loc["2. Dog", "resnet20/eca"] == "cat · 75%"


def test_gates_that_are_added_are_pale_at_0_and_those_around_1_at_1(comparison: Make) -> None:
    report = comparison(["resnet20/se", "resnet20/gc", "resnet20/gct"], ROWS)

    def shifted(prediction: Prediction) -> Prediction:
        by = {"resnet20/gc": -0.5, "resnet20/gct": 0.5}.get(prediction.variant, 0.0)
        neutral = 0.0 if prediction.variant == "resnet20/gc" else 1.0
        gates = tuple(
            gate.model_copy(update={"neutral": neutral, "max": gate.max + by, "min": gate.min + by})
            for gate in prediction.gates
        )
        values = tuple(tuple(value + by for value in row) for row in prediction.values or ())
        return prediction.model_copy(update={"gates": gates, "values": values})

    report = report.model_copy(update={"predictions": tuple(map(shifted, report.predictions))})
    maps = charts.channel_maps(report, "photo")
    scales = {name: drawn(chart)["encoding"]["color"]["scale"] for name, chart in maps.items()}
    assert {name: scale["domainMid"] for name, scale in scales.items()} == {
        "resnet20/se": 0.5,
        "resnet20/gc": 0,
        "resnet20/gct": 1,
    }
    for scale in scales.values():
        assert scale["domain"] == pytest.approx([scale["domainMid"] - 0.4, scale["domainMid"] + 0.4])


def test_gates_that_are_all_exactly_1_are_pale(comparison: Make) -> None:
    assert charts.centre(comparison(["resnet20/gct"], [[1.0, 1.0]]), "resnet20/gct") == 1
    assert charts.centre(comparison(["resnet20/se"], [[0.5, 1.0]]), "resnet20/se") == 0.5
    assert charts.centre(comparison(["resnet20/none"], [[1.0]]), "resnet20/none") == 0.5
