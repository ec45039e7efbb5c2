"""Account: how much one key may have at once, requests in flight and jobs."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

from starlette.exceptions import HTTPException

from attention.schemas import Job
from server.access.keys import Key
from server.settings import Settings
from server.store.jobs import JobTable
from server.store.ownership import ASKER, OPERATOR

_account: ContextVar["Account | None"] = ContextVar("account", default=None)


class Account:
    """What one key uses, and may use.

    Args:
        name: the key's; empty for those who ask without one, who have no limits.
        key: the key; None for those who ask without one.
    """

    def __init__(self, name: str, settings: Settings, key: Key | None = None) -> None:
        self.name = name
        self.key_id = key.id if key else ""
        self.asker = None if key is None else OPERATOR if key.operator else key.id
        """Whose things this account sees and keeps, as `server.store.ownership.ASKER` has it."""
        self.quota_bytes = (
            None if not self.asker else key.quota_bytes if key and key.quota_bytes else settings.key_bytes
        )
        """Bytes that it may keep; None without a limit."""
        self.reserved_bytes = self.used_bytes = 0
        """Bytes that are just being kept, and those kept when they were last summed up; changed under `reserving`."""
        self.summed_up = -math.inf
        """When that was, in seconds of the monotonic clock."""
        self.reserving = Lock()
        self.refused: dict[str, int] = {"in_flight": 0, "jobs": 0}
        self._max_in_flight = settings.key_in_flight if name else math.inf
        self._max_jobs = settings.key_jobs if name else math.inf
        self._in_flight = 0  # only the event loop's thread counts
        self._jobs: set[str] = set()
        self._queueing = Lock()

    def enter(self) -> None:
        """Count a request that begins; the caller calls `leave` when it ends.

        Raises:
            HTTPException: 429, too many are in flight.
        """
        if self._in_flight >= self._max_in_flight:
            raise self._refusal(
                "in_flight",
                f"This key has {self._in_flight} requests in flight, as many as it may. Wait for one to be answered.",
            )
        self._in_flight += 1

    def leave(self) -> None:
        """Count a request that has ended."""
        self._in_flight -= 1

    def queue(self, add: Callable[[], Job], jobs: JobTable) -> Job:
        """Queue one more job for this key, if it may have one more.

        Raises:
            HTTPException: 429, as many as it may have wait or run.
        """
        if self._max_jobs == math.inf:
            return add()
        with self._queueing:  # or two that are asked for at once would both be the last
            self._jobs = jobs.unfinished(self._jobs)
            if len(self._jobs) >= self._max_jobs:
                raise self._refusal(
                    "jobs", f"This key has {len(self._jobs)} jobs that wait or run, as many as it may have.", 60
                )
            job = add()
            self._jobs.add(job.id)
            return job

    def _refusal(self, limit: str, sentence: str, wait_s: int = 1) -> HTTPException:
        self.refused[limit] += 1
        return HTTPException(429, sentence, {"Retry-After": str(wait_s)})


def account() -> Account | None:
    """The account that the request which is worked on here belongs to; None outside of a request."""
    return _account.get()


@contextmanager
def on_account(account: Account) -> Iterator[None]:
    """Let what is done inside, also in threads that it starts work in, belong to an account."""
    token, asker = _account.set(account), ASKER.set(account.asker)
    try:
        yield
    finally:
        ASKER.reset(asker)
        _account.reset(token)
