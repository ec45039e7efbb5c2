"""Limits of a key: seconds of compute go down as they are spent and come back with time."""

import time
from collections.abc import Sequence

import pytest
from starlette.exceptions import HTTPException

from server.access.limits import REQUEST_S, Account, Bill, Bucket
from server.access.metering import metered, own_time, paid_by
from server.engine.batching import MicroBatcher
from server.settings import Settings


class Clock:
    """Seconds that pass when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_debt_is_paid_off_at_the_rate_and_no_faster() -> None:
    clock = Clock()
    bucket = Bucket(rate=0.5, burst_s=10, clock=clock)
    bucket.spend(13)
    assert bucket.wait_s() == pytest.approx(3 / 0.5)
    clock.now += 4
    assert bucket.wait_s() == pytest.approx(2)
    clock.now += 2.1
    assert bucket.wait_s() == 0


def test_an_idle_key_saves_up_to_the_brim_only() -> None:
    clock = Clock()
    bucket = Bucket(rate=2, burst_s=10, clock=clock)
    clock.now += 1_000_000
    bucket.spend(10)
    assert bucket.wait_s() > 0


def test_over_a_long_time_a_key_gets_its_rate() -> None:
    clock = Clock()
    bucket = Bucket(rate=0.25, burst_s=5, clock=clock)
    spent = 0.0
    for _ in range(10_000):
        if not bucket.wait_s():
            bucket.spend(0.7)
            spent += 0.7
        clock.now += 0.1
    assert spent == pytest.approx(5 + 0.25 * 1000, rel=0.01)


def test_a_rate_of_nought_is_no_limit() -> None:
    bucket = Bucket(rate=0, burst_s=1, clock=Clock())
    bucket.spend(1e9)
    assert bucket.wait_s() == 0


def test_requests_in_flight_are_counted_until_they_end() -> None:
    account = Account("lab", Settings(key_in_flight=2))
    account.enter()
    account.enter()
    with pytest.raises(HTTPException) as refused:
        account.enter()
    assert (refused.value.status_code, refused.value.headers) == (429, {"Retry-After": "1"})
    account.leave()
    account.enter()
    assert account.refused == {"compute": 0, "in_flight": 1, "jobs": 0}


def test_whoever_has_used_up_the_compute_is_told_when_there_is_some_again() -> None:
    clock = Clock()
    account = Account("lab", Settings(key_compute_rate=0.1, key_compute_burst_s=1), clock)
    account.enter()
    Bill(account).charge(3 - REQUEST_S)
    with pytest.raises(HTTPException, match="in 20 s") as refused:
        account.enter()
    assert refused.value.headers == {"Retry-After": "20"}
    clock.now += 20.1
    account.enter()


def test_those_without_a_key_have_no_limits() -> None:
    account = Account("", Settings(key_in_flight=1, key_compute_rate=0.001, key_compute_burst_s=0.001))
    account.charge(1e6)
    for _ in range(100):
        account.enter()


def test_a_thread_that_waits_costs_nothing_and_one_that_works_costs_its_time() -> None:
    bill = Bill(Account("lab", Settings()))
    with own_time(bill):
        time.sleep(0.1)
    idle = bill.seconds

    @metered
    def work() -> None:
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass

    with paid_by(bill):
        work()
    assert idle < 0.03 and 0.05 <= bill.seconds - idle < 0.08
    assert bill.account.compute_s == bill.seconds


def test_a_batch_is_paid_by_those_it_was_for_in_equal_parts() -> None:
    seen: list[tuple[int, float]] = []

    def run(key: str, items: Sequence[int]) -> list[int]:
        time.sleep(0.06)
        return list(items)

    batcher = MicroBatcher(run, max_batch_size=8, batch_wait_timeout_s=0.2, seen=lambda *one: seen.append(one))
    one, two = Bill(Account("one", Settings())), Bill(Account("two", Settings()))
    with paid_by(one):
        futures = batcher.submit_all("key", [1, 2])
    with paid_by(two):
        futures += batcher.submit_all("key", [3])
    futures += batcher.submit_all("key", [4])  # nobody pays for this one
    for future in futures:
        future.result(10)
    batcher.close()
    ((size, seconds),) = seen
    assert size == 4 and seconds >= 0.06
    assert one.seconds == pytest.approx(2 * two.seconds)
    assert 0.06 / 4 <= two.seconds <= seconds / 4


def test_a_batch_that_fails_is_paid_for_as_well() -> None:
    def run(key: str, items: Sequence[int]) -> list[int]:
        time.sleep(0.02)
        raise ValueError("no")

    batcher = MicroBatcher(run, max_batch_size=8)
    bill = Bill(Account("one", Settings()))
    with paid_by(bill):
        future = batcher.submit("key", 1)
    with pytest.raises(ValueError, match="no"):
        future.result(10)
    batcher.close()
    assert bill.seconds >= 0.02
