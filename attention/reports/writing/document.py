"""A report as one HTML file that can be sent: its verdict, pictures, tables, conditions, link and bibliography.

Nothing in it is fetched from anywhere: pictures are SVG or lie in the file. Charts need the package vl-convert-python;
without it the file has the tables alone.
"""

import html
import re
from typing import Literal, get_args

from attention.reports.writing.citations import bibtex
from attention.reports.writing.tables import Report, Table, heading, svg
from attention.spec import Plain

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1d2733;
  background: #fff; }
h1 { font-size: 1.5rem; line-height: 1.3; } h2 { font-size: 1.1rem; margin-top: 2rem; }
section { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.9rem; }
caption { caption-side: bottom; text-align: left; color: #56616e; padding-top: 0.5rem; }
th, td { text-align: left; padding: 0.25rem 0.9rem 0.25rem 0; border-bottom: 1px solid #dde2e8; vertical-align: top; }
td img { display: block; image-rendering: pixelated; min-width: 4rem; } svg { max-width: 100%; height: auto; }
pre { background: #f4f6f8; padding: 0.8rem; overflow-x: auto; } .conditions { color: #56616e; font-size: 0.9rem; }
"""
PICTURES = {"iVBORw0KGgo": "png", "/9j/": "jpeg"}
"""How pictures begin in base64 -> their kind."""
PICTURE = re.compile("|".join(PICTURES))
Form = Literal["json", "csv", "md", "latex", "bib", "html"]
ROWS = 500
"""Rows of a table at most; all of them are in the CSV."""


NO_PAPERS = "% No attention module is named here that has a paper.\n"
"""A bibliography without entries."""


def in_form(report: Report, form: Form, table: str = "", link: str = "") -> str:
    """Write a report as JSON or one HTML page, one of its tables, or the BibTeX of its modules.

    Args:
        table: name of the table; the main one if empty.
        link: where the report can be seen, for the page.

    Raises:
        NotFound: it has no table of that name.
    """
    match form:
        case "json":
            return report.json()
        case "bib":
            return bibtex(report) or NO_PAPERS
        case "html":
            return document(report, link)
    return {"csv": report.csv, "md": report.markdown, "latex": report.latex}[form](table)


def document(report: Report, link: str = "") -> str:
    """Write a report as one HTML page.

    Args:
        link: where the same report can be seen; empty for none.
    """
    title = heading(report) or (type(report).__doc__ or "").partition("\n")[0]
    texts = _texts(report)
    caveats = [html.escape(text) for name, values in texts.items() if name in ("caveats", "warning") for text in values]
    conditions = [
        f"{html.escape(name.replace('_', ' '))}: {html.escape('; '.join(values))}"
        for name, values in texts.items()
        if name not in ("caveats", "warning", "headline")
    ]
    papers = bibtex(report)
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        *_listed("What to know before reading it", caveats),
        *(_section(table) for table in report.tables()),
        *_listed("Conditions", conditions),
        f'<p>The same report: <a href="{html.escape(link)}">{html.escape(link)}</a></p>' if link else "",
        f"<h2>Papers of the modules</h2><pre>{html.escape(papers)}</pre>" if papers else "",
    ]
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"\n<body>\n{body}\n</body></html>\n"
    )


def _texts(report: Plain) -> dict[str, list[str]]:
    """What a report says in words: its own fields of text, and of those it holds that say conditions."""
    texts: dict[str, list[str]] = {}
    for name, field in type(report).model_fields.items():
        value = getattr(report, name)
        values = [value] if isinstance(value, str) else list(value) if isinstance(value, tuple) else []
        words = [text for text in values if isinstance(text, str) and text and not PICTURE.match(text)]
        if words:
            texts[name] = words
        elif isinstance(value, Plain) and not get_args(field.annotation):
            texts |= {f"{name}_{inside}": words for inside, words in _texts(value).items()}
    return texts


def _listed(title: str, items: list[str]) -> list[str]:
    """Items that are HTML already, under a title."""
    if not items:
        return []
    return [f'<h2>{title}</h2><ul class="conditions">{"".join(f"<li>{item}</li>" for item in items)}</ul>']


def _section(table: Table) -> str:
    """A table with its picture above; a cell that is a picture is shown as one."""
    written = re.sub(
        rf"<td>(({PICTURE.pattern})[A-Za-z0-9+/=]+)</td>",
        lambda cell: f'<td><img alt="" src="data:image/{PICTURES[cell[2]]};base64,{cell[1]}"></td>',
        table.html(ROWS),
    )
    return f"<section><h2>{html.escape(table.name.replace('_', ' ').capitalize())}</h2>{svg(table)}{written}</section>"
