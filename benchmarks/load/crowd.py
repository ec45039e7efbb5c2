"""Clients by the hundred, each with a connection of its own, who ask, read the answer, and ask again.

Plain sockets and one thread, because the clients share the machine with the service that they ask: what they need
themselves is not there for it.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

BOUNDARY = b"--------a-boundary-of-the-crowd"

ANSWERED, REFUSED = 200, 503

ENOUGH_WITHIN_S = 180.0
"""Seconds after which clients stop asking, whether or not enough of them were answered."""

KEPT_S = 2.0
"""How long a client keeps a connection that it does not use; services close theirs after some seconds."""


@dataclass(frozen=True)
class Answer:
    """What one request came to.

    ``status`` is 0 when there was no answer: the connection was closed or reset, or nothing came in time.
    """

    status: int
    began: float
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Crowd:
    """Clients that ask one service.

    Args:
        host, port: where it listens.
        request: the bytes of a request, by a number that no other request has.
        patience_s: after how long without an answer a client counts it as none.
        polite: wait as long as Retry-After says; otherwise ask again after ``pause_s``.
        pause_s: seconds between a refusal and the next request, on average.
    """

    host: str
    port: int
    request: Callable[[int], bytes]
    patience_s: float = 60.0
    polite: bool = False
    pause_s: float = 0.2
    answers: list[Answer] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _answered: int = 0

    def ask(self, clients: int, seconds: float, enough: int = 0) -> list[Answer]:
        """Let so many clients ask for so long, each of them one request at a time; every one of them ends.

        Args:
            enough: they go on until so many were answered, for `ENOUGH_WITHIN_S` at most.
        """
        self._answered, first = -enough, len(self.answers)
        now = time.perf_counter()
        asyncio.run(self._all(clients, now + seconds, now + max(seconds, ENOUGH_WITHIN_S)))
        return self.answers[first:]

    async def _all(self, clients: int, until: float, latest: float) -> None:
        await asyncio.gather(*(self._one(until, latest) for _ in range(clients)))

    async def _one(self, until: float, latest: float) -> None:
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        chance = random.Random(next(self._numbers))
        await asyncio.sleep(chance.uniform(0, 0.1))
        while time.perf_counter() < (until if self._answered >= 0 else latest):
            began = time.perf_counter()
            try:
                async with asyncio.timeout(self.patience_s):
                    if connection is None:
                        connection = await asyncio.open_connection(self.host, self.port)
                    answer = await one_answer(*connection, self.request(next(self._numbers)), began)
            except (OSError, EOFError, TimeoutError):
                answer = Answer(0, began, time.perf_counter() - began)
            self.answers.append(answer)
            self._answered += answer.status == ANSWERED
            wait_s = (
                float(answer.headers.get("retry-after", 1)) if self.polite else self.pause_s * chance.uniform(0.5, 1.5)
            )
            wait_s *= answer.status != ANSWERED
            if not answer.status or answer.headers.get("connection") == "close" or wait_s > KEPT_S:
                if connection is not None:
                    connection[1].close()
                connection = None
            if wait_s:
                await asyncio.sleep(wait_s)
        if connection is not None:
            connection[1].close()


async def one_answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, began: float
) -> Answer:
    """Send a request and read its answer.

    Raises:
        OSError, EOFError: there is none.
    """
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers["content-length"]))
    return Answer(int(first.split()[1]), began, time.perf_counter() - began, headers, body)


def comparison(photos: Sequence[bytes], variants: str) -> Callable[[int], bytes]:
    """Requests that send a photo to /v1/compare, no two with the same bytes."""

    def request(number: int) -> bytes:
        return form("/v1/compare", unlike_others(photos[number % len(photos)], number), variants)

    return request


def form(path: str, photo: bytes, variants: str) -> bytes:
    """A request with a photo and names of networks."""
    body = b"".join(
        (
            b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="variants"\r\n\r\n' + variants.encode(),
            b"\r\n--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="image"; filename="x.jpg"\r\n',
            b"Content-Type: image/jpeg\r\n\r\n" + photo + b"\r\n--" + BOUNDARY + b"--\r\n",
        )
    )
    return head(path, len(body)) + body


def head(path: str, length: int, more: str = "") -> bytes:
    """The head of a request with a form of so many bytes."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{more}"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}\r\n\r\n"
    ).encode()


def unlike_others(jpeg: bytes, number: int) -> bytes:
    """The same picture with a comment that says its number: other bytes, so nobody has the answer yet."""
    said = f"{number}".encode()
    return jpeg[:2] + b"\xff\xfe" + (len(said) + 2).to_bytes(2, "big") + said + jpeg[2:]


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
