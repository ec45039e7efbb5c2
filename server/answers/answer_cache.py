"""AnswerCache: the same question twice is worked on once; while it is, all who ask share the work, later the answer.

An answer depends on its question and its conditions alone, so both together are what it is remembered under.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import LRUCache

V = TypeVar("V")


@dataclass
class _Work(Generic[V]):
    """An answer in the making, and how many wait for it."""

    task: "asyncio.Task[V]"
    waiting: int = 0


class AnswerCache(Generic[V]):
    """Answers by key, the most recently asked ones up to a number of bytes. For one event loop.

    Args:
        size: how many bytes an answer takes.
        max_bytes: of all answers together; 0 remembers nothing, but work is still shared.
    """

    def __init__(self, size: Callable[[V], int], max_bytes: int) -> None:
        self.hits = self.shared = self.made = 0
        self._size, self._max_bytes = size, max_bytes
        self._answers: LRUCache[Hashable, V] = LRUCache(max_bytes, size)
        self._work: dict[Hashable, _Work[V]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[V]]) -> V:
        """The answer of a key, made now if it is neither kept nor being made.

        A caller that stops waiting disturbs no other; when the last one stops, the work is cancelled. A failure reaches
        all that wait for it, and is not remembered.
        """
        if key in self._answers:
            self.hits += 1
            return self._answers[key]
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
        if self._size(answer) <= self._max_bytes // 8:  # one answer should not push out all others
            self._answers[key] = answer
