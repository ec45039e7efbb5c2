"""Report: plain data that shows itself, as tables in CSV, Markdown, LaTeX, HTML and text, and as a chart.

A report says what tables it has (`Report.tables`); by default each of its fields that lists items is one, with the
items' fields as columns. Everything else follows from that, for notebooks, commands, pages and REST alike.
"""

import csv
import html
import io
import json
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, ClassVar

from pydantic import Field

from attention.errors import InvalidRequest, NotFound
from attention.reports.parts.evidence import Interval, Verdict
from attention.reports.writing.latex import cell as latex_cell
from attention.reports.writing.latex import table as latex_table
from attention.spec import Plain, Variant

Cell = bool | int | float | str | None

KEYS = ("image", "variant", "network", "arm", "name", "module", "key", "rank", "seed", "label", "kind", "scope")
"""Fields that say what an item is about; they stand before the columns of what is listed inside of it."""

WIDE = 10
"""Fields that a part of an item may have to become columns of their own."""

LINES, WIDTH = 20, 100
"""Largest size of a report as text: lines, and characters a line."""


class Column(Plain):
    """A column of a table."""

    name: str = Field(description="Its name in a file.")
    about: str = Field(default="", description="What its numbers are, with their unit.")


class Printed(Plain):
    """A table as it is read: few digits, and several numbers in a cell where they belong together."""

    head: tuple[str, ...] = Field(description="Headings.")
    rows: tuple[tuple[str, ...], ...] = Field(description="Cells, row by row.")


class Bars(Plain):
    """Which columns of a table make a chart: one bar or dot a row."""

    label: str = Field(description="Column that names a bar.")
    value: str = Field(description="Column of its length.")
    low: str = Field(default="", description="Column of the lower end of its interval, if it has one.")
    high: str = Field(default="", description="Column of the upper end.")
    colour: str = Field(default="", description="Column that tells bars of one label apart.")


class Table(Plain):
    """A table of a report, with all digits for files and, where that reads better, as it is printed."""

    name: str = Field(description="Name within the report.")
    caption: str = Field(description="What it shows, under which conditions.")
    columns: tuple[Column, ...] = Field(description="Columns in their order.")
    rows: tuple[tuple[Cell, ...], ...] = Field(description="Cells, row by row.")
    printed: Printed | None = Field(default=None, description="As it is read; None: the same with fewer digits.")
    bars: Bars | None = Field(default=None, description="What of it is drawn; None: nothing.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def shown(self) -> Printed:
        """The table as it is read."""
        if self.printed is not None:
            return self.printed
        numbers = range(len(self.columns))
        used = [number for number in numbers if any(row[number] is not None for row in self.rows)] or numbers
        return Printed(
            head=tuple(self.names[number].replace("_", " ") for number in used),
            rows=tuple(tuple(as_text(row[number]) for number in used) for row in self.rows),
        )

    def csv(self) -> str:
        """Write all rows with all digits."""
        file = io.StringIO()
        rows = csv.writer(file)
        rows.writerow(self.names)
        rows.writerows(self.rows)
        return file.getvalue()

    def markdown(self) -> str:
        """Write the table in Markdown with its caption below."""
        rows = [[text.replace("|", r"\|").replace("\n", " ") for text in row] for row in self.shown.rows]
        lines = [" | ".join(row).join(("| ", " |")) for row in (self.shown.head, ["---"] * len(self.shown.head), *rows)]
        return "\n".join([*lines, "", self.caption, ""])

    def latex(self) -> str:
        """Write the table in the style of booktabs, with caption and label."""
        shown = self.shown
        aligned = "".join("r" if is_number else "l" for is_number in self.numeric)
        head = [f"${text}$" if text in ("n", "p") else latex_cell(text) for text in shown.head]
        rows = [[latex_cell(text) for text in row] for row in shown.rows]
        return latex_table(self.caption, aligned, head, rows, f"tab:{self.name}")

    def html(self, limit: int | None = None) -> str:
        """Write the table as HTML, all of it or the first ``limit`` rows."""
        head = "".join(f"<th>{html.escape(text)}</th>" for text in self.shown.head)
        rows = self.shown.rows if limit is None else self.shown.rows[:limit]
        body = "".join(f"<tr>{''.join(f'<td>{html.escape(text)}</td>' for text in row)}</tr>" for row in rows)
        more = f"<p>and {len(self.shown.rows) - len(rows):,} rows more</p>" if len(rows) < len(self.shown.rows) else ""
        caption = f"<caption>{html.escape(self.caption)}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"

    def text(self, lines: int | None = None, width: int = WIDTH) -> str:
        """Write the table for a screen: at most so many lines, each cut at ``width``."""
        shown = self.shown
        rows = shown.rows if lines is None or len(shown.rows) < lines else shown.rows[: lines - 2]
        sizes = [max(map(len, column)) for column in zip(shown.head, *rows, strict=True)]
        texts = []
        for row in (shown.head, *rows):
            cells = zip(row, sizes, self.numeric, strict=True)
            texts.append(
                "  ".join(f"{text:>{size}}" if is_number else f"{text:<{size}}" for text, size, is_number in cells)
            )
        if len(rows) < len(shown.rows):
            texts.append(f"... and {len(shown.rows) - len(rows):,} rows more")
        return "\n".join(cut(line, width) for line in texts)

    def frame(self) -> Any:
        """Give the table as a pandas DataFrame.

        Raises:
            InvalidRequest: pandas is not installed.
        """
        return needed("pandas", "frame()").DataFrame(list(self.rows), columns=list(self.names))

    def vega_lite(self) -> dict[str, Any]:
        """Describe the chart of the table in Vega-Lite (https://vega.github.io/vega-lite/).

        Raises:
            NotFound: the table has none.
        """
        if self.bars is None:
            raise NotFound(f"The table {self.name!r} has nothing to draw; frame() gives its numbers.")
        bars, about = self.bars, {column.name: column.about for column in self.columns}
        values = [dict(zip(self.names, row, strict=True)) for row in self.rows]
        place: dict[str, Any] = {"y": {"field": bars.label, "type": "nominal", "sort": None, "title": None}}
        if bars.colour:
            place["color"] = {"field": bars.colour, "type": "nominal", "sort": None, "title": bars.colour}
            place["yOffset"] = {"field": bars.colour, "type": "nominal", "sort": None}
        title = bars.value.replace("_", " ")
        value = {"field": bars.value, "type": "quantitative", "title": title}
        marks: list[dict[str, Any]] = [{"mark": "bar", "encoding": {**place, "x": value}}]
        if bars.low and bars.high:
            ends = {"x": {**value, "field": bars.low}, "x2": {"field": bars.high}}
            marks = [{"mark": {"type": "point", "filled": True}, "encoding": {**place, "x": value}}]
            marks.append({"mark": "rule", "encoding": {**place, **ends}})
        return {
            "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
            "description": f"{title} by {bars.label}. {about.get(bars.value, '')}".strip(),
            "data": {"values": values},
            "layer": marks,
        }

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether the cells of each printed column begin with numbers."""
        columns = zip(*self.shown.rows, strict=True) if self.shown.rows else [()] * len(self.shown.head)
        texts = [[text.lstrip("+-<~ ") for text in column if text not in ("", "--")] for column in columns]
        return tuple(bool(column) and all(text[:1].isdigit() for text in column) for column in texts)


class Report(Plain):
    """An answer: plain data with tables, which shows itself in notebooks, terminals and papers."""

    main: ClassVar[str] = ""
    """Name of the table that comes first; empty for the order of the fields."""

    def tables(self) -> tuple[Table, ...]:
        """List the report's tables, the most important one first."""
        tables: list[Table] = []
        for name in type(self).model_fields:
            tables += listed(name, getattr(self, name))
        return tuple(sorted(tables, key=lambda table: table.name != self.main)) or (self._as_one_table(),)

    def table(self, name: str = "") -> Table:
        """Give a table by its name; without one the first.

        Raises:
            NotFound: the report has no such table.
        """
        tables = self.tables()
        for table in tables:
            if name in ("", table.name):
                return table
        raise NotFound(f"This report has no table {name!r}. It has: {', '.join(table.name for table in tables)}.")

    def csv(self, name: str = "") -> str:
        """Write a table with all digits as CSV; without a name the first."""
        return self.table(name).csv()

    def markdown(self, name: str = "") -> str:
        """Write a table in Markdown; without a name the first."""
        return self.table(name).markdown()

    def latex(self, name: str = "") -> str:
        """Write a table in LaTeX (booktabs); without a name the first."""
        return self.table(name).latex()

    def json(self) -> str:  # type: ignore[override]
        """Write the whole report as JSON."""
        return self.model_dump_json(indent=1)

    def frame(self, name: str = "") -> Any:
        """Give a table as a pandas DataFrame; without a name the first.

        Raises:
            InvalidRequest: pandas is not installed.
        """
        return self.table(name).frame()

    def plot(self, name: str = "") -> Any:
        """Draw a table as an Altair chart; without a name the first that has something to draw.

        Raises:
            InvalidRequest: Altair is not installed.
            NotFound: there is nothing to draw.
        """
        return needed("altair", "plot()").LayerChart.from_dict(self._drawn(name).vega_lite())

    def _drawn(self, name: str = "") -> Table:
        drawn = [table for table in self.tables() if table.bars is not None]
        return self.table(name) if name or not drawn else drawn[0]

    def _as_one_table(self) -> Table:
        """The report's own numbers, a row each, where it lists nothing."""
        fields = [(name, value) for name, value in flat(self).items() if value is not None]
        return Table(
            name="report", caption=heading(self) or "The report.", columns=named("field", "value"), rows=tuple(fields)
        )

    def _repr_html_(self) -> str:
        table = self.table()
        return f"<p>{html.escape(heading(self))}</p>{table.html(LINES)}{svg(self._drawn())}"

    def __repr__(self) -> str:
        lines = [cut(heading(self), WIDTH), ""] if heading(self) else []
        return "\n".join([*lines, self.table().text(LINES - len(lines))])

    __str__ = __repr__


def heading(report: Plain) -> str:
    """Give the headline or sentence of a report; empty if it has none."""
    return str(getattr(report, "headline", ""))


def listed(name: str, value: object) -> Iterator[Table]:
    """Make a table of the items in a field, and one of each list inside of them."""
    if not (isinstance(value, tuple) and value and all(isinstance(item, Plain) for item in value)):
        return
    yield table_of(name, value)
    kind = type(value[0])
    for inside in kind.model_fields:
        parts = [(item, getattr(item, inside)) for item in value if isinstance(getattr(item, inside), tuple)]
        parts = [(item, part) for item, part in parts if part and all(isinstance(element, Plain) for element in part)]
        if parts:
            yield _nested(inside, parts)


def _nested(name: str, parts: Sequence[tuple[Plain, tuple[Plain, ...]]]) -> Table:
    """One table of what is listed inside of several items, which are named in its first columns."""
    rows: list[dict[str, Cell]] = []
    for item, part in parts:
        keys = {key: value for key, value in flat(item).items() if key in KEYS}
        rows += [
            {**{f"of_{key}" if key in flat(element) else key: value for key, value in keys.items()}, **flat(element)}
            for element in part
        ]
    return _table(name, "", rows, _abouts(parts[0][1][0]))


def table_of(name: str, items: Sequence[Plain], caption: str = "", bars: Bars | None = None, **constant: Cell) -> Table:
    """Make a table of items: a row each, their fields as columns.

    Args:
        bars: what of it is drawn; None is the first column of floats.
        constant: columns that are the same in each row; they come first.
    """
    rows = [{**constant, **flat(item)} for item in items]
    return _table(name, caption, rows, _abouts(items[0]) if items else {}, bars)


def _table(
    name: str, caption: str, rows: Sequence[dict[str, Cell]], about: dict[str, str], bars: Bars | None = None
) -> Table:
    names = list(dict.fromkeys(column for row in rows for column in row))
    table = Table(
        name=name,
        caption=caption or name.replace("_", " ").capitalize(),
        columns=tuple(Column(name=column, about=about.get(column, "")) for column in names),
        rows=tuple(tuple(row.get(column) for column in names) for row in rows),
    )
    return table.model_copy(update={"bars": bars or _bars(table)})


def _bars(table: Table) -> Bars | None:
    """The first column of floats, by the first column of words."""
    kinds = {name: {type(row[number]) for row in table.rows} - {type(None)} for number, name in enumerate(table.names)}
    words = [name for name, kind in kinds.items() if kind == {str}]
    values = [name for name, kind in kinds.items() if kind and kind <= {float, int} and float in kind]
    if not words or not values:
        return None
    value, ends = values[0], (f"{values[0]}_low", f"{values[0]}_high")
    low, high = ends if set(ends) <= set(kinds) else ("", "")
    return Bars(label=words[0], value=value, low=low, high=high)


def flat(item: Plain) -> dict[str, Cell]:
    """The fields of an item as cells: an interval as three, a small part of it as one for each field."""
    return dict(_cells(item))


def _cells(item: Plain, prefix: str = "") -> Iterator[tuple[str, Cell]]:
    for name, field in type(item).model_fields.items():
        value, name = getattr(item, name), prefix + name
        if isinstance(value, bool | int | float | str) or value is None:
            if value is None and "Interval" in str(field.annotation):
                yield from ((name + end, None) for end in ("", "_low", "_high"))
            else:
                yield name, value
        elif isinstance(value, Variant):
            yield name, value.name
        elif isinstance(value, Interval):
            yield from ((name, value.estimate), (f"{name}_low", value.low), (f"{name}_high", value.high))
        elif isinstance(value, Verdict):
            yield from ((name, value.kind), (f"{name}_p_adjusted", value.p_adjusted))
        elif isinstance(value, Plain) and not prefix and len(type(value).model_fields) <= WIDE:
            yield from _cells(value, f"{name}_")
        elif isinstance(value, tuple) and value and all(isinstance(part, str) for part in value):
            yield name, "; ".join(value)


def _abouts(item: Plain) -> dict[str, str]:
    return {name: field.description or "" for name, field in type(item).model_fields.items()}


def as_text(value: Cell) -> str:
    """A cell with few digits."""
    if value is None:
        return "--"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else value


def cut(text: str, width: int) -> str:
    """A line of text no longer than ``width``."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def needed(package: str, call: str) -> Any:
    """Import a package that not every installation has.

    Raises:
        InvalidRequest: this one has not.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError:
        raise InvalidRequest(f"{call} needs the package {package}: pip install {package}.") from None


def svg(table: Table) -> str:
    """The chart of a table as SVG where the package vl-convert-python is installed, else nothing."""
    if table.bars is None:
        return ""
    try:
        return str(import_module("vl_convert").vegalite_to_svg(json.dumps(table.vega_lite())))
    except ModuleNotFoundError:
        return ""


def filled(*tables: Table) -> tuple[Table, ...]:
    """Leave out tables without columns, as one of no items is."""
    return tuple(table for table in tables if table.columns)


def named(*names: str) -> tuple[Column, ...]:
    """Make columns from their names."""
    return tuple(Column(name=name) for name in names)
