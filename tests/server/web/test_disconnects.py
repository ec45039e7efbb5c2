"""A client that hangs up costs nothing more: its work stops, its images leave the queue, its place is free again."""

import asyncio
import hashlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from attention.data.files import samples
from attention.errors import Overloaded
from attention.reports.compare import CompareRequest
from attention.spec import Variant
from server.app import create_app
from server.engine.local import LocalEngine
from server.settings import Settings
from server.web.bodies import while_connected
from tests.server.conftest import photo

IDS = tuple(sample.id for sample in samples())
WAIT_S = 20.0


class Line:
    """A connection whose client may hang up."""

    def __init__(self) -> None:
        self.hung_up = asyncio.Event()
        self.request = Request({"type": "http", "method": "POST", "headers": []}, self.receive)

    async def receive(self) -> Message:
        await self.hung_up.wait()
        return {"type": "http.disconnect"}


def test_work_whose_client_stays_gives_its_result_or_its_error() -> None:
    async def right() -> int:
        await asyncio.sleep(0.01)
        return 42

    async def wrong() -> int:
        raise ValueError("no")

    async def ask() -> None:
        line = Line()
        assert await while_connected(line.request, right()) == 42
        with pytest.raises(ValueError, match="no"):
            await while_connected(line.request, wrong())
        assert await _settled()

    asyncio.run(ask())


async def _settled() -> bool:
    """Whether no task is left but this one, after those that were cancelled had their turn."""
    await asyncio.sleep(0.01)
    return asyncio.all_tasks() == {asyncio.current_task()}


def test_work_is_cancelled_when_its_client_hangs_up_and_nothing_is_left_of_it() -> None:
    ended: list[str] = []

    async def long() -> None:
        try:
            await asyncio.sleep(WAIT_S)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)  # it may have to tidy up
            ended.append("cancelled")
            raise

    async def ask() -> None:
        line = Line()
        asyncio.get_running_loop().call_later(0.02, line.hung_up.set)
        with pytest.raises(ClientDisconnect):
            await while_connected(line.request, long())
        assert ended == ["cancelled"]
        assert await _settled()

    asyncio.run(ask())


def test_a_request_that_is_cut_off_takes_its_work_along() -> None:
    """As when the service has no more patience at its end."""

    async def ask() -> None:
        line, work = Line(), asyncio.Event()
        asked = asyncio.create_task(while_connected(line.request, work.wait()))
        await asyncio.sleep(0.01)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert await _settled()

    asyncio.run(ask())


# ---------------------------------------------------------------- the engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LocalEngine]:
    """Two workers; images wait a minute for company, so everything is in the middle."""
    settings = Settings(
        data=tmp_path, device="cpu", threads=1, workers=2, max_queue=2, max_batch_size=256, batch_wait_timeout_s=60.0
    )
    engine = LocalEngine(settings)
    yield engine
    engine.close()


def compare(*images: str, network: str = "resnet20/se") -> CompareRequest:
    return CompareRequest(images=images, variants=(Variant.parse(network),))


async def until(true: Any) -> None:
    async with asyncio.timeout(WAIT_S):
        while not true():
            await asyncio.sleep(0.005)


def batches(engine: LocalEngine) -> float:
    """Forward passes so far."""
    (family,) = (one for one in engine.metrics.collect() if one.name == "attention_batch_size")
    return next(sample.value for sample in family.samples if sample.name.endswith("_count"))


def test_images_of_those_who_hung_up_are_not_run_and_their_places_are_free(engine: LocalEngine) -> None:
    async def ask() -> None:
        threads = threading.active_count()
        asked = [asyncio.create_task(engine.answer(compare(*IDS[:3], IDS[number + 3]))) for number in range(4)]
        await until(lambda: engine.networks.waiting == 8)  # two are in their forward pass, two wait for a worker
        assert (engine.accepted, engine.admission.inside) == (4, 4)
        with pytest.raises(Overloaded):
            await engine.answer(compare(IDS[0]))
        for one in asked:
            one.cancel()
        assert all(
            isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*asked, return_exceptions=True)
        )
        await until(lambda: engine.networks.waiting == 0 and engine.admission.inside == 0)
        assert engine.accepted == 0 and batches(engine) == 0
        assert threading.active_count() <= threads + 2  # the two workers

    asyncio.run(ask())


def test_one_who_hangs_up_takes_nothing_from_those_who_stay(engine: LocalEngine) -> None:
    """Both wait for one forward pass; it is run for the one who stays, and gives what it gives a lone one."""

    async def ask() -> bytes:
        stays = asyncio.create_task(engine.answer(compare(IDS[0])))
        leaves = asyncio.create_task(engine.answer(compare(IDS[1])))
        await until(lambda: engine.networks.waiting == 2)
        leaves.cancel()
        await until(lambda: engine.networks.waiting == 1)
        await asyncio.to_thread(engine.networks.close)  # what waits leaves at once
        return await stays

    found = asyncio.run(ask())
    (size,) = (one for one in engine.metrics.collect() if one.name == "attention_batch_size")
    assert next(sample.value for sample in size.samples if sample.name.endswith("_sum")) == 1
    assert b'"image":"' + IDS[0].encode() in found


def test_a_place_is_free_only_when_the_thread_is(tmp_path: Path) -> None:
    """Or clients that ask and hang up could pile up more work than there are places."""
    at_work, go_on = threading.Event(), threading.Event()

    class Busy(LocalEngine):
        def _run(self, *args: Any) -> bytes:
            at_work.set()
            assert go_on.wait(WAIT_S)
            return b"{}"

    engine = Busy(Settings(data=tmp_path, device="cpu", threads=1, workers=1, max_queue=1))

    async def ask() -> None:
        first = asyncio.create_task(engine.answer(compare(IDS[0])))
        await until(at_work.is_set)
        waits = asyncio.create_task(engine.answer(compare(IDS[1])))
        await asyncio.sleep(0.01)
        first.cancel()
        waits.cancel()
        await asyncio.gather(first, waits, return_exceptions=True)
        assert engine.admission.inside == 1  # the one that waited has left, the thread has not noticed yet
        go_on.set()
        await until(lambda: engine.admission.inside == 0)

    asyncio.run(ask())
    engine.close()


def test_photos_of_one_who_hung_up_are_forgotten_while_the_question_waits_for_a_worker(engine: LocalEngine) -> None:
    data = photo(3)
    name = hashlib.sha256(data).hexdigest()
    made: list[Any] = []
    own = engine.lab

    def lab(photos: Any = None) -> Any:
        made.append(own(photos))
        return made[-1]

    engine.lab = lab  # type: ignore[method-assign]

    async def ask() -> None:
        asked = [asyncio.create_task(engine.answer(compare(name), {name: data})) for _ in range(3)]
        await until(lambda: engine.networks.waiting == 2)
        assert made[2].files.image_bytes(name) == data
        for one in asked:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        with pytest.raises(Exception, match="no image"):
            made[2].files.image_bytes(name)

    asyncio.run(ask())


# ---------------------------------------------------------------- over HTTP


class Client:
    """One who sends a question to an app and may hang up while the answer is worked out."""

    def __init__(self, app: Any, body: Sequence[bytes], kind: bytes) -> None:
        self._app, self._body, self._kind = app, list(body), kind
        self.hung_up = asyncio.Event()
        self.told: list[Message] = []

    async def receive(self) -> Message:
        if self._body:
            return {"type": "http.request", "body": self._body.pop(0), "more_body": True}
        if not self.hung_up.is_set() and self._kind == b"application/json" and self._body is not None:
            self._body = None  # type: ignore[assignment]
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.told.append(message)

    async def ask(self) -> None:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/compare",
            "raw_path": b"/v1/compare",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost"), (b"content-type", self._kind)],
            "state": {},
        }
        await self._app(scope, self.receive, self.send)


@pytest.mark.full
def test_who_hangs_up_gets_nothing_and_is_noted_and_others_with_the_same_question_get_their_answer(
    tmp_path: Path,
) -> None:
    settings = Settings(data=tmp_path, device="cpu", threads=1, max_batch_size=64, batch_wait_timeout_s=1.0)
    app = create_app(settings)

    async def ask() -> None:
        async with app.router.lifespan_context(app):
            service = app.state.service
            question = compare(IDS[0]).model_dump_json().encode()
            leaves, stays = (Client(app, [question], b"application/json") for _ in range(2))
            asked = [asyncio.create_task(one.ask()) for one in (leaves, stays)]
            await until(lambda: service.engine.networks.waiting == 1)  # one image, for both
            leaves.hung_up.set()
            await asked[0]
            assert leaves.told[0]["status"] == 499
            assert service.engine.networks.waiting == 1
            await asked[1]
            assert stays.told[0]["status"] == 200

            alone = Client(app, [compare(IDS[1]).model_dump_json().encode()], b"application/json")
            asking = asyncio.create_task(alone.ask())
            await until(lambda: service.engine.networks.waiting == 1)
            alone.hung_up.set()
            await asking
            await until(lambda: service.engine.networks.waiting == 0 and service.engine.admission.inside == 0)
            assert batches(service.engine) == 1
            half = Client(app, [b"--b\r\nContent-Disposition"], b"multipart/form-data; boundary=b")
            half.hung_up.set()
            await half.ask()
            assert service.engine.accepted == 0

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, ask()).result(WAIT_S * 2)
