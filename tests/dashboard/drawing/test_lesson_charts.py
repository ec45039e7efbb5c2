"""The pictures of the Learn page are pure functions of reports, and show their numbers rather than others."""

import json
import re
from typing import Any

import pytest

from attention.reports.modules import (
    Interaction,
    KernelReport,
    KernelStep,
    Place,
    Places,
    PublishedGroup,
    PublishedResult,
    ReleasedKernel,
    Traits,
)
from attention.reports.parts.catalog import ModuleEntry
from attention.spec import Position, Variant
from dashboard import language
from dashboard.drawing import marks as charts
from dashboard.views.learn import charts as lesson_charts


def drawn(chart: charts.Chart) -> Any:
    return json.loads(chart.to_json())


def rows_of(spec: Any) -> list[dict[str, Any]]:
    return [row for data in spec["datasets"].values() for row in data]


def titles(spec: Any) -> set[str]:
    """Titles of all axes, wherever they stand in a specification."""
    if isinstance(spec, dict):
        own = {
            spec[axis]["title"] for axis in ("x", "y") if isinstance(spec.get(axis), dict) and spec[axis].get("title")
        }
        return own.union(*(titles(value) for key, value in spec.items() if key != "datasets"))
    return set().union(*map(titles, spec)) if isinstance(spec, list) else set()


def interaction(matrix: list[list[float]]) -> Interaction:
    return Interaction(
        module="eca",
        options={},
        parameters=3,
        matrix=tuple(map(tuple, matrix)),
        rank=2,
        narrowest=3,
        reach=1,
        share=0.5,
    )


BAND = interaction([[0.2, 0.1, 0.0], [-0.3, 0.2, 0.1], [0.0, -0.3, 0.2]])


def test_a_line_stands_for_every_pair_that_is_not_zero() -> None:
    lines = [row for row in rows_of(drawn(lesson_charts.links(BAND))) if "link" in row]
    assert {row["link"] for row in lines} == {"0.0", "1.0", "0.1", "1.1", "2.1", "1.2", "2.2"}
    assert {row["link"] for row in lines if row["whose"] == "gate in the middle"} == {"0.1", "1.1", "2.1"}
    assert {(row["channel"], row["row"]) for row in lines if row["link"] == "0.1"} == {(0, 1), (1, 0)}


@pytest.mark.parametrize("reader", ["en", "zh"])
def test_lines_are_drawn_in_both_languages(monkeypatch: pytest.MonkeyPatch, reader: str) -> None:
    """A filter looked for the English words of rows that were Chinese: no line was left."""
    monkeypatch.setattr(language, "current", lambda: reader)
    spec = drawn(lesson_charts.links(interaction([[0.2, 0.1], [0.0, 0.3]])))
    filters = re.findall(r"datum.whose === '([^']+)'", json.dumps(spec, ensure_ascii=False))
    assert len(filters) == 2 and set(filters) == {row["whose"] for row in rows_of(spec) if "whose" in row}


def test_the_heat_map_has_the_matrix_with_its_sign_and_a_scale_centred_on_zero() -> None:
    spec = drawn(lesson_charts.heat(BAND))
    cells = {(row["gate"], row["feature"]): row["slope"] for row in rows_of(spec)}
    assert cells[(1, 0)] == -0.3 and cells[(0, 1)] == 0.1 and (0, 2) not in cells
    assert spec["encoding"]["color"]["scale"]["domain"] == [-0.3, 0.3]
    assert titles(spec) == {"pooled feature of channel j", "gate of channel c"}
    assert drawn(lesson_charts.heat(interaction([[0.0, 0.0], [0.0, 0.0]])))  # nothing to draw is no error


def kernel(gamma: float, sizes: list[int]) -> KernelReport:
    steps = [KernelStep(first=100 * n + 1, last=100 * (n + 1), kernel_size=k) for n, k in enumerate(sizes)]
    released = (
        ReleasedKernel(backbone="resnet18", channels=64, released=3, formula=3),
        ReleasedKernel(backbone="resnet50", channels=64, released=3, formula=3),
        ReleasedKernel(backbone="resnet18", channels=256, released=7, formula=5),
    )
    return KernelReport(gamma=gamma, b=1, steps=tuple(steps), released=released, totals=(), source="https://x.org")


def test_the_staircase_has_the_formula_as_set_beside_the_papers() -> None:
    paper, own = kernel(2, [1, 3]), kernel(1, [3, 5])
    lines = [row for row in rows_of(drawn(lesson_charts.staircase(own, paper))) if "way" in row]
    assert [(row["channels"], row["k"]) for row in lines if "set above" in row["way"]] == [(1, 3), (101, 5), (200, 5)]
    assert len({row["way"] for row in lines}) == 2
    alone = [row for row in rows_of(drawn(lesson_charts.staircase(paper, paper))) if "way" in row]
    assert len({row["way"] for row in alone}) == 1


def test_released_sizes_that_differ_from_the_formula_are_set_off() -> None:
    dots = [row for row in rows_of(drawn(lesson_charts.staircase(kernel(2, [1]), kernel(2, [1])))) if "agrees" in row]
    assert {(row["channels"], row["k"], row["agrees"]) for row in dots} == {
        (64, 3, "released, as the formula"),
        (256, 7, "released, set by hand"),
    }
    assert next(row["networks"] for row in dots if row["channels"] == 64) == "resnet18, resnet50"


def place(position: Position, stage: int, side: int, filled: bool = False) -> Place:
    return Place(
        path=f"{position}{stage}",
        position=position,
        stage=stage,
        block=1,
        channels=64 * stage,
        side=side,
        filled=filled,
        parameters=5 if filled else 0,
    )


def network(*found: Place) -> Places:
    return Places(name="net/eca", variant=Variant.parse("net/eca"), input_size=32, places=found)


def test_every_filled_place_is_a_bar_right_of_its_block_and_as_high_as_its_map() -> None:
    spec = drawn(lesson_charts.places(network(place("standard", 1, 56, True), place("standard", 2, 28))))
    bars = [row for row in rows_of(spec) if "what" in row]
    assert [(row["what"], row["side"]) for row in bars] == [("block", 56), ("block", 28), ("attention", 56)]
    block, after, ours = bars
    assert block["right"] <= ours["left"] and ours["right"] <= after["left"]
    assert titles(spec) >= {"side of the map, pixels"}


@pytest.mark.full
def test_the_tail_comes_last_and_branches_come_from_their_stage() -> None:
    blocks = (place("standard", 1, 56), place("standard", 2, 28))
    tail = [
        row
        for row in rows_of(drawn(lesson_charts.places(network(*blocks, place("tail", 2, 28, True)))))
        if "what" in row
    ]
    assert tail[-1]["what"] == "attention" and tail[-1]["left"] > tail[1]["right"]
    branches = (place("branch", 1, 56, True), place("branch", 2, 28, True))
    rows = rows_of(drawn(lesson_charts.places(network(*blocks, *branches))))
    levels = [row for row in rows if row.get("what") == "level of the neck"]
    dashes = [row for row in rows if "what" not in row and "right" in row]
    assert [level["side"] for level in levels] == [dash["side"] for dash in dashes] == [56, 28]
    assert [dash["right"] for dash in dashes] == [level["left"] for level in levels]


def module(name: str, ratio: float, correlation: float) -> ModuleEntry:
    """A module that leaves a share of its input when it is fresh."""
    traits = Traits.model_construct(std_ratio=ratio, correlation=correlation, identity=ratio == 1)
    return ModuleEntry.model_construct(name=name, traits=traits)


@pytest.mark.parametrize("reader", ["en", "zh"])
def test_every_bar_of_a_lesson_has_a_colour_in_both_languages(monkeypatch: pytest.MonkeyPatch, reader: str) -> None:
    """Words of some bars were English where the colours had Chinese ones: these bars were not drawn."""
    monkeypatch.setattr(language, "current", lambda: reader)
    blocks = network(place("standard", 1, 56, True), place("branch", 1, 56, True))
    modules = [module("eca", 0.5, 1.0), module("gc", 1.0, 1.0), module("sk", 0.5, 0.1)]
    for chart, count in ((lesson_charts.places(blocks), 3), (lesson_charts.starts(modules), 3)):
        spec = drawn(chart)
        colours = next(layer["encoding"]["color"]["scale"] for layer in spec["layer"] if "color" in layer["encoding"])
        assert {row["what"] for row in rows_of(spec) if "what" in row} == set(colours["domain"])
        assert len(colours["range"]) == count


def group(key: str, *accuracies: tuple[str, float, int]) -> PublishedGroup:
    return PublishedGroup(
        key=key,
        title=key,
        source="a paper",
        table="Table 1",
        metric="top-1, %",
        link="https://x.org",
        recipe="One.",
        same_recipe=True,
        warning=None,
        input_size=224,
        results=tuple(
            PublishedResult(
                name=f"{name}-net",
                attention=name,
                score=score,
                cell="row 1",
                conditions="",
                variant=Variant.parse(f"resnet50/{name}"),
                parameters=25_000_000 + added,
                macs=4_000_000_000,
                added_parameters=added,
                added_macs=0,
            )
            for name, score, added in accuracies
        ),
    )


def test_pictures_of_published_results_have_axes_of_one_length() -> None:
    wide = group("wide", ("none", 75.0, 0), ("se", 77.0, 2_500_000), ("eca", 76.0, 80))
    flat = group("flat", ("none", 80.0, 0), ("se", 80.4, 100_000))
    first, second = (drawn(chart) for chart in lesson_charts.published([wide, flat]))
    domains = [spec["layer"][0]["encoding"]["y"]["scale"]["domain"] for spec in (first, second)]
    lengths = [high - low for low, high in domains]
    assert lengths[0] == pytest.approx(lengths[1])
    assert domains[1][0] < 80.0 < 80.4 < domains[1][1]
    rows = rows_of(first)
    assert {(row["text"], row["added"], row["score"]) for row in rows} == {
        ("None", 0, 75.0),
        ("SE", 2_500_000, 77.0),
        ("ECA", 80, 76.0),
    }
    same = [spec["layer"][0]["encoding"]["color"]["scale"] for spec in (first, second)]
    hues = [dict(zip(scale["domain"], scale["range"], strict=True)) for scale in same]
    assert hues[0]["se"] == hues[1]["se"]
