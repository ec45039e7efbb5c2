"""Request bodies: read whole, to a file or in pieces, within limits of size, of time, and of memory for all at once.

A body is read before it is worked on, so a slow one keeps neither a thread nor a place in a queue; only the bytes
that are here already take up memory, and those are counted over all requests, each until it has been answered. Where
there is no room the request is refused with 503, before anything of it is read if that can be known: a photo whose
question would not be let in, a body longer than what is left. Nothing is kept free for bytes that are only announced,
or a few clients that announce much and send nothing would shut all others out.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from attention.errors import Overloaded, StorageFailed, TooLarge
from server.engine.admission import MemoryBudget
from server.problems import overloaded
from server.settings import Settings

BODY = "attention.body"
"""Where in an ASGI scope the `Body` of a request is."""

WITH_BODIES = ("POST", "PUT", "PATCH")

MOST_DIGITS = 18
"""Of an announced length; Python reads no number of thousands of digits."""

T = TypeVar("T")


class Body:
    """The body of one request as it comes in.

    Args:
        timeout_s: seconds that it may take; it has a second more for each ``rate`` bytes that have come.
    """

    def __init__(self, receive: Receive, memory: MemoryBudget, timeout_s: float, rate: int) -> None:
        self._receive = receive
        self._memory = memory
        self._timeout_s, self._rate = timeout_s, rate
        self._began = asyncio.get_running_loop().time()
        self._came = self._held = 0
        self._whole = False

    async def receive(self) -> Message:
        """The next message of the client.

        Raises:
            HTTPException: 408, the body takes too long.
            Overloaded: there is no room for more of it now.
            TooLarge: there never is.
        """
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._began + self._timeout_s + self._came / self._rate):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(
                408,
                f"After {self._timeout_s:g} s and a second more for each {self._rate:,} bytes, only {self._came:,} "
                "bytes of the body were here. Send it faster, or send a smaller one.",
                {"Connection": "close"},
            ) from None
        if message["type"] == "http.request":
            size = len(message.get("body", b""))
            if self._held + size > self._memory.most("bodies"):
                self._memory.check("bodies", self._held + size)  # which never fits, however long one waits
            self._memory.take("bodies", size)
            self._came += size
            self._held += size
            self._whole = not message.get("more_body", False)
        return message

    def release(self, size: int | None = None) -> None:
        """Give bytes that are no longer in memory back to the budget; all of them if no size is named."""
        size = self._held if size is None else size
        self._held -= size
        self._memory.give_back("bodies", size)


class QuestionRoute(NamedTuple):
    """The route of a question, before it has been looked for."""

    path: str


class BodyLimits:
    """ASGI middleware: holds bodies to their limits while they come.

    Args:
        questions: the paths of what is answered at once, by the engine.
    """

    def __init__(self, app: ASGIApp, settings: Settings, memory: MemoryBudget, questions: Collection[str]) -> None:
        self.app = app
        self._settings = settings
        self._memory = memory
        self._questions = frozenset(questions)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in WITH_BODIES:
            await self.app(scope, receive, send)
            return
        try:
            self._check(scope)
        except Overloaded as error:
            await overloaded(scope["path"], error)(scope, receive, send)
            return
        body = Body(receive, self._memory, self._settings.upload_timeout_s, self._settings.upload_rate)
        scope[BODY] = body
        try:
            await self.app(scope, body.receive, send)
        finally:
            body.release()

    def _check(self, scope: Scope) -> None:
        """Return if it looks as if there were room for a request.

        A question without photos is short and may have been answered before, so it is read first.

        Raises:
            Overloaded: there is none.
        """
        photos, announced = False, b""
        for name, value in scope["headers"]:
            if name == b"content-type":
                photos = value[:10].lower() == b"multipart/"
            elif name == b"content-length":
                announced = value
        if photos and scope["path"] in self._questions:
            scope["route"] = QuestionRoute(scope["path"])  # what is refused is counted there
            scope["app"].state.service.engine.check_room()
        most = min(self._settings.max_request_bytes, self._memory.most("bodies"))
        if announced.isdigit() and len(announced) <= MOST_DIGITS and int(announced) <= most:
            self._memory.check("bodies", int(announced))


# ---------------------------------------------------------------- reading


def media_type(request: Request) -> str:
    """What the body says it is, without parameters; an empty string if it does not say."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, limit: int, what: str) -> bytes:
    """The whole body.

    Raises:
        TooLarge: it is longer than ``limit`` bytes; found out from its announced length, or as soon as it is.
    """
    return b"".join([chunk async for chunk in chunks(request, limit, what)])


async def save_body(request: Request, limit: int, what: str, path: Path) -> None:
    """The whole body as a file, written as it comes.

    Raises:
        TooLarge: it is longer than ``limit`` bytes; found out from its announced length, or as soon as it is.
        HTTPException: the disk is full.
    """
    try:
        with path.open("wb") as file:
            async for chunk in chunks(request, limit, what):
                await run_in_threadpool(file.write, chunk)
                _release(request.scope, len(chunk))
    except OSError as error:
        raise StorageFailed(f"The {what} cannot be kept: {error.strerror}. Make room in the data folder.") from None


async def chunks(request: Request, limit: int, what: str) -> AsyncIterator[bytes]:
    """The body piece by piece.

    Args:
        limit: bytes it may have at most.
        what: what to call it in a sentence.

    Raises:
        TooLarge: it is longer; found out from its announced length, or as soon as it is.
        HTTPException: it is compressed, or its client hung up in the middle of it.
    """
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    if packed not in ("", "identity"):
        raise HTTPException(415, f"The {what} is packed as {packed[:100]!r}. Send it as it is.")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > MOST_DIGITS or int(announced) > limit):
        raise too_large(what, limit)
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise too_large(what, limit)
            if chunk:
                yield chunk
    except ClientDisconnect:
        raise HTTPException(400, "The connection was closed in the middle of the request.") from None


def too_large(what: str, limit: int) -> TooLarge:
    """The error of something that has more bytes than are taken."""
    return TooLarge(f"The {what} is larger than the {limit:,} bytes that are taken. Send a smaller one.")


def _release(scope: Scope, size: int) -> None:
    """Release bytes of a request's body from the memory budget after they were written to disk."""
    body = scope.get(BODY)
    if isinstance(body, Body):
        body.release(size)


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
