"""What a job's worker does: answers, says why not, tells how far it is, and notices that it is not wanted."""

import os
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Event, Semaphore

import pytest

from attention.errors import Cancelled
from attention.reports.cost import CostReport, CostRequest
from attention.spec import Variant
from server.jobs.order import Order
from server.jobs.process import exit_description, start_process
from server.jobs.progress import WRITE_EVERY_S, Pace, Reporter
from server.jobs.queue import JobQueue
from server.jobs.worker import run_job
from server.settings import Settings
from server.store import Store
from server.store.database import connect
from server.store.jobs import Claim, JobTable

SMALL = CostRequest(variants=(Variant.parse("resnet20/se"),))
WITHIN_S = 120.0
"""How long anything is waited for that has to come; it only ends a hang."""

PART = CostReport(variants=(), convention="some")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    settings.folder.mkdir(parents=True)
    opened = Store(settings.database_url)
    yield opened
    opened.close()


@pytest.fixture
def claim(store: Store) -> Claim:
    found = store.jobs.claim(store.jobs.add(SMALL, 9).id)
    assert found is not None
    return found


def test_the_report_is_kept(settings: Settings, store: Store) -> None:
    job = store.jobs.add(SMALL, 9)
    run_job(settings, job.id)
    assert store.jobs.get(job.id).state == "done"
    kept = CostReport.model_validate(store.jobs.stored_report(job.id).report)
    assert kept.variants[0].name == "resnet20/se?classes=10"


@pytest.mark.full
def test_an_error_of_the_caller_is_kept_as_its_sentence(settings: Settings, store: Store) -> None:
    job = store.jobs.add(CostRequest(variants=(Variant(backbone="resnet20", attention="cbma"),)), 9)
    run_job(settings, job.id)
    failed = store.jobs.get(job.id)
    assert (failed.state, failed.error) == ("failed", "There is no attention module named 'cbma'. Did you mean 'cbam'?")


def test_a_job_in_other_hands_is_left_alone(settings: Settings, store: Store, claim: Claim) -> None:
    run_job(settings, claim.job_id)
    assert store.jobs.get(claim.job_id).state == "running"


def test_a_question_of_another_version_says_so(settings: Settings, store: Store) -> None:
    old = SMALL.model_copy(update={"input_size": "wide"})
    with pytest.warns(UserWarning, match="serializer"):
        job = store.jobs.add(old, 9)
    run_job(settings, job.id)
    assert "another version of the service" in str(store.jobs.get(job.id).error)


# ---------------------------------------------------------------- progress


class Watched(JobTable):
    """A table that counts what is written."""

    writes = 0

    def progress(self, *values: object, **more: object) -> bool:
        self.writes += 1
        return super().progress(*values, **more)  # type: ignore[arg-type]


class Pauses(Event):
    """The pauses between two writes: noted, and held until they are let go or the work is over."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[float | None] = []
        self._ends = Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        self.begun.append(timeout)
        assert self._ends.acquire(timeout=WITHIN_S)
        return self.is_set()

    def end(self) -> None:
        self._ends.release()

    def set(self) -> None:
        super().set()
        self._ends.release(1000)

    def until(self, count: int) -> None:
        """Wait until so many have begun."""
        deadline = time.monotonic() + WITHIN_S
        while len(self.begun) < count:
            assert time.monotonic() < deadline
            time.sleep(0.001)


def test_progress_is_written_once_between_two_pauses_and_the_last_of_it_always(
    settings: Settings, store: Store, claim: Claim
) -> None:
    table, pauses = Watched(connect(settings.database_url)), Pauses()
    reporter = Reporter(table, claim)
    reporter._closing = pauses
    with reporter:
        for count in range(1, 4):
            reporter.on_progress(count, 1000, "on and on", None)
            pauses.until(count)
            for _ in range(500):
                reporter.on_progress(count, 1000, "on and on", None)
            assert table.writes == count  # however much is told meanwhile
            pauses.end()
        pauses.until(4)
        reporter.on_progress(1000, 1000, "there", PART)
    job = store.jobs.get(claim.job_id)
    assert (job.done, job.note, job.report) == (1000, "there", "partial")
    assert table.writes == 5 and set(pauses.begun) == {WRITE_EVERY_S} and WRITE_EVERY_S >= 0.25


@pytest.mark.parametrize("silent", [False, True])
def test_a_cancelled_job_notices_even_if_it_says_nothing(store: Store, claim: Claim, silent: bool) -> None:
    with Reporter(store.jobs, claim) as reporter:
        reporter.on_progress(0, 2, "", None)
        store.jobs.cancel(claim.job_id)
        deadline = time.monotonic() + WITHIN_S
        with pytest.raises(Cancelled):
            while time.monotonic() < deadline:
                reporter.check() if silent else reporter.on_progress(1, 2, "", None)
                time.sleep(0.01)
    assert store.jobs.get(claim.job_id).done == 0


@pytest.mark.full
def test_a_database_that_is_away_for_a_moment_does_not_end_the_work(
    settings: Settings, store: Store, claim: Claim
) -> None:
    back = Event()

    class Away(JobTable):
        def progress(self, *values: object, **more: object) -> bool:
            if not back.is_set():
                back.set()
                raise OSError("the database is away")
            return super().progress(*values, **more)  # type: ignore[arg-type]

    with Reporter(Away(connect(settings.database_url)), claim) as reporter:
        reporter.on_progress(1, 2, "half", PART)
        assert back.wait(WITHIN_S)
        deadline = time.monotonic() + WITHIN_S
        while store.jobs.get(claim.job_id).report == "none":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        reporter.check()
    assert store.jobs.get(claim.job_id).done == 1


def test_the_time_left_follows_from_the_steps_so_far() -> None:
    pace = Pace()
    pace.add(100.0, 0)
    assert pace.left(0, 10) is None
    for step in range(1, 4):
        pace.add(100.0 + 2 * step, step)
    assert pace.left(3, 10) == pytest.approx(14)
    pace.add(116.0, 8)  # five steps told at once
    assert pace.left(8, 10) == pytest.approx(4)
    assert pace.left(8, 0) is None


def test_steps_kept_from_an_earlier_attempt_do_not_promise_too_much() -> None:
    pace = Pace()
    pace.add(0.0, 0)
    for done in (1, 2, 3):
        pace.add(done / 100, done)
    for step in range(1, 6):
        pace.add(0.03 + 60 * step, 3 + step)
    assert pace.left(8, 10) == pytest.approx(120)


# ---------------------------------------------------------------- the queue's own words


def test_an_end_is_told_in_a_sentence() -> None:
    assert "out of memory" in exit_description(-9)
    assert "SIGSEGV" in exit_description(-11)
    assert "code 3" in exit_description(3)


def test_a_job_leads_a_group_in_the_session_of_the_service(tmp_path: Path) -> None:
    """Its niceness counts beside answers only there, and the group is what is killed."""
    said = tmp_path / "said"
    code = f"import os; open({str(said)!r}, 'w').write(f'{{os.getsid(0)}} {{os.getpgrp() == os.getpid()}}')"
    order = Order(job_id="1", claim=1, analysis="cost", settings={})
    job = start_process(order, command=(sys.executable, "-c", code))
    job.wait()
    job.kill()  # closes what the order went through
    assert said.read_text() == f"{os.getsid(0)} True"


@pytest.mark.full
def test_a_job_whose_process_dies_at_once_fails_after_three_attempts(settings: Settings, store: Store) -> None:
    job = store.jobs.add(SMALL, 9)
    queue = JobQueue(settings, partial(start_process, command=(sys.executable, "-c", "raise SystemExit(3)")))
    queue.open()
    try:
        deadline = time.monotonic() + WITHIN_S
        while not (now := store.jobs.get(job.id)).ended:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        queue.close()
    assert (now.state, now.attempts) == ("failed", 3)
    assert now.error is not None and "code 3" in now.error


def test_jobs_leave_a_core_to_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.settings.cores", lambda: 8)
    assert Settings().job_cpu_threads == 7
    assert Settings(jobs=2).job_cpu_threads == 3
    assert Settings(job_threads=5).job_cpu_threads == 5
    monkeypatch.setattr("server.settings.cores", lambda: 1)
    assert Settings().job_cpu_threads == 1


@pytest.mark.parametrize(
    ("url", "shared"),
    [
        (None, True),
        ("sqlite:////data/attention.db", True),
        ("sqlite:///relative.db", True),
        ("postgresql+psycopg://me@host/name", True),
        ("sqlite://", False),
        ("sqlite:///:memory:", False),
        ("sqlite+pysqlite:///:memory:", False),
    ],
)
def test_a_database_in_memory_is_known_as_one(url: str | None, shared: bool) -> None:
    assert Settings(database=url).database_shared is shared
