"""A service that is told to stop finishes what it took, says that it is leaving, and cuts off nobody."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx2
import pytest

from tests.server.conftest import photo

ROOT = Path(__file__).parents[3]
CLIENTS = 8

Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a service with some settings; gives the process and its address."""
    started: list[subprocess.Popen[str]] = []

    def begin(**settings: str) -> tuple[subprocess.Popen[str], str]:
        own = {"ATTENTION_DATA": str(tmp_path), "ATTENTION_PORT": "0", "ATTENTION_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "server"],
            cwd=ROOT,
            env={**os.environ, "ATTENTION_DEVICE": "cpu", **own, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line
        return process, found[0]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def in_flight(client: httpx2.Client) -> float:
    """Requests that are worked on, without the one that asks."""
    (found,) = re.findall(r"^attention_http_requests_in_flight (\S+)$", client.get("/metrics").text, re.M)
    return float(found) - 1


def refused(address: str) -> bool:
    """Whether nobody listens there any more."""
    try:
        httpx2.get(f"{address}/v1/health", timeout=5)
    except httpx2.TransportError:
        return True
    return False


def until(true: Callable[[], bool], within_s: float = 120.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_all_that_was_taken_is_answered_and_others_are_told_to_go_elsewhere(start: Start) -> None:
    """Images wait eight seconds for company, so all questions are in the middle when the service is told to stop."""
    process, address = start(
        ATTENTION_BATCH_WAIT_TIMEOUT_S="8",
        ATTENTION_MAX_BATCH_SIZE="512",
        ATTENTION_DRAIN_S="2",
        ATTENTION_WORKERS=str(CLIENTS),
        ATTENTION_SHUTDOWN_TIMEOUT_S="600",
    )

    def ask(seed: int) -> int:
        with httpx2.Client(base_url=address, timeout=600) as client:
            files = {"image": ("x.jpg", photo(seed))}
            answer = client.post("/v1/compare", files=files, data={"variants": "resnet20/none,resnet20/se"})
            return len(answer.json()["predictions"])

    with httpx2.Client(base_url=address, timeout=120) as watcher, ThreadPoolExecutor(CLIENTS) as pool:
        assert watcher.get("/v1/ready").status_code == 200
        asked = [pool.submit(ask, seed) for seed in range(CLIENTS)]
        until(lambda: in_flight(watcher) == CLIENTS)
        process.send_signal(signal.SIGTERM)
        until(lambda: watcher.get("/v1/ready").status_code == 503)
        assert "shutting down" in watcher.get("/v1/ready").json()["detail"]
        assert watcher.get("/v1/health").status_code == 200
        assert watcher.post("/v1/cost", json={"variants": ["resnet20/se"]}).status_code == 200  # it only drains yet
        until(lambda: refused(address))
        assert [future.result() for future in asked] == [2] * CLIENTS
    assert process.wait(120) == 0


@pytest.mark.slow
def test_what_takes_longer_than_the_patience_is_cut_off(start: Start) -> None:
    """A client that never finishes sending, and has an hour for it, cannot keep the service from stopping."""
    process, address = start(ATTENTION_SHUTDOWN_TIMEOUT_S="1", ATTENTION_UPLOAD_TIMEOUT_S="3600")
    body, stopped = photo(), Event()

    def drip() -> Iterator[bytes]:
        yield body[:100]
        stopped.wait()  # if the service waited for the rest, both would wait for ever
        yield body[100:]

    with httpx2.Client(base_url=address, timeout=300) as client, ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: client.post("/v1/images", content=drip(), headers={"Content-Type": "image/jpeg"}))
        try:
            with httpx2.Client(base_url=address, timeout=120) as watcher:
                until(lambda: in_flight(watcher) == 1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) in (0, -signal.SIGTERM)
        finally:
            stopped.set()
