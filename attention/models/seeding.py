"""SEEDING: the lock that is held while a network is built under a random seed."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock, Thread, current_thread, local
from types import TracebackType


class Seeding:
    """Lock that the thread which holds it may take again, and a thread which it waits for may take, too.

    torch has one generator of random numbers for all threads, and another seed must not come in between. A module that
    needs the side of its map has a plain network made meanwhile by the same thread; the builder of a user's model runs
    in a thread of its own (see `attention.models.own_models`), and may have networks made, too.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._guests: set[Thread] = set()
        self._here = local()

    def __enter__(self) -> None:
        locks = current_thread() not in self._guests
        if locks:
            self._lock.acquire()
        self._entered.append(locks)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._entered.pop():
            self._lock.release()

    @property
    def _entered(self) -> list[bool]:
        """For each time that this thread is inside: whether it took the lock, or came in as a guest."""
        entered: list[bool] = self._here.__dict__.setdefault("entered", [])
        return entered

    @contextmanager
    def shared_with(self, waited_for: Thread) -> Iterator[None]:
        """Inside the block a thread that is waited for comes in as well, if this one is inside itself."""
        if self._entered:
            self._guests.add(waited_for)
        try:
            yield
        finally:
            self._guests.discard(waited_for)


SEEDING = Seeding()
