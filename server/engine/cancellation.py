"""Whether somebody still waits for an answer, known wherever the work for it hangs on something else."""

from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from threading import Lock
from typing import Any

from attention.errors import Cancelled


class Awaited:
    """An answer that somebody waits for, until it is given up. Then what it hangs on is cancelled too."""

    def __init__(self) -> None:
        self._over = False
        self._hangs_on: set[Future[Any]] = set()
        self._lock = Lock()

    def check(self) -> None:
        """Return if the answer is still wanted.

        Raises:
            Cancelled: it is not.
        """
        if self._over:
            raise Cancelled("Nobody waits for this answer any more.")

    def give_up(self) -> None:
        """Nobody wants it any more; any thread may say so."""
        with self._lock:
            self._over = True
            hanging = list(self._hangs_on)
        for future in hanging:
            future.cancel()  # outside of the lock: it calls back whoever made the future

    @contextmanager
    def hanging_on(self, futures: Iterable["Future[Any]"]) -> Iterator[None]:
        """Inside, the work waits for these; they are cancelled when it is given up, and when the block ends.

        Raises:
            Cancelled: it was given up meanwhile.
        """
        some = list(futures)
        with self._lock:
            self._hangs_on.update(some)
        try:
            self.check()
            yield
        except CancelledError:
            self.check()
            raise
        finally:
            with self._lock:
                self._hangs_on.difference_update(some)
            for future in some:
                future.cancel()  # does nothing to those that are done
