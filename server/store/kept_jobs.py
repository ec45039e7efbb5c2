"""Jobs in the database as what users keep: summed up, looked through and deleted when they have ended."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, Engine, delete, func, select

from attention.schemas import ENDED
from server.store.ownership import owned_by_asker
from server.store.tables import JobRow, ReportRow

KIND = "jobs"
_ID = JobRow.__table__.c.id


class KeptJobs:
    """The part of the table of jobs that deals with those that stay; `server.store.jobs` has the rest."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ended(self) -> tuple[tuple[str, int, datetime], ...]:
        """Each job that has ended: its id, the bytes of its report, and when it ended."""
        columns = select(JobRow.id, func.coalesce(ReportRow.size, 0), JobRow.finished, JobRow.created)
        rows = columns.outerjoin(ReportRow, ReportRow.job_id == JobRow.id).where(JobRow.state.in_(ENDED))
        with self._engine.connect() as connection:
            return tuple(
                (name, size, finished or created) for name, size, finished, created in connection.execute(rows)
            )

    def extent(self) -> tuple[int, int, datetime | None]:
        """How many jobs the key that asks owns, the bytes of their reports, and when the oldest was asked for."""
        columns = func.count(JobRow.id), func.coalesce(func.sum(ReportRow.size), 0), func.min(JobRow.created)
        summed = select(*columns).where(owned_by_asker(KIND, _ID))
        with self._engine.connect() as connection:
            count, size, oldest = connection.execute(
                summed.select_from(JobRow).outerjoin(ReportRow, ReportRow.job_id == JobRow.id)
            ).one()
        return count, int(size), oldest

    def erase(self, connection: Connection, job_id: str) -> tuple[str, str] | None:
        """Delete a job that has ended, inside a transaction.

        Returns:
            its analysis and its report as JSON, if it had one.
        """
        ended = JobRow.id == job_id, JobRow.state.in_(ENDED)
        report = connection.execute(select(JobRow.analysis, ReportRow.json).join(ReportRow).where(*ended)).one_or_none()
        connection.execute(delete(ReportRow).where(ReportRow.job_id.in_(select(JobRow.id).where(*ended))))
        connection.execute(delete(JobRow).where(*ended))
        return None if report is None else (report.analysis, report.json)

    def unfinished(self, job_ids: Collection[str]) -> set[str]:
        """Those of these jobs that wait or run."""
        query = select(JobRow.id).where(JobRow.id.in_(job_ids), JobRow.state.not_in(ENDED))
        with self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def reported(self, connection: Connection, text: str) -> bool:
        """Whether a report of any job has a text in its JSON, inside a transaction."""
        result = connection.execute(select(ReportRow.job_id).where(ReportRow.json.contains(text)).limit(1))
        return result.first() is not None

    def reports(self, analysis: str) -> Sequence[str]:
        """The reports of an analysis, as JSON, whose jobs the key that asks owns."""
        query = select(ReportRow.json).join(JobRow).where(JobRow.analysis == analysis, owned_by_asker(KIND, _ID))
        with self._engine.connect() as connection:
            return connection.execute(query).scalars().all()
