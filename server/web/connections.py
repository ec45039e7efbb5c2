"""Connections: how many there are, and how long one may keep the service waiting for the head of a request.

uvicorn bounds neither: a client that connects and says nothing, or sends one byte of a header a minute, would keep its
connection for ever; headers without end would fill the memory; and its own limit of connections turns away those who
are being served. So its protocol is used with these three bounds added.
"""

import asyncio
from http import HTTPStatus
from typing import Any, cast

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from attention.errors import Overloaded
from server.problems import overloaded, respond
from server.settings import Settings

MOST_HEAD_BYTES = 65_536
"""Of a request's line and headers: eight times what most servers take."""

MOST_HELD_BYTES = 65_536
"""Of an answer that are held until the end of the moment they were written in."""

CROWDED_S = 1.0
"""How long a connection that is one too many is kept after its answer, and when its client may come back."""


class Joined:
    """A transport that sends what is written to it in one moment as one piece.

    uvicorn writes the head of an answer and its body one after the other. Sent like that they are two calls of the
    system, and the client wakes up to read a head, on the core that was about to send the body.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send these bytes soon; at once where there are many, so that the writer is told when to pause."""
        if not self._held:
            self._loop.call_soon(self.send)
        self._held.append(data)
        self._bytes += len(data)
        if self._bytes > MOST_HELD_BYTES:
            self.send()

    def get_write_buffer_size(self) -> int:
        """Bytes that were written and are not sent."""
        return self._bytes + self._transport.get_write_buffer_size()

    def close(self) -> None:
        """Send what was written, then close."""
        self.send()
        self._transport.close()

    def send(self) -> None:
        """Send what was written."""
        held, self._held, self._bytes = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.writelines(held)


class Connection(HttpToolsProtocol):
    """A connection of uvicorn's that is closed when its client does not get on. `bounded` says what the bounds are."""

    most = 1
    head_timeout_s = 1.0

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._due: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._unsent = 0
        self._surplus = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count a client that has connected."""
        self._joined = Joined(transport, self.loop)
        super().connection_made(cast(asyncio.Transport, self._joined))
        if len(self.connections) > 2 * self.most:
            transport.abort()
        elif len(self.connections) > self.most:
            self._surplus = True
            self.app = _crowded
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """More bytes; those of a head are counted, and have to be all there in time."""
        if self._owed:
            super().data_received(data)
            return
        self._head_bytes += len(data)
        super().data_received(data)
        if self._owed or self.transport.is_closing():
            return
        if (self.cycle is None or not self.cycle.more_body) and self._head_bytes > MOST_HEAD_BYTES:
            self._refuse_head()
            return
        self._wait()  # from the first byte on, and no longer because more come

    def on_headers_complete(self) -> None:
        """A head is all there."""
        self._stop_waiting()
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A body is all there; if its answer went out before, the client may now ask again."""
        super().on_message_complete()
        if self.cycle is not None and self.cycle.response_complete:
            self.cycle.more_body = False
            self._head_bytes = 0
            self._stop_waiting()
            self._keep(CROWDED_S if self._surplus else self.timeout_keep_alive)

    def on_response_complete(self) -> None:
        """An answer has gone out, or waits to be read by the client."""
        self._joined.send()
        super().on_response_complete()
        if self._surplus and not self.transport.is_closing():
            self._keep(CROWDED_S)
        if self.transport.get_write_buffer_size():
            self._wait()

    @property
    def _owed(self) -> bool:
        """Whether the client waits for an answer."""
        return self.cycle is not None and not self.cycle.response_complete

    def _keep(self, seconds: float) -> None:
        """Close the connection if nothing more comes for so long."""
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _wait(self) -> None:
        if self._due is None:
            self._due = self.loop.call_later(self.head_timeout_s, self._waited_enough)

    def _stop_waiting(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
            self._unsent = 0

    def _waited_enough(self) -> None:
        """The head, the rest of a body that was answered already, or the reader of the answer, is too slow."""
        self._due = None
        before, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        if self._unsent and (not before or self._unsent < before):
            self._wait()  # the answer is being read
        elif not self._owed:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP in the words of every error, as a Problem."""
        self._refuse(400, "malformed-request", "This is no request as HTTP/1.1 has it, so no line of it is taken.")

    def _refuse_head(self) -> None:
        detail = f"The request line and the headers are longer than the {MOST_HEAD_BYTES:,} bytes that are taken."
        self._refuse(431, "head-too-large", f"{detail} Send fewer headers.")

    def _refuse(self, status: int, kind: str, detail: str) -> None:
        """Answer what never became a request, and close the connection."""
        answer = respond("/", status, kind, detail, {"connection": "close"})
        head = b"".join(name + b": " + value + b"\r\n" for name, value in answer.raw_headers)
        line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
        self.transport.write(line + head + b"\r\n" + bytes(answer.body))
        self.transport.close()


def bounded(settings: Settings) -> type[asyncio.Protocol]:
    """The protocol of connections with these settings' bounds, for uvicorn."""

    class Bounded(Connection):
        most = settings.max_connections
        head_timeout_s = settings.head_timeout_s

    return Bounded


async def _crowded(scope: Scope, receive: Receive, send: Send) -> None:
    """The answer on a connection that is one too many."""
    sentence = f"There are as many connections as the service takes. Try again in {CROWDED_S:.0f} s."
    await overloaded(scope["path"], Overloaded(sentence, retry_after_s=CROWDED_S))(scope, receive, send)
