"""Every error becomes one shape, a Problem, and every Problem's detail is a sentence."""

import logging
import re
import uuid
from collections.abc import Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from attention import errors
from attention.errors import AttentionError, did_you_mean
from attention.faults import fault_place, fault_sentence
from attention.schemas import Problem

log = logging.getLogger(__name__)

STATUS: dict[type[AttentionError], int] = {
    AttentionError: 422,
    errors.InvalidRequest: 422,
    errors.BadImage: 422,
    errors.BadTable: 400,
    errors.TooLarge: 413,
    errors.NotOwned: 403,
    errors.NotFound: 404,
    errors.Cancelled: 409,
    errors.Conflict: 409,
    errors.StorageFailed: 503,
    errors.Overloaded: 503,
}
"""What each error is over HTTP; a class that is not here is what its nearest parent is."""

MOST_TOLD = 50
"""Faults of one request that its answer lists; a megabyte of JSON has room for a hundred thousand."""

LONGEST_FIELD, LONGEST_PATH = 200, 2000
"""Letters of a field's name, and of an address, that an answer repeats."""

RETRY_AFTER_S = 5
"""When to come back after a 503 whose cause does not say."""

METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")

MEDIA_TYPE = "application/problem+json"


GONE = 499
"""What is noted of a request whose client hung up; the number is nginx's, and never sent."""


def status_of(error: AttentionError | type[AttentionError]) -> int:
    """The HTTP status of an error, or of a class of errors."""
    kind = error if isinstance(error, type) else type(error)
    return next(STATUS[cls] for cls in kind.__mro__ if cls in STATUS)


def kind_of(error: type[AttentionError] | int) -> str:
    """The name under which a class of errors, or an HTTP status, is a kind of problem: ``unknown-name``."""
    return _kebab(error.__name__ if isinstance(error, type) else HTTPStatus(error).phrase)


def allowed_methods(router: Router, scope: Scope) -> tuple[str, ...]:
    """Every method that the path of a request has, in order; none if there is no such path."""
    methods = {
        method
        for method in METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in router.routes)
    }
    if "GET" in methods:
        methods.add("HEAD")
    return tuple(sorted({*methods, "OPTIONS"})) if methods else ()


def add_to(app: FastAPI) -> None:
    """Answer every error of an app with a Problem."""
    app.add_exception_handler(AttentionError, _attention_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_middleware(UnexpectedErrors)


class UnexpectedErrors:
    """ASGI middleware: a bug is logged with its traceback, and the client is told so under an id found in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            number = uuid.uuid4().hex[:12]
            log.exception("Request %s failed: %s %s", number, scope["method"], scope["path"])
            if started:
                raise  # half an answer is out already; the server closes the connection
            detail = f"This is a bug in the service, not in the request. Its log tells more under the id {number}."
            await respond(scope["path"], 500, "unexpected-error", detail)(scope, receive, send)


async def _attention_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AttentionError)
    if isinstance(error, errors.Overloaded):
        return overloaded(request.url.path, error)
    faults = error.faults()
    return respond(request.url.path, status_of(error), _kebab(type(error).__name__), str(error), faults=faults)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=GONE)  # no client gets it


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path, status = request.url.path, error.status_code
    detail = str(error.detail)
    if detail == HTTPStatus(status).phrase:  # raised by the router, which gives no sentence
        if status == 404:
            hint = did_you_mean(path, request.app.openapi()["paths"]) if path.startswith("/v1") else ""
            detail = f"There is nothing at {path[:200]}.{hint} GET /openapi.json lists what there is."
        elif status == 405:
            allowed = ", ".join(allowed_methods(request.app.router, request.scope))
            detail = f"{request.method} is not possible at {path[:200]}; it takes {allowed}."
            return respond(path, status, kind_of(status), detail, {"Allow": allowed})
    return respond(path, status, _kebab(HTTPStatus(status).phrase), detail, error.headers)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = _primary(error.errors())
    faults = [_fault(fault) for fault in errors[:MOST_TOLD]]
    detail = faults[0]["message"]
    if len(errors) > 1:
        detail += f" (There {'is' if len(errors) == 2 else 'are'} {len(errors) - 1} more; see errors.)"
    return respond(request.url.path, 422, "invalid-request", detail, faults=faults)


def invalid(faults: Sequence[Any], fields: Sequence[str]) -> RequestValidationError:
    """Pydantic's findings about a request body as the error that is answered with 422.

    Args:
        fields: the names that the request has, for "did you mean".
    """
    return RequestValidationError([{**fault, "known": fields} for fault in faults])


def overloaded(path: str, error: errors.Overloaded) -> Response:
    """The answer for which there is no room now, and when to come back."""
    wait_s = str(max(1, round(error.retry_after_s)))
    return respond(path, status_of(error), _kebab(type(error).__name__), str(error), {"Retry-After": wait_s})


def respond(
    path: str,
    status: int,
    kind: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    faults: Sequence[dict[str, Any]] = (),
) -> Response:
    """The answer that says what went wrong.

    Args:
        path: what was asked for.
        kind: which error, in words with dashes between.
        detail: a sentence that says what is wrong and what to do.
        headers: what goes along.
        faults: where in the request each fault is, if that is known.
    """
    problem = Problem(
        type=f"/problems/{kind}",
        title=kind.replace("-", " ").capitalize(),
        status=status,
        detail=detail,
        instance=path[:LONGEST_PATH],
        errors=tuple(faults),
    )
    answer_headers = {name: value for name, value in (headers or {}).items() if name.lower() != "content-type"}
    if status == 503 and not any(name.lower() == "retry-after" for name in answer_headers):
        answer_headers["Retry-After"] = str(RETRY_AFTER_S)
    return Response(problem.model_dump_json(), status, answer_headers, MEDIA_TYPE)


def _primary(faults: Sequence[Any]) -> list[Any]:
    """The faults without "too few entries" where that only says that the entries there have faults of their own."""
    places = [tuple(fault["loc"]) for fault in faults]
    return [
        fault
        for fault, place in zip(faults, places, strict=True)
        if fault["type"] != "too_short" or not any(other[: len(place)] == place != other for other in places)
    ]


def _fault(fault: Mapping[str, Any]) -> dict[str, Any]:
    """A fault that pydantic found, as a sentence, and where in the request it is."""
    place = list(fault["loc"])
    if place and place[0] in ("body", "query", "path", "header"):
        place = place[1:]
    where = fault_place(place)[:LONGEST_FIELD]
    return {"field": where, "message": fault_sentence(where, fault), "kind": fault["type"]}


@lru_cache(256)
def _kebab(words: str) -> str:
    return re.sub(r"[\W_]+|(?<=[a-z])(?=[A-Z])", "-", words).lower()
