"""Who is let in, who is refused, and when those may come back."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from attention.errors import Cancelled, Overloaded
from server.engine.admission import LEAST_S, MOST_S, Admission
from server.engine.batching import CancellationToken, MicroBatcher

WAIT_S = 10.0


class Clock:
    """Seconds that pass when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def refusal(admission: Admission) -> Overloaded:
    """What somebody is told for whom there is no room."""
    with pytest.raises(Overloaded) as refused:
        admission.enter()
    return refused.value


def test_there_is_room_for_so_many_and_again_when_one_has_left() -> None:
    admission = Admission(2)
    admission.enter()
    admission.check()  # looks, and takes nothing
    admission.enter()
    with pytest.raises(Overloaded):
        admission.check()
    assert "2 questions are being answered or wait" in str(refusal(admission))
    admission.leave()
    admission.enter()
    assert (admission.inside, admission.refused) == (2, 2)


def test_whoever_is_refused_may_come_back_when_those_inside_are_out() -> None:
    clock = Clock()
    admission = Admission(10, clock, chance=lambda: 0.0)
    for _ in range(10):
        admission.enter()
    for _ in range(200):  # an answer each half second, and always somebody next
        clock.now += 0.5
        admission.leave()
        admission.enter()
    assert admission.pace_s == pytest.approx(0.5)
    refused = refusal(admission)
    assert refused.retry_after_s == 10 * 0.5
    assert str(refused).endswith("Try again in 5 s.")


def test_the_pace_is_the_present_one_and_not_that_of_long_ago() -> None:
    clock = Clock()
    admission = Admission(4, clock, chance=lambda: 0.0)
    for seconds, count in ((0.1, 300), (4.0, 300)):
        for _ in range(count):
            admission.enter()
            clock.now += seconds
            admission.leave()
    assert admission.pace_s == pytest.approx(4.0, rel=0.02)


def test_hours_without_a_question_do_not_slow_the_pace_down() -> None:
    clock = Clock()
    admission = Admission(1, clock, chance=lambda: 0.0)
    for _ in range(5):
        admission.enter()
        clock.now += 2.0
        admission.leave()
        clock.now += 3600.0
    assert admission.pace_s == pytest.approx(2.0)


def test_those_who_hung_up_say_nothing_of_how_long_an_answer_takes() -> None:
    clock = Clock()
    admission = Admission(1, clock)
    admission.enter()
    clock.now += 2.0
    admission.leave()
    for _ in range(100):
        admission.enter()
        clock.now += 0.001
        admission.leave(answered=False)
    assert admission.pace_s == 2.0 and admission.inside == 0


def test_all_who_are_refused_at_one_moment_are_not_told_to_come_back_at_one_moment() -> None:
    clock, chances = Clock(), iter([0.0, 0.5, 0.999])
    admission = Admission(10, clock, chance=lambda: next(chances))
    for _ in range(10):
        admission.enter()
    for _ in range(20):
        clock.now += 2.0
        admission.leave()
        admission.enter()
    waits = [refusal(admission).retry_after_s for _ in range(3)]
    assert waits == [20.0, 30.0, 40.0]  # the ten inside are out after 20 s


def test_a_refusal_never_says_at_once_nor_in_an_hour() -> None:
    clock = Clock()
    admission = Admission(100, clock)
    for _ in range(100):
        admission.enter()
    assert refusal(admission).retry_after_s == LEAST_S
    clock.now += 3600
    admission.leave()
    admission.enter()
    assert refusal(admission).retry_after_s == MOST_S


def test_of_many_who_come_at_once_no_more_get_in_than_there_is_room_for() -> None:
    admission, line = Admission(5), threading.Barrier(16)

    def come(_: int) -> bool:
        line.wait(WAIT_S)
        try:
            admission.enter()
        except Overloaded:
            return False
        return True

    with ThreadPoolExecutor(16) as clients:
        assert sum(clients.map(come, range(16))) == 5
    assert (admission.inside, admission.refused) == (5, 11)


# ---------------------------------------------------------------- answers that nobody waits for any more


def test_what_an_answer_hangs_on_leaves_the_queue_when_it_is_given_up() -> None:
    ran: list[list[int]] = []
    batcher = MicroBatcher[str, int, int](
        lambda key, items: ran.append(list(items)) or list(items),  # type: ignore[func-returns-value]
        max_batch_size=8,
        batch_wait_timeout_s=60.0,
    )
    token, other = CancellationToken(), batcher.submit("a", 3)
    futures = batcher.submit_all("a", [1, 2])
    inside = threading.Event()

    def work() -> str:
        try:
            with token.on_cancel(futures):
                inside.set()
                return str([future.result(WAIT_S) for future in futures])
        except Cancelled as error:
            return str(error)

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        assert inside.wait(WAIT_S)
        token.cancel()
        assert working.result(WAIT_S) == "No client waits for this answer any more."
    assert len(batcher) == 1
    batcher.close()
    assert other.result(0) == 3 and ran == [[3]]


def test_an_answer_that_was_given_up_hangs_on_nothing_any_more() -> None:
    token = CancellationToken()
    token.check()
    token.cancel()
    batcher = MicroBatcher[str, int, int](lambda key, items: list(items), max_batch_size=8, batch_wait_timeout_s=60.0)
    futures = batcher.submit_all("a", [1])
    with pytest.raises(Cancelled), token.on_cancel(futures):
        raise AssertionError("it went on")
    assert futures[0].cancelled() and len(batcher) == 0
    batcher.close()
