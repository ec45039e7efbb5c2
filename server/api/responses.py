"""Answers as they go out over HTTP."""

from collections.abc import Mapping

from starlette.responses import Response

from attention.schemas import Job


def answer(json: str | bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that is ready to go out."""
    return Response(json, status, headers, "application/json")


REPORT_ID = "Report-Id"


def report_links(report_id: str | None) -> dict[str, str]:
    """The headers that tell of an answer's stored report; none if it is not kept.

    The report with its question, time and conditions describes the answer, so the relation is ``describedby``.
    """
    if report_id is None:
        return {}
    return {REPORT_ID: report_id, "Link": f'</v1/reports/{report_id}>; rel="describedby"'}


def accepted(job: Job) -> Response:
    """A job that was queued, and where it is followed."""
    return answer(job.model_dump_json(), 202, {"Location": job.links.job})
