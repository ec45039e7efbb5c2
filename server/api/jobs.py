"""The REST API of jobs: ask, follow, stop, and read what is known."""

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Literal, cast

import anyio
from fastapi import APIRouter, Query
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response, StreamingResponse

from attention.errors import NotFound
from attention.schemas import Job, Jobs, JobState
from attention.spec import Request
from server.api.openapi import Schemas
from server.api.request_body import read_job_question
from server.api.responses import accepted, answer
from server.service import Service, service

EVENT_EVERY_S = 0.25
"""How often an event stream looks for changes."""

SIGN_OF_LIFE_S = 15.0
"""How long an event stream is silent at most, so that no proxy takes it for dead."""

_ASKED = (404, 413, 415, 422, 503)
"""How asking for a job can go wrong."""

Format = Literal["json", "csv", "latex"]

MEDIA_TYPES: dict[Format, str] = {"json": "application/json", "csv": "text/csv", "latex": "application/x-latex"}


def add_jobs(routes: APIRouter, schemas: Schemas, requests: Mapping[str, type[Request[Any]]]) -> None:
    """The routes under /jobs."""
    _add_asking(routes, schemas, requests)
    _add_following(routes, schemas)
    _add_reports(routes, schemas, requests)


def _add_asking(routes: APIRouter, schemas: Schemas, requests: Mapping[str, type[Request[Any]]]) -> None:
    @routes.post(
        "/jobs",
        operation_id="submit",
        tags=["jobs"],
        summary="Ask for an answer in its own time",
        status_code=202,
        responses=schemas.responses(Job, "The job is queued; Location says where to follow it.", *_ASKED, status=202),
        openapi_extra={"requestBody": {"required": True, "content": _questions(schemas, requests)}},
        response_class=Response,
    )
    async def submit(http: HTTPRequest) -> Response:
        """Queue a question of any analysis. What is wrong with it is said at once, before it waits."""
        return accepted(await service(http).submit(await read_job_question(http, requests)))

    @routes.post(
        "/jobs/{job_id}/cancel",
        operation_id="cancel",
        tags=["jobs"],
        summary="Stop a job",
        responses=schemas.responses(Job, "It is cancelled; what it found so far stays readable.", 404, 409, 422),
        response_class=Response,
    )
    async def cancel(http: HTTPRequest, job_id: str) -> Response:
        """Stop a job that waits or runs. Cancelling it again changes nothing; one that is done or failed stays so."""
        job = await run_in_threadpool(service(http).cancel, job_id)
        if job.state != "cancelled":
            raise HTTPException(409, f"This job is {job.state} already; there is nothing left to cancel.")
        return answer(job.model_dump_json())


def _add_following(routes: APIRouter, schemas: Schemas) -> None:
    @routes.get(
        "/jobs",
        operation_id="jobs",
        tags=["jobs"],
        summary="List jobs",
        responses=schemas.responses(Jobs, "Newest first.", 422),
        response_class=Response,
    )
    async def jobs(
        http: HTTPRequest,
        limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
        state: Annotated[JobState | None, Query(description="Only those in this state.")] = None,
    ) -> Response:
        """Jobs, newest first."""
        found = await run_in_threadpool(service(http).store.jobs.newest, limit, state)
        return answer(Jobs(jobs=found).model_dump_json())

    @routes.get(
        "/jobs/{job_id}",
        operation_id="job",
        tags=["jobs"],
        summary="How far a job is",
        responses=schemas.responses(Job, "Its state, its progress, and when it will be done.", 404, 422),
        response_class=Response,
    )
    async def job(http: HTTPRequest, job_id: str) -> Response:
        """State, progress and estimate of one job; ask again for newer ones, or follow its events."""
        return answer((await run_in_threadpool(service(http).store.jobs.get, job_id)).model_dump_json())

    @routes.get(
        "/jobs/{job_id}/events",
        operation_id="job_events",
        tags=["jobs"],
        summary="Follow a job",
        responses={
            200: {
                "description": "Server-sent events named `job`, each with the job as JSON and its state as the id: one "
                "at once, one for each change, and the end of the stream when the job has ended.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            204: {"description": "The caller has seen the last event (`Last-Event-ID`), and need not come again."},
            **schemas.problems(404, 422),
        },
        response_class=Response,
    )
    async def events(http: HTTPRequest, job_id: str) -> Response:
        """The job as it is now, then each change of it, until it has ended."""
        of = service(http)
        first = await run_in_threadpool(of.store.jobs.get, job_id)
        if first.ended and http.headers.get("last-event-id") == first.state:
            return Response(status_code=204)  # an EventSource comes again whenever a stream ends, unless it is told so
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_events(of, first), headers=headers, media_type="text/event-stream")


async def _events(of: Service, job: Job) -> AsyncIterator[str]:
    """Each change of a job as an event, beginning with what it is now, until it or the service ends."""
    yield _event(job)
    silent_s = 0.0
    while not job.ended and not of.leaving.is_set():
        await anyio.sleep(EVENT_EVERY_S)
        silent_s += EVENT_EVERY_S
        newer = await run_in_threadpool(of.store.jobs.get, job.id)
        if _without_clock(newer) != _without_clock(job):
            job, silent_s = newer, 0.0
            yield _event(job)
        elif silent_s >= SIGN_OF_LIFE_S:
            silent_s = 0.0
            yield ": still here\n\n"


def _event(job: Job) -> str:
    return f"event: job\nid: {job.state}\ndata: {job.model_dump_json()}\n\n"


def _without_clock(job: Job) -> Job:
    """A job without what changes as time goes by."""
    return job.model_copy(update={"eta_s": None})


def _add_reports(routes: APIRouter, schemas: Schemas, requests: Mapping[str, type[Request[Any]]]) -> None:
    text = {"schema": {"type": "string"}}
    reports = {"schema": {"anyOf": [schemas.given(request.report) for request in requests.values()]}}
    contents = {MEDIA_TYPES["json"]: reports, MEDIA_TYPES["csv"]: text, MEDIA_TYPES["latex"]: text}

    @routes.get(
        "/jobs/{job_id}/report",
        operation_id="job_report",
        tags=["jobs"],
        summary="What a job has found",
        responses={
            200: {"description": "The report: what is known so far, or the final one.", "content": contents},
            **schemas.problems(404, 406, 422),
        },
        response_class=Response,
    )
    async def job_report(
        http: HTTPRequest,
        job_id: str,
        format: Annotated[Format, Query(description="JSON, or the report's table as CSV or LaTeX.")] = "json",
    ) -> Response:
        """The report of a job, also while it runs and after it was cancelled; the job says whether it is final."""
        table = service(http).store.jobs
        job = await run_in_threadpool(table.get, job_id)
        found = await run_in_threadpool(table.report, job_id)
        if found is None:
            reason = f" {job.error}" if job.error else ""
            raise NotFound(f"Job {job_id} is {job.state} and has no report{'' if job.ended else ' yet'}.{reason}")
        kind = requests[job.analysis].report if job.analysis in requests else None
        if job.state in ("cancelled", "failed"):
            found = await run_in_threadpool(_ended, kind, found, job.state)
        if format != "json":
            found = await run_in_threadpool(_written, kind, found, format)
        return Response(found, headers={"Cache-Control": "no-cache"}, media_type=MEDIA_TYPES[format])


def _ended(kind: type[Any] | None, json: str, state: JobState) -> str:
    """What was known when a job ended early; a report that says how far it is says how it ended instead."""
    ended = getattr(kind, "ended", None)
    if kind is None or ended is None:
        return json
    try:
        return cast(str, ended(kind.model_validate_json(json), state).model_dump_json())
    except ValidationError:  # of another version of the service
        return json


def _written(kind: type[Any] | None, json: str, format: Format) -> str:
    """A report as CSV or LaTeX, if its class can write that.

    Raises:
        HTTPException: it cannot.
    """
    write = getattr(kind, format, None)
    if kind is None or write is None:
        there = [other for other in MEDIA_TYPES if other == "json" or hasattr(kind, other)]
        raise HTTPException(406, f"This report cannot be written as {format}; it comes as {', '.join(there)}.")
    try:
        return cast(str, write(kind.model_validate_json(json)))
    except ValidationError:
        raise HTTPException(
            406, f"This report was made by another version of the service, and cannot be written as {format} any more."
        ) from None


def _questions(schemas: Schemas, requests: Mapping[str, type[Request[Any]]]) -> dict[str, Any]:
    """The body of a job's question: one shape for each analysis."""
    shapes = [
        {
            "type": "object",
            "title": f"{request.__name__} as a job",
            "properties": {"analysis": {"const": name}, "request": schemas.taken(request)},
            "required": ["analysis"],
            "additionalProperties": False,
        }
        for name, request in requests.items()
    ]
    return {"application/json": {"schema": {"anyOf": shapes}}}
