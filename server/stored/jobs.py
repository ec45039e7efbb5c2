"""Jobs as what users keep: those that have ended, with their reports."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from attention.errors import Conflict, NotFound
from attention.reports.export import ExportedFile, ExportReport, ExportRequest
from attention.storage.base import FileStore
from server.store.jobs import JobTable
from server.stored.kinds import Extent, StoredKind, Thing


class StoredJobs(StoredKind):
    """Jobs with their reports and the files they wrote; one that waits or runs is summed up, and never deleted."""

    name = "jobs"

    def __init__(self, files: FileStore, jobs: JobTable, keep_days: float) -> None:
        super().__init__(jobs, keep_days)
        self._files = files

    def things(self) -> Iterator[Thing]:
        """Jobs that have ended."""
        for name, size, finished in self._jobs.ended():
            yield Thing(name, size, finished)

    def extent(self) -> Extent:
        """How many jobs there are, and the bytes of their reports and files."""
        count, size, oldest = self._jobs.extent()
        return Extent(count, size + sum(file.size for file in self._files.entries("exports")), oldest)

    def file(self, name: str) -> tuple[Path, str]:
        """Where the file lies that a job wrote, and what to call it.

        Raises:
            NotFound: there is no such job, or it has written none.
        """
        job, written = self._jobs.get(name), self._written(name)
        if job.state != "done" or written is None:
            raise NotFound(f"Job {name} ({job.analysis}) is {job.state} and has no file. Jobs of 'export' write one.")
        try:
            return self._files.path(written.stored), written.name
        except FileNotFoundError:
            raise NotFound(f"The file of job {name} was deleted by hand. Ask again: POST /v1/export.") from None

    def delete(self, name: str) -> None:
        """Delete a job that has ended, with its report and its file.

        Raises:
            NotFound: it is not here.
            Conflict: it has not ended.
        """
        job = self._jobs.get(name)
        if not job.ended:
            raise Conflict(f"This job is {job.state}. Wait for its end, or cancel it: POST {job.links.cancel}.")
        self.forget(name)

    def forget(self, name: str) -> None:
        """Delete a job that has ended, with its report, and its file unless another job wrote the same."""
        written = self._written(name)
        self._jobs.delete(name)
        if written is not None and not self._jobs.reported(written.stored):
            self._files.remove(written.stored)

    def _written(self, name: str) -> ExportedFile | None:
        """The file that a job wrote, or began to write."""
        report = self._jobs.report(name)
        if report is None or self._jobs.get(name).analysis != ExportRequest.analysis:
            return None
        with suppress(ValidationError):  # of another version of the service
            return ExportReport.model_validate_json(report).file
        return None
