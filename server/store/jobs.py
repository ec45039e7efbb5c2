"""The jobs in the database. A state is left only by an UPDATE that names it, so of two who want to move one wins.

Who works on a job shows every few seconds that it lives (`beat`). Others who see no sign for long enough say that it
`died`. No clock is compared with another one: what counts is whether the number of signs goes up.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    RowMapping,
    Select,
    Update,
    case,
    false,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from attention.errors import InvalidRequest, NotFound, Overloaded
from attention.schemas import Job, JobLinks, JobState, StoredReport
from attention.spec import Plain, Request
from server.store.database import alone, newest_first
from server.store.kept_jobs import KIND, KeptJobs
from server.store.owner import this_process
from server.store.ownership import ASKER, add_owner, visible_to_asker
from server.store.tables import JobRow, ReportRow

MAX_CRASHES = 3
"""How often a job's process may die by itself without progress in between, until the job fails."""

MAX_INTERRUPTIONS = 50
"""The same where the service or its machine ended, which is rarely the job's fault; a job that always takes them along
must not do so for ever."""

Death = Literal["crash", "interruption"]
"""The process of a job died by itself, or because the service that had started it, or its machine, ended."""


@dataclass(frozen=True)
class Claim:
    """The right to work on a job, until another process has it."""

    job_id: str
    number: int


@dataclass(frozen=True)
class RunningJob:
    """A job that runs: under which claim, who has it, and how many signs of life there were."""

    claim: Claim
    owner: str | None
    beats: int


class JobTable(KeptJobs):
    """Jobs and their reports; every method is one transaction, and any thread or process may call it.

    Args:
        owner: in whose name jobs are taken up; None is this process.
    """

    def __init__(self, engine: Engine, owner: str | None = None) -> None:
        super().__init__(engine)
        self._owner = owner or this_process()

    def add(self, request: Request[Any], max_waiting: int, asked_as: str | None = None) -> Job:
        """Queue a question.

        Args:
            asked_as: what the client calls its wish; the job that was queued under it is given if there is one.

        Raises:
            Overloaded: ``max_waiting`` jobs wait already.
            InvalidRequest: another question was queued as that.
        """
        if asked_as is not None and (job := self.asked_before(request, asked_as)) is not None:
            return job
        job_id = secrets.token_hex(8)
        values = {
            "id": job_id,
            "analysis": request.analysis,
            "request": request.model_dump_json(),
            "state": "queued",
            "created": datetime.now(UTC),
            "asked_as": asked_as,
        }
        try:
            with self._engine.begin() as connection:
                alone(connection, "queue")  # or some could add at once, none of whom sees the others
                connection.execute(insert(JobRow).values(**values))
                if (asker := ASKER.get()) is not None:
                    add_owner(connection, KIND, job_id, asker, false())
                waiting = select(func.count()).select_from(JobRow).where(JobRow.state == "queued")
                if connection.execute(waiting).scalar_one() > max_waiting:
                    raise Overloaded(f"{max_waiting} jobs are waiting already. Try again when some are done.", 60.0)
        except IntegrityError:  # another process has just queued it
            if asked_as is None or (job := self.asked_before(request, asked_as)) is None:
                raise
            return job
        return self.get(job_id)

    def asked_before(self, request: Request[Any], asked_as: str) -> Job | None:
        """The job that a question was queued as under this name; None if nothing was.

        Raises:
            InvalidRequest: it was another question.
        """
        jobs = self._all(_JOBS.where(JobRow.asked_as == asked_as))
        if jobs and (jobs[0].analysis, jobs[0].request) != (request.analysis, request.model_dump(mode="json")):
            raise InvalidRequest(
                f"This Idempotency-Key came with another question before, which is the job {jobs[0].id}. Take a new "
                "key for each question."
            )
        return jobs[0] if jobs else None

    def get(self, job_id: str) -> Job:
        """A job by id.

        Raises:
            NotFound: it is not here.
        """
        with self._engine.connect() as connection:
            query = _JOBS.where(JobRow.id == job_id, visible_to_asker(KIND, _COLUMNS.id))
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise no_job(job_id)
        return _job(row)

    def newest(
        self, limit: int, state: JobState | None = None, after: tuple[datetime, str] | None = None
    ) -> tuple[Job, ...]:
        """Jobs, those that were asked for last first, after a place in this order."""
        chosen = _JOBS.where(visible_to_asker(KIND, _COLUMNS.id), *(() if state is None else (JobRow.state == state,)))
        return self._all(newest_first(chosen, _COLUMNS.created, _COLUMNS.id, limit, after))

    def finished(self, limit: int, after: tuple[datetime, str] | None = None) -> tuple[Job, ...]:
        """Jobs that are done, those that were finished last first, after a place in this order."""
        done = _JOBS.where(JobRow.state == "done", visible_to_asker(KIND, _COLUMNS.id))
        return self._all(newest_first(done, _COLUMNS.finished, _COLUMNS.id, limit, after))

    def _all(self, query: Select[Any]) -> tuple[Job, ...]:
        with self._engine.connect() as connection:
            return tuple(_job(row) for row in connection.execute(query).mappings())

    # ---------------------------------------------------------------- who works on it

    def claim(self, job_id: str) -> Claim | None:
        """Take up a queued job; None if it is not queued, or another process was quicker."""
        return self._take(JobRow.id == job_id)

    def claim_next(self) -> Claim | None:
        """Take up the oldest queued job that no other process is just taking up; None if there is none."""
        queue = aliased(JobRow)
        oldest = select(queue.number).where(queue.state == "queued").order_by(queue.number).limit(1)
        # PostgreSQL passes over what others hold; SQLite has one writer at a time and needs no such words.
        return self._take(JobRow.number == oldest.with_for_update(skip_locked=True).scalar_subquery())

    def running(self) -> tuple[RunningJob, ...]:
        """All that is being worked on, by whomever."""
        rows = select(JobRow.id, JobRow.claims, JobRow.owner, JobRow.beats)
        with self._engine.connect() as connection:
            running = connection.execute(rows.where(JobRow.state == "running").order_by(JobRow.number))
            return tuple(RunningJob(Claim(row.id, row.claims), row.owner, row.beats) for row in running)

    def beat(self, claim: Claim) -> bool:
        """Show that a process works on a job; False if the claim is not good any more."""
        return self._move(claim, {})

    # ---------------------------------------------------------------- what its worker says

    def progress(
        self, claim: Claim, done: int, total: int, note: str, eta_s: float | None, partial: Plain | None = None
    ) -> bool:
        """Say how far a job is, and keep a partial report; False if the claim is not good any more."""
        expected = None if eta_s is None else datetime.now(UTC) + timedelta(seconds=eta_s)
        further = JobRow.furthest < done
        values = {
            "done": done,
            "total": total,
            "note": note,
            "expected": expected,
            "furthest": case((further, done), else_=JobRow.furthest),
            **{column.key: case((further, 0), else_=column) for column, _ in _DEATHS.values()},
        }
        return self._move(claim, values, (partial, False) if partial is not None else None)

    def finish(self, claim: Claim, report: Plain) -> bool:
        """Keep the final report; False if the claim is not good any more, and then nothing is kept."""
        values = {
            "state": "done",
            "finished": datetime.now(UTC),
            "done": JobRow.total,
            "expected": None,
            "error": None,
        }
        return self._move(claim, values, (report, True))

    def fail(self, claim: Claim, sentence: str) -> bool:
        """End a job with the reason why; False if the claim is not good any more."""
        return self._move(claim, _failure(sentence))

    def cancel(self, job_id: str) -> Job:
        """Stop a job that is queued or running; one that has ended stays as it is.

        Raises:
            NotFound: it is not here.
        """
        stopped = (
            update(JobRow)
            .where(JobRow.id == job_id, JobRow.state.in_(("queued", "running")))
            .values(state="cancelled", finished=datetime.now(UTC), expected=None)
        )
        with self._engine.begin() as connection:
            connection.execute(stopped)
        return self.get(job_id)

    # ---------------------------------------------------------------- when its worker is gone

    def died(
        self, claim: Claim, sentence: str, beats: int | None = None, death: Death = "crash"
    ) -> Literal["queued", "failed"] | None:
        """The worker of a job is gone: queue it again, or let it fail if that happened too often without progress.

        Progress is a step beyond the furthest one of all attempts, so a job that begins anew each time and dies at the
        same step makes none, and one that gets a little further each time may be begun any number of times.

        Args:
            beats: how many signs of life it had given; one more, and it is not dead after all.
            death: what ended the worker.

        Returns:
            where the job went; None if the claim is not good any more.
        """
        held = [*_held(claim), *([] if beats is None else [JobRow.beats == beats])]
        column, most = _DEATHS[death]
        last = update(JobRow).where(*held, column >= most - 1)
        again = update(JobRow).where(*held)
        queued = {"state": "queued", "started": None, "expected": None, "error": sentence, column.key: column + 1}
        reason = f"{sentence} It happened {most} times without progress in between, so the job is not begun again."
        with self._engine.begin() as connection:
            if _moves(connection, last.values(**_failure(reason))):
                return "failed"
            return "queued" if _moves(connection, again.values(**queued)) else None

    def give_back(self, claim: Claim) -> bool:
        """Queue a job again as if it had not been taken up, because the service stops."""
        values = {"state": "queued", "started": None, "expected": None, "attempts": JobRow.attempts - 1}
        return self._move(claim, values)

    # ---------------------------------------------------------------- reports

    def report(self, job_id: str) -> str | None:
        """A job's report as JSON, final or partial; None if there is none yet."""
        with self._engine.connect() as connection:
            return connection.execute(select(ReportRow.json).where(ReportRow.job_id == job_id)).scalar_one_or_none()

    def stored_report(self, job_id: str) -> StoredReport:
        """The final report of a job with its request.

        Raises:
            NotFound: there is no such job, or it is not done.
        """
        job = self.get(job_id)
        report = self.report(job_id)
        if job.state != "done" or job.finished is None or report is None:
            raise NotFound(
                f"Job {job_id} is {job.state} and has no finished report. GET {job.links.report} gives what there is."
            )
        return StoredReport(
            id=job.id,
            analysis=job.analysis,
            request=job.request,
            created=job.created,
            finished=job.finished,
            report=json.loads(report),
        )

    def _take(self, which: ColumnElement[bool]) -> Claim | None:
        now = datetime.now(UTC)  # before the wait for other writers, in which a job may still be created
        taken = (
            update(JobRow)
            .where(which, JobRow.state == "queued")
            .values(
                state="running",
                started=case((JobRow.created > now, JobRow.created), else_=now),
                expected=None,
                attempts=JobRow.attempts + 1,
                claims=JobRow.claims + 1,
                owner=self._owner,
            )
            .returning(JobRow.id, JobRow.claims)
        )
        with self._engine.begin() as connection:
            row = connection.execute(taken).one_or_none()
        return None if row is None else Claim(row.id, row.claims)

    def _move(self, claim: Claim, values: dict[str, Any], report: tuple[Plain, bool] | None = None) -> bool:
        """Change a job that is still held under a claim, and its report with it; that is a sign of life, too."""
        json = report[0].model_dump_json() if report else ""  # outside the transaction: it may be long
        with self._engine.begin() as connection:
            if not _moves(connection, update(JobRow).where(*_held(claim)).values(beats=JobRow.beats + 1, **values)):
                return False
            if report:
                columns = {"json": json, "final": report[1], "size": len(json.encode())}
                if not _moves(connection, update(ReportRow).where(ReportRow.job_id == claim.job_id).values(**columns)):
                    connection.execute(insert(ReportRow).values(job_id=claim.job_id, **columns))
        return True


_WORKED_OUT = ("eta_s", "report", "links", "bytes", "own", "shared")
_JOBS = select(
    *(getattr(JobRow, name) for name in Job.model_fields if name not in _WORKED_OUT),
    JobRow.expected,
    ReportRow.final,
    func.coalesce(ReportRow.size, 0).label("bytes"),
).outerjoin(ReportRow, ReportRow.job_id == JobRow.id)


_COLUMNS = JobRow.__table__.c

_DEATHS = {"crash": (JobRow.crashes, MAX_CRASHES), "interruption": (JobRow.interruptions, MAX_INTERRUPTIONS)}
"""Where each kind of death since the last progress is counted, and how many of them end a job."""


def no_job(job_id: str) -> NotFound:
    """Make the NotFound error of a job with an unknown id."""
    return NotFound(f"There is no job {job_id[:80]!r} here. GET /v1/jobs lists those there are.")


def _held(claim: Claim) -> Sequence[Any]:
    return JobRow.id == claim.job_id, JobRow.claims == claim.number, JobRow.state == "running"


def _moves(connection: Connection, change: Update) -> bool:
    return connection.execute(change).rowcount == 1


def _failure(sentence: str) -> dict[str, Any]:
    return {"state": "failed", "finished": datetime.now(UTC), "expected": None, "error": sentence}


def _job(row: RowMapping) -> Job:
    values = dict(row)
    expected, final = values.pop("expected"), values.pop("final")
    seconds_left = None if expected is None else max(0.0, round((expected - datetime.now(UTC)).total_seconds(), 1))
    values["request"] = json.loads(values["request"])
    report = "none" if final is None else "final" if final else "partial"
    return Job.model_validate(
        {**values, "eta_s": seconds_left, "report": report, "links": JobLinks.of(values["id"], values["analysis"])}
    )
