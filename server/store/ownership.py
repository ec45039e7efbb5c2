"""Ownership: which keys own a stored thing, and what the key that asks may see.

Photos and reports are named by their content, so that several keys can own the same one: each has a row of its own,
with the time and the name that this key gave. Data sets and checkpoints of a key end with its id instead, as
``flowers-1a2b3c4d``, and have a row only while they are shared. What has no owner at all is the operator's.

Whose things are asked for is known to the database's queries by `ASKER`, so that no route can forget it.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Subquery,
    and_,
    delete,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    true,
    update,
)

from server.store.database import alone
from server.store.tables import OwnerRow

ASKER: ContextVar[str | None] = ContextVar("asker", default=None)
"""Id of the key that asks; `OPERATOR` for an operator's key, and None for a service without keys and for its own work.
The last two see everything."""

OPERATOR = ""
"""The owner of what operators keep, and of what was kept before there were owners."""


@contextmanager
def asking_as(asker: str | None) -> Iterator[None]:
    """Let the queries inside see what a key may see."""
    token = ASKER.set(asker)
    try:
        yield
    finally:
        ASKER.reset(token)


def visible_to_asker(kind: str, name: ColumnElement[str]) -> ColumnElement[bool]:
    """Build the SQL condition that the asking key owns a row's thing, or that its owner shares it."""
    asker = ASKER.get()
    if not asker:
        return true()
    return name.in_(select(OwnerRow.name).where(OwnerRow.kind == kind, or_(OwnerRow.owner == asker, OwnerRow.shared)))


def owned_by_asker(kind: str, name: ColumnElement[str]) -> ColumnElement[bool]:
    """Build the SQL condition that the asking key owns a row's thing."""
    asker = ASKER.get()
    return name.in_(select(OwnerRow.name).where(OwnerRow.kind == kind, OwnerRow.owner == asker)) if asker else true()


def as_seen(kind: str, asker: str) -> Subquery:
    """Rows (name, called, created) of what a key may see: its own row of a thing, else the first that shares it."""
    order = ((OwnerRow.owner == asker).desc(), OwnerRow.created)
    ranked = (
        select(
            OwnerRow.name,
            OwnerRow.called,
            OwnerRow.created,
            func.row_number().over(partition_by=OwnerRow.name, order_by=order).label("place"),
        )
        .where(OwnerRow.kind == kind, or_(OwnerRow.owner == asker, OwnerRow.shared))
        .subquery()
    )
    return select(ranked).where(ranked.c.place == 1).subquery()


def add_owner(
    connection: Connection, kind: str, name: str, owner: str, existing: ColumnElement[bool], called: str | None = None
) -> None:
    """Let a key own a thing, under its own name and as of now, inside a transaction.

    Args:
        existing: whether the thing is here already; without any owner it is the operator's, and stays so.
    """
    values = {"called": called, "created": datetime.now(UTC)}
    alone(connection, "owners")
    if connection.execute(update(OwnerRow).where(*_row(kind, name, owner)).values(**values)).rowcount:
        return
    without_owner = select(and_(existing, not_(exists().where(*_thing(kind, name)))))
    if owner != OPERATOR and connection.execute(without_owner).scalar():
        connection.execute(insert(OwnerRow).values(kind=kind, name=name, owner=OPERATOR, created=values["created"]))
    connection.execute(insert(OwnerRow).values(kind=kind, name=name, owner=owner, **values))


def forget_owners(connection: Connection, kind: str, name: str) -> None:
    """Forget who owns a thing that is deleted, inside a transaction."""
    connection.execute(delete(OwnerRow).where(*_thing(kind, name)))


class OwnerTable:
    """Who owns what; every method is one transaction, and any thread may call it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction of which there is one at a time, from its first change on."""
        with self._engine.begin() as connection:
            alone(connection, "owners")
            yield connection

    def owner(self, kind: str, name: str) -> str | None:
        """Look up the one key that owns a thing such as a job; None for a thing without an owner."""
        with self._engine.connect() as connection:
            return connection.execute(select(OwnerRow.owner).where(*_thing(kind, name))).scalar()

    def owned(self, kind: str, owner: str, names: Collection[str] | None = None) -> dict[str, datetime]:
        """Those of these things that a key owns, each with the time when it kept it; None asks for all of a kind."""
        query = select(OwnerRow.name, OwnerRow.created).where(OwnerRow.kind == kind, OwnerRow.owner == owner)
        if names is not None:
            query = query.where(OwnerRow.name.in_(names))
        with self._engine.connect() as connection:
            return {row.name: row.created for row in connection.execute(query)}

    def shared(self, kind: str, names: Collection[str] | None = None, owner: str | None = None) -> frozenset[str]:
        """Which of these things (None: all of a kind) their owners, or the given one, share with every key."""
        query = select(OwnerRow.name).where(OwnerRow.kind == kind, OwnerRow.shared)
        if owner is not None:
            query = query.where(OwnerRow.owner == owner)
        if names is not None:
            query = query.where(OwnerRow.name.in_(names))
        with self._engine.connect() as connection:
            return frozenset(connection.execute(query).scalars())

    def share(self, kind: str, name: str, owner: str, shared: bool) -> None:
        """Share a thing with every key, or no longer. An operator does so in the name of all its owners."""
        which = _thing(kind, name) if owner == OPERATOR else _row(kind, name, owner)
        with self.transaction() as connection:
            if connection.execute(update(OwnerRow).where(*which).values(shared=shared)).rowcount == 0 and shared:
                row = {"kind": kind, "name": name, "owner": owner, "shared": True, "created": datetime.now(UTC)}
                connection.execute(insert(OwnerRow).values(**row))

    def call(self, kind: str, name: str, owner: str, called: str) -> None:
        """Keep the name that a key gives to its own copy of a thing."""
        with self.transaction() as connection:
            connection.execute(update(OwnerRow).where(*_row(kind, name, owner)).values(called=called))

    def rename(self, kind: str, name: str, new_name: str) -> None:
        """Let what is known of a thing go with it to another name."""
        with self.transaction() as connection:
            connection.execute(update(OwnerRow).where(*_thing(kind, name)).values(name=new_name))


def leave(connection: Connection, kind: str, name: str, owner: str) -> bool:
    """Let a key own a thing no more, inside a transaction; gives whether no other key owns it either."""
    connection.execute(delete(OwnerRow).where(*_row(kind, name, owner)))
    return not connection.execute(select(exists().where(*_thing(kind, name)))).scalar()


def _thing(kind: str, name: str) -> tuple[ColumnElement[bool], ...]:
    return OwnerRow.kind == kind, OwnerRow.name == name


def _row(kind: str, name: str, owner: str) -> tuple[ColumnElement[bool], ...]:
    return *_thing(kind, name), OwnerRow.owner == owner
