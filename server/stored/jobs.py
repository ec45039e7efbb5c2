"""Jobs as what users keep: those that have ended, with their reports."""

from collections.abc import Iterator

from sqlalchemy import Connection

from attention.errors import Conflict, NotFound
from server.store.jobs import no_job
from server.stored.kinds import Extent, StoredKind, Thing


class StoredJobs(StoredKind):
    """Jobs with their reports; one that waits or runs is summed up, and never deleted."""

    name = "jobs"
    id_field = "id"

    def things(self) -> Iterator[Thing]:
        """Jobs that have ended."""
        for name, size, finished in self._jobs.ended():
            yield Thing(name, size, finished)

    def extent(self) -> Extent:
        """How many jobs there are, and the bytes of their reports."""
        return Extent(*self._jobs.extent())

    def missing(self, name: str) -> NotFound:
        """The error of a job that is not here."""
        return no_job(name)

    def check_owned(self, name: str) -> None:
        """Return if a job is here, and the key that asks may change it."""
        self._jobs.get(name)
        super().check_owned(name)

    def check_unused(self, name: str) -> None:
        """Return if a job has ended.

        Raises:
            Conflict: it has not.
        """
        job = self._jobs.get(name)
        if not job.ended:
            raise Conflict(f"This job is {job.state}. Wait for its end, or cancel it: POST {job.links.cancel}.")

    def erase(self, connection: Connection, name: str) -> None:
        """Delete a job that has ended, with its report, inside a transaction."""
        self._jobs.erase(connection, name)
