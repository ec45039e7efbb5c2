"""Connections that do not get on are closed, too many are told so, and those that are used are left alone."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext, suppress
from typing import Any, cast

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from server.settings import Settings
from server.web.connections import MOST_HEAD_BYTES, MOST_HELD_BYTES, Joined, bounded

WAIT_S = 120.0
"""Longer than anything here takes; a test that hangs fails instead."""

NEVER_S = 86_400.0

HEAD_S = 0.3
"""How long a head may take here."""

GET = b"GET /fixed HTTP/1.1\r\nHost: x\r\n\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def fixed(http: Request) -> Response:
    return PlainTextResponse("here")


async def slow(http: Request) -> Response:
    await asyncio.sleep(3 * HEAD_S)
    return PlainTextResponse(str(len(await http.body())))


async def early(http: Request) -> Response:
    return PlainTextResponse("no, thank you", 503)


async def large(http: Request) -> Response:
    return Response(b"x" * 30_000_000)


async def served(use: Callable[[Callable[[], Awaitable[Streams]], Any], Awaitable[None]], **settings: Any) -> None:
    """A service inside of which clients connect."""
    routes = [Route(f"/{one.__name__}", one, methods=["GET", "POST"]) for one in (fixed, slow, early, large)]
    bounds = Settings(**{"head_timeout_s": HEAD_S, **settings})
    config = uvicorn.Config(Starlette(routes=routes), port=0, http=bounded(bounds), log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]  # signals belong to the tests' process
    serving = asyncio.create_task(server.serve())
    opened: list[Streams] = []
    try:
        async with asyncio.timeout(WAIT_S):
            while not server.started:
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]

            async def connect() -> Streams:
                opened.append(await asyncio.open_connection("127.0.0.1", port))
                return opened[-1]

            await use(connect, server.server_state)
    finally:
        for _, writer in opened:
            writer.close()
        server.should_exit = server.force_exit = True
        await serving


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    return int(first.split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def closed(reader: asyncio.StreamReader) -> None:
    """Wait until the service has closed the connection."""
    async with asyncio.timeout(WAIT_S):
        with suppress(ConnectionError):
            while await reader.read(65_536):
                pass


def test_a_client_that_connects_and_says_nothing_is_not_waited_for() -> None:
    async def use(connect: Any, state: Any) -> None:
        lines = [await connect() for _ in range(20)]
        await asyncio.gather(*(closed(reader) for reader, _ in lines))
        assert not state.connections

    asyncio.run(served(use))


def test_a_head_that_trickles_is_not_waited_for_however_often_a_byte_comes() -> None:
    async def use(connect: Any, state: Any) -> None:
        reader, writer = await connect()
        dripped = 0

        async def drip() -> None:
            nonlocal dripped
            with suppress(ConnectionError):
                while True:
                    writer.write(b"X")
                    dripped += 1
                    await asyncio.sleep(0.02)

        writer.write(GET[:-2] + b"X-Long: ")
        dripping = asyncio.create_task(drip())
        await closed(reader)
        assert dripped > 1
        dripping.cancel()

    asyncio.run(served(use))


def test_the_second_head_of_a_connection_is_held_to_the_same() -> None:
    async def use(connect: Any, state: Any) -> None:
        reader, writer = await connect()
        writer.write(GET)
        assert (await answer(reader))[0] == 200
        writer.write(GET[:10])
        await closed(reader)

    asyncio.run(served(use))


def test_an_answer_that_takes_its_time_is_waited_for_and_the_connection_used_again() -> None:
    async def use(connect: Any, state: Any) -> None:
        reader, writer = await connect()
        for _ in range(2):
            writer.write(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
            assert (await answer(reader))[2] == b"3"
            await asyncio.sleep(2 * HEAD_S)  # idle, but for less than uvicorn keeps a connection

    asyncio.run(served(use))


def test_a_body_that_was_answered_already_may_still_come_but_not_for_ever() -> None:
    """Closing at once would reset the connection, and the client might never see why."""

    async def use(connect: Any, state: Any) -> None:
        post = b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
        reader, writer = await connect()
        writer.write(post + b"x" * 10)
        assert (await answer(reader))[0] == 503
        writer.write(b"x" * 990 + GET)  # it is sent to its end, and the next request is served
        assert (await answer(reader))[2] == b"here"
        writer.write(post)
        assert (await answer(reader))[0] == 503
        writer.write(b"x" * 10)
        await closed(reader)

    asyncio.run(served(use))


def test_headers_without_end_are_refused_with_a_sentence() -> None:
    async def use(connect: Any, state: Any) -> None:
        reader, writer = await connect()
        writer.write(GET[:-2])
        for number in range(MOST_HEAD_BYTES // 1000 + 2):
            writer.write(f"X-{number}: {'y' * 1000}\r\n".encode())
        status, headers, body = await answer(reader)
        assert (status, headers["content-type"]) == (431, "application/problem+json")
        assert json.loads(body)["status"] == 431 and "65,536 bytes" in json.loads(body)["detail"]

    asyncio.run(served(use, head_timeout_s=NEVER_S))


def test_one_connection_too_many_is_told_when_to_come_back_and_the_others_are_served() -> None:
    async def use(connect: Any, state: Any) -> None:
        lines = [await connect() for _ in range(5)]
        for reader, writer in lines:
            writer.write(GET)
            assert (await answer(reader))[0] == 200
        reader, writer = await connect()
        writer.write(GET)
        status, headers, body = await answer(reader)
        assert (status, headers["retry-after"], json.loads(body)["status"]) == (503, "1", 503)
        await closed(reader)  # it is not kept for another try
        for reader, writer in lines:
            writer.write(GET)
            assert (await answer(reader))[0] == 200
        lines[0][1].close()
        await asyncio.sleep(0.05)
        reader, writer = await connect()
        writer.write(GET)
        assert (await answer(reader))[0] == 200

    asyncio.run(served(use, max_connections=5, head_timeout_s=NEVER_S))


def test_connections_beyond_twice_the_limit_are_closed_without_a_word() -> None:
    async def use(connect: Any, state: Any) -> None:
        for _ in range(12):
            await connect()
        await asyncio.sleep(0.1)
        assert len(state.connections) == 10

    asyncio.run(served(use, max_connections=5, head_timeout_s=NEVER_S))


@pytest.mark.full
def test_an_answer_that_nobody_reads_is_not_kept_for_ever() -> None:
    async def use(connect: Any, state: Any) -> None:
        _, writer = await connect()
        writer.transport.pause_reading()
        writer.write(GET.replace(b"fixed", b"large"))
        await asyncio.sleep(0.3)
        assert len(state.connections) == 1
        while state.connections:
            await asyncio.sleep(0.02)  # or the test's patience ends

    asyncio.run(served(use))


def test_an_answer_that_is_read_slowly_is_read_to_its_end() -> None:
    async def use(connect: Any, state: Any) -> None:
        reader, writer = await connect()
        writer.write(GET.replace(b"fixed", b"large"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"30000000" in head
        left = 30_000_000
        while left:
            left -= len(await reader.read(400_000))
            await asyncio.sleep(0.01)

    asyncio.run(served(use))


@pytest.mark.parametrize("garbage", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"\r\n" * 100])
def test_what_is_no_http_ends_the_connection(garbage: bytes) -> None:
    async def use(connect: Any, state: Any) -> None:
        reader, writer = await connect()
        writer.write(garbage)
        await closed(reader)

    asyncio.run(served(use))


class Sent:
    """A transport that notes what it is told to send."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.closed = False

    def writelines(self, pieces: Sequence[bytes]) -> None:
        assert not self.closed
        self.pieces.append(b"".join(pieces))

    def get_write_buffer_size(self) -> int:
        return 1

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def test_what_is_written_in_one_moment_is_sent_as_one_piece() -> None:
    async def use() -> list[bytes]:
        sent = Sent()
        joined = Joined(cast(asyncio.Transport, sent), asyncio.get_running_loop())
        joined.write(b"head ")
        joined.write(b"body")
        assert joined.get_write_buffer_size() == len(b"head body") + 1 and not sent.pieces
        await asyncio.sleep(0)
        joined.write(b"last")
        joined.close()
        await asyncio.sleep(0)
        return sent.pieces

    assert asyncio.run(use()) == [b"head body", b"last"]


def test_much_is_sent_at_once_so_that_its_writer_can_be_told_to_pause() -> None:
    async def use() -> list[int]:
        sent = Sent()
        joined = Joined(cast(asyncio.Transport, sent), asyncio.get_running_loop())
        joined.write(b"x" * MOST_HELD_BYTES)
        joined.write(b"x")
        return [len(piece) for piece in sent.pieces]

    assert asyncio.run(use()) == [MOST_HELD_BYTES + 1]


MALFORMED = (
    b"hello\r\n\r\n",
    b"GET / HTTP/9\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nname\0: y\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS client hello: https:// where http:// is spoken
)


def test_what_is_no_http_is_answered_with_a_problem_and_the_connection_is_closed() -> None:
    async def use(connect: Callable[[], Awaitable[Streams]], state: Any) -> None:
        for request in MALFORMED:
            reader, writer = await connect()
            writer.write(request)
            status, headers, body = await answer(reader)
            assert (status, headers["content-type"]) == (400, "application/problem+json"), request
            problem = json.loads(body)
            assert (problem["status"], problem["type"]) == (400, "/problems/malformed-request")
            assert problem["detail"].endswith(".") and headers["connection"] == "close"
            assert await reader.read() == b""

    asyncio.run(served(use))
