"""Who uses the cores: the analyses' own work, a few threads at a time, with the forward passes between.

Thirty threads that decode photos and sum gates up on two cores hand Python's lock to each other a hundred times a
request, and every operation of a forward pass has to win it back from them. So only as many work at a time as there
are cores, and each stands aside while it waits for its forward pass. Where the networks run on the same cores, a
forward pass may wait for those that work, because they are about to bring it company: see `MicroBatcher`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from threading import Lock, local

PATIENCE_S = 0.1
"""How long a thread waits for its turn; then it works all the same, so that a few long works do not keep all others."""


def _unheard() -> None:
    """Nobody wants to know."""


class Turns:
    """Threads take turns at working; of those that wait, the one whose work began first is next.

    So whoever comes back from a forward pass goes before those who have yet to begin, and nobody is overtaken.

    Args:
        at_once: how many work at the same time.
        rested: called when nobody works any more, by the last who did; it should return at once.
    """

    def __init__(self, at_once: int, rested: Callable[[], None] = _unheard) -> None:
        self.rested = rested
        self._working = 0
        self._counting = Lock()
        self._free = at_once
        self._queue: dict[int, Lock] = {}  # those that wait, by the number of their work; a lock is released to one
        self._numbers = count()
        self._own = local()

    @property
    def busy(self) -> bool:
        """Whether somebody works, or is about to."""
        return self._working > 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Work inside, when it is this thread's turn."""
        self._own.number = next(self._numbers)
        self._come()
        try:
            yield
        finally:
            self._go()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Inside, a thread that has its turn only waits, so another has it meanwhile."""
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
        if called.acquire(timeout=PATIENCE_S):
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
            self.rested()
