"""Kinds of stored things, one class each: photos, data sets, jobs and the like have owners, sizes, ages and an end."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, NamedTuple, TypeVar

from sqlalchemy import Connection

from attention.data.files import owned_name
from attention.errors import Conflict, NotFound, NotOwned
from attention.schemas import Job, JobState, Owned
from attention.storage.base import Entry
from server.store.jobs import JobTable
from server.store.ownership import ASKER, OPERATOR, OwnerTable, asking_as, forget_owners, leave
from server.stored.references import texts

M = TypeVar("M", bound=Owned)
T = TypeVar("T")

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
        owners: who owns what.
        keep_days: after so many days a thing is deleted; 0 keeps it until it is deleted by hand.
    """

    name: str
    """What a user calls the kind, in the plural."""

    id_field = "name"
    """The field that names a thing of this kind in what the API gives."""

    many_owners: ClassVar[bool] = True
    """Whether several keys may own the same thing, as bytes that each of them brought."""

    def __init__(self, jobs: JobTable, owners: OwnerTable, keep_days: float) -> None:
        self._jobs = jobs
        self._owners = owners
        self.keep_days = keep_days

    @abstractmethod
    def things(self) -> Iterable[Thing]:
        """Everything of this kind that was stored here and may be deleted, whoever owns it."""

    @abstractmethod
    def erase(self, connection: Connection, name: str) -> None:
        """Delete a thing inside a transaction, whatever needs it; nothing happens if it is not here."""

    @abstractmethod
    def missing(self, name: str) -> NotFound:
        """Make the NotFound error of a thing, alike whether it is absent or another key's."""

    def names(self, field: str, text: str) -> str | None:
        """The thing that a question names by a text in one of its fields; None if that names none of this kind."""
        return None

    def owned_among(self, names: Collection[str], owner: str) -> Collection[str]:
        """Return which of these names a key owns."""
        return self._owners.owned(self.name, owner, names)

    def owned_by(self, name: str, owner: str) -> bool:
        """Whether a key owns a thing."""
        return name in self.owned_among((name,), owner)

    def sees(self, name: str) -> bool:
        """Whether the key that asks may see a thing: it owns it, or its owner shares it."""
        asker = ASKER.get()
        return not asker or self.owned_by(name, asker) or bool(self._owners.shared(self.name, (name,)))

    def check_owned(self, name: str) -> None:
        """Return if the key that asks may change, share and delete a thing.

        Raises:
            NotFound: it may not even see it.
            NotOwned: it only sees it, because its owner shares it.
        """
        asker = ASKER.get()
        if not self.sees(name):
            raise self.missing(name)
        if asker and not self.owned_by(name, asker):
            raise NotOwned(f"{name[:100]!r} is shared with this key, and belongs to another one, which may change it.")

    def share(self, name: str, shared: bool) -> None:
        """Let every key see and use a thing, or its owners alone again.

        Raises:
            NotFound, NotOwned: the key that asks does not own it.
        """
        self.check_owned(name)
        self._owners.share(self.name, name, ASKER.get() or OPERATOR, shared)

    def marked(self, things: Sequence[M]) -> tuple[M, ...]:
        """Mark things with whether the asking key owns them and whether they are shared."""
        asker, names = ASKER.get(), [str(getattr(thing, self.id_field)) for thing in things]
        shared = self._owners.shared(self.name, names)
        owned = self.owned_among(names, asker) if asker else names
        own_shared = self._owners.shared(self.name, names, asker) if asker and self.many_owners else shared
        return tuple(
            thing.model_copy(update={"own": name in owned, "shared": name in (own_shared if name in owned else shared)})
            for thing, name in zip(things, names, strict=True)
        )

    def forget(self, name: str) -> None:
        """Delete a thing, whatever needs it and whoever owns it; nothing happens if it is not here."""
        with self._owners.transaction() as connection:
            self.erase(connection, name)
            forget_owners(connection, self.name, name)

    def delete(self, name: str) -> None:
        """Delete a thing; one that other keys own too is deleted for the key that asks.

        Raises:
            NotFound: it is not here.
            NotOwned: it belongs to another key.
            InvalidRequest: it comes with the service, and stays.
            Conflict: a job that has not ended needs it.
        """
        self.check_owned(name)
        self.check_unused(name)
        if asker := ASKER.get():
            with self._owners.transaction() as connection:  # a key that keeps the same thing now waits, or is seen here
                if leave(connection, self.name, name, asker):
                    self.erase(connection, name)
        else:
            self.forget(name)

    def extent(self) -> Extent:
        """Sum up the things of this kind that the key that asks owns."""
        things = list(self.things())
        if asker := ASKER.get():
            owned = self._owners.owned(self.name, asker)
            things = [thing._replace(created=owned[thing.name]) for thing in things if thing.name in owned]
        return summed(things)

    def check_unused(self, name: str) -> None:
        """Return if no job that has not ended loses a thing when the key that asks deletes it.

        Raises:
            Conflict: one does.
        """
        asker = ASKER.get()
        with asking_as(None):
            jobs = [job for job in self._unfinished() if name in self._named(job)]
        for job in jobs:
            owner = self._owners.owner("jobs", job.id) or OPERATOR
            if not asker or owner == asker:
                raise Conflict(
                    f"{name[:100]!r} is in use by the job {job.id} ({job.analysis}, {job.state}). Wait for its end, or "
                    f"cancel it: POST {job.links.cancel}."
                )
            if not self.many_owners or not self.owned_by(name, owner):
                raise Conflict(f"{name[:100]!r} is in use by a job of another key. Wait for its end.")

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


class NamedByOwner(StoredKind):
    """A kind whose things end with the id of the key that owns them, so that no name of one key is taken for another.

    Without such an end a thing is the operator's, as one that was put into the data folder by hand.
    """

    many_owners = False

    def owned_among(self, names: Collection[str], owner: str) -> Collection[str]:
        """Those of these things that a key owns, by the end of their names; an operator's are all."""
        return [name for name in names if not owner or name.endswith(f"-{owner}")]

    def shown(self, things: Iterable[T], name: Callable[[T], str]) -> list[T]:
        """Those of these things that the key that asks may see."""
        asker = ASKER.get()
        if not asker:
            return list(things)
        shared = self._owners.shared(self.name)
        return [thing for thing in things if self.owned_by(name(thing), asker) or name(thing) in shared]

    def extent(self) -> Extent:
        """Sum up the things of this kind that the key that asks owns."""
        asker = ASKER.get() or OPERATOR
        return summed([thing for thing in self.things() if self.owned_by(thing.name, asker)])

    @abstractmethod
    def rename(self, name: str, new_name: str) -> str:
        """Give a thing another name, which is returned; reports that tell of it keep the one it had.

        Raises:
            NotFound, NotOwned: it is not here, or belongs to another key.
            InvalidRequest: the new name cannot be one.
            Conflict: a job that has not ended needs it, or the new name is taken.
        """

    def delete(self, name: str) -> None:
        """Delete a thing; it has one owner.

        Raises:
            NotFound, NotOwned, InvalidRequest, Conflict: as for every kind.
        """
        self.check_owned(name)
        self.check_unused(name)
        self.forget(name)


def own_name(name: str, before: str = "") -> str:
    """Append the id of the asking key to a name.

    Args:
        before: the name that the thing had: an operator who renames it leaves it to its owner.
    """
    end = re.search(r"-([0-9a-f]{8})$", before)
    owner = end[1] if end is not None and ASKER.get() == OPERATOR else ASKER.get() or ""
    return owned_name(name, owner)


def summed(things: Sequence[Thing]) -> Extent:
    """Sum up count, bytes and oldest time of things."""
    oldest = min((thing.created for thing in things), default=None)
    return Extent(len(things), sum(thing.bytes for thing in things), oldest)


def moment(nanoseconds: int) -> datetime:
    """A file's time, nanoseconds since 1970, as a moment in UTC."""
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
