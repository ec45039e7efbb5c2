"""Routes of jobs: ask, follow, stop, and read what is known."""

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, cast

import anyio
from fastapi import APIRouter, Header, Query
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response, StreamingResponse

from attention.errors import NotFound
from attention.schemas import Job, Jobs, JobState
from attention.spec import Request
from server.api.analyses import FAULTS
from server.api.changes import Shared
from server.api.http.formats import MEDIA_TYPES, TABLES, ChosenFormat, ChosenTable, format_wanted, headers_of, written
from server.api.http.openapi import Schemas, problems
from server.api.http.pages import LINK, Paged
from server.api.http.request_body import read_job_question
from server.api.http.responses import BINARY, file_response
from server.service import Live, Service

EVENT_EVERY_S = 0.25
"""How often an event stream looks for changes."""

SIGN_OF_LIFE_S = 15.0
"""How long an event stream is silent at most, so that no proxy takes it for dead."""


def add_jobs(routes: APIRouter, schemas: Schemas, requests: Mapping[str, type[Request[Any]]]) -> None:
    """The routes under /jobs."""
    _add_asking(routes, schemas, requests)
    _add_following(routes)
    _add_reports(routes, schemas, requests)
    _add_files(routes)


def _add_asking(routes: APIRouter, schemas: Schemas, requests: Mapping[str, type[Request[Any]]]) -> None:
    @routes.post(
        "/jobs",
        summary="Ask for an answer in its own time",
        status_code=202,
        response_description="The job is queued; Location says where to follow it.",
        responses=problems(*FAULTS),
        openapi_extra={"requestBody": {"required": True, "content": _questions(schemas, requests)}},
    )
    async def submit(
        http: HTTPRequest,
        response: Response,
        service: Live,
        idempotency_key: Annotated[
            str | None,
            Header(
                min_length=1,
                max_length=255,
                description="A name of the client's own for this wish, such as a random UUID: the same question under "
                "the same name is queued once, however often it is sent.",
            ),
        ] = None,
    ) -> Job:
        """Queue a question of any analysis. What is wrong with it is said at once, before it waits."""
        job = await service.submit(await read_job_question(http, requests), asked_as=idempotency_key)
        response.headers["Location"] = job.links.job
        return job

    @routes.post(
        "/jobs/{job_id}/cancel",
        summary="Stop a job",
        response_description="It is cancelled; what it found so far stays readable.",
        responses=problems(403, 404, 409, 422),
    )
    def cancel(service: Live, job_id: str) -> Job:
        """Stop a job that waits or runs. Cancelling it again changes nothing; one that is done or failed stays so."""
        job = service.cancel(job_id)
        if job.state != "cancelled":
            raise HTTPException(409, f"This job is {job.state} already; there is nothing left to cancel.")
        return service.shelf.jobs.marked((job,))[0]

    @routes.delete(
        "/jobs/{job_id}",
        summary="Delete a job that has ended",
        status_code=204,
        response_description="It is gone, and its report with it.",
        responses=problems(403, 404, 409, 422),
    )
    def delete_job(service: Live, job_id: str) -> None:
        """Delete a job with its report; checkpoints that it made stay. One that waits or runs is cancelled first."""
        service.shelf.jobs.delete(job_id)

    @routes.patch(
        "/jobs/{job_id}",
        summary="Share a job",
        response_description="It is as asked for.",
        responses=problems(403, 404, 422),
    )
    def share_job(service: Live, job_id: str, shared: Shared) -> Job:
        """Let every API key see a job and its report, or its owner alone again."""
        service.shelf.jobs.share(job_id, shared)
        return service.shelf.jobs.marked((service.store.jobs.get(job_id),))[0]


def _add_following(routes: APIRouter) -> None:
    @routes.get(
        "/jobs",
        summary="List jobs",
        response_description="Newest first.",
        responses={200: {"headers": LINK}, **problems(422)},
    )
    def jobs(
        service: Live,
        page: Paged,
        state: Annotated[JobState | None, Query(description="Only those in this state.")] = None,
    ) -> Jobs:
        """Jobs, newest first."""
        table = service.store.jobs
        newest = page.newest(lambda limit, after: table.newest(limit, state, after), lambda job: (job.created, job.id))
        return Jobs(jobs=service.shelf.jobs.marked(newest))

    @routes.get(
        "/jobs/{job_id}",
        summary="How far a job is",
        response_description="Its state, its progress, and when it will be done.",
        responses=problems(404, 422),
    )
    def job(service: Live, job_id: str) -> Job:
        """State, progress and estimate of one job; ask again for newer ones, or follow its events."""
        return service.shelf.jobs.marked((service.store.jobs.get(job_id),))[0]

    @routes.get(
        "/jobs/{job_id}/events",
        summary="Follow a job",
        responses={
            200: {
                "description": "Server-sent events named `job`, each with the job as JSON and its state as the id: one "
                "at once, one for each change, and the end of the stream when the job has ended.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            204: {"description": "The caller has seen the last event (`Last-Event-ID`), and need not come again."},
            **problems(404, 422),
        },
        response_class=Response,
    )
    async def job_events(http: HTTPRequest, service: Live, job_id: str) -> Response:
        """The job as it is now, then each change of it, until it has ended."""
        first = await run_in_threadpool(service.store.jobs.get, job_id)
        if first.ended and http.headers.get("last-event-id") == first.state:
            return Response(status_code=204)  # an EventSource comes again whenever a stream ends, unless it is told so
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_events(service, first), headers=headers, media_type="text/event-stream")


async def _events(service: Service, job: Job) -> AsyncIterator[str]:
    """Each change of a job as an event, beginning with what it is now, until it or the service ends."""
    yield await _event(service, job)
    silent_s = 0.0
    while not job.ended and not service.leaving.is_set():
        await anyio.sleep(EVENT_EVERY_S)
        silent_s += EVENT_EVERY_S
        try:
            newer = await run_in_threadpool(service.store.jobs.get, job.id)
        except NotFound:  # deleted, or no longer shared with who follows it
            return
        if _without_clock(newer) != _without_clock(job):
            job, silent_s = newer, 0.0
            yield await _event(service, job)
        elif silent_s >= SIGN_OF_LIFE_S:
            silent_s = 0.0
            yield ": still here\n\n"


async def _event(service: Service, job: Job) -> str:
    (job,) = await run_in_threadpool(service.shelf.jobs.marked, (job,))
    return f"event: job\nid: {job.state}\ndata: {job.model_dump_json()}\n\n"


def _without_clock(job: Job) -> Job:
    """A job without what changes as time goes by."""
    return job.model_copy(update={"eta_s": None})


def _add_reports(routes: APIRouter, schemas: Schemas, requests: Mapping[str, type[Request[Any]]]) -> None:
    reports = {"anyOf": [schemas.given(request.report) for request in requests.values()]}
    contents = {MEDIA_TYPES["json"]: {"schema": schemas.named("AnyReport", reports)}, **TABLES}

    @routes.get(
        "/jobs/{job_id}/report",
        summary="What a job has found",
        responses={
            200: {"description": "The report: what is known so far, or the final one.", "content": contents},
            **problems(404, 406, 422),
        },
        response_class=Response,
    )
    def job_report(
        http: HTTPRequest, service: Live, job_id: str, format: ChosenFormat = None, table: ChosenTable = ""
    ) -> Response:
        """The report of a job, also while it runs and after it was cancelled; the job says whether it is final."""
        jobs = service.store.jobs
        job, report = jobs.get(job_id), jobs.report(job_id)
        if report is None:
            reason = f" {job.error}" if job.error else ""
            raise NotFound(f"Job {job_id} is {job.state} and has no report{'' if job.ended else ' yet'}.{reason}")
        kind = requests[job.analysis].report if job.analysis in requests else None
        if job.state in ("cancelled", "failed"):
            report = _ended(kind, report, job.state)
        form = format_wanted(http, format)
        if form != "json":
            report = written(kind, report, form, table, str(http.url.replace(query="")))
        headers = {"Cache-Control": "no-cache", **headers_of(form, f"{job.analysis}-{job_id[:12]}")}
        return Response(report, headers=headers, media_type=MEDIA_TYPES[form])


def _add_files(routes: APIRouter) -> None:
    @routes.get(
        "/jobs/{job_id}/file",
        summary="The file that a job wrote",
        response_class=Response,
        responses={200: {"description": "The exported network.", "content": BINARY}, **problems(404, 422)},
    )
    def job_file(service: Live, job_id: str) -> Response:
        """The network that a job of `export` wrote: ONNX, a program of torch.export, or a zip in the hub's layout.

        It is there until its job is deleted. With curl: ``curl -OJ http://127.0.0.1:8000/v1/jobs/ID/file``.
        """
        return file_response(*service.shelf.jobs.file(job_id))


def _ended(kind: type[Any] | None, json: str, state: JobState) -> str:
    """What was known when a job ended early; a report that says how far it is says how it ended instead."""
    ended = getattr(kind, "ended", None)
    if kind is None or ended is None:
        return json
    try:
        return cast(str, ended(kind.model_validate_json(json), state).model_dump_json())
    except ValidationError:  # of another version of the service
        return json


def _questions(schemas: Schemas, requests: Mapping[str, type[Request[Any]]]) -> dict[str, Any]:
    """The body of a job's question: one shape for each analysis."""
    shapes = {
        name: schemas.named(
            f"{request.__name__.removesuffix('Request')}Job",
            {
                "type": "object",
                "properties": {"analysis": {"type": "string", "const": name}, "request": schemas.taken(request)},
                "required": ["analysis"],
                "additionalProperties": False,
            },
        )
        for name, request in requests.items()
    }
    told_apart = {"propertyName": "analysis", "mapping": {name: shape["$ref"] for name, shape in shapes.items()}}
    question = schemas.named("AnyJob", {"oneOf": list(shapes.values()), "discriminator": told_apart})
    return {"application/json": {"schema": question}}
