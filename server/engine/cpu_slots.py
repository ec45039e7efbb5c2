"""CpuSlots: lets as many threads work at a time as there are cores, with the forward passes between.

Thirty threads that decode photos and sum gates up on two cores hand Python's lock to each other a hundred times a
request, and every operation of a forward pass has to win it back from them. So only as many work at a time as there
are cores, and each stands aside while it waits for its forward pass. Where the networks run on the same cores, a
forward pass may wait for those that work, because they are about to bring it company: see `MicroBatcher`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from threading import Lock, local

WAIT_AT_MOST_S = 0.1
"""How long a thread waits for a slot; then it works all the same, so that a few long works do not keep all others."""


class CpuSlots:
    """Slots that threads work in; of those that wait for one, the thread whose work began first is next.

    So a thread that comes back from a forward pass goes before those that have yet to begin, and none is overtaken.

    Args:
        at_once: how many slots there are.
        on_idle: called when no thread works any more, by the last that did; it should return at once.
    """

    def __init__(self, at_once: int, on_idle: Callable[[], None] = lambda: None) -> None:
        self.on_idle = on_idle
        self._working = 0
        self._counting = Lock()
        self._free = at_once
        self._queue: dict[int, Lock] = {}  # those that wait, by the number of their work; a lock is released to one
        self._numbers = count()
        self._own = local()

    @property
    def busy(self) -> bool:
        """Whether a thread works, or is about to."""
        return self._working > 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Work inside, in a slot of this thread's own."""
        self._own.number = next(self._numbers)
        self._come()
        try:
            yield
        finally:
            self._go()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Give the slot to another thread inside, where this one only waits."""
        if not getattr(self._own, "turn", False):
            yield
            return
        self._go()
        try:
            yield
        finally:
            self._come()

    def _come(self) -> None:
        with self._counting:
            self._working += 1
            placed = self._free > 0
            if placed:
                self._free -= 1
            else:
                called = Lock()
                called.acquire()
                self._queue[self._own.number] = called
        self._own.turn, self._own.placed = True, placed or self._called(called)

    def _called(self, called: Lock) -> bool:
        """Whether this thread was given a place while it was patient."""
        if called.acquire(timeout=WAIT_AT_MOST_S):
            return True
        with self._counting:
            return self._queue.pop(self._own.number, None) is None  # it may have been called just now

    def _go(self) -> None:
        self._own.turn = False
        with self._counting:
            self._working -= 1
            rest = not self._working
            if self._own.placed and self._queue:
                self._queue.pop(min(self._queue)).release()
            elif self._own.placed:
                self._free += 1
        if rest:
            self.on_idle()
