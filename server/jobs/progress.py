"""How far a job is: kept in the store a few times a second at most, with an estimate of when it will be done."""

import logging
from threading import Event, Lock, Thread
from time import monotonic

from attention.errors import Cancelled
from attention.spec import Plain
from server.store.jobs import Claim, JobTable

log = logging.getLogger(__name__)

WRITE_EVERY_S = 0.25
LOOK_EVERY_S = 1.0


class Pace:
    """How fast the work goes, from the times at which its steps were done."""

    RECENT = 50

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None
        self._seconds: list[float] = []  # of one step, the latest last

    def add(self, now: float, done: int) -> None:
        """So many steps are done now."""
        if self._last is None or done < self._last[1]:
            self._last, self._seconds = (now, done), []
        elif done > self._last[1]:
            self._seconds = [*self._seconds, (now - self._last[0]) / (done - self._last[1])][-self.RECENT :]
            self._last = now, done

    def left(self, done: int, total: int) -> float | None:
        """Seconds until all is done; None while it is unknown.

        Steps that took next to no time were done already when the work began again, and say nothing of the others.
        """
        if not self._seconds or total <= 0:
            return None
        usual = sorted(self._seconds)[len(self._seconds) // 2]
        honest = [seconds for seconds in self._seconds if seconds >= usual / 5]
        return max(0, total - done) * sum(honest) / len(honest)


class Reporter:
    """Tells the store how far a job is, and the job whether it is still wanted.

    A thread of its own writes, so that the work never waits for the database, and looks even while the work is silent.
    """

    def __init__(self, table: JobTable, claim: Claim) -> None:
        self._table = table
        self._claim = claim
        self._pace = Pace()
        self._latest: tuple[int, int, str, float | None] | None = None
        self._partial: Plain | None = None  # not written yet
        self._lock = Lock()
        self._news = Event()
        self._lost = Event()
        self._closing = Event()
        self._thread = Thread(target=self._work, name="reporter", daemon=True)

    def __enter__(self) -> "Reporter":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Write what is not written yet, and end."""
        self._closing.set()
        self._news.set()
        self._thread.join()

    def check(self) -> None:
        """Return if the job is still wanted.

        Raises:
            Cancelled: it was cancelled, or is in other hands.
        """
        if self._lost.is_set():
            raise Cancelled("This job was cancelled.")

    def on_progress(self, done: int, total: int, note: str, partial: Plain | None) -> None:
        """Say how far the job is.

        Raises:
            Cancelled: it was cancelled, or is in other hands.
        """
        self.check()
        with self._lock:
            self._pace.add(monotonic(), done)
            self._latest = done, total, note, self._pace.left(done, total)
            self._partial = partial or self._partial
        self._news.set()

    def _work(self) -> None:
        while not self._lost.is_set():
            closing = self._closing.is_set()
            try:
                if self._news.wait(LOOK_EVERY_S):
                    self._news.clear()
                    self._write()
                elif not self._table.beat(self._claim):
                    self._lost.set()
            except Exception:  # a database that is away for a moment shall not end hours of work
                log.exception("The progress of job %s could not be kept; the work goes on.", self._claim.job_id)
                self._news.set()
                self._closing.wait(LOOK_EVERY_S)
            if closing:
                return
            self._closing.wait(WRITE_EVERY_S)

    def _write(self) -> None:
        with self._lock:
            latest, partial = self._latest, self._partial
        if latest is None:
            return
        if not self._table.progress(self._claim, *latest, partial):
            self._lost.set()
        with self._lock:
            if self._partial is partial:
                self._partial = None
