"""Admission: how many questions are let in at once, and when those may come back for whom there is no room.

Questions that are let in are served in the order of coming, so a question waits at most as long as those before it
take, and there are only so many of them. The others are refused at once, which costs next to nothing: so a service that
is asked for ten times what it can do still does what it can.
"""

import math
import random
import time
from collections.abc import Callable
from threading import Lock

from attention.errors import Overloaded

REMEMBERED = 1 / 64
"""The share that the latest answer has in the pace, which is that of the last hundred or so."""

LEAST_S, MOST_S = 1.0, 60.0
"""What Retry-After says, at least and at most."""


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
        self._pace_s, self._answered = 0.0, 0
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
                self._pace_s += (taken - self._pace_s) * max(REMEMBERED, 1 / self._answered)

    @property
    def pace_s(self) -> float:
        """Seconds from one answer to the next while there is work; 0 if there was none yet."""
        return self._pace_s

    def _refusal(self) -> Overloaded:
        """When those who are inside will be out, and up to as long again: or all who are refused now came at once."""
        self.refused += 1
        wait_s = self.inside * self._pace_s * (1.0 + self._chance())
        wait_s = float(math.ceil(min(max(wait_s, LEAST_S), MOST_S)))
        return Overloaded(
            f"{self.inside} questions are being answered or wait, as many as there is room for. "
            f"Try again in {wait_s:.0f} s.",
            retry_after_s=wait_s,
        )
