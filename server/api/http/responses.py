"""Answers that are kept by clients or by users: JSON under an ETag, and files."""

import hashlib
from pathlib import Path
from typing import Any

from starlette.requests import Request as HTTPRequest
from starlette.responses import FileResponse, Response

MEDIA_TYPE = "application/octet-stream"
"""Files of networks have no registered type of their own; this is what hubs send them as."""

FILE_SCHEMA: dict[str, Any] = {"type": "string", "contentMediaType": MEDIA_TYPE}
"""The bytes of a file, as OpenAPI describes them."""

BINARY: dict[str, Any] = {MEDIA_TYPE: {"schema": FILE_SCHEMA}}
"""A body that is a file, as OpenAPI describes it."""


def file_response(path: Path, name: str | None = None) -> Response:
    """A file that is sent as it is read, in parts where the client asks for them, under its own name or another."""
    headers = {"X-Content-Type-Options": "nosniff"}
    return FileResponse(path, headers=headers, media_type=MEDIA_TYPE, filename=name or path.name)


def validated(http: HTTPRequest, json: str | bytes) -> Response:
    """JSON under an ETag, to be kept by the client and asked for again with If-None-Match: 304 if it is still the same.

    The tag is a weak one, because what goes out may be compressed.
    """
    body = json.encode() if isinstance(json, str) else json
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
    if is_known(http, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def is_known(http: HTTPRequest, tag: str) -> bool:
    """Whether a client has what is behind an ETag, by its lines of If-None-Match, compared weakly (RFC 9110)."""
    names = [name.strip().removeprefix("W/") for name in ",".join(http.headers.getlist("if-none-match")).split(",")]
    return "*" in names or tag.removeprefix("W/") in names
