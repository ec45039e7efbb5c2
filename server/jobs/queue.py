"""The job lane: jobs wait in the store, and run in processes of their own, some at a time."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Condition, Thread
from time import monotonic
from typing import Protocol, TypeVar

from server.jobs.watchdog import LOOKOUT_EVERY_S, Lookout
from server.jobs.worker import Order
from server.settings import Settings
from server.store import Store
from server.store.jobs import Claim

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "server.jobs.worker")

LOOK_EVERY_S = 2.0
"""How often the lane looks into the store by itself, for jobs that another service put there or cancelled, and shows
that its own jobs live."""

GRACE_S = 2.0
"""How long a cancelled job may take to end by itself before its process is killed."""

T = TypeVar("T")


class Worker(Protocol):
    """A process that works on a job, wherever it runs."""

    @property
    def ended(self) -> bool:
        """Whether it has ended."""

    def wait(self) -> None:
        """Return when it has ended."""

    def kill(self) -> None:
        """End it with all that it started, if it has not ended yet."""

    def epitaph(self) -> str:
        """How it ended, as a sentence."""


class LocalWorker:
    """A process on this machine. It leads a group of its own, so that it can be killed with all it starts itself.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], order: Order) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True)
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it is dead already, which is noticed in a moment
            self._process.stdin.write(order.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def wait(self) -> None:
        """Return when it has ended."""
        self._process.wait()

    def kill(self) -> None:
        """End it with all that it started, and leave no zombie."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def epitaph(self) -> str:
        """How it ended, as a sentence."""
        return epitaph(self._process.wait())


class Lane:
    """Runs the jobs of a store, oldest first. A process that dies has its job tried again, or failed with the reason.

    Args:
        settings: how many jobs run at a time, and all that a job's process is told.
        command: starts such a process.
    """

    def __init__(self, settings: Settings, command: Sequence[str] = COMMAND) -> None:
        self._settings = settings
        self._command = command
        self._store: Store | None = None
        self._threads: list[Thread] = []
        self._closed = False
        self._changes = 0
        self._changed = Condition()

    def open(self) -> None:
        """Begin: jobs that wait are taken up, and from now on also those whose process is gone, whoever's it was."""
        if not self._settings.database_shared or self._store is not None:
            return
        self._store = Store(self._settings.database_url)
        self._begin("job-lookout", self._look_out, self._store)
        for number in range(self._settings.jobs):
            self._begin(f"job-lane-{number}", self._work, self._store)

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

    def _look_out(self, store: Store) -> None:
        lookout = Lookout(store.jobs)
        while not self._closed:
            if self._ask(lookout.look):
                self.look()
            self._pause(LOOKOUT_EVERY_S)

    def _work(self, store: Store) -> None:
        while not self._closed:
            seen = self._changes
            claim = self._ask(store.jobs.claim_next)
            if claim is None:
                self._wait(seen, LOOK_EVERY_S)
            else:
                self._run(store, claim)

    def _run(self, store: Store, claim: Claim) -> None:
        """Run a job in a process of its own, and see to it that the job's state is right when the process is gone."""
        try:
            worker = self._start(claim)
        except OSError as error:
            how = f"The job's process could not be started ({error.strerror})."
        else:
            self._watch(store, claim, worker)
            stopped = not worker.ended
            worker.kill()
            if stopped and self._closed and self._ask(lambda: store.jobs.give_back(claim)):
                log.warning("Job %s is queued again, because the service stops.", claim.job_id)
                return
            how = worker.epitaph()
        if went := self._ask(lambda: store.jobs.died(claim, how)):
            log.warning("Job %s is %s. %s", claim.job_id, went, how)

    def _watch(self, store: Store, claim: Claim, worker: Worker) -> None:
        """Return when the process has ended, or has to."""
        Thread(target=self._wait_for, args=(worker,), name=f"job-{claim.job_id}", daemon=True).start()
        kill_at: float | None = None
        while not self._closed:
            seen = self._changes
            if worker.ended:
                return
            if kill_at is None and self._ask(lambda: store.jobs.beat(claim)) is False:
                kill_at = monotonic() + GRACE_S
            if kill_at is not None and monotonic() >= kill_at:
                return
            self._wait(seen, LOOK_EVERY_S if kill_at is None else kill_at - monotonic())

    def _wait_for(self, worker: Worker) -> None:
        worker.wait()
        self.look()

    def _wait(self, seen: int, seconds: float) -> None:
        """Return when something has changed since then, and after so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen, max(0.0, seconds))

    def _pause(self, seconds: float) -> None:
        """Return when so much time has passed, or the lane closes."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)

    def _ask(self, question: Callable[[], T]) -> T | None:
        """What the store says, if need be after it was away for a while; None if the lane is closed meanwhile."""
        while True:
            try:
                return question()
            except Exception:
                log.exception("The job lane cannot reach its store. It tries again in %g s.", LOOK_EVERY_S)
                if self._closed:
                    return None
                self._wait(self._changes, LOOK_EVERY_S)

    def _start(self, claim: Claim) -> Worker:
        order = Order(job_id=claim.job_id, claim=claim.number, settings=self._settings.model_dump(mode="json"))
        return LocalWorker(self._command, self._environment(), order)

    def _environment(self) -> Mapping[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),  # what is importable here is there
            "OMP_NUM_THREADS": str(self._settings.job_cpu_threads),
            "OMP_WAIT_POLICY": "PASSIVE",
        }


def epitaph(code: int) -> str:
    """How a process ended, as a sentence."""
    if code == -signal.SIGKILL:
        return "The job's process was killed, as happens when the machine runs out of memory."
    if code < 0:
        return f"The job's process was ended by {signal.Signals(-code).name}."
    return f"The job's process ended by itself with code {code}; the log of the service says more."
