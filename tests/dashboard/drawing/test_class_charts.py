"""Pictures of the Classes page have the report's numbers, around centres of their own."""

import csv
import io
import json
from typing import Any

import numpy as np
import pytest

from attention.reports.coupling import CouplingReport
from attention.reports.excitation import ClassCurve, ExcitationReport, ExcitedGate
from attention.reports.parts.evidence import Interval
from attention.reports.parts.subjects import ClassImages, Ran
from attention.reports.permutation import Order, PermutationReport, PermutedModule
from attention.reports.scale import ScaleGate, ScalePoint, ScaleReport
from attention.reports.stripe import OrderBetween, StripeGate, StripeMap, StripeReport
from attention.spec import Pictures, Variant
from dashboard.drawing.marks import CELLS, Chart
from dashboard.views.look import class_charts, probe_charts

PICTURES = Pictures(data="pets", limit=6)
NAMES = ("resnet20/eca?weights=shipped", "resnet20/se?weights=shipped")


def drawn(chart: Chart | None) -> Any:
    assert chart is not None
    return json.loads(chart.to_json())


def rows(spec: Any) -> list[dict[str, Any]]:
    return [row for data in spec["datasets"].values() for row in data]


def place(stage: int, block: int = 1, channels: int = 3) -> dict[str, Any]:
    return {
        "path": f"layer{stage}.{block - 1}.standard.0.gate",
        "kind": "channel",
        "neutral": 1.0,
        "position": "standard",
        "stage": stage,
        "block": block,
        "channels": channels,
        "reduced": None,
    }


def ran(name: str = NAMES[0]) -> Ran:
    return Ran(name=name, variant=Variant.parse(name), trained=True, warning=None, device="cpu")


def encodings(spec: Any, axis: str) -> list[dict[str, Any]]:
    """Every encoding of an axis, of layers and of the whole."""
    return [part["encoding"][axis] for part in [spec, *spec.get("layer", ())] if axis in part.get("encoding", {})]


# ---------------------------------------------------------------- curves


def excited(classes: int = 2) -> ExcitedGate:
    return ExcitedGate(
        **place(2),
        shown=(0, 2),
        mean=(0.5, 0.4),
        curves=tuple(
            ClassCurve(
                label=f"class {n}",
                images=3,
                mean=(0.5 + n / 10, 0.4 - n / 10),
                std=(0.01, 0.02) if n == 0 else (0.03, 0.04),
            )
            for n in range(classes)
        ),
        between=0.05,
        within=0.02,
        static_share=0.5,
        class_share=0.4,
        class_share_by_chance=0.2,
    )


def excitation() -> ExcitationReport:
    return ExcitationReport(
        network=ran(),
        pictures=PICTURES,
        images=6,
        total=6,
        classes=(ClassImages(label="class 0", images=3), ClassImages(label="class 1", images=3)),
        gates=(excited(),),
        caveats=(),
    )


def test_curves_have_every_classs_mean_the_mean_of_all_and_the_spread_of_the_chosen_one() -> None:
    found = rows(drawn(class_charts.curves(excited(), "class 1", {})))
    lines = [(row["class"], row["channel"], row["gate"]) for row in found if "images" in row and "low" not in row]
    assert lines == [
        ("class 0", 0, 0.5),
        ("class 0", 2, 0.4),
        ("class 1", 0, 0.6),
        ("class 1", 2, pytest.approx(0.3)),
    ]
    assert [row["gate"] for row in found if "class" not in row] == [0.5, 0.4]
    band = [(row["class"], row["low"], row["high"]) for row in found if "low" in row]
    assert band == [("class 1", pytest.approx(0.57), pytest.approx(0.63)), ("class 1", pytest.approx(0.26), 0.34)]


def test_around_the_mean_of_all_its_own_line_is_at_zero() -> None:
    spec = drawn(class_charts.curves(excited(), "class 0", {}, around=True))
    assert [row["gate"] for row in rows(spec) if "class" not in row] == [0, 0]
    assert [row["gate"] for row in rows(spec) if row.get("class") == "class 1"] == pytest.approx([0.1, -0.1])
    assert all("(no unit)" in axis["title"] for axis in encodings(spec, "y"))
    assert {axis["scale"]["zero"] for axis in encodings(spec, "y")} == {False}, "gates are not drawn from 0"


def test_one_image_a_class_has_no_band_and_is_called_by_its_title() -> None:
    single = excited()
    alone = tuple(curve.model_copy(update={"std": None}) for curve in single.curves)
    found = rows(drawn(class_charts.curves(single.model_copy(update={"curves": alone}), "class 0", {"class 0": "Owl"})))
    assert not [row for row in found if "low" in row]
    assert "Owl" in {row.get("class") for row in found}


def test_more_classes_than_colours_are_grey_but_for_the_chosen_one() -> None:
    spec = drawn(class_charts.curves(excited(12), "class 3", {}))
    colour = next(one for one in encodings(spec, "color") if "scale" in one)["scale"]
    hues = dict(zip(colour["domain"], colour["range"], strict=True))
    assert len(set(hues.values())) == 2
    assert [name for name, hue in hues.items() if hue != hues["class 0"]] == ["class 3"]


def test_the_file_of_curves_has_every_number() -> None:
    table = list(csv.DictReader(io.StringIO(class_charts.curves_csv(excitation()))))
    assert [(row["class"], row["channel"], float(row["mean"])) for row in table[:2]] == [("", "0", 0.5), ("", "2", 0.4)]
    assert [float(row["std"]) for row in table if row["class"] == "class 1"] == [0.03, 0.04]


# ---------------------------------------------------------------- stripes


def striped(name: str, stage: int, static: float | None, by_class: float | None) -> StripeGate:
    return StripeGate(
        **place(stage),
        variant=name,
        images=4,
        static_share=static,
        class_share=by_class,
        class_share_by_chance=None if by_class is None else 1 / 3,
        mean=0.5,
        std=0.1,
        min=0.2,
        max=0.8,
        share_low=0.25,
        share_high=0.0,
        order_between_images=None,
        images_without_order=0,
        effective_rank=1.25,
        effective_rank_centred=None,
        rank_limit=3,
    )


def stripe_map(labels: tuple[str | None, ...] = ("cat", "cat", "dog", "dog")) -> StripeMap:
    return StripeMap(
        variant=NAMES[0],
        gate="layer2.0.standard.0.gate",
        shown=(0, 2, 5),
        images=("a", "b", "c", "d"),
        labels=labels,
        values=((0.4, 0.5, 0.6), (0.4, 0.5, 0.6), (0.5, 0.5, 0.2), (0.5, 0.5, 0.2)),
        centre=0.45,
        span=0.25,
    )


@pytest.fixture
def report() -> StripeReport:
    return StripeReport(
        networks=tuple(ran(name) for name in NAMES),
        pictures=PICTURES,
        images=4,
        classes=(ClassImages(label="cat", images=2), ClassImages(label="dog", images=2)),
        maps=(stripe_map(),),
        gates=tuple(
            striped(name, stage, None if stage == 1 and number else 0.9 - stage / 10, 0.1 * stage)
            for number, name in enumerate(NAMES)
            for stage in (1, 2)
        ),
        between=(
            OrderBetween(
                first=NAMES[0],
                second=NAMES[1],
                first_gate="layer2.0.standard.0.gate",
                second_gate="layer2.0.standard.0.gate",
                stage=2,
                block=1,
                channels=3,
                of_means=0.5,
                of_images=None,
            ),
        ),
        caveats=(),
    )


def test_stripes_have_every_value_at_its_image_and_channel_around_the_gates_own_mean() -> None:
    spec = drawn(class_charts.stripes(stripe_map(), {"c": "Owl"}))
    cells = [row for row in rows(spec) if "gate" in row]
    assert np.reshape([cell["gate"] for cell in cells], (4, 3)).tolist() == [list(row) for row in stripe_map().values]
    assert [cell["channel"] for cell in cells[:3]] == [0, 2, 5]
    assert [cell["left"] for cell in cells[:3]] == [-0.5, 1, 3.5]
    assert {cell["image"] for cell in cells if cell["top"] == 2} == {"Owl"}
    scale = encodings(spec, "color")[0]["scale"]
    assert scale["domain"] == pytest.approx([0.2, 0.7]) and scale["domainMid"] == 0.45


def test_a_line_stands_where_a_class_ends_and_its_name_in_its_middle() -> None:
    spec = drawn(class_charts.stripes(stripe_map(), {}))
    assert [row["top"] for row in rows(spec) if "gate" not in row] == [2]
    axis = encodings(spec, "y")[0]["axis"]
    assert axis["values"] == [1, 3]
    assert json.loads(axis["labelExpr"].partition("[")[0]) == {"1": "cat", "3": "dog"}


def test_photos_are_rows_of_their_own() -> None:
    spec = drawn(class_charts.stripes(stripe_map((None,) * 4), {"a": "1. Owl"}))
    assert [row["top"] for row in rows(spec) if "gate" not in row] == [1, 2, 3]
    named = json.loads(encodings(spec, "y")[0]["axis"]["labelExpr"].partition("[")[0])
    assert named == {"0.5": "1. Owl", "1.5": "b", "2.5": "c", "3.5": "d"}
    assert encodings(spec, "y")[0]["title"] == "photos"


def test_a_gate_that_is_one_constant_still_has_a_scale() -> None:
    flat = stripe_map().model_copy(update={"values": ((0.5,) * 3,) * 4, "centre": 0.5, "span": 0.0})
    low, high = encodings(drawn(class_charts.stripes(flat, {})), "color")[0]["scale"]["domain"]
    assert low < 0.5 < high


def test_shares_run_over_depth_with_what_chance_would_give(report: StripeReport) -> None:
    static = rows(drawn(class_charts.shares(report, "static_share")))
    assert [(row["network"], row["layer"], row["share"]) for row in static] == [
        ("ECA", "1.1", 0.8),
        ("ECA", "2.1", 0.7),
        ("SE", "2.1", 0.7),
    ], "a gate that is one constant has no share"
    by_class = rows(drawn(class_charts.shares(report, "class_share")))
    assert [row["share"] for row in by_class if "by" in row] == [1 / 3]
    assert len([row for row in by_class if "network" in row]) == 4


def test_without_classes_there_is_no_class_share(report: StripeReport) -> None:
    none = tuple(gate.model_copy(update={"class_share": None}) for gate in report.gates)
    assert class_charts.shares(report.model_copy(update={"gates": none}), "class_share") is None


def test_order_between_networks_leaves_out_what_has_none(report: StripeReport) -> None:
    found = [row for row in rows(drawn(class_charts.orders(report))) if "networks" in row]
    assert [(row["networks"], row["layer"], row["correlation"]) for row in found] == [("ECA and SE", "2.1", 0.5)]
    assert class_charts.orders(report.model_copy(update={"between": ()})) is None


def test_the_table_says_every_gate_and_a_dash_for_what_cannot_be_computed(report: StripeReport) -> None:
    table = class_charts.table(report)
    assert list(table["network"]) == ["ECA"] * 2 + ["SE"] * 2
    assert list(table["static share"]) == ["0.80", "0.70", "–", "0.70"]
    assert table["class share (by chance)"][0] == "0.10 (0.33)"
    assert (table["effective rank"][0], table["centred"][0], table["below 0.1"][0]) == ("1.2 of 3", "–", "25.0%")
    full = list(csv.DictReader(io.StringIO(report.csv("gates"))))
    assert [row["effective_rank"] for row in full] == ["1.25"] * 4


@pytest.mark.parametrize("networks", range(1, 7))
def test_all_maps_of_a_page_stay_quick_to_draw(networks: int) -> None:
    assert 32 <= class_charts.columns(networks) <= 256
    assert networks * class_charts.ROWS * class_charts.columns(networks) <= CELLS


# ---------------------------------------------------------------- probes


def matrix(reach: int, share: float, rank: int | None) -> CouplingReport:
    return CouplingReport(
        **place(3),
        network=ran(),
        image="photo",
        module="eca",
        shown=(0, 1, 2),
        matrix=((0.1, -0.2, 0.0), (0.0, 0.1, 0.0), (0.0, 0.0, 0.1)),
        values=(0.5, 0.5, 0.5),
        means=(0.0, 0.0, 0.0),
        largest=0.2,
        rank=rank,
        reach=reach,
        share=share,
        means_only=True,
        conditions="Alone.",
    )


def test_the_coupling_matrix_is_drawn_row_by_row_around_zero() -> None:
    report = matrix(1, 0.4, 3)
    spec = drawn(probe_charts.coupling(report))
    assert [(row["gate"], row["listens"]) for row in rows(spec) if row["slope"] == -0.2] == [(0, 1)]
    assert spec["encoding"]["color"]["scale"]["domain"] == [-0.2, 0.2]
    table = list(csv.reader(io.StringIO(report.csv())))
    assert table[1] == ["0", "0.1", "-0.2", "0.0"]


def test_the_coupling_matrix_is_told_in_words() -> None:
    assert "at most 1 away" in probe_charts.coupling_words(matrix(1, 0.4, 3))
    assert "rank 3 of 3" in probe_charts.coupling_words(matrix(1, 0.4, 3))
    assert "rank" not in probe_charts.coupling_words(matrix(1, 0.4, None))
    assert "only to its own channel" in probe_charts.coupling_words(matrix(0, 0.3, 3))
    assert "does not answer" in probe_charts.coupling_words(matrix(0, 0.0, 0))


def permuted(variant: str | None, block: int, change: float | None, order: Order | None, text: str) -> PermutedModule:
    return PermutedModule(
        module="eca",
        variant=variant,
        path=None if variant is None else f"layer1.{block}",
        stage=None if variant is None else 1,
        block=None if variant is None else block,
        channels=16,
        kinds=("channel",),
        spread=0.1,
        weights_stay=change,
        weights_follow=change,
        order=order,
        sentence=text,
    )


def test_places_of_a_network_that_say_the_same_are_one_line() -> None:
    found = PermutationReport(
        rows=(
            permuted(None, 0, 0.3, "in its structure", "It matters."),
            permuted(NAMES[0], 1, 0.1, "in its structure", "It matters."),
            permuted(NAMES[0], 2, 0.2, "in its structure", "It matters."),
            permuted(NAMES[0], 3, None, None, "It could not be tried."),
        ),
        conditions="Permuted.",
    )
    assert probe_charts.permuted(found) == [
        "**ECA**, by itself on 16 channels of noise: It matters.",
        "**ECA**, in ECA at 1.1, 1.2: It matters.",
        "**ECA**, in ECA at 1.3: It could not be tried.",
    ]
    table = probe_charts.permuted_table(found)
    assert list(table["change if weights follow"]) == ["0.3", "0.1 … 0.2", "–"]
    assert list(table["order"]) == ["in its structure", "in its structure", "not tried"]


def test_branch_choice_has_the_reports_means_and_intervals() -> None:
    change = Interval(estimate=0.05, low=0.01, high=0.09, confidence=0.95, n=6, method="paired t over images")
    points = (
        ScalePoint(factor=1, preference=-0.1, std=0.02, change=None),
        ScalePoint(factor=2, preference=-0.05, std=0.02, change=change),
    )
    report = ScaleReport(
        network=ran("resnet20/sk@spatial"),
        pictures=PICTURES,
        images=6,
        total=6,
        gates=(ScaleGate(**place(1), branches=2, points=points),),
        caveats=(),
    )
    found = rows(drawn(probe_charts.scale(report)))
    assert [(row["factor"], row["preference"]) for row in found] == [(1, -0.1), (2, -0.05)]
    assert found[0]["low"] is None
    assert (found[1]["low"], found[1]["high"]) == (pytest.approx(-0.09), pytest.approx(-0.01))
