"""Slots for working threads: how many at once, who has it while another waits, and whom a forward pass waits for."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from attention.spec import Variant
from server.engine import cpu_slots
from server.engine.batching import MicroBatcher
from server.engine.cpu_slots import CpuSlots
from server.engine.networks import MACS_PER_THREAD, Loaded, Networks
from server.settings import Settings
from tests.server.engine.test_batching import Clock, clock

__all__ = ["clock"]  # a fixture, too

WAIT_S = 60.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_slots, "WAIT_AT_MOST_S", WAIT_S)


def test_so_many_work_at_once_and_no_more() -> None:
    places, most, now, lock = CpuSlots(2), 0, 0, threading.Lock()

    def work(_: int) -> None:
        nonlocal most, now
        with places.slot():
            with lock:
                now += 1
                most = max(most, now)
            threading.Event().wait(0.005)
            with lock:
                now -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(24)))
    assert most == 2
    assert not places.busy


def test_who_stands_aside_lets_another_work_and_takes_his_turn_again() -> None:
    places, order = CpuSlots(1), []
    may_return, aside = threading.Event(), threading.Event()

    def first() -> None:
        with places.slot():
            with places.released():
                assert not places.busy
                aside.set()
                assert may_return.wait(WAIT_S)
            order.append("first again")

    thread = threading.Thread(target=first)
    thread.start()
    assert aside.wait(WAIT_S)
    with places.slot():
        may_return.set()
        thread.join(0.05)
        order.append("second")  # the first waits until this is over
    thread.join(WAIT_S)
    assert order == ["second", "first again"]


def test_of_those_who_wait_the_one_whose_work_began_first_is_next() -> None:
    """Whoever comes back from a forward pass goes before those who have yet to begin, in the order of beginning."""
    places, order = CpuSlots(1), list[str]()
    passes = {name: threading.Event() for name in ("first", "second")}
    threads: list[threading.Thread] = []

    def early(name: str) -> None:
        with places.slot():
            with places.released():
                passes[name].wait(WAIT_S)
            order.append(name)

    def late(name: str) -> None:
        with places.slot():
            order.append(name)

    def begin(work: Callable[[str], None], name: str) -> None:
        threads.append(threading.Thread(target=work, args=(name,)))
        threads[-1].start()
        threading.Event().wait(0.03)

    for name in passes:
        begin(early, name)
    with places.slot():
        for name in ("third", "fourth"):
            begin(late, name)
        for name in ("second", "first"):  # they come back in the wrong order, and last of all
            passes[name].set()
            threading.Event().wait(0.03)
    for thread in threads:
        thread.join(WAIT_S)
    assert order == ["first", "second", "third", "fourth"]


def test_a_thread_without_a_turn_stands_aside_without_giving_one_away() -> None:
    places = CpuSlots(1)
    with places.released(), places.slot():
        assert places.busy


def test_a_turn_ends_with_an_error_too_and_the_last_says_so() -> None:
    on_idle: list[bool] = []
    places = CpuSlots(1)
    places.on_idle = lambda: on_idle.append(places.busy)
    with pytest.raises(ValueError, match="told"), places.slot():
        raise ValueError("told")
    with places.slot(), places.released():
        pass
    assert on_idle == [False, False, False]


def test_nobody_waits_longer_for_his_turn_than_the_patience_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_slots, "WAIT_AT_MOST_S", 0.02)
    places = CpuSlots(1)
    with places.slot(), ThreadPoolExecutor(1) as pool:

        def work() -> str:
            with places.slot():
                return "worked"

        assert pool.submit(work).result(WAIT_S) == "worked"
    with places.slot(), places.released(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result(WAIT_S) == "worked"  # and the place is free again


class Batches:
    """A run that remembers its batches, each of which takes so many seconds of a clock that otherwise stands still."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.seen: list[list[int]] = []
        self._seconds, self._clock = seconds, clock

    def __call__(self, key: str, items: object) -> list[int]:
        self.seen.append(list(items))  # type: ignore[call-overload]
        self._clock.now += self._seconds
        return self.seen[-1]


def test_a_batch_waits_for_those_who_are_at_work_and_leaves_when_they_rest(clock: Clock) -> None:
    run, working = Batches(0.5, clock), True
    batcher = MicroBatcher[str, int, int](run, max_batch_size=8, more_to_come=lambda: working)
    batcher.submit("a", 0).result(WAIT_S)  # now it knows that an item takes half a second
    asked: list[Future[int]] = [batcher.submit("a", number) for number in (1, 2)]
    threading.Event().wait(0.05)
    assert run.seen == [[0]]
    asked.append(batcher.submit("a", 3))
    working = False
    batcher.look()
    assert [one.result(WAIT_S) for one in asked] == [1, 2, 3]
    assert run.seen == [[0], [1, 2, 3]]
    batcher.close()


def test_a_batch_waits_no_longer_than_it_will_take_itself(clock: Clock) -> None:
    run = Batches(0.5, clock)
    batcher = MicroBatcher[str, int, int](run, max_batch_size=8, more_to_come=lambda: True)  # and nothing ever comes
    batcher.submit("a", 0).result(WAIT_S)
    asked = batcher.submit("a", 1)
    assert run.seen == [[0]]
    clock.now += 0.6
    batcher.look()
    assert asked.result(WAIT_S) == 1
    batcher.close()


def test_a_full_batch_waits_for_nobody(clock: Clock) -> None:
    run = Batches(1.0, clock)
    batcher = MicroBatcher[str, int, int](run, max_batch_size=2, more_to_come=lambda: True)
    batcher.submit("a", 0).result(WAIT_S)
    asked = batcher.submit_all("a", [1, 2])
    assert [one.result(WAIT_S) for one in asked] == [1, 2]
    batcher.close()


@pytest.mark.full
def test_a_small_pass_gets_one_thread_and_a_large_one_all(tmp_path: Path) -> None:
    from server.engine.local import LocalEngine

    threads: list[int] = []
    engine = LocalEngine(Settings(data=tmp_path, device="cpu", threads=3))
    small = Variant.parse("resnet18(width=0.5)/none")
    try:
        load = engine.networks._load

        def noting(variant: Variant) -> Loaded:
            loaded = load(variant)
            loaded.running.network = _Noting(loaded.running.network, threads)
            return loaded

        engine.networks._load = noting  # type: ignore[method-assign]
        images = torch.zeros(16, 3, 224, 224)
        engine.lab().forward(small, images[:1])
        engine.lab().forward(small, images[:8])
        engine.lab().forward(small, images)
    finally:
        engine.close()
    macs = 0.486e9  # of ResNet-18 at half width, so sixteen images are 7.8e9 and four threads would pay
    assert threads == [1, 1 + int(8 * macs / MACS_PER_THREAD), 3] == [1, 2, 3]


class _Noting(torch.nn.Module):
    def __init__(self, model: torch.nn.Module, threads: list[int]) -> None:
        super().__init__()
        self.model = model
        self.threads = threads

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.threads.append(torch.get_num_threads())
        out: torch.Tensor = self.model(images)
        return out


def test_a_gpu_never_waits_for_company() -> None:
    networks = Networks.__new__(Networks)
    networks._cpu_slots = CpuSlots(1)
    with networks._cpu_slots.slot():
        for device, waits in (("cpu", True), ("cuda", False)):
            networks.device = torch.device(device)
            assert networks._more_to_come() is waits
