"""Reports for spreadsheets, papers and readers: which form a client wants, and the report in it."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request as HTTPRequest

from attention.reports.writing.document import Form, in_form
from attention.reports.writing.tables import Report

MEDIA_TYPES: dict[Form, str] = {
    "json": "application/json",
    "csv": "text/csv",
    "md": "text/markdown",
    "latex": "application/x-tex",
    "bib": "application/x-bibtex",
    "html": "text/html",
}
UNASKED = "html"
"""Form that the header Accept never chooses, because every browser prefers HTML to JSON."""

TABLES: dict[str, Any] = {kind: {"schema": {"type": "string"}} for name, kind in MEDIA_TYPES.items() if name != "json"}
"""What a report's tables come as, in the words of OpenAPI."""

ChosenFormat = Annotated[
    Form | None,
    Query(
        description="JSON; a table of the report as CSV, Markdown or LaTeX; BibTeX of its modules; or all of it as one "
        "HTML file that can be sent. Without it, what `Accept` prefers."
    ),
]
ChosenTable = Annotated[str, Query(max_length=100, description="Name of the table; the report's main one if empty.")]


def format_wanted(http: HTTPRequest, format: Form | None) -> Form:
    """The form that a client wants: the parameter's, else the one its header Accept prefers, else JSON."""
    if format is not None:
        return format
    names = {media_type: name for name, media_type in MEDIA_TYPES.items() if name != UNASKED}
    accepted: list[tuple[float, Form]] = []
    for part in http.headers.get("accept", "").split(","):
        media_type, _, weight = part.replace(" ", "").partition(";q=")
        if media_type in names:
            accepted.append((_number(weight), names[media_type]))
    return max(accepted, key=lambda entry: entry[0])[1] if accepted else "json"


def written(kind: type[Any] | None, json: str, format: Form, table: str = "", link: str = "") -> str:
    """A report in a form other than JSON.

    Args:
        kind: the report's class; None where this version of the service has none.
        table: name of the table; the main one if empty.
        link: where the report can be seen.

    Raises:
        HTTPException: another version of the service made the report.
        NotFound: it has no table of that name.
    """
    if kind is not None and issubclass(kind, Report):
        try:
            report = kind.model_validate_json(json)
        except ValidationError:
            pass
        else:
            return in_form(report, format, table, link)
    raise HTTPException(
        406, f"This report was made by another version of the service, and cannot be written as {format} any more."
    )


def headers_of(form: Form, name: str) -> dict[str, str]:
    """Make the headers of a report; HTML becomes a download, since the service's own policy would strip its style."""
    varied = {"Vary": "Accept"}
    return varied | ({"Content-Disposition": f'attachment; filename="{name}.html"'} if form == "html" else {})


def _number(weight: str) -> float:
    """The weight of a media type in Accept (RFC 9110, section 12.4.2)."""
    try:
        return float(weight or 1)
    except ValueError:
        return 0.0
