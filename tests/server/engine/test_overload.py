"""A real service that is asked too much: by too many, by those who hang up, by those who send slowly or a lot.

Nothing is measured by the clock: how long one waits is told in answers that others had meanwhile. Seconds and their
ratios are measured by `benchmarks.load.overload`.
"""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from benchmarks.load.crowd import (
    ANSWERED,
    BOUNDARY,
    REFUSED,
    Answer,
    Crowd,
    comparison,
    form,
    head,
    one_answer,
    quantile,
)
from benchmarks.load.overload import Service, Stretch
from tests.server.conftest import photo
from tests.server.store.copies import ROOT, running

pytestmark = pytest.mark.slow

NETWORKS = "resnet20/se,resnet20/eca"
WORKERS, QUEUE = 4, 12
ROOM = WORKERS + QUEUE
"""Questions that are inside at once: as many clients as that are what the service has the capacity for."""

MEGABYTE = 1_000_000


class Live(NamedTuple):
    """A service that runs, and how to look inside of it."""

    load: Service
    http: httpx2.Client
    port: int

    def number(self, name: str, **labels: str) -> float:
        """One of its metrics; 0 if it was never counted."""
        marks = ",".join(f'{key}="{value}"' for key, value in labels.items())
        pattern = rf"^{re.escape(name + (f'{{{marks}}}' if marks else ''))} (\S+)$"
        return sum(map(float, re.findall(pattern, self.http.get("/metrics").text, re.M)))

    def until(self, true: Callable[[], bool], within_s: float = 120.0) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    @property
    def threads(self) -> int:
        """How many threads the service has."""
        return len(list(Path(f"/proc/{self.load.process.pid}/task").iterdir()))

    @property
    def files(self) -> int:
        """How many files it has open, connections among them."""
        return len(list(Path(f"/proc/{self.load.process.pid}/fd").iterdir()))


@contextmanager
def live(data: Path, **settings: object) -> Iterator[Live]:
    """A service in a process of its own."""
    own = {"log_level": "error", "remember_answers": False, **settings}
    environment = {f"ATTENTION_{name.upper()}": str(value) for name, value in own.items()}
    with running(ROOT, data, **environment) as service:
        port = service.http.base_url.port
        assert port is not None
        yield Live(Service(service.process, port), service.http, port)


def lone(service: Live, count: int = 3) -> Any:
    """What one client alone is told of one picture, each time the same."""
    said = []
    for _ in range(count):
        answer = service.http.post("/v1/compare", files={"image": photo(1)}, data={"variants": NETWORKS})
        assert answer.status_code == 200
        said.append(answer.json())
    assert all(answer == said[0] for answer in said)
    return said[0]


def refusal_is_right(answer: Answer) -> bool:
    """Whether a 503 says when to come back, and why, as a Problem."""
    problem = json.loads(answer.body)
    return (
        1 <= int(answer.headers["retry-after"]) <= 60
        and answer.headers["content-type"] == "application/problem+json"
        and problem["status"] == REFUSED
        and "Try again in" in problem["detail"]
    )


# ---------------------------------------------------------------- too many


@pytest.mark.parametrize("polite", [True, False], ids=["polite", "impolite"])
def test_ten_times_the_clients_are_all_answered_or_refused_and_nobody_waits_for_many_more_answers_than_others(
    polite: bool, tmp_path: Path
) -> None:
    """160 clients where there is room for 16, three times until some hundred were answered.

    How long one waits is told in answers that others had meanwhile, which a busy machine does not change.
    """
    with live(tmp_path / "data", workers=WORKERS, max_queue=QUEUE) as service:
        crowd = Crowd(
            "127.0.0.1", service.port, comparison([photo(n, (120, 100)) for n in range(8)], NETWORKS), polite=polite
        )
        crowd.pause_s = 0.5
        lone(service)  # the networks are loaded
        before = lone(service)
        service.load.load(crowd, 10 * ROOM, 2.0)
        rss, files, threads = service.load.rss_mb, service.files, service.threads
        many: list[Stretch] = []
        for _ in range(3):
            many.append(service.load.load(crowd, 10 * ROOM, 3.0, enough=140))

        became = Counter(answer.status for one in many for answer in one.answers)
        assert set(became) == {ANSWERED, REFUSED}, became  # none hung, none was reset
        refused = [answer for one in many for answer in one.answers if answer.status == REFUSED]
        assert all(map(refusal_is_right, refused))
        assert min(len(one.settled) for one in many) >= 90
        for one in many:
            meanwhile = one.overtakers
            assert quantile(meanwhile, 0.99) <= 2 * quantile(meanwhile, 0.5) <= 4 * ROOM, sorted(meanwhile)

        service.until(lambda: service.number("attention_queue_requests") == 0)
        assert service.number("attention_queue_images") == 0
        assert service.load.rss_mb <= rss + 32
        assert service.threads <= threads
        service.until(lambda: service.files <= files + 5)
        assert lone(service) == before


def test_who_is_refused_is_refused_before_the_photo_was_read(tmp_path: Path) -> None:
    """The answer comes although nothing but the head was sent, and the connection can be used again."""

    async def ask(port: int) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.perf_counter()
        answer = await one_answer(reader, writer, head("/v1/compare", 5_000_000), began)
        writer.write(bytes(5_000_000))
        known = await one_answer(reader, writer, b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n", began)
        assert known.status == 200
        writer.close()
        return answer

    with live(tmp_path / "data", workers=1, max_queue=1, batch_wait_timeout_s=60, max_batch_size=64) as service:

        async def fill() -> Answer:
            lines = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(2)]
            for number, (_, writer) in enumerate(lines):
                writer.write(form("/v1/compare", photo(number), NETWORKS))
            await asyncio.to_thread(service.until, lambda: service.number("attention_queue_requests") == 2)
            answer = await asyncio.wait_for(ask(service.port), 120)
            for _, writer in lines:
                writer.close()
            return answer

        answer = asyncio.run(fill())
        assert answer.status == REFUSED and refusal_is_right(answer)


# ---------------------------------------------------------------- those who hang up


def test_those_who_hang_up_cost_no_forward_pass_and_leave_nothing_behind(tmp_path: Path) -> None:
    """Images wait a minute for company, so all who asked are in the queue when they hang up."""
    with live(tmp_path / "data", batch_wait_timeout_s=60, max_batch_size=512, workers=8) as service:
        service.number("attention_queue_images")
        files = service.files

        async def hang_up() -> None:
            lines = []
            for number in range(24):  # eight with a worker each, sixteen that wait for one
                reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
                writer.write(form("/v1/compare", photo(number), NETWORKS))
                lines.append((reader, writer))
            for number in range(24):  # and some in the middle of their photo
                _, writer = await asyncio.open_connection("127.0.0.1", service.port)
                writer.write(form("/v1/compare", photo(number), NETWORKS)[: 300 + 20 * number])
                lines.append((_, writer))
            await asyncio.to_thread(
                service.until,
                lambda: (
                    service.number("attention_queue_images") == 8
                    and service.number("attention_queue_requests") == 24
                    and service.number("attention_http_requests_in_flight") == 49
                ),
            )
            for _, writer in lines:
                writer.transport.abort()

        asyncio.run(hang_up())
        service.until(lambda: service.number("attention_http_requests_in_flight") == 1)  # that which asks
        service.until(lambda: service.number("attention_queue_images") == 0)
        assert service.number("attention_queue_requests") == 0
        assert service.number("attention_batch_size_count") == 0  # no forward pass was run
        assert service.number("attention_http_requests_total", method="POST", route="/v1/compare", status="499") == 24
        service.until(lambda: service.files <= files + 2)
        threads = service.threads
        asyncio.run(hang_up())
        service.until(lambda: service.number("attention_http_requests_in_flight") == 1)
        assert service.threads <= threads + 4


# ---------------------------------------------------------------- those who send slowly


async def trickle(port: int, start: bytes, every_s: float, lines: list[Any], until: asyncio.Event) -> Answer | None:
    """Send a byte now and then; what was answered, or None if the connection was closed without a word."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines.append(writer)
    writer.write(start)

    async def drip() -> None:
        while not until.is_set():
            writer.write(b"x")
            await asyncio.sleep(every_s)

    dripping = asyncio.create_task(drip())
    try:
        return await one_answer(reader, writer, b"", time.perf_counter())
    except (OSError, EOFError):
        return None
    finally:
        dripping.cancel()
        writer.close()


def test_a_hundred_and_more_who_send_slowly_keep_nobody_waiting_and_are_cut_off(tmp_path: Path) -> None:
    """120 bodies and 60 heads, a byte at a time; four workers, of which none is theirs."""
    with live(tmp_path / "data", workers=WORKERS, max_queue=QUEUE, upload_timeout_s=30, head_timeout_s=30) as service:
        before = lone(service)
        body = head("/v1/compare", MEGABYTE) + b"--" + BOUNDARY + b"\r\n"
        heads = b"POST /v1/compare HTTP/1.1\r\nHost: localhost\r\nX-Slow: "

        async def attack() -> tuple[Any, float, list[Answer | None]]:
            over, lines = asyncio.Event(), list[Any]()
            starts = [body] * 120 + [heads] * 60
            slow = [asyncio.create_task(trickle(service.port, one, 1.0, lines, over)) for one in starts]
            await asyncio.to_thread(service.until, lambda: service.number("attention_http_requests_in_flight") == 121)
            waiting = await asyncio.to_thread(service.number, "attention_queue_requests")
            during = await asyncio.to_thread(lone, service, 1)
            assert not any(task.done() for task in slow)  # it was answered before any of them was
            answers = await asyncio.wait_for(asyncio.gather(*slow), 300)
            return during, waiting, list(answers)

        during, waiting, answers = asyncio.run(attack())
        assert waiting == 0  # none of them has a place in the queue
        assert during == before
        bodies, closed = answers[:120], answers[120:]
        assert all(one is not None and one.status == 408 for one in bodies), Counter(
            one and one.status for one in bodies
        )
        assert all("Send it faster" in json.loads(one.body)["detail"] for one in bodies if one)
        assert closed == [None] * 60
        service.until(lambda: service.number("attention_http_requests_in_flight") == 1)
        assert lone(service) == before


def test_half_read_bodies_take_up_no_more_memory_than_their_limit_however_many_there_are(tmp_path: Path) -> None:
    """100 clients announce 8 MB each, send 7 and stop: 700 MB, where there is room for 64."""
    limit = 64 * MEGABYTE
    with live(tmp_path / "data", memory_bytes=8 * limit, max_request_bytes=limit) as service:
        lone(service)
        start = head("/v1/compare", 8 * MEGABYTE) + (
            b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="image"; filename="x.jpg"\r\n\r\n'
        )

        async def send(writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                writer.write(start)
                for _ in range(70):
                    writer.write(bytes(MEGABYTE // 10))
                    await writer.drain()

        async def attack() -> tuple[float, list[Answer], int, int]:
            lines = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(100)]
            sending = asyncio.gather(*(send(writer) for _, writer in lines))
            refused = [asyncio.create_task(one_answer(*line, b"", time.perf_counter())) for line in lines]
            done = await asyncio.wait_for(sending, 300)
            assert len(done) == 100
            await asyncio.sleep(0.5)
            rss = service.load.rss_mb
            held = sum(not task.done() for task in refused)
            for task in refused:
                task.cancel()
            ends = await asyncio.gather(*refused, return_exceptions=True)
            told = [end for end in ends if isinstance(end, Answer)]
            cut = sum(isinstance(end, OSError) for end in ends)  # wrote on, and so lost what it had been answered
            small = await asyncio.to_thread(service.http.get, "/v1/catalog")
            assert small.status_code == 200
            for _, writer in lines:
                writer.transport.abort()
            return rss, told, held, cut

        before = service.load.rss_mb
        rss, told, held, cut = asyncio.run(attack())
        assert 0 < held <= limit // (7 * MEGABYTE) + 1
        assert (
            told
            and len(told) + held + cut == 100
            and all(one.status == REFUSED and refusal_is_right(one) for one in told)
        )
        assert rss - before < 2 * 64 + 40  # megabytes: the bodies, a copy of what is being looked at, the connections
        service.until(lambda: service.number("attention_http_requests_in_flight") == 1)
        lone(service)
        assert all_fit(service)


def all_fit(service: Live) -> bool:
    """Whether a large body is taken again."""
    large = service.http.post("/v1/images", content=bytes(15 * MEGABYTE), headers={"Content-Type": "image/jpeg"})
    return large.status_code == 422 and "image" in large.json()["detail"]


def test_connections_have_a_limit_and_those_that_are_there_are_served(tmp_path: Path) -> None:
    with live(tmp_path / "data", max_connections=20, head_timeout_s=60) as service:
        lone(service, 1)

        async def crowd() -> Sequence[Answer]:
            ask = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
            lines = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(30)]
            answers = [await one_answer(*line, ask, 0.0) for line in lines]
            for _, writer in lines:
                writer.close()
            return answers

        answers = asyncio.run(crowd())
        became = Counter(one.status for one in answers)
        assert became[ANSWERED] in (19, 20) and became[ANSWERED] + became[REFUSED] == 30
        assert all(refusal_is_right(one) for one in answers if one.status == REFUSED)
        service.until(lambda: service.http.get("/v1/health").status_code == 200)
