"""Checks that routes of stored things share: quota before an upload, something to change in a PATCH."""

from typing import Annotated

from fastapi import Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HTTPRequest

from attention.errors import InvalidRequest
from server.service import Service
from server.stored.kinds import NamedByOwner
from server.web.bodies import MOST_DIGITS

SHARED = Query(description="Whether every API key may see and use it; only its owner and operators may say so.")
Shared = Annotated[bool, SHARED]
MaybeShared = Annotated[bool | None, SHARED]
"""`Shared` where it is one of several changes."""
NewName = Annotated[str | None, Query(min_length=1, max_length=300, description="What to call it from now on.")]


def change(stored: NamedByOwner, name: str, new_name: str | None, shared: bool | None) -> str:
    """Rename or share a data set or checkpoint; returns the name that it has afterwards.

    Raises:
        InvalidRequest: nothing is to be changed.
        NotFound, NotOwned, Conflict: it is not the asker's to change, it is in use, or the new name is taken.
    """
    check_changes(new_name, shared)
    if new_name is not None:
        name = stored.rename(name, new_name)
    if shared is not None:
        stored.share(name, shared)
    return name


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
