"""Every picture of the lab's pages can be taken away as SVG."""

import ast
from pathlib import Path

import altair as alt
import pandas as pd
import pytest
from altair.utils import schemapi
from streamlit.testing.v1 import AppTest

from dashboard.drawing import draw as drawing


def chart(rows: int = 2) -> alt.Chart:
    return alt.Chart(pd.DataFrame({"x": range(rows), "y": range(rows)})).mark_point().encode(x="x:Q", y="y:Q")


def test_a_page_draws_no_chart_here_that_breaks_vega_lites_schema(app: AppTest) -> None:
    app.run()  # parts of charts are not checked as they are made from now on
    with schemapi.debug_mode(False):
        wrong = chart().encode(x=alt.X("x:Q", axis=alt.Axis(format=3)))  # type: ignore[arg-type]
    with pytest.raises(schemapi.SchemaValidationError):
        drawing.Drawn(wrong).to_dict()


@pytest.mark.full
def test_a_chart_becomes_a_vector_graphic_as_wide_as_a_page() -> None:
    svg = drawing.svg(chart()).decode()
    assert svg.startswith("<svg") and svg.count('aria-roledescription="point"') == 2
    assert 700 < float(svg.split('width="')[1].split('"')[0]) < 900


@pytest.mark.full
def test_a_chart_with_a_width_of_its_own_keeps_it() -> None:
    assert float(drawing.svg(chart().properties(width=100)).decode().split('width="')[1].split('"')[0]) < 250


@pytest.mark.full
@pytest.mark.parametrize("made", [alt.layer(chart(), chart()), chart(6000)], ids=["layers", "many rows"])
def test_layers_and_many_rows_are_saved_too(made: alt.Chart) -> None:
    assert drawing.svg(made).startswith(b"<svg")


@pytest.mark.full
def test_a_picture_has_its_button_under_it() -> None:
    def page() -> None:
        import altair as alt
        import pandas as pd

        from dashboard.drawing import draw as drawing

        drawing.draw(alt.Chart(pd.DataFrame({"x": [1]})).mark_bar().encode(x="x:Q"), "one")
        drawing.draw(alt.Chart(pd.DataFrame({"x": [2]})).mark_bar().encode(x="x:Q"), "two/three")

    shown = AppTest.from_function(page, default_timeout=120).run()
    assert not shown.exception
    assert len(shown.get("vega_lite_chart")) == 2
    assert [button.proto.label for button in shown.get("download_button")] == ["SVG", "PNG"] * 2


def test_a_chart_without_a_sentence_is_described_by_the_titles_of_its_axes() -> None:
    base = alt.Chart(pd.DataFrame({"a": [1]})).encode(x=alt.X("a:Q", axis=alt.Axis(title="gain")), y="a:Q")
    coloured = base.encode(y=alt.Y("a:N", title=None), color=alt.Color("a:N", legend=alt.Legend(title="module")))
    assert drawing.described(alt.layer(base, coloured)) == "Chart: gain · module."
    assert drawing.described(alt.Chart(pd.DataFrame({"a": [1]})).mark_bar()) == "Chart"


DASHBOARD = Path(drawing.__file__).parents[1]


def calls(name: str) -> list[str]:
    """Every call of a widget in the dashboard's code."""
    trees = [ast.parse(file.read_text("utf-8")) for file in sorted(DASHBOARD.rglob("*.py"))]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [ast.unparse(node) for node in nodes if isinstance(node.func, ast.Attribute) and node.func.attr == name]


@pytest.mark.full
def test_every_chart_has_a_sentence_for_those_who_do_not_see_it() -> None:
    assert calls("altair_chart") and all("alt=" in arguments for arguments in calls("altair_chart"))


@pytest.mark.full
def test_letters_and_enter_take_one_network_and_not_every_one_that_they_fit() -> None:
    """Streamlit puts "Select all matches" first, so typing "se" and Enter added every name with s and e."""
    assert len(calls("multiselect")) >= 3
    assert all("select_all=" in arguments for arguments in calls("multiselect"))
