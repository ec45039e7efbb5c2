"""Clients that hang up: the work for them stops, unless another client waits for the same answer."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

T = TypeVar("T")


async def while_connected(http: Request, work: Coroutine[Any, Any, T]) -> T:
    """What some work comes to, which is cancelled as soon as the client of a request is gone.

    The body of the request has to be read before: what comes after it can only be the end of the connection.

    Raises:
        ClientDisconnect: it is gone.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_hung_up(http))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        leaving.cancel()
        if working.cancel():
            with suppress(asyncio.CancelledError, Exception):
                await working


async def _hung_up(http: Request) -> None:
    """Return when the client has closed the connection."""
    while (await http.receive())["type"] != "http.disconnect":
        pass
