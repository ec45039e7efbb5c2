"""How a verb gives a report: as a table in the terminal or in any form that reports have, into a file or not."""

import argparse
import json
import sys
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import get_args

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from attention.errors import InvalidRequest
from attention.reports.writing.document import Form, in_form
from attention.reports.writing.tables import Cell, Report, Table, heading, named
from attention.storage.base import write_whole

FORMATS = ("text", *get_args(Form))

WIDE = 200
"""Columns where the output is no terminal."""

WIDEST = 10_000
"""Characters a line of a table that is written into a file: so many that no cell is broken."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the form of the report and for its file."""
    parser.add_argument("--format", choices=FORMATS, default="text", help="form of the report")
    parser.add_argument("--table", default="", metavar="NAME", help="which of the report's tables; the main one")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there instead")


def give(report: Report, chosen: argparse.Namespace) -> None:
    """Print a report, or write it into a file."""
    if chosen.format == "text" and chosen.output is None:
        _show(report, chosen.table, Console(width=None if sys.stdout.isatty() else WIDE, highlight=False))
    elif chosen.format == "text":
        page = StringIO()
        _show(report, chosen.table, Console(file=page, force_terminal=False, width=WIDEST, highlight=False))
        give_text("\n".join(line.rstrip() for line in page.getvalue().splitlines()), chosen)
    else:
        give_text(in_form(report, chosen.format, chosen.table), chosen)


class Listing(Report):
    """A list that a verb gives: one table, and in JSON its rows by the names of the columns."""

    listed: Table

    def tables(self) -> tuple[Table, ...]:
        """Give the list as the only table."""
        return (self.listed,)

    def json(self) -> str:  # type: ignore[override]
        """Write the rows as JSON."""
        rows = [dict(zip(self.listed.names, row, strict=True)) for row in self.listed.rows]
        return json.dumps(rows, indent=1, ensure_ascii=False)


def give_list(
    name: str, caption: str, columns: tuple[str, ...], rows: Iterable[tuple[Cell, ...]], chosen: argparse.Namespace
) -> None:
    """Print rows as a table, or write them into a file, in the form that the command line asks for."""
    table = Table(name=name, caption=caption, columns=named(*columns), rows=tuple(rows))
    give(Listing(listed=table), chosen)


def check_plain(chosen: argparse.Namespace, where: str) -> None:
    """Refuse a form or a file for what a verb does beside its list.

    Args:
        where: the command that they belong to.

    Raises:
        InvalidRequest: one was asked for.
    """
    if chosen.format != "text" or chosen.table or chosen.output is not None:
        raise InvalidRequest(f"--format, --table and -o are options of `{where}`.")


def give_text(text: str, chosen: argparse.Namespace) -> None:
    """Print a text, or write it into a file."""
    if chosen.output is None:
        print(text.rstrip("\n"))
    else:
        write_whole(chosen.output, text.rstrip("\n").encode() + b"\n")


def _show(report: Report, name: str, console: Console) -> None:
    table = report.table(name)
    if heading(report):
        console.print(Text(heading(report)))
    console.print(_drawn(table))
    if table.caption != heading(report):
        console.print(Text(table.caption, style="dim"))
    for caveat in getattr(report, "caveats", ()):
        console.print(Text(f"- {caveat}"))
    others = [other.name for other in report.tables() if other.name != table.name]
    if others:
        console.print(Text(f"More tables (--table): {', '.join(others)}", style="dim"))


def _drawn(table: Table) -> RichTable:
    drawn = RichTable(box=box.SIMPLE, pad_edge=False)
    numbers = table.numeric
    for head, is_number in zip(table.shown.head, numbers, strict=True):
        drawn.add_column(Text(head), justify="right" if is_number else "left", overflow="fold")
    for row in table.shown.rows:
        drawn.add_row(*map(Text, row))
    return drawn
