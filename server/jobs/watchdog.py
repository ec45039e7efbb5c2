"""The lookout: finds jobs whose process is gone, also where another service on the same database had begun them."""

import logging

from server.store.jobs import Claim, JobTable
from server.store.owner import ended

log = logging.getLogger(__name__)

LOOKOUT_EVERY_S = 1.0
"""How often it looks. Whoever works on a job gives a sign of life every two seconds at most."""

SILENT_LOOKS = 30
"""So many looks without a sign of life, and a job's process is taken for dead: half a minute."""

GONE_LOOKS = 4
"""The same where the process that took the job up has ended for sure, and only a child of it could still work."""


class Lookout:
    """Watches the jobs that run. It counts its own looks and reads no clock, so that a machine that slept, or one whose
    clock is wrong, takes nobody for dead; and a database that is away for a while makes nobody look silent.
    """

    def __init__(self, table: JobTable, silent_looks: int = SILENT_LOOKS, gone_looks: int = GONE_LOOKS) -> None:
        self._table = table
        self._silent_looks = silent_looks
        self._gone_looks = gone_looks
        self._seen: dict[Claim, tuple[int, int]] = {}  # signs of life, and looks since the last one

    def look(self) -> int:
        """Look once, and let jobs that nobody works on be queued again, or fail. Gives how many that were."""
        seen = {}
        moved = 0
        for work in self._table.running():
            beats, silent = self._seen.get(work.claim, (work.beats, -1))
            silent = silent + 1 if beats == work.beats else 0
            gone = ended(work.owner)
            if silent < (self._gone_looks if gone else self._silent_looks):
                seen[work.claim] = work.beats, silent
                continue
            told, logged = "The service ended while this job ran.", "ran when the service last ended"
            if not gone:
                logged = f"gave no sign of life for {silent * LOOKOUT_EVERY_S:.0f} s"
                told = f"The process that worked on this job {logged}."
            if went := self._table.died(work.claim, told, work.beats):
                log.warning("Job %s %s; it is %s now.", work.claim.job_id, logged, went)
                moved += 1
        self._seen = seen
        return moved
