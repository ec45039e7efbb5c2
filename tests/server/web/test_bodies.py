"""Bodies as they come in: how long they may take, how many bytes of them are in memory, who is refused unread."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message, Scope

from attention.errors import AttentionError, Overloaded, TooLarge
from server import problems
from server.app import create_app
from server.engine.admission import MemoryBudget
from server.settings import Settings
from server.web.bodies import Body, BodyLimits, _release
from tests.server.conftest import photo

HEADERS = [(b"content-type", b"multipart/form-data; boundary=b")]


class Told(NamedTuple):
    """What a client was told, and how many messages of its body were read."""

    status: int
    headers: dict[str, str]
    body: bytes
    read: int


def client_of(app: Any, **more: Any) -> Callable[[AsyncIterator[bytes]], Any]:
    """Somebody who sends a body piece by piece, as fast as the iterator gives them."""

    async def ask(pieces: AsyncIterator[bytes]) -> Told:
        scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "query_string": b"",
            "headers": list(HEADERS),
            "state": {},
            **more,
        }
        told: list[Message] = []
        read = 0

        async def receive() -> Message:
            nonlocal read
            read += 1
            try:
                return {"type": "http.request", "body": await anext(pieces), "more_body": True}
            except StopAsyncIteration:
                return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            told.append(message)

        await app(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in told[0]["headers"]}
        return Told(told[0]["status"], headers, b"".join(one.get("body", b"") for one in told[1:]), read)

    return ask


async def pieces(parts: Iterable[bytes], every_s: float = 0.0) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(every_s)
        yield part


class Service:
    """A service that reads a body, waits until it is told to answer, and says how long the body was."""

    def __init__(self, *, full: bool = False, **settings: Any) -> None:
        self.settings = Settings(max_request_bytes=1000, **settings)
        self.memory = MemoryBudget(8 * 1000)  # bodies have an eighth
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.full = full
        app = Starlette(routes=[Route("/", self.read, methods=["POST"])])
        app.add_exception_handler(AttentionError, problems._attention_error)
        app.add_exception_handler(Exception, problems._http_error)
        for kind in (404, 408):
            app.add_exception_handler(kind, problems._http_error)
        app.state.service = SimpleNamespace(engine=self)
        app.add_middleware(BodyLimits, settings=self.settings, memory=self.memory, questions=("/",))
        self.ask = client_of(app)

    def check_room(self) -> None:
        if self.full:
            raise Overloaded("No room.", retry_after_s=7.0)

    async def read(self, http: Request) -> Response:
        length = len(await http.body())
        await self.go_on.wait()
        return PlainTextResponse(str(length))


def test_a_body_that_comes_in_time_is_read_and_leaves_nothing_behind() -> None:
    async def ask() -> None:
        service = Service()
        answer = await service.ask(pieces([b"x" * 100] * 5))
        assert (answer.status, answer.body) == (200, b"500")
        assert service.memory.held["bodies"] == 0

    asyncio.run(ask())


def test_a_body_that_trickles_is_cut_off_with_a_sentence_and_its_bytes_are_release() -> None:
    async def ask() -> None:
        service = Service(upload_timeout_s=0.15, upload_rate=1_000_000)
        answer = await service.ask(pieces([b"x"] * 1000, every_s=0.02))
        problem = json.loads(answer.body)
        assert (answer.status, problem["status"], answer.headers["connection"]) == (408, 408, "close")
        assert "After 0.15 s" in problem["detail"] and "bytes of the body were here" in problem["detail"]
        assert service.memory.held["bodies"] == 0
        assert answer.read < 20

    asyncio.run(ask())


def test_a_long_body_that_comes_fast_enough_may_take_longer() -> None:
    async def ask() -> None:
        service = Service(upload_timeout_s=0.1, upload_rate=1000)  # each piece gives it 0.1 s more, and takes 0.03
        answer = await service.ask(pieces([b"x" * 100] * 8, every_s=0.03))
        assert (answer.status, answer.body) == (200, b"800")

    asyncio.run(ask())


def test_bodies_of_all_requests_together_take_up_no_more_than_their_limit() -> None:
    async def ask() -> None:
        service = Service()
        service.go_on.clear()
        first = [asyncio.create_task(service.ask(pieces([b"x" * 150] * 2))) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert service.memory.held["bodies"] == 900
        refused = await service.ask(pieces([b"x" * 60] * 2))
        assert (refused.status, refused.headers["retry-after"]) == (503, "2")
        assert "960 bytes of other requests are in memory" in json.loads(refused.body)["detail"]
        assert service.memory.held["bodies"] == 900  # also those of the one that was refused are gone
        service.go_on.set()
        assert [(await one).status for one in first] == [200] * 3
        assert service.memory.held["bodies"] == 0
        assert (await service.ask(pieces([b"x" * 60] * 2))).status == 200

    asyncio.run(ask())


def test_a_body_that_is_announced_longer_than_what_is_left_is_refused_unread() -> None:
    async def ask() -> None:
        service = Service()
        service.memory.take("bodies", 500)
        HEADERS.append((b"content-length", b"501"))
        try:
            refused = await service.ask(pieces([b"x" * 501]))
        finally:
            HEADERS.pop()
        assert (refused.status, refused.read) == (503, 0)

    asyncio.run(ask())


def test_bytes_that_are_only_announced_keep_nobody_out() -> None:
    """Whoever announces much and sends nothing would else shut everybody out."""

    async def ask() -> None:
        service = Service()
        HEADERS.append((b"content-length", b"990"))
        try:
            slow = [asyncio.create_task(service.ask(pieces([b"x"] * 3, every_s=0.05))) for _ in range(50)]
            await asyncio.sleep(0.02)
            assert (await service.ask(pieces([b"x" * 900]))).status == 200
            assert [(await one).status for one in slow] == [200] * 50
        finally:
            HEADERS.pop()

    asyncio.run(ask())


def test_photos_for_a_question_that_would_not_be_let_in_are_refused_unread() -> None:
    async def ask() -> None:
        service = Service(full=True)
        refused = await service.ask(pieces([b"x"] * 5))
        assert (refused.status, refused.headers["retry-after"], refused.read) == (503, "7", 0)
        assert refused.headers["content-type"] == "application/problem+json"
        HEADERS[0] = (b"content-type", b"application/json")  # may have been answered before, so it is looked at
        try:
            assert (await service.ask(pieces([b"x"] * 5))).body == b"5"
        finally:
            HEADERS[0] = (b"content-type", b"multipart/form-data; boundary=b")

    asyncio.run(ask())


def test_what_is_on_the_disk_is_no_longer_counted() -> None:
    async def save() -> None:
        memory = MemoryBudget(8 * 100)
        source = pieces([b"x" * 60] * 4)

        async def receive() -> Message:
            return {"type": "http.request", "body": await anext(source), "more_body": True}

        body = Body(receive, memory, timeout_s=1.0, rate=1)
        for _ in range(4):
            assert len((await body.receive())["body"]) == 60
            _release({"attention.body": body}, 60)
            assert memory.held["bodies"] == 0

    asyncio.run(save())


def test_a_body_that_never_fits_is_told_so_and_not_to_come_again() -> None:
    async def save() -> None:
        source = pieces([b"x" * 60] * 4)

        async def receive() -> Message:
            return {"type": "http.request", "body": await anext(source), "more_body": True}

        body = Body(receive, MemoryBudget(8 * 100), timeout_s=1.0, rate=1)
        await body.receive()
        with pytest.raises(TooLarge, match="there is room for 100"):
            await body.receive()

    asyncio.run(save())


@pytest.mark.full
def test_the_service_holds_no_body_after_it_was_answered(settings: Settings) -> None:
    small = settings.model_copy(update={"memory_bytes": 8 * settings.max_request_bytes})
    with TestClient(create_app(small)) as client:
        data = photo(size=(400, 300))
        rounds = 2 * small.max_request_bytes // len(data) + 2
        for number in range(rounds):  # together far more than there is room for at one time
            sent = client.post("/v1/images", files={"image": (f"{number}.jpg", data)})
            assert sent.status_code == 201
        wrong = client.post("/v1/images", files={"image": ("x.jpg", b"not a photo" * 9000)})
        assert wrong.status_code == 422
        assert client.post("/v1/compare", files={"image": data}, data={"variants": "resnet20/se"}).status_code == 200


@pytest.mark.full
@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD"])
def test_requests_without_a_body_are_not_held_up(method: str, client: TestClient) -> None:
    assert client.request(method, "/v1/images/" + "0" * 64).status_code in (404, 405)
