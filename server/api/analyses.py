"""POST /v1/<analysis>: a route for each analysis on the shelf.

It is the route that load is measured on, so it answers with the report's JSON as it comes from the engine, and neither
reads nor writes it a second time.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response

from attention.analyses import request_type
from attention.analysis import Analysis
from attention.schemas import Job
from attention.spec import Request
from server.api.http.openapi import Schemas, problems
from server.api.http.request_body import read_question
from server.catalog import title
from server.service import Receipt, service
from server.web.bodies import while_connected

REPORT_ID = "Report-Id"
NOT_KEPT = "Report-Not-Kept"

REPORT_HEADERS: dict[str, Any] = {
    REPORT_ID: {
        "description": "Under which id GET /v1/reports/{id} gives this answer with its question. Absent where answers "
        "are not kept, or not ones as long as this, and where Report-Not-Kept says why.",
        "schema": {"type": "string"},
    },
    NOT_KEPT: {
        "description": "Why this answer could not be kept, as a sentence: the disk is full, or the database slow.",
        "schema": {"type": "string"},
    },
    "Link": {"description": "The same as an address, with rel=describedby.", "schema": {"type": "string"}},
}
"""The headers that tell of an answer's stored report."""

FAULTS = (400, 404, 413, 415, 422, 503)
"""How asking can go wrong."""


def answered_at_once(analyses: Mapping[str, Analysis]) -> tuple[str, ...]:
    """The paths of the questions that are answered at once, and not as jobs."""
    return tuple(f"/v1/{name}" for name, analysis in analyses.items() if not request_type(analysis).slow)


def add_analysis(routes: APIRouter, schemas: Schemas, name: str, request: type[Request[Any]]) -> None:
    """Add the route of one analysis."""
    if request.slow:
        text = "It takes its time, so it became a job; Location says where to follow it."
        status, response = 202, {"model": Job, "description": text}
    else:
        content = {"application/json": {"schema": schemas.given(request.report)}}
        status, response = 200, {"description": title(request.report), "content": content, "headers": REPORT_HEADERS}
    routes.add_api_route(
        f"/{name}",
        _ask(request),
        methods=["POST"],
        operation_id=name.replace("/", "_"),
        summary=title(request),
        description=request.__doc__ or "",
        status_code=status,
        responses={status: response, **problems(*FAULTS)},
        openapi_extra={"requestBody": schemas.question(request)},
        response_class=Response,
    )


def _ask(request: type[Request[Any]]) -> Callable[[HTTPRequest], Coroutine[Any, Any, Response]]:
    async def ask(http: HTTPRequest) -> Response:
        question, photos = await read_question(http, request)
        if question.slow:
            return accepted(await service(http).submit(question, photos))
        answer = await while_connected(http, service(http).answer(question, photos))
        return Response(answer.json, headers=report_links(answer.receipt), media_type="application/json")

    return ask


def report_links(receipt: Receipt) -> dict[str, str]:
    """The headers that tell of an answer's stored report, or why there is none.

    The report with its question, time and conditions describes the answer, so the relation is ``describedby``.
    """
    if receipt.obstacle is not None:
        return {NOT_KEPT: receipt.obstacle.encode("ascii", "replace").decode()}
    if receipt.id is None:
        return {}
    return {REPORT_ID: receipt.id, "Link": f'</v1/reports/{receipt.id}>; rel="describedby"'}


def accepted(job: Job) -> Response:
    """A job that was queued, and where it is followed."""
    return Response(job.model_dump_json(), 202, {"Location": job.links.job}, "application/json")
