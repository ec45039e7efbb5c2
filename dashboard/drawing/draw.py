"""Charts and tables on a page, each with buttons that save it; the toolbar over a chart shows its data, too."""

from collections.abc import Callable

import altair
import pandas as pd
import streamlit as st

from attention.reports.tables import Table, named
from dashboard.drawing.marks import Chart
from dashboard.language import say
from dashboard.service_sentences import translated

WIDTH = 720
"""Of a saved picture whose chart takes the width of the page, pixels."""
SCALE = 2
"""Pixels of a saved PNG for each of the chart."""


def draw(chart: Chart, name: str, alt: str | None = None) -> None:
    """Draw a chart that can be saved.

    Args:
        name: of its file, and no other's on the page.
        alt: the picture in a sentence, for those who do not see it.
    """
    st.altair_chart(chart, width="stretch", alt=alt or name.replace("-", " "))
    with st.container(horizontal=True):
        _save("SVG", lambda: svg(chart), f"{name}.svg", "image/svg+xml")
        _save("PNG", lambda: png(chart), f"{name}.png", "image/png")


def table(frame: pd.DataFrame, name: str, *, index: bool = True) -> None:
    """Draw a table that can be saved, with columns in the reader's language.

    Args:
        name: of its files, and no other's on the page.
        index: whether the index is a column of the table.
    """
    st.table(in_words(frame), hide_index=not index)
    whole = frame.reset_index() if index else frame
    with st.container(horizontal=True):
        _save("CSV", lambda: whole.to_csv(index=False), f"{name}.csv", "text/csv")
        _save("Markdown", as_table(whole, name).markdown, f"{name}.md", "text/markdown")
        _save("LaTeX", as_table(whole, name).latex, f"{name}.tex", "application/x-tex")


def in_words(frame: pd.DataFrame) -> pd.DataFrame:
    """A table whose columns and sentences are in the reader's language."""
    renamed = frame.rename(columns=say).rename_axis(index=say(str(frame.index.name)) if frame.index.name else None)
    return renamed.map(lambda cell: translated(cell) if isinstance(cell, str) else cell)


def as_table(frame: pd.DataFrame, name: str) -> Table:
    """A table of a page as reports write theirs."""
    rows = tuple(tuple(str(cell) for cell in row) for row in frame.itertuples(index=False))
    return Table(name=name, caption=name, columns=named(*map(str, frame.columns)), rows=rows)


def _save(label: str, data: Callable[[], str | bytes], file: str, mime: str) -> None:
    st.download_button(
        label,
        data,
        file.replace("/", "-"),
        mime=mime,
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
        key=f"save.{file}",
        help=say("Save this as %(format)s.", format=label),
    )


def svg(chart: Chart) -> bytes:
    """A chart as a vector graphic."""
    import vl_convert  # a second of start-up that only whoever saves a picture should wait for

    return str(vl_convert.vegalite_to_svg(_spec(chart))).encode()


def png(chart: Chart) -> bytes:
    """A chart as pixels."""
    import vl_convert

    return bytes(vl_convert.vegalite_to_png(_spec(chart), scale=SCALE))


def _spec(chart: Chart) -> dict[str, object]:
    """The chart with all its data, and a width where it takes the page's."""
    with altair.data_transformers.enable("default", max_rows=None):
        spec = chart.to_dict()
    if not {"width", "facet", "hconcat", "vconcat", "concat"} & set(spec):
        spec["width"] = WIDTH
    return spec
