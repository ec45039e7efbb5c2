"""Limits of request bodies: how long one may take to come, and how many bytes of all are in memory at once.

A body is read before it is worked on, so a slow one keeps neither a thread nor a place in a queue; only the bytes
that are here already take up memory, and those are counted over all requests, each until it has been answered. Where
there is no room the request is refused with 503, before anything of it is read if that can be known: a photo whose
question would not be let in, a body longer than what is left. Nothing is kept free for bytes that are only announced,
or a few clients that announce much and send nothing would shut all others out.
"""

import asyncio
from collections.abc import Collection
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from attention.errors import Overloaded
from server.problems import overloaded
from server.settings import Settings

BODY = "attention.body"
"""Where in an ASGI scope the `Body` of a request is."""

WITH_BODIES = ("POST", "PUT", "PATCH")

RETRY_AFTER_S = 2.0
"""When there may be room again: bodies are in memory for about as long as it takes to answer them."""


class BodyBudget:
    """Bytes of memory for all bodies together."""

    def __init__(self, settings: Settings) -> None:
        self.held = 0
        """How many bytes there are now; only the event loop's thread counts."""
        self._most = max(settings.max_bodies_bytes, settings.max_request_bytes)

    def check(self, announced: int) -> None:
        """Return if there is room for a body of so many bytes now.

        Raises:
            Overloaded: there is none.
        """
        if self.held + announced > self._most:
            raise self._refusal()

    def take(self, size: int) -> None:
        """Count bytes that are in memory now; the caller calls `release` when they are gone.

        Raises:
            Overloaded: there is no room for them.
        """
        self.check(size)
        self.held += size

    def release(self, size: int) -> None:
        """Count bytes that are gone."""
        self.held -= size

    def _refusal(self) -> Overloaded:
        return Overloaded(
            f"{self.held:,} bytes of other requests are in memory, and there is room for {self._most:,}. "
            f"Try again in {RETRY_AFTER_S:.0f} s.",
            retry_after_s=RETRY_AFTER_S,
        )


class Body:
    """The body of one request as it comes in.

    Args:
        timeout_s: seconds that it may take; it has a second more for each ``rate`` bytes that have come.
    """

    def __init__(self, receive: Receive, budget: BodyBudget, timeout_s: float, rate: int) -> None:
        self._receive = receive
        self._budget = budget
        self._timeout_s, self._rate = timeout_s, rate
        self._began = asyncio.get_running_loop().time()
        self._came = self._held = 0
        self._whole = False

    async def receive(self) -> Message:
        """The next message of the client.

        Raises:
            HTTPException: 408, the body takes too long.
            Overloaded: there is no room for more of it.
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
            self._budget.take(size)
            self._came += size
            self._held += size
            self._whole = not message.get("more_body", False)
        return message

    def release(self, size: int | None = None) -> None:
        """Give bytes that are no longer in memory back to the budget; all of them if no size is named."""
        size = self._held if size is None else size
        self._held -= size
        self._budget.release(size)


class Asked(NamedTuple):
    """The route of a question, before it has been looked for."""

    path: str


class BodyLimits:
    """ASGI middleware: holds bodies to their limits while they come.

    Args:
        questions: the paths of what is answered at once, by the engine.
    """

    def __init__(self, app: ASGIApp, settings: Settings, budget: BodyBudget, questions: Collection[str]) -> None:
        self.app = app
        self._settings = settings
        self._budget = budget
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
        body = Body(receive, self._budget, self._settings.upload_timeout_s, self._settings.upload_rate)
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
            scope["route"] = Asked(scope["path"])  # what is refused is counted there
            scope["app"].state.service.engine.check_room()
        if announced.isdigit() and len(announced) < 19 and int(announced) <= self._settings.max_request_bytes:
            self._budget.check(int(announced))


def release(scope: Scope, size: int) -> None:
    """Release bytes of a request's body from the memory budget after they were written to disk."""
    body = scope.get(BODY)
    if isinstance(body, Body):
        body.release(size)
