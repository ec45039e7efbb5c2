"""Reports as tables: written by hand here, and read back from every form."""

import csv
import io
import json
from typing import Any

import pytest

from attention.errors import InvalidRequest, NotFound
from attention.reports.parts.evidence import Interval
from attention.reports.writing import tables
from attention.reports.writing.tables import Bars, Column, Printed, Report, Table
from attention.spec import Plain


class Gain(Plain):
    """An arm, for the tests."""

    arm: str
    n: int
    gain: Interval | None
    weights: tuple[float, ...] = ()


class Gains(Report):
    """A report, for the tests."""

    headline: str
    arms: tuple[Gain, ...]


def interval(estimate: float, low: float, high: float) -> Interval:
    return Interval(estimate=estimate, low=low, high=high, confidence=0.95, n=6, method="by hand")


GAINS = Gains(
    headline="SE gains 0.25 points.",
    arms=(Gain(arm="none_0", n=6, gain=None), Gain(arm="a|b", n=1200, gain=interval(-0.25, -0.5, 1 / 3))),
)


def test_every_item_is_a_row_and_an_interval_three_columns() -> None:
    rows = list(csv.DictReader(io.StringIO(GAINS.csv())))
    assert [row["arm"] for row in rows] == ["none_0", "a|b"]
    assert rows[0]["gain"] == rows[0]["gain_low"] == "" and float(rows[1]["gain_high"]) == 1 / 3  # all digits
    assert list(rows[0]) == ["arm", "n", "gain", "gain_low", "gain_high"]  # no column for a list of numbers


def test_markdown_and_latex_escape_what_is_special_there() -> None:
    assert "| a\\|b | 1,200 | -0.25 | -0.5 | 0.3333 |" in GAINS.markdown()
    latex = GAINS.latex()
    assert r"none\_0 & 6 & -- & -- & --" in latex and r"a|b & 1,200 & $-$0.25 & $-$0.5 & 0.3333 \\" in latex
    assert r"\label{tab:arms}" in latex and r"\begin{tabular}{lrrrr}" in latex and "$n$" in latex


def test_a_report_fits_on_a_screen_and_shows_itself_in_a_notebook() -> None:
    many = GAINS.model_copy(update={"arms": GAINS.arms * 40})
    lines = repr(many).splitlines()
    assert len(lines) <= 20 and lines[0] == GAINS.headline and lines[-1] == "... and 64 rows more"
    assert sum("none_0" in line or "a|b" in line for line in lines) == 16
    page = GAINS.model_copy(update={"headline": "<script>"})._repr_html_()
    assert "&lt;script&gt;" in page and "<script>" not in page and page.count("<tr>") == 3
    assert "<svg" in page  # the chart, for vl-convert is installed here


def test_a_difference_is_printed_with_the_digits_that_tell_its_ends_apart() -> None:
    assert interval(0.57, 0.4, 0.74).text("points") == "+0.57 points [+0.40, +0.74]"
    assert interval(-0.001, -0.3, 0.004).text() == "+0.00 [-0.30, +0.0040]"  # no end on zero
    assert interval(0.001, -0.01, 0.3001).text(margin=0.3) == "+0.00 [-0.01, +0.3001]"  # nor on the margin


def test_the_chart_draws_the_value_with_its_interval() -> None:
    chart: dict[str, Any] = GAINS.plot().to_dict()
    assert [layer["mark"] if isinstance(layer["mark"], str) else layer["mark"]["type"] for layer in chart["layer"]] == [
        "point",
        "rule",
    ]
    assert chart["layer"][1]["encoding"]["x"]["field"] == "gain_low"
    assert '"gain": -0.25' in json.dumps(chart)


def test_a_frame_has_the_columns_of_the_file() -> None:
    frame = GAINS.frame()
    assert list(frame["gain"].dropna()) == [-0.25] and list(frame.columns) == GAINS.csv().splitlines()[0].split(",")


def test_what_is_printed_may_be_others_than_what_is_filed() -> None:
    table = Table(
        name="arms",
        caption="50 % of them",
        columns=(Column(name="arm"), Column(name="mean"), Column(name="sd")),
        rows=(("se", 80.125, 0.5),),
        printed=Printed(head=("arm", "score"), rows=(("se", "80.1 ± 0.5"),)),
        bars=Bars(label="arm", value="mean"),
    )
    assert "80.125" in table.csv() and "80.125" not in table.markdown() and "80.1 ± 0.5" in table.text()
    assert r"80.1 $\pm$ 0.5" in table.latex() and r"50 \% of them" in table.latex()


def test_what_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="no table 'runs'. It has: arms"):
        GAINS.csv("runs")
    with pytest.raises(InvalidRequest, match=r"frame\(\) needs the package nowhere: pip install nowhere"):
        tables.needed("nowhere", "frame()")
    with pytest.raises(NotFound, match="nothing to draw"):
        Gains(headline="", arms=()).plot()
