"""Routes of stored reports: list them, read one with its question, and ask it again."""

from collections.abc import Mapping, Sequence
from functools import partial
from json import dumps, loads
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response

from attention import shipped_reports
from attention.errors import InvalidRequest, NotFound
from attention.schemas import SHIPPED, AskedAgain, Conditions, Difference, Job, ReportEntry, Reports, StoredReport
from attention.spec import Request
from server.answers.differences import ReportChanges, differences
from server.answers.provenance import changes
from server.api.analyses import FAULTS, accepted, report_links
from server.api.changes import Shared
from server.api.http.formats import MEDIA_TYPES, TABLES, ChosenFormat, ChosenTable, format_wanted, headers_of, written
from server.api.http.openapi import SEEN_ALREADY, problems
from server.api.http.pages import LINK, Moment, Paged
from server.api.http.request_body import FILES, MAX_FILES, read_photos
from server.api.http.responses import FILE_SCHEMA, validated
from server.service import Live, Service
from server.store.reports import Listed, no_report
from server.stored.kinds import StoredKind
from server.stored.references import photos, title
from server.stored.reports import is_answer
from server.web.bodies import while_connected

Requests = Mapping[str, type[Request[Any]]]


def add_reports(routes: APIRouter, requests: Requests) -> None:
    """The routes under /reports."""

    @routes.get(
        "/reports",
        summary="List stored reports",
        response_description="Newest first.",
        responses={200: {"headers": LINK}, **problems(422)},
    )
    def reports(
        service: Live,
        page: Paged,
        shipped: Annotated[
            bool, Query(description="Those that come with the service, by id, in place of all.")
        ] = False,
    ) -> Reports:
        """Answers that were given at once, and finished jobs, newest first; or what comes with the service."""
        if shipped:
            entries = [_shipped_entry(stored, requests) for stored in shipped_reports.all_reports().values()]
            return Reports(reports=page.by_name(entries, lambda entry: entry.id))
        newest = page.newest(partial(_newest, service, requests), lambda entry: (entry.created, entry.id))
        return Reports(reports=_marked(service, newest))

    @routes.get(
        "/reports/{report_id}",
        summary="A finished report with its request",
        response_description="The report, the request that made it, and when.",
        response_model=StoredReport,
        responses={200: {"content": TABLES}, 304: SEEN_ALREADY, **problems(404, 406, 422)},
    )
    def report(
        http: HTTPRequest, service: Live, report_id: str, format: ChosenFormat = None, table: ChosenTable = ""
    ) -> Response:
        """An answer by the id that its `Report-Id` told, or a job's by the job's: enough to ask again.

        What comes with the service is called `shipped-study`, `shipped-sweep` and the like.
        """
        stored = _stored(service, report_id)
        form = format_wanted(http, format)
        if form == "json":
            return validated(http, stored.model_dump_json())
        kind = requests[stored.analysis].report if stored.analysis in requests else None
        text = written(kind, dumps(stored.report), form, table, str(http.url.replace(query="")))
        headers = {"Cache-Control": "private, no-cache", **headers_of(form, f"{stored.analysis}-{report_id[:12]}")}
        return Response(text, headers=headers, media_type=MEDIA_TYPES[form])

    @routes.delete(
        "/reports/{report_id}",
        summary="Delete a stored report",
        status_code=204,
        response_description="It is gone.",
        responses=problems(403, 404, 409, 422),
    )
    def delete_report(service: Live, report_id: str) -> None:
        """Delete a report by its id; a job's report goes with its job."""
        _kind(service, report_id).delete(report_id)

    @routes.patch(
        "/reports/{report_id}",
        summary="Share a stored report",
        response_description="It is as asked for.",
        responses=problems(403, 404, 422),
    )
    def share_report(service: Live, report_id: str, shared: Shared) -> ReportEntry:
        """Let every API key see a report, or its owner alone again; a job's report is shared with its job."""
        _kind(service, report_id).share(report_id, shared)
        report = service.store.answers.listed(report_id) if is_answer(report_id) else service.store.jobs.get(report_id)
        return _marked(service, (_entry(report, requests),))[0]

    @routes.post(
        "/reports/{report_id}/again",
        summary="Ask a stored question again",
        response_model=AskedAgain,
        response_description="What is different now.",
        responses={
            202: {"model": Job, "description": "The question is slow, so it became a job."},
            **problems(409, *FAULTS),
        },
        openapi_extra={"requestBody": _form()},
    )
    async def again(http: HTTPRequest, response: Response, service: Live, report_id: str) -> AskedAgain | Response:
        """The same question as it is answered now, compared with the report, value by value.

        A slow question becomes a job as usual. Photos that are not kept here come along as a form, as they did before.
        """
        brought = await read_photos(http)
        stored = await run_in_threadpool(_stored, service, report_id)
        question = _question(requests, stored)
        _check_photos([name for name in stored.missing if name not in brought])
        await service.check_here(question, brought)
        if question.slow:
            return accepted(await service.submit(question, brought))
        now = await while_connected(http, service.work_out(question, brought))
        conditions = await service.conditions(question)
        receipt = await service.keep(question, conditions, now)
        response.headers.update(report_links(receipt))
        return await run_in_threadpool(_compared, stored, Now(receipt.id, conditions, now))


def _form() -> dict[str, Any]:
    fields = {
        FILES: {"type": "array", "items": FILE_SCHEMA, "maxItems": MAX_FILES, "description": "Photos not kept here."}
    }
    return {"required": False, "content": {"multipart/form-data": {"schema": {"type": "object", "properties": fields}}}}


def _newest(service: Service, requests: Requests, limit: int, after: Moment | None) -> list[ReportEntry]:
    reports: list[Listed | Job] = [
        *service.store.answers.newest(limit, after),
        *service.store.jobs.finished(limit, after),
    ]
    entries = [_entry(stored, requests) for stored in reports]
    entries.sort(key=lambda entry: entry.id)
    entries.sort(key=lambda entry: entry.created, reverse=True)  # those of one moment stay by id
    return entries[:limit]


def _entry(stored: Listed | Job, requests: Requests) -> ReportEntry:
    text = _title(stored, requests)
    if job := isinstance(stored, Job):
        created, size = stored.finished or stored.created, stored.bytes
    else:
        created, size = stored.created, stored.size
    return ReportEntry(id=stored.id, analysis=stored.analysis, title=text, created=created, bytes=size, job=job)


def _shipped_entry(stored: StoredReport, requests: Requests) -> ReportEntry:
    return ReportEntry(
        id=stored.id,
        analysis=stored.analysis,
        title=_title(stored, requests),
        created=stored.finished,
        bytes=len(stored.model_dump_json()),
        job=False,
        own=False,
        shared=True,
    )


def _title(stored: Listed | Job | StoredReport, requests: Requests) -> str:
    """What a report is about, in a line."""
    try:
        return title(requests[stored.analysis].model_validate(stored.request))
    except (KeyError, ValidationError):
        return "asked of another version of the service"


def _kind(service: Service, report_id: str) -> StoredKind:
    """The kind that a stored report belongs to: one that a job made is a part of its job.

    Raises:
        InvalidRequest: it comes with the service.
    """
    if report_id.startswith(SHIPPED):
        raise InvalidRequest(f"The report {_shipped(report_id).id!r} comes with the service: it stays, and is shared.")
    if is_answer(report_id):
        return service.shelf.answers
    _check_job(service, report_id)
    return service.shelf.jobs


def _check_job(service: Service, report_id: str) -> None:
    """Refuse an id that no job has, in the words for reports: who asks for a report knows of no jobs.

    Raises:
        NotFound: no job has it.
    """
    try:
        service.store.jobs.get(report_id)
    except NotFound:
        raise no_report(report_id) from None


def _marked(service: Service, entries: Sequence[ReportEntry]) -> tuple[ReportEntry, ...]:
    of_jobs = service.shelf.jobs.marked([entry for entry in entries if entry.job])
    answers = service.shelf.answers.marked([entry for entry in entries if not entry.job])
    marked = {entry.id: entry for entry in (*of_jobs, *answers)}
    return tuple(marked[entry.id] for entry in entries)


def _stored(service: Service, report_id: str) -> StoredReport:
    """A stored report, and which of its photos are not here."""
    if report_id.startswith(SHIPPED):
        return _shipped(report_id)
    if is_answer(report_id):
        report = service.store.answers.get(report_id)
    else:
        _check_job(service, report_id)
        report = service.store.jobs.stored_report(report_id)
    missing = tuple(name for name in photos(report.request) if not _here(service, name))
    return report.model_copy(update={"missing": missing}) if missing else report


def _shipped(report_id: str) -> StoredReport:
    """A report that comes with the service.

    Raises:
        NotFound: none of that id does.
    """
    stored = shipped_reports.all_reports().get(report_id)
    if stored is None:
        raise NotFound(f"No report {report_id[:100]!r} comes along. GET /v1/reports?shipped=true lists those that do.")
    return stored


def _here(service: Service, image_id: str) -> bool:
    try:
        service.shelf.photos.image(image_id)
    except NotFound:
        return False
    return True


def _check_photos(missing: list[str]) -> None:
    if missing:
        named = ", ".join(name[:12] + "…" for name in missing[:3]) + (" and more" if len(missing) > 3 else "")
        raise HTTPException(
            409,
            f"{len(missing)} of the photos that this was asked about {'is' if len(missing) == 1 else 'are'} not kept "
            f"here ({named}): photos that come along with a form are not. Send them along again "
            f"(with curl: -F {FILES}=@photo.jpg), or keep them first: POST /v1/images.",
        )


def _question(requests: Requests, stored: StoredReport) -> Request[Any]:
    """The question of a stored report, to be asked again.

    Raises:
        InvalidRequest: it cannot be asked any more.
    """
    if stored.analysis not in requests:
        raise InvalidRequest(f"There is no analysis {stored.analysis!r} any more; another version of the service had.")
    try:
        return requests[stored.analysis].model_validate(stored.request)
    except ValidationError as error:
        raise InvalidRequest(
            f"This was asked of another version of the service, and {stored.analysis!r} does not take it any more "
            f"({error.errors()[0]['msg']})."
        ) from None


class Now(NamedTuple):
    """What the answer is now: the id it is kept under, what decided it, its report as JSON."""

    id: str | None
    conditions: Conditions
    report: bytes


def _compared(stored: StoredReport, now: Now) -> AskedAgain:
    """Compare a stored report with the answer of today, value by value."""
    changed = changes(stored.conditions, now.conditions)
    comparison = differences(stored.report, loads(now.report))
    answer = AskedAgain(
        same=comparison.count == 0,
        sentence=_sentence(stored, changed, comparison),
        before=stored.id,
        now=now.id,
        conditions=changed,
        count=comparison.count,
        within_tolerance=not comparison.count or (comparison.rounding and bool(now.conditions.tolerance)),
        differences=comparison.shown,
    )
    return answer


def _sentence(stored: StoredReport, changed: tuple[Difference, ...], comparison: ReportChanges) -> str:
    """What a comparison found, in words."""
    since = "; ".join(f"{change.path} was {change.before} and is {change.after}" for change in changed)
    if stored.conditions is None:
        about_conditions = "Under which conditions a job ran is not recorded beside its report."
    else:
        about_conditions = f"What changed: {since}." if since else "Nothing that is recorded beside it has changed."
    if not comparison.count:
        return f"The same answer. {about_conditions}"
    first = comparison.shown[0]
    many = "One value differs" if comparison.count == 1 else f"{comparison.count:,} values differ"
    sentence = f"{many}, first of all {first.path}: it was {first.before!r} and is {first.after!r}. {about_conditions}"
    if comparison.rounding and not since:
        sentence += " All are as close as rounding: in company of other images, a forward pass sums in another order."
    return sentence
