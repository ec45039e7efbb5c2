"""A running copy of the project that has a slow analysis more: the real service, its real processes, a real socket."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).parents[3]
WITHIN_S = 240.0
"""Long enough for a busy machine; nothing waits for it to pass."""


def copy_project(to: Path) -> Path:
    """The project with ``tests/server/shelf`` on its shelf of analyses."""
    ignore = shutil.ignore_patterns("__pycache__", "shipped", "samples")
    for package in ("attention", "server"):
        shutil.copytree(ROOT / package, to / package, ignore=ignore)
    for file in (ROOT / "tests" / "server" / "shelf").glob("*.py"):
        shutil.copy(file, to / "attention" / "analyses")
    return to


class Running:
    """A service that runs, and what it says."""

    def __init__(self, process: subprocess.Popen[str], http: httpx2.Client, log: Path) -> None:
        self.process = process
        self.http = http
        self._log = log

    @property
    def log(self) -> str:
        """What it has written to its log."""
        return self._log.read_text()

    def submit(self, **request: Any) -> str:
        """Queue a count; gives the id."""
        answer = self.http.post("/v1/count", json=request)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """A job as it is now."""
        found: dict[str, Any] = self.http.get(f"/v1/jobs/{job_id}").json()
        return found

    def wait(self, job_id: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The job as soon as something is true of it."""
        deadline = time.monotonic() + WITHIN_S
        while not true(job := self.job(job_id)):
            assert time.monotonic() < deadline, (job, self.log)
            time.sleep(0.02)
        return job

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job when it has ended."""
        return self.wait(job_id, lambda job: job["finished"] is not None)

    def report(self, job_id: str) -> dict[str, Any]:
        """What it has found."""
        answer = self.http.get(f"/v1/jobs/{job_id}/report")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def kill(self) -> None:
        """The service is gone from one moment to the next."""
        self.process.kill()
        self.process.wait()


@contextmanager
def running(project: Path, data: Path, name: str = "", **more: str) -> Iterator[Running]:
    """The service of a copy of the project, on a free port.

    Args:
        name: what its log is called, when several have one data folder.
        more: of its environment.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ATTENTION_", "OMP_"))}
    environment |= {"ATTENTION_DATA": str(data), "ATTENTION_PORT": "0", "ATTENTION_THREADS": "1"}
    environment |= {"PYTHONPATH": str(project), "ATTENTION_DEVICE": "cpu", **more}
    log = data.with_name(f"{data.name}{name}.log")
    with log.open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "server"],
            cwd=project,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    try:
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found, log.read_text()
        with httpx2.Client(base_url=found[0], timeout=60) as http:
            yield Running(process, http, log)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def alive(process: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    try:
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(process: int) -> bool:
    """Whether a process ends soon."""
    deadline = time.monotonic() + 10
    while alive(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(process)
