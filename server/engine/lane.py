"""The job lane of one machine: jobs wait in the store, and run in processes of their own, some at a time."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Condition, Thread
from time import monotonic
from typing import TypeVar

from server.jobs import Order
from server.settings import Settings
from server.store import Store
from server.store.jobs import Claim

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "server.jobs")

LOOK_EVERY_S = 2.0
"""How often the lane looks into the store by itself, for jobs that another service put there or cancelled."""

GRACE_S = 2.0
"""How long a cancelled job may take to end by itself before its process is killed."""

T = TypeVar("T")

Process = subprocess.Popen[bytes]


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
        """Begin: jobs that ran when the service last ended are queued again, and those that wait are taken up."""
        if not self._settings.database_shared or self._store is not None:
            return
        self._store = Store(self._settings.database_url)
        for claim in self._store.jobs.running():
            went = self._store.jobs.died(claim, "The service ended while this job ran.")
            log.warning("Job %s ran when the service last ended; it is %s now.", claim.job_id, went or "elsewhere")
        for number in range(self._settings.jobs):
            thread = Thread(target=self._work, args=(self._store,), name=f"job-lane-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

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
            process = self._start(claim)
        except OSError as error:
            how = f"The job's process could not be started ({error.strerror})."
        else:
            self._watch(store, claim, process)
            stopped = process.returncode is None
            kill(process)
            if stopped and self._closed and self._ask(lambda: store.jobs.give_back(claim)):
                log.warning("Job %s is queued again, because the service stops.", claim.job_id)
                return
            how = epitaph(process.returncode)
        if went := self._ask(lambda: store.jobs.died(claim, how)):
            log.warning("Job %s is %s. %s", claim.job_id, went, how)

    def _watch(self, store: Store, claim: Claim, process: Process) -> None:
        """Return when the process has ended, or has to."""
        Thread(target=self._wait_for, args=(process,), name=f"job-{claim.job_id}", daemon=True).start()
        kill_at: float | None = None
        while not self._closed:
            seen = self._changes
            if process.poll() is not None:
                return
            if kill_at is None and self._ask(lambda: store.jobs.holds(claim)) is False:
                kill_at = monotonic() + GRACE_S
            if kill_at is not None and monotonic() >= kill_at:
                return
            self._wait(seen, LOOK_EVERY_S if kill_at is None else kill_at - monotonic())

    def _wait_for(self, process: Process) -> None:
        process.wait()
        self.look()

    def _wait(self, seen: int, seconds: float) -> None:
        """Return when something has changed since then, and after so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen, max(0.0, seconds))

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

    def _start(self, claim: Claim) -> Process:
        """Start a job's process. It leads a group of its own, so that it can be killed with all it starts itself."""
        order = Order(job_id=claim.job_id, claim=claim.number, settings=self._settings.model_dump(mode="json"))
        process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, env=self._environment(), start_new_session=True
        )
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it is dead already, which is noticed in a moment
            process.stdin.write(order.model_dump_json().encode() + b"\n")
            process.stdin.flush()
        return process

    def _environment(self) -> Mapping[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),  # what is importable here is there
            "OMP_NUM_THREADS": str(self._settings.job_cpu_threads),
            "OMP_WAIT_POLICY": "PASSIVE",
        }


def kill(process: Process) -> None:
    """End a process and all that it started, and leave no zombie."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()


def epitaph(code: int) -> str:
    """How a process ended, as a sentence."""
    if code == -signal.SIGKILL:
        return "The job's process was killed, as happens when the machine runs out of memory."
    if code < 0:
        return f"The job's process was ended by {signal.Signals(-code).name}."
    return f"The job's process ended by itself with code {code}; the log of the service says more."
