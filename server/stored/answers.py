"""Reports of questions that were answered at once, as what users keep."""

from collections.abc import Iterator

from sqlalchemy import Connection

from attention.errors import NotFound
from server.store.jobs import JobTable
from server.store.ownership import ASKER, OwnerTable
from server.store.reports import AnswerTable, no_report
from server.stored.kinds import Extent, StoredKind, Thing


class StoredAnswers(StoredKind):
    """Reports by id; the archive forgets old ones by number and bytes besides."""

    name = "reports"
    id_field = "id"

    def __init__(self, table: AnswerTable, jobs: JobTable, owners: OwnerTable, keep_days: float) -> None:
        super().__init__(jobs, owners, keep_days)
        self._table = table

    def things(self) -> Iterator[Thing]:
        """List every stored report that does not belong to a job."""
        return (Thing(*row) for row in self._table.ages())

    def missing(self, name: str) -> NotFound:
        """The error of a report that is not here."""
        return no_report(name)

    def extent(self) -> Extent:
        """Count the stored reports and their bytes."""
        return super().extent() if ASKER.get() else Extent(*self._table.extent())

    def check_owned(self, name: str) -> None:
        """Return if a report is here, and the key that asks may change it."""
        self._table.listed(name)
        super().check_owned(name)

    def erase(self, connection: Connection, name: str) -> None:
        """Delete a report inside a transaction, if it is here."""
        self._table.erase(connection, name)
