"""Answers as they go out over HTTP."""

from collections.abc import Mapping

from starlette.responses import Response

from server.schemas import Job


def answer(json: str | bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that is ready to go out."""
    return Response(json, status, headers, "application/json")


def accepted(job: Job) -> Response:
    """A job that was queued, and where it is followed."""
    return answer(job.model_dump_json(), 202, {"Location": job.links.job})
