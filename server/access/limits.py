"""How much one key may have: compute over time, requests at once, jobs at once.

Compute is paid afterwards, because nobody knows beforehand what a question will take: a key may ask while it has any
seconds left, may so fall into debt, and is let in again when time has paid the debt off. A token bucket holds what is
left; how deep the debt gets is bounded by the requests that a key may have in flight.
"""

import math
import time
from collections.abc import Callable
from threading import Lock

from starlette.exceptions import HTTPException

from attention.schemas import Job
from server.access.metering import Payer, payer
from server.settings import Settings
from server.store.jobs import JobTable

REQUEST_S = 0.001
"""What any request costs besides its compute: reading it, answering it."""


class Bucket:
    """Seconds of compute: so many are added each second up to a brim, and what is spent is taken out.

    Args:
        rate: seconds added in a second; 0 is a bucket that never empties.
        burst_s: the brim.
        clock: seconds that only grow.
    """

    def __init__(self, rate: float, burst_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst_s, self._clock = rate, burst_s, clock
        self._left, self._at = burst_s, clock()
        self._lock = Lock()

    def spend(self, seconds: float) -> None:
        """Take some out, also more than there is."""
        with self._lock:
            self._fill()
            self._left -= seconds

    def wait_s(self) -> float:
        """Seconds until something is left; 0 if there is now."""
        with self._lock:
            self._fill()
            return 0.0 if not self._rate or self._left > 0 else max(-self._left / self._rate, 1e-3)

    def _fill(self) -> None:
        now = self._clock()
        self._left = min(self._burst_s, self._left + (now - self._at) * self._rate)
        self._at = now


class Account:
    """What one key uses, and may use.

    Args:
        name: the key's; empty for those who ask without one, who have no limits.
    """

    def __init__(self, name: str, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.compute_s = 0.0
        self.refused: dict[str, int] = {"compute": 0, "in_flight": 0, "jobs": 0}
        self._bucket = Bucket(settings.key_compute_rate if name else 0, settings.key_compute_burst_s, clock)
        self._max_in_flight = settings.key_in_flight if name else math.inf
        self._max_jobs = settings.key_jobs if name else math.inf
        self._in_flight = 0  # only the event loop's thread counts
        self._jobs: set[str] = set()
        self._queueing = Lock()
        self._lock = Lock()

    def charge(self, seconds: float) -> None:
        """So many seconds of compute were for this key; any thread may say so."""
        with self._lock:
            self.compute_s += seconds
        self._bucket.spend(seconds)

    def enter(self) -> None:
        """A request begins; whoever calls this calls `leave` when it ends.

        Raises:
            HTTPException: 429, too many are in flight, or the compute is used up.
        """
        if self._in_flight >= self._max_in_flight:
            raise self._no(
                "in_flight",
                f"This key has {self._in_flight} requests in flight, as many as it may. Wait for one to be answered.",
            )
        if wait_s := self._bucket.wait_s():
            raise self._no(
                "compute", f"This key has used up its compute time. There is some again in {wait_s:.0f} s.", wait_s
            )
        self._in_flight += 1
        self.charge(REQUEST_S)

    def leave(self) -> None:
        """A request has ended."""
        self._in_flight -= 1

    def queue(self, add: Callable[[], Job], jobs: JobTable) -> Job:
        """Queue one more job for this key, if it may have one more.

        Raises:
            HTTPException: 429, as many as it may have wait or run.
        """
        if self._max_jobs == math.inf:
            return add()
        with self._queueing:  # or two that are asked for at once would both be the last
            self._jobs = {job_id for job_id in self._jobs if not jobs.get(job_id).ended}
            if len(self._jobs) >= self._max_jobs:
                raise self._no(
                    "jobs", f"This key has {len(self._jobs)} jobs that wait or run, as many as it may have.", 60.0
                )
            job = add()
            self._jobs.add(job.id)
            return job

    def _no(self, limit: str, sentence: str, wait_s: float = 1.0) -> HTTPException:
        self.refused[limit] += 1
        return HTTPException(429, sentence, {"Retry-After": str(max(1, math.ceil(wait_s)))})


class Bill(Payer):
    """What one request has cost so far; its account is charged at once."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.seconds = 0.0
        self._lock = Lock()

    def charge(self, seconds: float) -> None:
        """So many seconds of compute were for this request; any thread may say so."""
        with self._lock:
            self.seconds += seconds
        self.account.charge(seconds)


def account() -> Account | None:
    """Whose account the work here is on; None outside of a request."""
    bill = payer()
    return bill.account if isinstance(bill, Bill) else None
