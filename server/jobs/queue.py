"""The job queue: jobs wait in the store, and run in processes of their own, some at a time."""

import logging
from collections.abc import Callable
from threading import Condition, Thread
from time import monotonic
from typing import Protocol, TypeVar

from attention.errors import NotFound
from server.jobs.order import Order
from server.jobs.watchdog import WATCH_EVERY_S, Watchdog
from server.settings import Settings
from server.store import Store
from server.store.jobs import Claim

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
"""How often the queue looks into the store by itself, for jobs that another service put there or cancelled, and shows
that its own jobs live."""

GRACE_S = 2.0
"""How long a cancelled job may take to end by itself before its process is killed."""

T = TypeVar("T")


class Worker(Protocol):
    """A process that works on a job, on this machine or another one."""

    @property
    def ended(self) -> bool:
        """Whether the process of the job has ended."""

    def wait(self) -> None:
        """Return when it has ended."""

    def kill(self) -> None:
        """End it with all that it started, if it has not ended yet."""

    def exit_description(self) -> str:
        """How the process of the job ended, as a sentence."""


class JobQueue:
    """Runs the jobs of a store, oldest first. A process that dies has its job tried again, or failed with the reason.

    Until it is opened, jobs only wait in the store.

    Args:
        settings: how many jobs run at a time, and all that a job's process is told.
        start: starts such a process; OSError if it cannot.
    """

    def __init__(self, settings: Settings, start: Callable[[Order], Worker]) -> None:
        self._settings = settings
        self._start = start
        self._store: Store | None = None
        self._threads: list[Thread] = []
        self._closed = False
        self._changes = 0
        self._changed = Condition()

    def open(self) -> None:
        """Begin: jobs that wait are taken up, and from now on also those whose process is gone."""
        if not self._settings.database_shared or self._store is not None:
            return
        self._store = Store(self._settings.database_url)
        self._begin("job-watchdog", self._watch_all, self._store)
        for number in range(self._settings.jobs):
            self._begin(f"job-queue-{number}", self._work, self._store)

    def look(self) -> None:
        """Something has changed in the store: a job was queued or cancelled."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Stop the processes, queue their jobs again, and end."""
        self._closed = True
        self.look()
        for thread in self._threads:
            thread.join()
        if self._store is not None:
            self._store.close()

    def _begin(self, name: str, work: Callable[[Store], None], store: Store) -> None:
        thread = Thread(target=work, args=(store,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _watch_all(self, store: Store) -> None:
        watchdog = Watchdog(store.jobs)
        while not self._closed:
            if self._ask(watchdog.look):
                self.look()
            self._pause(WATCH_EVERY_S)

    def _work(self, store: Store) -> None:
        while not self._closed:
            changes = self._changes
            claim = self._ask(store.jobs.claim_next)
            if claim is None:
                self._wait(changes, LOOK_EVERY_S)
            else:
                self._run(store, claim)

    def _run(self, store: Store, claim: Claim) -> None:
        """Run a job in a process of its own, and see to it that the job's state is right when the process is gone."""
        order = self._ask(lambda: self._order(store, claim))
        if order is None:
            return  # the job is deleted; or the queue is closed, and another one finds the job
        try:
            worker = self._start(order)
        except OSError as error:
            how = f"The job's process could not be started ({error.strerror})."
        else:
            self._watch(store, claim, worker)
            stopped = not worker.ended
            worker.kill()
            if stopped and self._closed and self._ask(lambda: store.jobs.give_back(claim)):
                log.warning("Job %s is queued again, because the service stops.", claim.job_id)
                return
            how = worker.exit_description()
        if state := self._ask(lambda: store.jobs.died(claim, how)):
            log.warning("Job %s is %s. %s", claim.job_id, state, how)

    def _watch(self, store: Store, claim: Claim, worker: Worker) -> None:
        """Return when the process has ended, or has to."""
        Thread(target=self._wait_for, args=(worker,), name=f"job-{claim.job_id}", daemon=True).start()
        kill_at: float | None = None
        while not self._closed:
            changes = self._changes
            if worker.ended:
                return
            if kill_at is None and self._ask(lambda: store.jobs.beat(claim)) is False:
                kill_at = monotonic() + GRACE_S
            if kill_at is not None and monotonic() >= kill_at:
                return
            self._wait(changes, LOOK_EVERY_S if kill_at is None else kill_at - monotonic())

    def _wait_for(self, worker: Worker) -> None:
        worker.wait()
        self.look()

    def _wait(self, changes: int, seconds: float) -> None:
        """Return when something has changed since then, and after so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes != changes, max(0.0, seconds))

    def _pause(self, seconds: float) -> None:
        """Return when so much time has passed, or the queue closes."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)

    def _ask(self, question: Callable[[], T]) -> T | None:
        """What the store says, if need be after it was away for a while; None if the queue is closed meanwhile."""
        while True:
            try:
                return question()
            except Exception:
                log.exception("The job queue cannot reach its store. It tries again in %g s.", LOOK_EVERY_S)
                if self._closed:
                    return None
                self._wait(self._changes, LOOK_EVERY_S)

    def _order(self, store: Store, claim: Claim) -> Order | None:
        settings = self._settings.model_dump(mode="json")
        try:
            analysis = store.jobs.get(claim.job_id).analysis
        except NotFound:
            return None
        return Order(job_id=claim.job_id, claim=claim.number, analysis=analysis, settings=settings)
