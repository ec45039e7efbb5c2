"""Reports as tables for spreadsheets and papers: which form a client wants, and the report in it."""

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request as HTTPRequest

from attention.reports.tables import Report

Format = Literal["json", "csv", "md", "latex"]

MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "csv": "text/csv",
    "md": "text/markdown",
    "latex": "application/x-latex",
}

TABLES: dict[str, Any] = {kind: {"schema": {"type": "string"}} for name, kind in MEDIA_TYPES.items() if name != "json"}
"""What a report's tables come as, in the words of OpenAPI."""

ChosenFormat = Annotated[
    Format | None,
    Query(description="JSON, or a table of the report as CSV, Markdown or LaTeX; without it, what `Accept` prefers."),
]
ChosenTable = Annotated[str, Query(max_length=100, description="Name of the table; the report's main one if empty.")]


def format_wanted(http: HTTPRequest, format: Format | None) -> Format:
    """The form that a client wants: the parameter's, else the one its header Accept prefers, else JSON."""
    if format is not None:
        return format
    names = {media_type: name for name, media_type in MEDIA_TYPES.items()}
    wanted: list[tuple[float, Format]] = []
    for part in http.headers.get("accept", "").split(","):
        media_type, _, weight = part.replace(" ", "").partition(";q=")
        if media_type in names:
            wanted.append((_number(weight), names[media_type]))
    return max(wanted, key=lambda entry: entry[0])[1] if wanted else "json"


def written(kind: type[Any] | None, json: str, format: Format, table: str = "") -> str:
    """A table of a report as CSV, Markdown or LaTeX.

    Args:
        kind: the report's class; None where this version of the service has none.
        table: name of the table; the main one if empty.

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
            if format == "json":
                return json
            write = {"csv": report.csv, "md": report.markdown, "latex": report.latex}[format]
            return write(table)
    raise HTTPException(
        406, f"This report was made by another version of the service, and cannot be written as {format} any more."
    )


def _number(weight: str) -> float:
    """The weight of a media type in Accept (RFC 9110, section 12.4.2)."""
    try:
        return float(weight or 1)
    except ValueError:
        return 0.0
