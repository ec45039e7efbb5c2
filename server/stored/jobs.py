"""Jobs as what users keep: those that have ended, with their reports."""

from collections.abc import Iterator

from attention.errors import Conflict
from server.stored.kinds import Extent, StoredKind, Thing


class StoredJobs(StoredKind):
    """Jobs with their reports; one that waits or runs is summed up, and never deleted."""

    name = "jobs"

    def things(self) -> Iterator[Thing]:
        """Jobs that have ended."""
        for name, size, finished in self._jobs.ended():
            yield Thing(name, size, finished)

    def extent(self) -> Extent:
        """How many jobs there are, and the bytes of their reports."""
        return Extent(*self._jobs.extent())

    def delete(self, name: str) -> None:
        """Delete a job that has ended, with its report.

        Raises:
            NotFound: it is not here.
            Conflict: it has not ended.
        """
        job = self._jobs.get(name)
        if not job.ended:
            raise Conflict(f"This job is {job.state}. Wait for its end, or cancel it: POST {job.links.cancel}.")
        self._jobs.delete(name)

    def forget(self, name: str) -> None:
        """Delete a job that has ended, with its report."""
        self._jobs.delete(name)
