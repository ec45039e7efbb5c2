"""AnswerCache: the same question twice is worked on once; while it is, all who ask share the work, later the answer.

An answer depends on its question and its conditions alone, so both together are what it is remembered under.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from server.engine.admission import BudgetedCache, MemoryBudget

V = TypeVar("V")


@dataclass
class _Work(Generic[V]):
    """An answer in the making, and how many wait for it."""

    task: "asyncio.Task[V]"
    waiting: int = 0


class AnswerCache(Generic[V]):
    """Answers by key, the most recently asked ones that their share of the memory holds. For one event loop.

    Args:
        size: how many bytes an answer takes.
        memory: what the answers draw on.
        remembers: whether answers are kept at all; if not, work is still shared.
    """

    def __init__(self, size: Callable[[V], int], memory: MemoryBudget, remembers: bool = True) -> None:
        self.shared = self.made = 0
        self._size, self._remembers = size, remembers
        self._largest = memory.most("answers") // 8  # one answer should not push out all others
        self._answers: BudgetedCache[Hashable, V] = BudgetedCache(memory, "answers", size)
        self._work: dict[Hashable, _Work[V]] = {}

    @property
    def hits(self) -> int:
        """How often an answer was remembered."""
        return self._answers.hits

    async def get(self, key: Hashable, make: Callable[[], Awaitable[V]]) -> V:
        """The answer of a key, made now if it is neither kept nor being made.

        A caller that stops waiting disturbs no other; when the last one stops, the work is cancelled. A failure reaches
        all that wait for it, and is not remembered.
        """
        if (answer := self._answers.find(key)) is not None:
            return answer
        work = self._work.get(key)
        if work is None:
            self.made += 1
            work = self._work[key] = _Work(asyncio.ensure_future(self._make(key, make)))
        else:
            self.shared += 1
        work.waiting += 1
        try:
            return await asyncio.shield(work.task)
        finally:
            work.waiting -= 1
            if not work.waiting and not work.task.done():
                work.task.cancel()
                if self._work.get(key) is work:  # a caller that comes from now on gets work of its own
                    del self._work[key]

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[V]]) -> V:
        task = asyncio.current_task()
        try:
            answer = await make()
            if (work := self._work.get(key)) is not None and work.task is task:
                self._keep(key, answer)
            return answer
        finally:
            if (work := self._work.get(key)) is not None and work.task is task:
                del self._work[key]

    def _keep(self, key: Hashable, answer: V) -> None:
        if self._remembers and self._size(answer) <= self._largest:
            self._answers.keep(key, answer)
