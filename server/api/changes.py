"""Checks that routes of stored things share: quota before an upload, something to change in a PATCH."""

from typing import Annotated

from fastapi import Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HTTPRequest

from attention.errors import InvalidRequest
from server.service import Service
from server.web.bodies import MOST_DIGITS

SHARED = Query(description="Whether every API key may see and use it; only its owner and operators may say so.")
Shared = Annotated[bool, SHARED]
MaybeShared = Annotated[bool | None, SHARED]
"""`Shared` where it is one of several changes."""


def check_changes(*changes: object) -> None:
    """Raise InvalidRequest unless a PATCH asks for at least one change.

    Raises:
        InvalidRequest: none is.
    """
    if all(change is None for change in changes):
        raise InvalidRequest("Nothing is to be changed. Say new_name=NAME, or shared=true or shared=false.")


async def check_room(http: HTTPRequest, service: Service) -> None:
    """Raise QuotaExceeded unless the announced body fits into the quota of the asking key; what comes is counted again.

    Raises:
        QuotaExceeded: it does not.
    """
    announced = http.headers.get("content-length", "")
    size = int(announced) if announced.isdecimal() and len(announced) <= MOST_DIGITS else 0
    await run_in_threadpool(service.shelf.check_room, size)
