"""The states of a job: who may move it, what stays, and what nobody can do twice."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from attention.errors import NotFound, Overloaded
from attention.reports.cost import CostReport, CostRequest
from server.store import Store
from server.store.jobs import MAX_CRASHES, MAX_INTERRUPTIONS, Claim, Death

REPORT = CostReport(variants=(), convention="none")
PART = CostReport(variants=(), convention="some")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = Store(database_url)
    yield opened
    opened.close()


def queued(store: Store) -> str:
    return store.jobs.add(CostRequest(), 100).id


def claimed(store: Store) -> Claim:
    claim = store.jobs.claim(queued(store))
    assert claim is not None
    return claim


def test_a_job_goes_from_queued_over_running_to_done(store: Store) -> None:
    job = store.jobs.get(queued(store))
    assert (job.state, job.attempts, job.started, job.report) == ("queued", 0, None, "none")
    assert CostRequest.model_validate(job.request) == CostRequest()
    claim = store.jobs.claim(job.id)
    assert claim is not None
    running = store.jobs.get(job.id)
    assert (running.state, running.attempts) == ("running", 1)
    assert store.jobs.progress(claim, 2, 4, "half of it", 10.0, PART)
    half = store.jobs.get(job.id)
    assert (half.done, half.total, half.note, half.report) == (2, 4, "half of it", "partial")
    assert half.eta_s is not None and 9 < half.eta_s <= 10
    assert json.loads(store.jobs.report(job.id) or "")["convention"] == "some"
    assert store.jobs.finish(claim, REPORT)
    done = store.jobs.get(job.id)
    assert (done.state, done.done, done.total, done.eta_s, done.report) == ("done", 4, 4, None, "final")
    assert done.started and done.finished and done.created <= done.started <= done.finished
    assert done.created.utcoffset() == timedelta(0)
    stored = store.jobs.stored_report(job.id)
    assert (stored.report["convention"], stored.request) == ("none", job.request)


def test_the_oldest_job_is_taken_up_first_and_the_newest_is_listed_first(store: Store) -> None:
    jobs = [queued(store) for _ in range(3)]
    taken = [store.jobs.claim_next() for _ in range(4)]
    assert [claim and claim.job_id for claim in taken] == [*jobs, None]
    assert [job.id for job in store.jobs.newest(2)] == jobs[:0:-1]
    assert store.jobs.newest(10, "queued") == ()


def test_of_many_who_want_a_job_one_gets_it(store: Store) -> None:
    jobs = [queued(store) for _ in range(5)]
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda number: store.jobs.claim(jobs[number % 5]), range(40)))
    assert sorted(claim.job_id for claim in claims if claim) == sorted(jobs)


@pytest.mark.full
def test_cancel_and_finish_cannot_both_win(store: Store) -> None:
    for _ in range(20):
        claim = claimed(store)
        start = threading.Barrier(2)

        def finish(start: threading.Barrier = start, claim: Claim = claim) -> bool:
            start.wait()
            return store.jobs.finish(claim, REPORT)

        with ThreadPoolExecutor(1) as pool:
            finished = pool.submit(finish)
            start.wait()
            cancelled = store.jobs.cancel(claim.job_id)
        job = store.jobs.get(claim.job_id)
        assert job == cancelled
        assert job.state == ("done" if finished.result() else "cancelled")
        assert job.report == ("final" if finished.result() else "none")


@pytest.mark.parametrize(
    "write",
    [
        lambda store, claim: store.jobs.progress(claim, 1, 2, "", None, PART),
        lambda store, claim: store.jobs.finish(claim, REPORT),
        lambda store, claim: store.jobs.fail(claim, "Too late."),
        lambda store, claim: store.jobs.died(claim, "Too late."),
        lambda store, claim: store.jobs.give_back(claim),
        lambda store, claim: store.jobs.beat(claim),
    ],
)
@pytest.mark.parametrize("lost", ["cancelled", "in other hands", "done"])
def test_who_has_lost_a_job_cannot_change_it(store: Store, write: Callable[[Store, Claim], object], lost: str) -> None:
    claim = claimed(store)
    if lost == "cancelled":
        store.jobs.cancel(claim.job_id)
    elif lost == "done":
        store.jobs.finish(claim, REPORT)
    else:
        store.jobs.died(claim, "It died.")
        assert store.jobs.claim(claim.job_id)
    before = store.jobs.get(claim.job_id)
    assert not write(store, claim)
    assert store.jobs.get(claim.job_id) == before


def test_a_job_that_ended_stays_as_it_is(store: Store) -> None:
    claim = claimed(store)
    store.jobs.fail(claim, "It cannot be.")
    failed = store.jobs.cancel(claim.job_id)
    assert (failed.state, failed.error) == ("failed", "It cannot be.")
    assert store.jobs.claim(claim.job_id) is None


def test_a_job_whose_worker_dies_is_queued_again_with_what_it_had_found(store: Store) -> None:
    claim = claimed(store)
    store.jobs.progress(claim, 3, 9, "", 60.0, PART)
    assert store.jobs.died(claim, "It was killed.") == "queued"
    job = store.jobs.get(claim.job_id)
    assert (job.state, job.error, job.eta_s, job.done, job.report) == ("queued", "It was killed.", None, 3, "partial")
    again = store.jobs.claim_next()
    assert again is not None and again.job_id == claim.job_id


def deaths_until_it_fails(store: Store, claim: Claim, death: Death, steps: Iterable[int]) -> int:
    """How often a job dies until it fails, each time after so many steps done; 0 if it does not fail."""
    for number, done in enumerate(steps, 1):
        store.jobs.progress(claim, 0, 99, "", None)  # where it begins to look for what is done already
        store.jobs.progress(claim, done, 99, "", None)
        if store.jobs.died(claim, "It was killed.", death=death) == "failed":
            return number
        again = store.jobs.claim(claim.job_id)
        assert again is not None
        claim = again
    return 0


@pytest.mark.parametrize(
    ("death", "steps", "fails_after"),
    [
        ("crash", [0, 0, 0], 3),  # dies before it does anything
        ("crash", [4, 4, 4], 3),  # gets as far as the step that kills it, each time anew
        ("crash", [4, 2, 3], 3),  # is not even as far again
        ("crash", range(1, 99), 0),  # one step a life finishes in the end
        ("crash", [0, 0, 1, 1, 2, 2, 2], 7),  # stumbles, and then stays where it is
        ("interruption", [0] * 40, 0),  # forty restarts in a row before its first step
        ("interruption", [0] * 60, MAX_INTERRUPTIONS),
        ("interruption", [step // 3 for step in range(290)], 0),
    ],
)
def test_a_death_counts_only_without_progress_since_the_last(
    store: Store, death: Death, steps: Iterable[int], fails_after: int
) -> None:
    claim = claimed(store)
    assert deaths_until_it_fails(store, claim, death, steps) == fails_after
    job = store.jobs.get(claim.job_id)
    if fails_after:
        assert (job.state, job.attempts) == ("failed", fails_after)
        assert job.error is not None and job.error.startswith("It was killed. It happened")
    else:
        assert job.state == "running"


def test_restarts_of_the_service_do_not_use_up_what_a_job_may_crash(store: Store) -> None:
    claim = claimed(store)
    assert deaths_until_it_fails(store, claim, "interruption", [0] * 10) == 0
    taken = store.jobs.running()[0].claim
    assert deaths_until_it_fails(store, taken, "crash", [0] * 5) == MAX_CRASHES


def test_stopping_the_service_costs_no_attempt(store: Store) -> None:
    for _ in range(3):
        claim = store.jobs.claim_next() or claimed(store)
        assert store.jobs.give_back(claim)
    job = store.jobs.get(claim.job_id)
    assert (job.state, job.attempts, len(store.jobs.newest(9))) == ("queued", 0, 1)


def test_jobs_and_reports_outlive_the_store(store: Store, database_url: str) -> None:
    claim = claimed(store)
    store.jobs.progress(claim, 1, 2, "", None, PART)
    store.close()
    reopened = Store(database_url)
    assert [work.claim for work in reopened.jobs.running()] == [claim]
    assert reopened.jobs.report(claim.job_id) == PART.model_dump_json()
    reopened.close()


def test_a_full_queue_takes_no_more(store: Store) -> None:
    store.jobs.claim(queued(store))  # runs, and waits no longer
    for _ in range(2):
        store.jobs.add(CostRequest(), 2)
    with pytest.raises(Overloaded, match="2 jobs are waiting already"):
        store.jobs.add(CostRequest(), 2)
    assert len(store.jobs.newest(9)) == 3


def test_a_job_that_is_not_here_is_not_found(store: Store) -> None:
    for look in (store.jobs.get, store.jobs.cancel, store.jobs.stored_report):
        with pytest.raises(NotFound, match="no job 'nobody'"):
            look("nobody")
    with pytest.raises(NotFound, match="is queued and has no finished report"):
        store.jobs.stored_report(queued(store))
