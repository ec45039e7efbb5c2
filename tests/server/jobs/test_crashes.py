"""Services on one database and folder are killed in the middle, again and again: what was promised is there."""

import hashlib
import os
import random
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.server.conftest import photo
from tests.server.store.copies import WITHIN_S, Running, alive, copy_project, gone, running

pytestmark = pytest.mark.slow

STEPS = 40
PAUSE_S = 0.1
"""Between uploads, so that there is time for whatever else happens; a kill hits some of them in the middle."""


class Uploads:
    """Somebody who uploads photos one after the other, and remembers what the service said it had."""

    def __init__(self, service: Running, seed: int) -> None:
        self.promised: dict[str, bytes] = {}
        self._service = service
        self._seed = seed
        self._stopped = threading.Event()

    def run(self) -> None:
        """Upload until the service is gone, or `stop`."""
        number = 0
        while not self._stopped.is_set():
            data = photo(self._seed + number % 40, size=(60 + number // 40, 50))
            try:
                answer = self._service.http.post("/v1/images", files={"image": (f"{number}.jpg", data)})
            except httpx2.HTTPError:
                return
            assert answer.status_code == 201
            self.promised[answer.json()["id"]] = data
            number += 1
            self._stopped.wait(PAUSE_S)

    def stop(self) -> None:
        """No more."""
        self._stopped.set()


def images(service: Running) -> list[str]:
    """The newest of those that the service lists."""
    listed = service.http.get("/v1/images").json()["images"]
    return [image["id"] for image in listed if not image["sample"]]


def under_way(service: Running, jobs: list[str]) -> list[int]:
    """The processes of jobs that are in the middle, as soon as there is one, and another that has been taken up."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        now = [service.job(job) for job in jobs]
        found = [job["id"] for job in now if half_way(job)]
        if found and sum(job["state"] == "running" for job in now) == 2:
            return [service.report(job)["process"] for job in found]
        assert time.monotonic() < deadline, (now, service.log)
        time.sleep(0.02)


def half_way(job: dict[str, Any]) -> bool:
    return job["state"] == "running" and job["done"] >= 2 and job["report"] == "partial"


def test_what_was_promised_outlives_every_kill(database_url: str, tmp_path: Path) -> None:
    """In each round one of two services is killed while photos come and jobs run, or a job's process is."""
    project, data = copy_project(tmp_path / "project"), tmp_path / "data"
    chance = random.Random(0)
    rounds = 3 if database_url.startswith("sqlite") else 2
    promised: dict[str, bytes] = {}
    reports: dict[str, dict[str, Any]] = {}

    def start(name: str, stack: ExitStack) -> Running:
        service = stack.enter_context(running(project, data, name, ATTENTION_DATABASE=database_url))
        assert service.http.get("/v1/ready").status_code == 200
        return service

    with ExitStack() as stack:
        steady = start("steady", stack)
        for number in range(rounds):
            victim = start(f"victim-{number}", stack)
            held = int(re.findall(r"The database holds (\d+) images", victim.log)[0])
            assert len(promised) <= held <= len(promised) + number  # one a kill may be kept without the answer got out
            jobs = [
                service.submit(name=f"round_{number}_{name}", to=STEPS, step_s=0.1)
                for name, service in (("a", victim), ("b", victim), ("c", steady))
            ]
            uploads = Uploads(victim, 40 * number)
            with ThreadPoolExecutor(1) as pool:
                uploading = pool.submit(uploads.run)
                at_work = under_way(steady, jobs)
                time.sleep(chance.uniform(0.0, 0.5))
                if number == 0:  # first a job's process alone
                    os.kill(at_work[0], signal.SIGKILL)
                    assert all(steady.ended(job)["state"] == "done" for job in jobs)
                victim.kill()
                uploading.result(timeout=60)
            assert uploads.promised
            promised |= uploads.promised

            ended = {job: steady.ended(job) for job in jobs}  # the other service takes over
            assert [job["state"] for job in ended.values()] == ["done"] * 3, (ended, steady.log)
            for job in jobs:
                reports[job] = steady.http.get(f"/v1/reports/{job}").json()
                assert reports[job]["report"]["counted"] == list(range(1, STEPS + 1))
            for name in "abc":  # nobody else did a step of it at the same time
                assert len((data / f"round_{number}_{name}.notes").read_text()) == STEPS
            assert all(gone(process) for process in at_work)

        last = start("last", stack)
        for service in (steady, last):
            there = {*promised, *images(service)}  # also those whose answer was cut off: what can be read is whole
            for image_id in there:
                content = service.http.get(f"/v1/images/{image_id}/file").content
                assert hashlib.sha256(content).hexdigest() == image_id
                assert content == promised.get(image_id, content)
            for job, report in reports.items():
                assert service.http.get(f"/v1/reports/{job}").json() == report
        whole = {path.name for path in (data / "images").glob("*/*") if not path.name.startswith(".")}
        for name in whole:
            assert hashlib.sha256((data / "images" / name[:2] / name).read_bytes()).hexdigest() == name
        assert steady.log.count("ran when the service last ended; it is queued now") >= rounds - 1
        assert f"{len(reports)} jobs done" in last.log
        assert all(not alive(report["report"]["process"]) for report in reports.values())
