"""Jobs are claimed once and only once, by however many services on one database, and those of the dead begin again."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import insert, select

from attention.reports.cost import CostRequest
from server.jobs.process import start_process
from server.jobs.queue import JobQueue
from server.jobs.watchdog import GONE_LOOKS, SILENT_LOOKS, Watchdog
from server.settings import Settings
from server.store import Store
from server.store.database import connect
from server.store.jobs import Claim, JobTable
from server.store.owner import ended, this_process
from server.store.tables import JobRow
from tests.server.store.databases import Cluster

ROOT = Path(__file__).parents[3]
ELSEWHERE = "another-machine/17/123456/00000000-0000:4026531836"


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = Store(database_url)
    yield opened
    opened.close()


def queue(store: Store, count: int) -> list[str]:
    """The ids of jobs that wait now, oldest first."""
    return [store.jobs.add(CostRequest(), 10_000).id for _ in range(count)]


def queue_many(database_url: str, count: int) -> list[str]:
    """The same, all in one go."""
    engine = connect(database_url)
    ids = [f"{number:016x}" for number in range(count)]
    usual = {"analysis": "cost", "request": "{}", "state": "queued", "created": datetime.now(UTC)}
    with engine.begin() as connection:
        connection.execute(insert(JobRow), [{"id": job, **usual} for job in ids])
    engine.dispose()
    return ids


# ---------------------------------------------------------------- once and only once

CLAIMER = """
import json, sys
from server.store import Store
store = Store(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
claims = []
while (claim := store.jobs.claim_next()) is not None:
    claims.append(claim.job_id)
print(json.dumps(claims))
"""


@pytest.mark.slow
def test_two_processes_share_out_hundreds_of_jobs(store: Store, database_url: str) -> None:
    jobs = queue_many(database_url, 300)
    command = [sys.executable, "-c", CLAIMER, database_url]
    started = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for process in started:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    claims = [json.loads(process.communicate(timeout=120)[0]) for process in started]
    assert sorted(claims[0] + claims[1]) == sorted(jobs)
    assert all(claims), "one of them got nothing"
    assert all(job.attempts == 1 for job in store.jobs.newest(300))


@pytest.mark.full
def test_many_threads_with_connections_of_their_own_share_out_hundreds_of_jobs(store: Store, database_url: str) -> None:
    jobs = queue_many(database_url, 200)
    start = Barrier(8)

    def claim_all(number: int) -> list[str]:
        engine = connect(database_url)
        table = JobTable(engine, f"worker {number}")
        start.wait()
        claims = []
        while (claim := table.claim_next()) is not None:
            claims.append(claim.job_id)
        engine.dispose()
        return claims

    with ThreadPoolExecutor(8) as pool:
        shares = list(pool.map(claim_all, range(8)))
    assert sorted(job for share in shares for job in share) == sorted(jobs)
    for share in shares:
        assert share == sorted(share, key=jobs.index)  # each takes the oldest there is
    owners = {work.claim.job_id: work.owner for work in store.jobs.running()}
    assert all(owners[job] == f"worker {number}" for number, share in enumerate(shares) for job in share)


@pytest.mark.slow
def test_a_job_that_somebody_is_just_taking_up_is_passed_over_by_postgresql(postgres: Cluster) -> None:
    url = postgres.schema()
    store, engine = Store(url), connect(url)
    first, second = queue(store, 2)
    with engine.begin() as other:
        other.execute(select(JobRow).where(JobRow.id == first).with_for_update())
        claim = store.jobs.claim_next()  # at once
        assert claim is not None and claim.job_id == second
        assert store.jobs.claim_next() is None
    claim = store.jobs.claim_next()
    assert claim is not None and claim.job_id == first
    engine.dispose()
    store.close()


# ---------------------------------------------------------------- who is dead


def claimed(store: Store, database_url: str, owner: str) -> Claim:
    """A job that somebody works on."""
    (job,) = queue(store, 1)
    engine = connect(database_url)
    claim = JobTable(engine, owner).claim(job)
    engine.dispose()
    assert claim is not None
    return claim


def test_a_worker_elsewhere_that_gives_signs_of_life_is_never_taken_for_dead(store: Store, database_url: str) -> None:
    claim = claimed(store, database_url, ELSEWHERE)
    watchdog = Watchdog(store.jobs, silent_looks=3)
    for number in range(30):
        assert watchdog.look() == 0
        if number % 3 == 2:
            assert store.jobs.beat(claim)
    assert store.jobs.get(claim.job_id).state == "running"


def test_a_worker_elsewhere_that_is_silent_loses_its_job_after_half_a_minute(store: Store, database_url: str) -> None:
    claim = claimed(store, database_url, ELSEWHERE)
    watchdog = Watchdog(store.jobs)
    for _ in range(SILENT_LOOKS):
        assert watchdog.look() == 0
    assert watchdog.look() == 1
    job = store.jobs.get(claim.job_id)
    assert (job.state, job.error) == (
        "queued",
        "The process that worked on this job gave no sign of life for 30 s.",
    )
    assert not store.jobs.beat(claim)  # should it wake up, it is told
    assert not Watchdog(store.jobs).look()


@pytest.mark.full
def test_a_worker_of_this_machine_that_has_ended_loses_its_job_in_seconds(store: Store, database_url: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", NAME], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    name = process.communicate(timeout=60)[0].strip()
    claim = claimed(store, database_url, name)
    watchdog = Watchdog(store.jobs)
    looks = 1
    while not watchdog.look():
        looks += 1
    assert looks == GONE_LOOKS + 1
    assert store.jobs.get(claim.job_id).error == "The service ended while this job ran."


@pytest.mark.full
def test_a_child_that_outlives_its_service_keeps_the_job_while_it_works(store: Store, database_url: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", NAME], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    claim = claimed(store, database_url, process.communicate(timeout=60)[0].strip())
    watchdog = Watchdog(store.jobs)
    for _ in range(3 * GONE_LOOKS):
        store.jobs.progress(claim, 1, 2, "on my own", None)
        assert watchdog.look() == 0


def test_a_job_of_a_version_that_named_no_owner_is_given_the_same_time(store: Store, database_url: str) -> None:
    claim = claimed(store, database_url, ELSEWHERE)
    engine = connect(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET owner = NULL")
    engine.dispose()
    watchdog = Watchdog(store.jobs, silent_looks=2)
    assert [watchdog.look() for _ in range(4)] == [0, 0, 1, 0]
    assert store.jobs.get(claim.job_id).state == "queued"


def test_one_more_sign_of_life_comes_in_time(store: Store, database_url: str) -> None:
    claim = claimed(store, database_url, ELSEWHERE)
    (work,) = store.jobs.running()
    assert store.jobs.beat(claim)
    assert store.jobs.died(claim, "Silent.", work.beats) is None
    assert store.jobs.died(claim, "Silent.", work.beats + 1) == "queued"


@pytest.mark.full
def test_of_several_watchdogs_one_moves_a_job(store: Store, database_url: str) -> None:
    jobs = [claimed(store, database_url, ELSEWHERE) for _ in range(20)]
    stores = [Store(database_url) for _ in range(4)]
    watchdogs = [Watchdog(other.jobs, silent_looks=1) for other in stores]
    with ThreadPoolExecutor(4) as pool:
        moved = [sum(pool.map(lambda watchdog: watchdog.look(), watchdogs)) for _ in range(3)]
    assert moved == [0, len(jobs), 0]
    assert all((job.state, job.attempts) == ("queued", 1) for job in store.jobs.newest(99))
    for other in stores:
        other.close()


NAME = "from server.store.owner import this_process; print(this_process())"


@pytest.mark.full
def test_a_process_is_known_to_have_ended_or_it_is_not() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", f"{NAME}; input()"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    assert name.split("/")[1] == str(process.pid) and name != this_process()
    assert not ended(name)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert ended(name)  # a zombie works on nothing
    process.communicate()
    assert ended(name)
    assert not ended(this_process())
    host, pid, began, machine = this_process().split("/")
    assert ended(f"{host}/{pid}/{int(began) + 1}/{machine}")  # the number belongs to another process now
    assert not ended(f"{host}/{pid}/{int(began) + 1}/another")  # of another machine nobody here can tell
    assert not ended(ELSEWHERE) and not ended(None) and not ended("nonsense")


# ---------------------------------------------------------------- queues

WORKER = """
import sys, time
from attention.reports.cost import CostReport
from server.jobs.order import Order
from server.store import Store
from server.store.jobs import Claim
order = Order.model_validate_json(sys.stdin.readline())
with open(sys.argv[1], "a") as notes:
    notes.write(order.job_id + "\\n")
time.sleep(0.3)
claim = Claim(order.job_id, order.claim)
Store(order.settings["database"]).jobs.finish(claim, CostReport(variants=(), convention="none"))
"""
"""What a job's process does, without the work."""


@pytest.mark.slow
def test_queues_that_come_and_go_on_one_database_run_each_job_once(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    settings = Settings(data=tmp_path, database=database_url, jobs=2)
    notes = tmp_path / "notes"
    command = (sys.executable, "-c", WORKER, str(notes))
    jobs = queue(store, 7)
    queues = [JobQueue(settings, partial(start_process, command=command)) for _ in range(3)]
    try:
        queues[0].open()
        queues[1].open()
        deadline = time.monotonic() + 120
        while len(store.jobs.newest(99, "done")) < len(jobs):
            if notes.exists() and len(notes.read_text().split()) >= 4:
                queues[2].open()  # finds jobs that run, and leaves them alone; opening it again changes nothing
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        for job_queue in queues:
            job_queue.close()
    assert sorted(notes.read_text().split()) == sorted(jobs)
    assert all(job.attempts == 1 for job in store.jobs.newest(99))
