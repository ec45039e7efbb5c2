"""Charts, tables and reports of a page, each with buttons that save it; a chart's toolbar shows its data, too."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, cast
from urllib.parse import urlencode

import altair
import pandas as pd
import streamlit as st

from attention.reports.writing.citations import bibtex
from attention.reports.writing.document import Form, in_form
from attention.reports.writing.tables import Report, Table, named
from dashboard.drawing import theme
from dashboard.drawing.marks import Chart
from dashboard.drawing.words import relabelled
from dashboard.language import marked, say, show_caption
from dashboard.service_sentences import translated

WIDTH = 720
"""Of a saved picture whose chart takes the width of the page, pixels."""
FEW = 2
"""Most caveats that stand open before a report; more are folded into one line."""
SCALE = 2
"""Pixels of a saved PNG for each of the chart."""
CHECKED = False
"""Whether charts are checked against Vega-Lite's schema when they are drawn, as the tests do: it takes its time."""


def draw(chart: Chart, name: str, alt: str | None = None) -> None:
    """Draw a chart that can be saved.

    Args:
        name: of its file, and no other's on the page.
        alt: the picture in a sentence, for those who do not see it.
    """
    plot(chart, alt)
    with st.container(horizontal=True):
        save("SVG", lambda: svg(chart), f"{name}.svg", "image/svg+xml")
        save("PNG", lambda: png(chart), f"{name}.png", "image/png")


def plot(
    chart: Chart,
    alt: str | None = None,
    key: str | None = None,
    width: Literal["stretch", "content"] = "stretch",
) -> None:
    """Draw a chart with a sentence for those who do not see it: the titles of its axes, unless ``alt`` says."""
    st.altair_chart(cast(Chart, Drawn(chart)), width=width, alt=alt or described(chart), key=key)


class Drawn:
    """A chart as a page draws it, with its words in the ink of the page.

    Streamlit asks a chart for nothing but ``to_dict``. Colours are put in here, because Altair's own methods for them
    copy the whole chart each time.
    """

    def __init__(self, chart: Chart) -> None:
        self._chart = chart

    def to_dict(self) -> dict[str, Any]:
        """The chart in Vega-Lite's words; a colour that it sets itself stays."""
        spec: dict[str, Any] = self._chart.to_dict(validate=CHECKED)
        config = spec.setdefault("config", {})
        for part, words in theme.words_in_ink().items():
            config[part] = {**words, **config.get(part, {})}
        return spec


def described(chart: Chart) -> str:
    """A chart in a sentence: the titles of its axes and legends, in the reader's language."""
    titles = list(dict.fromkeys(_titles(chart)))
    return say("Chart: %(axes)s.", axes=" · ".join(titles)) if titles else say("Chart")


def _titles(chart: Any) -> Iterator[str]:
    """The titles of a chart's channels, or of the charts that it is made of."""
    encoding = _fields(getattr(chart, "encoding", None))
    for channel in ("y", "x", "color", "row", "column"):
        fields = _fields(encoding.get(channel))
        for part in (fields, *(_fields(fields.get(name)) for name in ("axis", "legend", "header"))):
            if isinstance(title := part.get("title"), str) and title:
                yield title
    for name in ("layer", "hconcat", "vconcat", "concat"):
        charts = getattr(chart, name, None)
        for part in charts if isinstance(charts, list) else ():
            yield from _titles(part)
    if isinstance(spec := getattr(chart, "spec", None), altair.TopLevelMixin):
        yield from _titles(spec)


def _fields(part: Any) -> Mapping[str, Any]:
    """What is set of a part of a chart; nothing where the part itself is not set."""
    return dict(part._kwds) if isinstance(part, altair.SchemaBase) else {}


def table(frame: pd.DataFrame, name: str, *, index: bool = True) -> None:
    """Draw a table that can be saved, with columns in the reader's language.

    Args:
        name: of its files, and no other's on the page.
        index: whether the index is a column of the table.
    """
    st.table(in_words(frame), hide_index=not index)
    whole = frame.reset_index() if index else frame
    with st.container(horizontal=True):
        save("CSV", lambda: whole.to_csv(index=False), f"{name}.csv", "text/csv")
        save("Markdown", as_table(whole, name).markdown, f"{name}.md", "text/markdown")
        save("LaTeX", as_table(whole, name).latex, f"{name}.tex", "application/x-tex")


def caveats(sentences: Iterable[str], label: Mapping[str, str] = MappingProxyType({})) -> None:
    """Say what to know before reading a report; more than two sentences are folded into a line that says how many.

    Args:
        label: short name of a network -> what the page calls it.
    """
    texts = [relabelled(translated(sentence), label) for sentence in dict.fromkeys(sentences)]
    if len(texts) <= FEW:
        for sentence in texts:
            st.caption(f":material/info: {sentence}")
    else:
        title = say("%(count)s things to know before reading this", count=len(texts))
        with st.expander(title, icon=":material/info:"):
            st.markdown("\n".join(f"- {sentence}" for sentence in texts))


FILES: Mapping[Form, tuple[str, str, str]] = {
    "html": (marked("Report to send (HTML)"), "html", "text/html"),
    "csv": ("CSV", "csv", "text/csv"),
    "md": ("Markdown", "md", "text/markdown"),
    "latex": ("LaTeX", "tex", "application/x-tex"),
    "bib": ("BibTeX", "bib", "application/x-bibtex"),
    "json": ("JSON", "json", "application/json"),
}
"""Form of a report -> label of its button, suffix and media type of its file."""


def files(report: Report, about: str, tables: Mapping[str, str] | None = None, device: str = "") -> None:
    """Let a report be saved in every form: whole as a page or JSON, its main table, further tables, BibTeX.

    Args:
        about: what is in it, which becomes the files' name: ``study Five flowers resnet20 10 seeds``.
        tables: further tables that are saved as CSV, name -> label of the button.
        device: what computed it, which is said below the buttons.
    """
    stem = re.sub(r"[^\w.=]+", "-", about).strip("-").lower()
    link = f"{st.context.url or ''}?{urlencode(st.query_params.to_dict(), doseq=True)}".rstrip("?")
    with st.container(horizontal=True, key=f"files.{stem}"):
        for form, (label, suffix, mime) in FILES.items():
            if form != "bib" or bibtex(report):
                save(say(label), partial(in_form, report, form, link=link), f"{stem}.{suffix}", mime)
        for table, label in (tables or {}).items():
            save(label, partial(report.csv, table), f"{stem}-{table}.csv", "text/csv")
    if device:
        show_caption(
            "Computed on %(device)s. The address of this page is a link to what it shows. Pictures can "
            "be saved as SVG below them, and as PNG in the toolbar over them.",
            device=device,
        )


def in_words(frame: pd.DataFrame) -> pd.DataFrame:
    """A table whose columns and sentences are in the reader's language."""
    renamed = frame.rename(columns=say).rename_axis(index=say(str(frame.index.name)) if frame.index.name else None)
    return renamed.map(lambda cell: translated(cell) if isinstance(cell, str) else cell)


def as_table(frame: pd.DataFrame, name: str) -> Table:
    """A table of a page as reports write theirs."""
    rows = tuple(tuple(str(cell) for cell in row) for row in frame.itertuples(index=False))
    return Table(name=name, caption=name, columns=named(*map(str, frame.columns)), rows=rows)


def save(label: str, data: Callable[[], str | bytes], file: str, mime: str) -> None:
    """Draw a button that saves what ``data`` gives."""
    file = re.sub(r"[^\w.=-]+", "-", file).strip("-")
    st.download_button(
        label,
        data,
        file,
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
