"""Reports of questions that were answered at once, as what users keep."""

from collections.abc import Iterator

from attention.errors import NotFound
from server.store.jobs import JobTable
from server.store.reports import AnswerTable
from server.stored.kinds import Extent, StoredKind, Thing


class StoredAnswers(StoredKind):
    """Reports by id; the archive forgets old ones by number and bytes besides."""

    name = "reports"

    def __init__(self, table: AnswerTable, jobs: JobTable, keep_days: float) -> None:
        super().__init__(jobs, keep_days)
        self._table = table

    def things(self) -> Iterator[Thing]:
        """List every stored report that does not belong to a job."""
        return (Thing(*row) for row in self._table.ages())

    def extent(self) -> Extent:
        """Count the stored reports and their bytes."""
        return Extent(*self._table.extent())

    def delete(self, name: str) -> None:
        """Delete a report.

        Raises:
            NotFound: it is not here.
        """
        if not self._table.delete(name):
            raise NotFound(f"There is no report {name[:80]!r} here. GET /v1/reports lists those there are.")

    def forget(self, name: str) -> None:
        """Delete a report, if it is here."""
        self._table.delete(name)
