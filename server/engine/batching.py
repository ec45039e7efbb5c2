"""Micro-batching: many callers hand in single items, one thread runs them together.

An item that arrives while the thread is idle leaves at once; items that arrive while it works wait, and those of one
key leave together in its next batch. So batches grow with the load by themselves, and a lone caller never waits for
company. This file knows neither networks nor HTTP.
"""

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Lock, Thread
from typing import Any, Generic, NamedTuple, TypeVar

from attention.errors import Cancelled, Overloaded

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
R = TypeVar("R")


LINGER = 0.05
"""How long a batch waits for the next of those who are expected back, as a share of what all of them would take."""


class _Company(NamedTuple):
    """How many of one key there were when a batch of it had run, what each took, until when they are expected back."""

    size: int
    seconds_per_item: float
    until: float


NO_COMPANY = _Company(0, 0.0, 0.0)


@dataclass(eq=False)
class _Waiting(Generic[T, R]):
    """An item in the queue, since when it is there, and the promise of its result."""

    item: T
    since: float
    future: "Future[R]" = field(default_factory=Future)


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


class MicroBatcher(Generic[K, T, R]):
    """Runs ``run(key, items) -> results`` on one thread, with items of the same key together.

    The key whose oldest item has waited longest goes first, so a busy key cannot starve a quiet one.

    Clients that were just answered come back a moment later, when the next batch of half of them would have left. So
    a batch that is smaller than the company its key just had waits for the next of them, a twentieth of the time that
    they all would take, and again as long as they keep coming; but never longer than it will take itself.

    Args:
        run: computes one result per item, in order. Only the batcher's own thread ever calls it.
        max_batch_size: how many items one call of ``run`` gets at most.
        batch_wait_timeout_s: how long an item waits for company when its batch is not full; 0 is not at all.
        more_to_come: whether a caller is at work that may bring another item. As long as that is so, a batch that is
            not full waits, but no longer than it will take itself: so it is never later than twice as late. What
            makes it untrue calls `look`.
        max_queue: how many items may wait; more are refused with Overloaded.
        name: the thread's name, as a stack dump shows it.
        on_batch: called after each batch that was run: how many items it had, and how many seconds it took.
    """

    def __init__(
        self,
        run: Callable[[K, Sequence[T]], Sequence[R]],
        *,
        max_batch_size: int,
        batch_wait_timeout_s: float = 0.0,
        more_to_come: Callable[[], bool] = lambda: False,
        max_queue: int = 1024,
        name: str = "batcher",
        on_batch: Callable[[int, float], None] = lambda size, seconds: None,
    ) -> None:
        self._run = run
        self._on_batch = on_batch
        self._max_batch_size = max_batch_size
        self._batch_wait_timeout_s = batch_wait_timeout_s
        self._more_to_come = more_to_come
        self._max_queue = max_queue
        self._queues: dict[K, deque[_Waiting[T, R]]] = {}  # no queue is ever empty
        self._waiting = 0
        self._seconds_per_item = 0.0  # a running mean, for telling the refused when to come back
        self._company: dict[K, _Company] = {}  # of the keys that ran a moment ago
        self._closed = False
        self._changed = Condition()
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """How many items wait."""
        return self._waiting

    @property
    def alive(self) -> bool:
        """Whether submitted items will be worked on."""
        return self._thread.is_alive() and not self._closed

    def submit(self, key: K, item: T) -> "Future[R]":
        """Queue one item; cancelling its future before it runs takes it out again.

        Raises:
            Overloaded: the queue is full, or the batcher is closed.
        """
        return self.submit_all(key, [item])[0]

    def submit_all(self, key: K, items: Sequence[T]) -> "list[Future[R]]":
        """Queue several items at one moment, so that an idle batcher runs them as one batch; all of them or none.

        Raises:
            Overloaded: the queue has no room for all of them, or the batcher is closed.
        """
        now = time.monotonic()
        waiting: list[_Waiting[T, R]] = [_Waiting(item, now) for item in items]
        with self._changed:
            if self._closed:
                raise Overloaded("The service is shutting down and takes no new work.", retry_after_s=5.0)
            if self._waiting + len(waiting) > self._max_queue:
                seconds = max(1.0, self._waiting * self._seconds_per_item)
                raise Overloaded(
                    f"{self._waiting} images are already waiting and there is room for {self._max_queue}. "
                    f"Try again in {seconds:.0f} s.",
                    retry_after_s=seconds,
                )
            if waiting:
                self._queues.setdefault(key, deque()).extend(waiting)
                self._waiting += len(waiting)
                self._changed.notify()
        for item in waiting:
            item.future.add_done_callback(lambda future: self._forget(key, future))
        return [item.future for item in waiting]

    def look(self) -> None:
        """Look again whether a batch may leave, because no caller brings more items for now."""
        if self._waiting:
            with self._changed:
                self._changed.notify()

    def close(self) -> None:
        """Finish what was accepted, accept nothing more, and wait until the thread has ended."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _forget(self, key: K, future: "Future[R]") -> None:
        """Take the item of a cancelled future out of the queue, so that it neither runs nor takes up room."""
        if not future.cancelled():
            return
        with self._changed:
            queue = self._queues.get(key, deque())
            for item in queue:
                if item.future is future:
                    queue.remove(item)
                    self._waiting -= 1
                    future.set_running_or_notify_cancel()  # or a caller in `wait` would wait for ever
                    break
            if not queue:
                self._queues.pop(key, None)
            self._changed.notify()

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            key, members = batch
            started = time.monotonic()
            self._answer(key, members)
            ended = time.monotonic()
            self._remember(key, len(members), ended, ended - started)
            seconds = (ended - started) / len(members)
            self._seconds_per_item += (seconds - self._seconds_per_item) * (0.2 if self._seconds_per_item else 1.0)
            del batch, members  # the thread may now sleep for long, and should not hold the last images meanwhile

    def _remember(self, key: K, ran: int, now: float, seconds: float) -> None:
        """How many there were of a key, which are expected back for as long as the batch took."""
        with self._changed:
            self._company = {other: company for other, company in self._company.items() if company.until > now}
            here = ran + len(self._queues.get(key, ()))
            self._company[key] = _Company(min(here, self._max_batch_size), seconds / ran, now + seconds)

    def _next_batch(self) -> "tuple[K, list[_Waiting[T, R]]] | None":
        """The members of the next batch, as soon as one may leave; None when closed and empty."""
        with self._changed:
            while True:
                now = time.monotonic()
                ready = [key for key in self._queues if self._leaves_at(key) <= now]
                if ready:
                    key = min(ready, key=lambda key: self._queues[key][0].since)
                    if members := self._take(key):
                        return key, members
                elif self._queues:
                    self._changed.wait(min(self._leaves_at(key) for key in self._queues) - now)
                elif self._closed:
                    return None
                else:
                    self._changed.wait()

    def _leaves_at(self, key: K) -> float:
        queue = self._queues[key]
        if self._closed or len(queue) >= self._max_batch_size:
            return queue[0].since
        company = self._company.get(key, NO_COMPANY)
        patience = 0.0
        if self._more_to_come():
            patience = len(queue) * self._seconds_per_item
        elif len(queue) < company.size and queue[-1].since < company.until:
            linger = queue[-1].since - queue[0].since + LINGER * company.size * company.seconds_per_item
            patience = min(linger, len(queue) * company.seconds_per_item)
        return queue[0].since + max(self._batch_wait_timeout_s, patience)

    def _take(self, key: K) -> list[_Waiting[T, R]]:
        queue = self._queues[key]
        taken = [queue.popleft() for _ in range(min(len(queue), self._max_batch_size))]
        self._waiting -= len(taken)
        if not queue:
            del self._queues[key]
        return [item for item in taken if item.future.set_running_or_notify_cancel()]

    def _answer(self, key: K, members: list[_Waiting[T, R]]) -> None:
        """Run a batch; if it fails and had several members, run each alone, so that only the guilty one fails."""
        started = time.monotonic()
        try:
            results = self._run(key, [member.item for member in members])
            if len(results) != len(members):
                raise RuntimeError(f"A batch of {len(members)} items gave {len(results)} results.")
        except BaseException as error:  # whatever it is, a caller waits for it
            if len(members) == 1:
                self._on_batch(len(members), time.monotonic() - started)
                members[0].future.set_exception(error)
            else:
                for member in members:
                    self._answer(key, [member])
        else:
            self._on_batch(len(members), time.monotonic() - started)
            for member, result in zip(members, results, strict=True):
                member.future.set_result(result)
