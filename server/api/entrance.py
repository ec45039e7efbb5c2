"""Routes for people with a browser: ``/`` leads to the documentation, ``/problems/KIND`` explains a kind of error."""

import html
import inspect
from collections.abc import Mapping

from fastapi import FastAPI
from starlette.requests import Request as HTTPRequest
from starlette.responses import HTMLResponse, RedirectResponse, Response

from attention.errors import AttentionError, NotFound
from server.api.http.openapi import FAULTS
from server.problems import kind_of, status_of

OTHERS = {
    "invalid-request": "A question that does not make sense as asked; its errors say where and why.",
    "unexpected-error": "A bug in the service, not in the request. Its log tells more under the id in the detail.",
    "malformed-request": "What came is no request as HTTP has it: a line or a header that cannot be read.",
    "head-too-large": "The request line and the headers together are longer than is taken.",
    "not-an-operator": "This tells of what all API keys do, and needs one that was made with --operator.",
    "foreign-origin": "A web page of another site may not ask this service, unless its operator allows it.",
}
"""Kinds of problems that are no class of errors, nor just a status."""


def add_entrance(app: FastAPI) -> None:
    """The routes ``/`` and ``/problems/{kind}``, which are for people and not part of the described API."""

    @app.get("/", include_in_schema=False)
    async def entrance() -> Response:
        """Lead to the documentation of the API."""
        return RedirectResponse("/docs", 307)

    kinds = problem_kinds()

    @app.get("/problems/{kind}", include_in_schema=False)
    async def problem_kind(http: HTTPRequest, kind: str) -> Response:
        """Say in a page what a kind of problem means; its address is the ``type`` of such a problem."""
        if kind not in kinds:
            raise NotFound(f"There is no kind of problem {kind[:80]!r}. There are {', '.join(sorted(kinds))}.")
        title, text = html.escape(kind.replace("-", " ").capitalize()), html.escape(kinds[kind])
        return HTMLResponse(
            f"<!doctype html><html lang=en><title>{title}</title><h1>{title}</h1><p>{text}</p>"
            "<p>The <code>detail</code> of a problem says in a sentence what is wrong and what to do. "
            "<a href=/docs>All of the API</a>.</p></html>"
        )


def problem_kinds() -> Mapping[str, str]:
    """What each kind of problem means: classes of errors, and statuses that have no class."""
    kinds = {kind_of(status): text for status, text in FAULTS.items()}
    classes = [AttentionError]
    for error in classes:
        classes += error.__subclasses__()
        text = inspect.cleandoc(error.__doc__ or "").partition("\n\n")[0]
        kinds[kind_of(error)] = f"{' '.join(text.split())} It is answered with status {status_of(error)}."
    return {**kinds, **OTHERS}
