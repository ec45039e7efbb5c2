"""Stored kinds: what users keep, one class a kind, each of which is summed up, grows old and is deleted alike."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from attention.errors import Conflict
from attention.schemas import Job, JobState
from attention.storage.base import Entry
from server.store.jobs import JobTable

UNFINISHED: tuple[JobState, ...] = ("queued", "running")
MOST_JOBS = 10_000


class Thing(NamedTuple):
    """One stored thing: what it is called, its bytes, and when it was stored, the last time it was."""

    name: str
    bytes: int
    created: datetime

    @classmethod
    def of(cls, name: str, file: Entry) -> "Thing":
        """The thing that is kept in a file."""
        return cls(name, file.size, moment(file.changed))


@dataclass(frozen=True)
class Extent:
    """How many things of a kind there are, their bytes together, and when the oldest one was stored."""

    count: int
    bytes: int
    oldest: datetime | None


class StoredKind(ABC):
    """One kind of what users keep. Every method blocks, so async code calls them in a thread.

    Args:
        jobs: the jobs that may need a thing of this kind.
        keep_days: after so many days a thing is deleted; 0 keeps it until it is deleted by hand.
    """

    name: str
    """What a user calls the kind, in the plural."""

    def __init__(self, jobs: JobTable, keep_days: float) -> None:
        self._jobs = jobs
        self.keep_days = keep_days

    @abstractmethod
    def things(self) -> Iterable[Thing]:
        """Everything of this kind that was stored here and may be deleted."""

    @abstractmethod
    def forget(self, name: str) -> None:
        """Delete a thing, whatever needs it; nothing happens if it is not here."""

    def names(self, field: str, text: str) -> str | None:
        """The thing that a question names by a text in one of its fields; None if that names none of this kind."""
        return None

    def delete(self, name: str) -> None:
        """Delete a thing.

        Raises:
            NotFound: it is not here.
            InvalidRequest: it comes with the service, and stays.
            Conflict: a job that has not ended needs it.
        """
        self.check_unused(name)
        self.forget(name)

    def extent(self) -> Extent:
        """Sum up the things of this kind."""
        things = tuple(self.things())
        oldest = min((thing.created for thing in things), default=None)
        return Extent(len(things), sum(thing.bytes for thing in things), oldest)

    def check_unused(self, name: str) -> None:
        """Return if no job that has not ended names a thing.

        Raises:
            Conflict: one does.
        """
        for job in self._unfinished():
            if name in self._named(job):
                raise Conflict(
                    f"{name[:100]!r} is in use by the job {job.id} ({job.analysis}, {job.state}). Wait for its end, or "
                    f"cancel it: POST {job.links.cancel}."
                )

    def forget_old(self, now: datetime) -> int:
        """Delete what is older than `keep_days` and needed by no job that has not ended; gives how many that were."""
        old = [thing.name for thing in self.things() if (now - thing.created).total_seconds() > self.keep_days * 86_400]
        needed = {name for job in self._unfinished() for name in self._named(job)} if old else set()
        unused = [name for name in old if name not in needed]
        for name in unused:
            self.forget(name)
        return len(unused)

    def _unfinished(self) -> Iterator[Job]:
        for state in UNFINISHED:
            yield from self._jobs.newest(MOST_JOBS, state)

    def _named(self, job: Job) -> set[str]:
        return {name for _, field, text in texts(job.request) if (name := self.names(field, text)) is not None}


def texts(question: Any, place: str = "", field: str = "") -> Iterator[tuple[str, str, str]]:
    """Every text in a question as JSON: its place, such as ``images[2]``, the name of that field, and the text."""
    if isinstance(question, dict):
        for key, value in question.items():
            yield from texts(value, f"{place}.{key}".removeprefix("."), key)
    elif isinstance(question, list | tuple):
        for number, value in enumerate(question):
            yield from texts(value, f"{place}[{number}]", field)
    elif isinstance(question, str):
        yield place, field, question


def moment(nanoseconds: int) -> datetime:
    """A file's time, nanoseconds since 1970, as a moment in UTC."""
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
