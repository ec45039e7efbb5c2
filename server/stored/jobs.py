"""Jobs as what users keep: those that have ended, with their reports."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import Connection

from attention.errors import Conflict, NotFound
from attention.reports.export import ExportedFile, ExportReport, ExportRequest
from attention.storage.base import FileStore
from server.store.jobs import JobTable, no_job
from server.store.ownership import ASKER, OwnerTable
from server.stored.kinds import Extent, StoredKind, Thing


class StoredJobs(StoredKind):
    """Jobs with their reports and the files they wrote; one that waits or runs is summed up, and never deleted."""

    name = "jobs"
    id_field = "id"

    def __init__(self, files: FileStore, jobs: JobTable, owners: OwnerTable, keep_days: float) -> None:
        super().__init__(jobs, owners, keep_days)
        self._files = files

    def things(self) -> Iterator[Thing]:
        """Jobs that have ended."""
        for name, size, finished in self._jobs.ended():
            yield Thing(name, size, finished)

    def extent(self) -> Extent:
        """How many jobs there are, and the bytes of their reports and files."""
        count, size, oldest = self._jobs.extent()
        files = {file.name: file.size for file in self._files.entries("exports")}
        if ASKER.get():
            exported = (_written((ExportRequest.analysis, json)) for json in self._jobs.reports(ExportRequest.analysis))
            files = {file.stored: files.get(file.stored, 0) for file in exported if file is not None}
        return Extent(count, size + sum(files.values()), oldest)

    def file(self, name: str) -> tuple[Path, str]:
        """Where the file lies that a job wrote, and what to call it.

        Raises:
            NotFound: there is no such job, or it has written none.
        """
        job, report = self._jobs.get(name), self._jobs.report(name)
        written = None if report is None else _written((job.analysis, report))
        if job.state != "done" or written is None:
            raise NotFound(f"Job {name} ({job.analysis}) is {job.state} and has no file. Jobs of 'export' write one.")
        try:
            return self._files.path(written.stored), written.name
        except FileNotFoundError:
            raise NotFound(f"The file of job {name} was deleted by hand. Ask again: POST /v1/export.") from None

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
        """Delete a job that has ended inside a transaction, with its report, and its file unless another job has it."""
        written = _written(self._jobs.erase(connection, name))
        if written is not None and not self._jobs.reported(connection, written.stored):
            self._files.remove(written.stored)


def _written(report: tuple[str, str] | None) -> ExportedFile | None:
    """The file that a job wrote, or began to write, by its analysis and its report as JSON."""
    if report is not None and report[0] == ExportRequest.analysis:
        with suppress(ValidationError):  # of another version of the service
            return ExportReport.model_validate_json(report[1]).file
    return None
