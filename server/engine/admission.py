"""Admission: how many questions are let in at once, how many bytes they take, and when the refused may come back.

Questions that are let in are served in the order of coming, so a question waits at most as long as those before it
take, and there are only so many of them. The others are refused at once, which costs next to nothing: so a service that
is asked for ten times what it can do still does what it can.

Bytes are counted in one budget, which networks, forward passes, bodies, reference gates and remembered answers draw on.
"""

import math
import random
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

from attention.errors import Overloaded, TooLarge
from attention.lab import LRU
from server.process import trim_memory

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

REMEMBERED = 1 / 64
"""The share that the latest answer has in the pace, which is that of the last hundred or so."""

LEAST_S, MOST_S = 1.0, 60.0
"""What Retry-After says, at least and at most."""

MEMORY_AGAIN_S = 2.0
"""Seconds after which a client that found no room in memory may ask again; an answer takes about as long."""

PARTS: dict[tuple[str, ...], float] = {
    ("networks", "passes"): 5 / 8,
    ("bodies",): 1 / 8,
    ("references",): 1 / 8,
    ("answers",): 1 / 8,
}
"""What draws on the memory budget, and the part of it that each group may take, so that no group keeps out another."""

LARGE = 128_000_000
"""Freed bytes from which memory is handed back to the operating system; that takes 0.1 seconds a gigabyte."""

CALLED = {
    "networks": "networks",
    "passes": "forward passes",
    "bodies": "other requests",
    "references": "reference gates",
    "answers": "answers",
}
"""Share of the memory budget -> what a refusal calls it."""


class Admission:
    """Room for so many questions.

    Args:
        most: how many may be inside.
        clock: seconds that only grow.
        chance: numbers between 0 and 1, for telling those who are refused at one moment to come back at different ones.
    """

    def __init__(
        self, most: int, clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        self.inside = 0
        self.refused = 0
        """How many were turned away so far."""
        self._most = most
        self._clock, self._chance = clock, chance
        self.pace_s, self._answered = 0.0, 0
        """Seconds from one answer to the next while there is work, and how many answers there were."""
        self._since = clock()  # the last answer, or the first question after a rest
        self._lock = Lock()

    def check(self) -> None:
        """Return if there is room. There may be none any more when it is needed: only `enter` takes it.

        Raises:
            Overloaded: there is none, and when there will be some.
        """
        if self.inside >= self._most:
            raise self._refusal()

    def enter(self) -> None:
        """Let a question in; the caller calls `leave` when it has ended.

        Raises:
            Overloaded: there is no room, and when there will be some.
        """
        with self._lock:
            if self.inside >= self._most:
                raise self._refusal()
            if not self.inside:
                self._since = self._clock()
            self.inside += 1

    def leave(self, answered: bool = True) -> None:
        """Note that a question has ended; any thread may.

        Args:
            answered: it was worked on to its end. The others say nothing of how long an answer takes.
        """
        with self._lock:
            self.inside -= 1
            if answered:
                now = self._clock()
                taken, self._since = now - self._since, now
                self._answered += 1
                self.pace_s += (taken - self.pace_s) * max(REMEMBERED, 1 / self._answered)

    def _refusal(self) -> Overloaded:
        """When those who are inside will be out, and up to as long again: or all who are refused now came at once."""
        self.refused += 1
        wait_s = self.inside * self.pace_s * (1.0 + self._chance())
        wait_s = float(math.ceil(min(max(wait_s, LEAST_S), MOST_S)))
        return Overloaded(
            f"{self.inside} questions are being answered or wait, as many as there is room for. "
            f"Try again in {wait_s:.0f} s.",
            retry_after_s=wait_s,
        )


class MemoryBudget:
    """Bytes of memory that the service draws on; each share of it can be read at any time.

    Args:
        total: bytes of all shares together.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.held = {share: 0 for group in PARTS for share in group}
        """Bytes that each share holds now."""
        self._freed = 0  # bytes that were given back since memory was trimmed
        self._groups = {share: group for group in PARTS for share in group}
        self._lock = Lock()

    def most(self, share: str) -> int:
        """Return the bytes that a share may hold while the rest of its group holds none."""
        return int(self.total * PARTS[self._groups[share]])

    def room(self, share: str) -> int:
        """Bytes that a share may still take."""
        return self.most(share) - sum(self.held[other] for other in self._groups[share])

    def check(self, share: str, size: int) -> None:
        """Raise TooLarge or Overloaded unless a share has room for so many bytes.

        Raises:
            TooLarge: there never is.
            Overloaded: there is none now.
        """
        if size <= self.room(share):
            return
        if size > self.most(share):
            raise TooLarge(
                f"This takes {size:,} bytes of memory for {CALLED[share]}, and there is room for {self.most(share):,}. "
                "Ask for something smaller; the operator can raise ATTENTION_MEMORY_BYTES."
            )
        held = self.most(share) - self.room(share)
        raise Overloaded(
            f"{held:,} bytes of {CALLED[share]} are in memory, and there is room for {self.most(share):,}. "
            f"Try again in {MEMORY_AGAIN_S:.0f} s.",
            retry_after_s=MEMORY_AGAIN_S,
        )

    def take(self, share: str, size: int) -> None:
        """Reserve bytes of a share of the memory budget; `give_back` releases them.

        Raises:
            TooLarge, Overloaded: there is no room for them.
        """
        with self._lock:
            self.check(share, size)
            self.held[share] += size

    def give_back(self, share: str, size: int) -> None:
        """Release bytes of a share of the memory budget."""
        with self._lock:
            self.held[share] -= size
            if share == "networks" or size >= self.total // 8:  # what most passes take, the next one takes again
                self._freed += size

    def trim(self) -> None:
        """Give memory back to the system after large networks have left, or a large pass is over."""
        if self._freed >= LARGE:
            self._freed = 0
            trim_memory()

    @contextmanager
    def holding(self, share: str, size: int) -> Iterator[None]:
        """Reserve bytes of a share while a block runs.

        Raises:
            TooLarge, Overloaded: there is no room for them.
        """
        self.take(share, size)
        try:
            yield
        finally:
            self.give_back(share, size)


class BudgetedCache(LRU[K, V]):
    """The most recently used values by key that fit into a share of the memory budget, for many threads.

    Args:
        bytes_of: how many bytes a value takes.
    """

    def __init__(self, memory: MemoryBudget, share: str, bytes_of: Callable[[V], int]) -> None:
        super().__init__(math.inf)
        self._memory, self._share, self._bytes_of = memory, share, bytes_of

    def make_room(self, size: int, spared: int = 0) -> None:
        """Let the least recently used values leave until so many bytes are free, or only ``spared`` values are left."""
        with self._lock:
            self._make_room(size, spared)

    def _keep(self, key: K, value: V) -> None:
        size = self._bytes_of(value)
        if key in self._values:
            self._leave(self._values.pop(key))
        if size > self._memory.most(self._share):
            return  # it is used once, and not kept
        self._make_room(size)
        self._memory.take(self._share, size)
        self._values[key] = value

    def _make_room(self, size: int, spared: int = 0) -> None:
        while (
            len(self._values) > spared
            and size <= self._memory.most(self._share)
            and self._memory.room(self._share) < size
        ):
            self._leave(self._values.popitem()[1])

    def _leave(self, value: V) -> None:
        self._memory.give_back(self._share, self._bytes_of(value))
