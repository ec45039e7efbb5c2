"""What the micro-batcher promises: who runs with whom, in which order, and who is told what when something fails."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from attention.errors import Overloaded
from server.engine.batching import LINGER, MicroBatcher

WAIT_S = 120.0
"""Longer than anything here takes; a test that hangs fails instead."""


class Clock:
    """A clock that stands still until it is set: what waits for it in the batcher leaves only when it says so."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("server.engine.batching.time", SimpleNamespace(monotonic=made.monotonic))
    return made


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Works:
    """A ``run`` that doubles numbers, notes its batches, and stops before the next one while the gate is shut."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[int]]] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.busy = threading.Event()

    def __call__(self, key: str, items: Sequence[int]) -> list[int]:
        self.threads.add(threading.get_ident())
        self.batches.append((key, list(items)))
        self.busy.set()
        assert self.gate.wait(WAIT_S)
        if 13 in items:
            raise ValueError("13 is unlucky")
        return [2 * item for item in items]


@pytest.fixture
def works() -> Works:
    return Works()


@pytest.fixture
def make(works: Works) -> Iterator[Callable[..., MicroBatcher[str, int, int]]]:
    made: list[MicroBatcher[str, int, int]] = []

    def one(*, max_batch_size: int = 8, **options: float) -> MicroBatcher[str, int, int]:
        batcher = MicroBatcher[str, int, int](works, max_batch_size=max_batch_size, **options)  # type: ignore[arg-type]
        made.append(batcher)
        return batcher

    yield one
    works.gate.set()
    for batcher in made:
        batcher.close()


Make = Callable[..., MicroBatcher[str, int, int]]


@contextmanager
def occupied(batcher: MicroBatcher[str, int, int], works: Works) -> Iterator[None]:
    """Keep the thread busy with one item of its own key while the block queues others; let go afterwards."""
    works.busy.clear()
    works.gate.clear()
    first = batcher.submit("first", 0)
    assert works.busy.wait(WAIT_S)
    yield
    works.gate.set()
    assert first.result(WAIT_S) == 0
    works.batches.remove(("first", [0]))


def test_a_lone_item_leaves_at_once(make: Make, clock: Clock) -> None:
    assert make().submit("a", 21).result(WAIT_S) == 42  # the clock stands still, so nothing was waited for


def test_items_of_one_key_that_wait_together_leave_together(make: Make, works: Works) -> None:
    batcher = make()
    with occupied(batcher, works):
        futures = [batcher.submit("a", item) for item in (1, 2, 3)]
    assert [future.result(WAIT_S) for future in futures] == [2, 4, 6]
    assert works.batches == [("a", [1, 2, 3])]


def test_items_submitted_at_one_moment_are_one_batch_even_when_idle(make: Make, works: Works) -> None:
    futures = make().submit_all("a", [1, 2, 3])
    assert [future.result(WAIT_S) for future in futures] == [2, 4, 6]
    assert works.batches == [("a", [1, 2, 3])]


def test_keys_do_not_share_a_batch(make: Make, works: Works) -> None:
    batcher = make()
    with occupied(batcher, works):
        wait([batcher.submit(key, item) for key, item in (("a", 1), ("b", 2), ("a", 3))], timeout=0)
    batcher.close()
    assert works.batches == [("a", [1, 3]), ("b", [2])]


def test_a_batch_is_never_larger_than_its_limit(make: Make, works: Works) -> None:
    batcher = make(max_batch_size=4)
    with occupied(batcher, works):
        futures = batcher.submit_all("a", range(20, 30))
    assert [future.result(WAIT_S) for future in futures] == [2 * item for item in range(20, 30)]
    assert [len(items) for _, items in works.batches] == [4, 4, 2]


def test_the_key_with_the_oldest_item_goes_first(make: Make, works: Works) -> None:
    batcher = make(max_batch_size=2)
    with occupied(batcher, works):
        for key, item in (("busy", 1), ("busy", 2), ("quiet", 3), ("busy", 4), ("busy", 5)):
            batcher.submit(key, item)
            time.sleep(0.002)  # later on any clock
    batcher.close()
    assert works.batches == [("busy", [1, 2]), ("quiet", [3]), ("busy", [4, 5])]


def test_only_the_guilty_item_of_a_failing_batch_fails(make: Make, works: Works) -> None:
    batcher = make()
    with occupied(batcher, works):
        futures = [batcher.submit("a", item) for item in (1, 13, 3)]
    assert [futures[0].result(WAIT_S), futures[2].result(WAIT_S)] == [2, 6]
    with pytest.raises(ValueError, match="unlucky"):
        futures[1].result(WAIT_S)
    assert works.batches == [("a", [1, 13, 3]), ("a", [1]), ("a", [13]), ("a", [3])]


def test_a_failure_alone_is_not_tried_twice_and_the_next_item_is_well(make: Make, works: Works) -> None:
    batcher = make()
    with pytest.raises(ValueError, match="unlucky"):
        batcher.submit("a", 13).result(WAIT_S)
    assert batcher.submit("a", 1).result(WAIT_S) == 2
    assert works.batches == [("a", [13]), ("a", [1])]


def test_a_run_that_gives_too_few_results_fails_its_items() -> None:
    batcher = MicroBatcher[str, int, int](lambda key, items: [], max_batch_size=4)
    with pytest.raises(RuntimeError, match="gave 0 results"):
        batcher.submit("a", 1).result(WAIT_S)
    batcher.close()


def test_a_cancelled_item_leaves_the_queue_and_never_runs(make: Make, works: Works) -> None:
    batcher = make(max_queue=2)
    with occupied(batcher, works):
        kept, dropped = batcher.submit("a", 1), batcher.submit("b", 2)
        assert dropped.cancel()
        assert len(batcher) == 1
        assert wait([dropped], timeout=0).done == {dropped}  # whoever waits for it is told
        batcher.submit("a", 3)  # there is room again
    assert kept.result(WAIT_S) == 2
    batcher.close()
    assert works.batches == [("a", [1, 3])]
    with pytest.raises(CancelledError):
        dropped.result(WAIT_S)


def test_an_item_that_runs_can_no_longer_be_cancelled(make: Make, works: Works) -> None:
    batcher = make()
    works.gate.clear()
    future = batcher.submit("a", 1)
    assert works.busy.wait(WAIT_S)
    assert not future.cancel()
    works.gate.set()
    assert future.result(WAIT_S) == 2


def test_a_full_queue_refuses_and_says_when_to_come_back(make: Make, works: Works) -> None:
    batcher = make(max_queue=3)
    with occupied(batcher, works):
        batcher.submit_all("a", [1, 2])
        with pytest.raises(Overloaded, match="Try again in") as refused:
            batcher.submit_all("a", [3, 4])
        assert refused.value.retry_after_s >= 1.0
        assert len(batcher) == 2  # all of them or none
        batcher.submit("b", 3)
    batcher.close()
    assert works.batches == [("a", [1, 2]), ("b", [3])]


def test_closing_finishes_what_was_accepted_and_refuses_the_rest(make: Make, works: Works) -> None:
    batcher = make(max_batch_size=1, batch_wait_timeout_s=30.0)
    with occupied(batcher, works):
        futures = [batcher.submit("a", item) for item in (1, 2, 3)]
    batcher.close()
    assert [future.result(0) for future in futures] == [2, 4, 6]
    assert not batcher.alive
    with pytest.raises(Overloaded, match="shutting down"):
        batcher.submit("a", 4)


def test_closing_twice_is_closing(make: Make) -> None:
    batcher = make()
    batcher.close()
    batcher.close()


def test_with_a_wait_items_gather_until_the_oldest_has_waited_long_enough(clock: Clock) -> None:
    batches, wait_s = list[tuple[list[int], float]](), 0.25

    def run(key: str, items: Sequence[int]) -> list[int]:
        batches.append((list(items), clock.now))
        return [2 * item for item in items]

    batcher = MicroBatcher[str, int, int](run, max_batch_size=8, batch_wait_timeout_s=wait_s)
    first = batcher.submit("a", 1)
    clock.now += wait_s / 2
    second = batcher.submit("a", 2)
    clock.now += wait_s / 2  # for the first item; the second has waited half as long
    assert [future.result(WAIT_S) for future in (first, second)] == [2, 4]
    assert batches == [([1, 2], 1000.0 + wait_s)]
    batcher.close()


def test_a_full_batch_does_not_wait_for_company(make: Make, works: Works) -> None:
    batcher = make(max_batch_size=2, batch_wait_timeout_s=30.0)
    early = batcher.submit("lonely", 7)
    futures = [batcher.submit("a", item) for item in (1, 2)]
    assert [future.result(WAIT_S) for future in futures] == [2, 4]
    assert works.batches == [("a", [1, 2])]
    assert not early.done()


def test_those_who_come_back_a_moment_after_their_answer_leave_together_again(clock: Clock) -> None:
    pass_s, batches = 1.0, list[tuple[list[int], float]]()

    def run(key: str, items: Sequence[int]) -> list[int]:
        batches.append((list(items), clock.now))
        clock.now += pass_s
        return list(items)

    batcher = MicroBatcher[str, int, int](run, max_batch_size=8)
    for future in batcher.submit_all("a", [0, 1, 2, 3]):
        future.result(WAIT_S)
    until(lambda: "a" in batcher._company)
    again = []
    for item in (4, 5, 6, 7):  # the batcher is idle, and the first would have left alone
        again.append(batcher.submit("a", item))
        clock.now += LINGER * pass_s / 20 * (item < 7)
    for future in again:
        future.result(WAIT_S)
    until(lambda: batcher._company["a"].until == clock.now + pass_s)
    asked = clock.now
    alone = batcher.submit("a", 8)  # the others stay away, and are not waited for long
    clock.now += LINGER * pass_s * 1.01
    assert alone.result(WAIT_S) == 8
    assert [items for items, _ in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert batches[-1][1] - asked == pytest.approx(LINGER * pass_s * 1.01)
    batcher.close()


def test_company_of_long_ago_is_not_waited_for(clock: Clock) -> None:
    """They are expected back for as long as their batch took, and then no more."""
    pass_s = 4.0

    def run(key: str, items: Sequence[int]) -> list[int]:
        clock.now += pass_s
        return list(items)

    batcher = MicroBatcher[str, int, int](run, max_batch_size=8)
    for future in batcher.submit_all("a", [1, 2, 3, 4]):
        future.result(WAIT_S)
    until(lambda: "a" in batcher._company)
    clock.now += pass_s * 1.01
    assert batcher.submit("a", 5).result(WAIT_S) == 5  # the clock stands still, so nobody was waited for
    batcher.close()


def test_one_thread_runs_everything_and_every_caller_gets_its_own_answer(make: Make, works: Works) -> None:
    batcher = make(max_batch_size=5)

    def ask(number: int) -> int:
        return batcher.submit(f"key {number % 3}", number).result(WAIT_S)

    numbers = range(100, 500)
    with ThreadPoolExecutor(16) as callers:
        assert list(callers.map(ask, numbers)) == [2 * number for number in numbers]
    assert len(works.threads) == 1 and threading.get_ident() not in works.threads
    assert sum(len(items) for _, items in works.batches) == len(numbers)


def test_cancelling_from_many_threads_loses_nobody(make: Make, works: Works) -> None:
    batcher = make(max_batch_size=3, max_queue=10_000)
    with occupied(batcher, works):
        futures = [batcher.submit(f"key {number % 4}", number) for number in range(100, 600)]
        works.gate.set()
        with ThreadPoolExecutor(8) as callers:
            cancelled = list(callers.map(lambda future: future.cancel(), futures[::2]))
    done, pending = wait(futures, timeout=WAIT_S)
    assert not pending and len(done) == len(futures)
    for number, future in zip(range(100, 600, 2), futures[::2], strict=True):
        assert future.cancelled() or future.result() == 2 * number
    assert sum(cancelled) == sum(future.cancelled() for future in futures)
    batcher.close()
    assert len(batcher) == 0


def test_an_item_of_a_rare_key_waits_for_those_before_it_and_for_no_others(make: Make, works: Works) -> None:
    """However fast a busy key is fed: as many batches as hold the items that were there before, and not one more."""
    batcher = make(max_batch_size=4, max_queue=10_000)
    before, fed = 24, threading.Event()

    def feed() -> None:
        while not fed.is_set():
            if len(batcher) < 200:
                batcher.submit_all("busy", [1] * 8)
            else:
                time.sleep(0.0005)

    feeder = threading.Thread(target=feed)
    with occupied(batcher, works):
        batcher.submit_all("busy", [0] * before)
        time.sleep(0.002)
        rare = batcher.submit("rare", 21)
        time.sleep(0.002)
        feeder.start()
        while len(batcher) < 100:
            time.sleep(0.001)
    assert rare.result(WAIT_S) == 42
    fed.set()
    feeder.join(WAIT_S)
    keys = [key for key, _ in works.batches]
    assert keys.index("rare") == before // 4
    assert keys.count("busy") > 0


def test_of_many_keys_each_has_its_turn_in_the_order_in_which_they_came(make: Make, works: Works) -> None:
    batcher = make(max_batch_size=8, max_queue=10_000)
    names = [f"key {number}" for number in range(50)]
    with occupied(batcher, works):
        for name in names:
            batcher.submit(name, 1)
            time.sleep(0.001)
        for _ in range(5):  # and whoever has something already gets no second turn before the others had theirs
            batcher.submit_all(names[0], [2] * 8)
    batcher.close()
    firsts = list(dict.fromkeys(key for key, _ in works.batches))
    assert firsts == names
    assert [key for key, _ in works.batches][:50] == names


def test_items_whose_callers_left_are_gone_before_their_batch_is_made_up(make: Make, works: Works) -> None:
    """Their room in the batch is for others: four who stay behind eight who left are one batch of four, at once."""
    batcher = make(max_batch_size=4)
    with occupied(batcher, works):
        left = batcher.submit_all("a", range(20, 28))
        stay = batcher.submit_all("a", range(30, 34))
        for future in left:
            assert future.cancel()
        assert len(batcher) == 4
    assert [future.result(WAIT_S) for future in stay] == [60, 62, 64, 66]
    assert works.batches == [("a", [30, 31, 32, 33])]


@pytest.mark.skipif(not Path("/proc/thread-self").exists(), reason="only Linux tells how often a thread was woken")
@pytest.mark.parametrize("wait_s", [0.0, 0.05])
def test_an_idle_batcher_is_not_woken_by_any_timer(wait_s: float, make: Make, works: Works) -> None:
    batcher = make(batch_wait_timeout_s=wait_s)
    assert batcher.submit("a", 1).result(WAIT_S) == 2  # it has worked, and may have a timer left from that
    assert batcher._thread.native_id is not None

    def woken() -> int:
        status = Path(f"/proc/self/task/{batcher._thread.native_id}/status").read_text()
        return sum(int(line.split()[1]) for line in status.splitlines() if "ctxt_switches" in line)

    def undisturbed() -> bool:
        before = woken()
        time.sleep(0.4)
        return woken() == before

    until(undisturbed)  # a busy machine lets it finish late; with a timer it would never be
    before = woken()
    assert batcher.submit("a", 2).result(WAIT_S) == 4
    assert woken() > before
