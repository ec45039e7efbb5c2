"""CancellationToken: tells the work for an answer that no client waits for it any more."""

from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from threading import Lock
from typing import Any

from attention.errors import Cancelled


class CancellationToken:
    """Whether an answer is still wanted; once it is not, the futures that its work waits for are cancelled."""

    def __init__(self) -> None:
        self._cancelled = False
        self._futures: set[Future[Any]] = set()
        self._lock = Lock()

    def check(self) -> None:
        """Return if the answer is still wanted.

        Raises:
            Cancelled: it is not.
        """
        if self._cancelled:
            raise Cancelled("No client waits for this answer any more.")

    def cancel(self) -> None:
        """Say that the answer is not wanted any more; any thread may."""
        with self._lock:
            self._cancelled = True
            futures = list(self._futures)
        for future in futures:
            future.cancel()  # outside of the lock, for it runs callbacks

    @contextmanager
    def on_cancel(self, futures: Iterable["Future[Any]"]) -> Iterator[None]:
        """Wait for futures inside; they are cancelled when the answer is, and when the block ends.

        Raises:
            Cancelled: it was cancelled meanwhile.
        """
        waited_for = list(futures)
        with self._lock:
            self._futures.update(waited_for)
        try:
            self.check()
            yield
        except CancelledError:
            self.check()
            raise
        finally:
            with self._lock:
                self._futures.difference_update(waited_for)
            for future in waited_for:
                future.cancel()  # does nothing to those that are done
