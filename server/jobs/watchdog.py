"""Watchdog: finds jobs whose process is gone, also those that another service on the same database had begun."""

import logging

from server.store.jobs import Claim, JobTable
from server.store.owner import ended

log = logging.getLogger(__name__)

WATCH_EVERY_S = 1.0
"""How often it looks. A process that works on a job gives a sign of life every two seconds at most."""

SILENT_LOOKS = 30
"""So many looks without a sign of life, and a job's process is taken for dead: half a minute."""

GONE_LOOKS = 4
"""The same where the process that took the job up has ended for sure, and only a child of it could still work."""


class Watchdog:
    """Watches the jobs that run, and requeues or fails those whose process has died.

    It counts its own looks and reads no clock, so that no process is taken for dead by a machine that slept, or whose
    clock is wrong; and none looks silent because the database was away for a while.
    """

    def __init__(self, table: JobTable, silent_looks: int = SILENT_LOOKS) -> None:
        self._table = table
        self._silent_looks = silent_looks
        self._seen: dict[Claim, tuple[int, int]] = {}  # signs of life, and looks since the last one

    def look(self) -> int:
        """Look once, and let jobs that no process works on be queued again, or fail. Gives how many that were."""
        beats_of_jobs = {}
        moved = 0
        for work in self._table.running():
            beats, silent = self._seen.get(work.claim, (work.beats, -1))
            silent = silent + 1 if beats == work.beats else 0
            gone = ended(work.owner)
            if silent < (GONE_LOOKS if gone else self._silent_looks):
                beats_of_jobs[work.claim] = work.beats, silent
                continue
            sentence, logged = "The service ended while this job ran.", "ran when the service last ended"
            if not gone:
                logged = f"gave no sign of life for {silent * WATCH_EVERY_S:.0f} s"
                sentence = f"The process that worked on this job {logged}."
            if went := self._table.died(work.claim, sentence, work.beats, "interruption"):
                log.warning("Job %s %s; it is %s now.", work.claim.job_id, logged, went)
                moved += 1
        self._seen = beats_of_jobs
        return moved
