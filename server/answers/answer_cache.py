"""AnswerCache: the same question twice is worked on once; while it is, all who ask share the work, later the answer.

An answer depends on its question and its conditions alone, so both together are what it is remembered under.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

V = TypeVar("V")


@dataclass
class _Work(Generic[V]):
    """An answer in the making, and how many wait for it."""

    task: "asyncio.Task[V]"
    waiting: int = 0


@dataclass
class AnswerCache(Generic[V]):
    """Answers by key, the most recently asked ones up to a number of bytes. For one event loop.

    Args:
        size: how many bytes an answer takes.
        max_bytes: of all answers together; 0 remembers nothing, but work is still shared.
    """

    size: Callable[[V], int]
    max_bytes: int
    hits: int = 0
    shared: int = 0
    made: int = 0
    _bytes: int = 0
    _answers: "OrderedDict[Hashable, V]" = field(default_factory=OrderedDict)
    _work: "dict[Hashable, _Work[V]]" = field(default_factory=dict)

    async def get(self, key: Hashable, make: Callable[[], Awaitable[V]]) -> V:
        """The answer of a key, made now if it is neither kept nor being made.

        A caller that stops waiting disturbs no other; when the last one stops, the work is cancelled. A failure reaches
        all that wait for it, and is not remembered.
        """
        if key in self._answers:
            self.hits += 1
            self._answers.move_to_end(key)
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

    def forget(self) -> None:
        """Forget all answers; work that goes on reaches those that wait, and is not remembered either."""
        self._answers.clear()
        self._bytes = 0
        self._work.clear()

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
        size = self.size(answer)
        if size > self.max_bytes // 8:
            return  # one answer should not push out all others
        self._answers[key] = answer
        self._bytes += size
        while self._bytes > self.max_bytes:
            _, oldest = self._answers.popitem(last=False)
            self._bytes -= self.size(oldest)
