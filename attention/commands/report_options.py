"""How a verb gives a report: as a table in the terminal or in any form that reports have, into a file or not."""

import argparse
import sys
from pathlib import Path
from typing import get_args

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from attention.reports.document import Form, in_form
from attention.reports.tables import Report, Table, heading
from attention.storage.base import write_whole

FORMATS = ("text", *get_args(Form))

WIDE = 200
"""Columns where the output is no terminal."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the form of the report and for its file."""
    parser.add_argument("--format", choices=FORMATS, default="text", help="form of the report")
    parser.add_argument("--table", default="", metavar="NAME", help="which of the report's tables; the main one")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there instead")


def give(report: Report, chosen: argparse.Namespace) -> None:
    """Print a report, or write it into a file."""
    if chosen.format == "text" and chosen.output is None:
        _show(report, chosen.table)
        return
    if chosen.format == "text":
        text = report.table(chosen.table).text(width=10_000)
    else:
        text = in_form(report, chosen.format, chosen.table)
    if chosen.output is None:
        print(text.rstrip("\n"))
    else:
        write_whole(chosen.output, text.rstrip("\n").encode() + b"\n")


def _show(report: Report, name: str) -> None:
    table = report.table(name)
    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
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
