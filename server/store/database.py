"""How the database is reached: SQLite with its settings or PostgreSQL, and what goes wrong there in sentences."""

import logging
import os
import sqlite3
import zlib
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    ExceptionContext,
    Select,
    and_,
    create_engine,
    event,
    func,
    or_,
    select,
)
from sqlalchemy import make_url as parse_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import QueuePool

from attention.errors import AttentionError, Overloaded, StorageFailed

log = logging.getLogger(__name__)

S = TypeVar("S", bound=Select[*tuple[Any, ...]])

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for another one, SQLite having one at a time."""

BUSY_EVERY_S = 0.01
"""How often a connection that opens a file tries again where others are opening it."""

PRAGMAS = {
    "page_size": 16_384,  # of a new file: a report of 30 kB takes 2 pages, each of which is two writes, and not 8
    "journal_mode": "WAL",  # readers do not wait for the writer
    "synchronous": "NORMAL",  # a kill loses nothing; a power cut may take the last moments, and never half of a change
    "foreign_keys": "ON",  # as PostgreSQL has it
}
"""What every connection to SQLite is told. https://sqlite.org/pragma.html"""

SQLITE = {
    sqlite3.SQLITE_FULL: "The disk with the database is full, so this was not kept. Make room there, and ask again.",
    sqlite3.SQLITE_READONLY: "The database cannot be written: its file, its folder or its disk is read-only.",
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened. Its folder has to be there, and to be writable.",
    sqlite3.SQLITE_IOERR: "The disk with the database cannot be read or written. Look at the disk, and ask again.",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged. Put a backup in its place.",
    sqlite3.SQLITE_NOTADB: "The file that should be the database is none. Name another one in ATTENTION_DATABASE.",
    sqlite3.SQLITE_PERM: "The database file may not be opened by the user that the service runs as.",
}
"""Result codes (https://sqlite.org/rescode.html) that the operator can do something about."""

POSTGRESQL = {
    "53100": "The disk of the database is full, so this was not kept. Make room there, and ask again.",
    "25006": "The database takes no changes now: it is read-only.",
    "42501": "The database does not let the service do this. Give its role the right to create and change tables.",
    "08": "The database does not answer. Ask again when it does.",
    "28": "The database does not let the service in. Look at user and password in ATTENTION_DATABASE.",
    "3D": "There is no database of that name. Create it, or name another one in ATTENTION_DATABASE.",
    "53": "The database has no room for this now. Ask again in a while.",
    "57P": "The database was stopped or is starting. Ask again in a while.",
    "58": "The machine of the database has trouble. Look at its log.",
}
"""Error codes (https://www.postgresql.org/docs/current/errcodes-appendix.html), or how they begin."""


def connect(url: str) -> Engine:
    """An engine for an SQLAlchemy URL.

    Raises:
        StorageFailed: the URL names no database that can be reached from here.
    """
    try:
        parsed = parse_url(url)
        sqlite = parsed.get_backend_name() == "sqlite"
        engine = _sqlite(parsed.database, url) if sqlite else create_engine(parsed, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError) as error:  # neither repeats the URL in the sentence: it has the password
        raise StorageFailed(
            "ATTENTION_DATABASE is no URL of a database, such as sqlite:////data/attention.db or "
            "postgresql+psycopg://user:password@host/name."
        ) from error
    except ModuleNotFoundError as error:
        raise StorageFailed(
            f"The driver of this database, {error.name}, is not installed. For PostgreSQL: "
            "pip install 'attention-lab[postgres]', and a URL that begins with postgresql+psycopg://."
        ) from error
    event.listen(engine, "handle_error", _explain)
    return engine


def alone(connection: Connection, what: str) -> None:
    """Wait until no other connection does this, and keep others from it until the transaction ends.

    SQLite has one writer at a time anyway, from its first change on.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(zlib.crc32(f"attention {what}".encode()))))


def newest_first(
    query: S,
    moment: ColumnElement[datetime],
    name: ColumnElement[str],
    limit: int,
    after: tuple[datetime, str] | None = None,
) -> S:
    """A query with the newest rows first, those of one moment by name: so many, after a place in this order."""
    if after is not None:
        query = query.where(or_(moment < after[0], and_(moment == after[0], name > after[1])))
    return query.order_by(moment.desc(), name).limit(limit)


def _sqlite(database: str | None, url: str) -> Engine:
    in_memory = database in (None, "", ":memory:")
    # A database in memory lives as long as its one connection, which the threads then share in turn.
    sizes = {"pool_size": 1, "max_overflow": 0} if in_memory else {"pool_size": 8, "max_overflow": 32}
    if not in_memory and not str(database).startswith("file:"):
        _make_private(Path(str(database)))
    arguments = {"check_same_thread": False, "timeout": BUSY_TIMEOUT_S}
    engine = create_engine(url, poolclass=QueuePool, connect_args=arguments, **sizes)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        for name, value in PRAGMAS.items():
            _set(cursor, name, value)
        cursor.close()

    return engine


def _set(cursor: sqlite3.Cursor, name: str, value: object) -> None:
    """Tell a connection a pragma; who opens a new file while others do waits for them, which SQLite itself does not.

    Raises:
        sqlite3.OperationalError: the file is locked for longer than `BUSY_TIMEOUT_S`, or cannot be used.
    """
    deadline = monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute(f"PRAGMA {name}={value}")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                raise
            sleep(BUSY_EVERY_S)


def _make_private(path: Path) -> None:
    """Let only the service's user read a database file, before anything is in it; SQLite's own files beside it follow.

    A file that is there is not opened: to close it would end the locks that SQLite holds on it in this process
    (https://sqlite.org/howtocorrupt.html, 2.2). What is wrong with the file is said when SQLite opens it.
    """
    with suppress(OSError):
        if not path.exists():
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        path.chmod(0o600)


def _explain(context: ExceptionContext) -> AttentionError | None:
    """What is raised instead of a driver's error; None leaves the error as it is."""
    if context.is_pre_ping:  # a connection that was cut off is made again
        return None
    error = context.original_exception
    failure = _of_sqlite(error) if isinstance(error, sqlite3.Error) else _of_postgresql(error)
    if failure is not None:
        log.error("%s (%s)", failure, reason(error))
    return failure


def reason(error: BaseException) -> str:
    """A driver's own words, as one line."""
    return " ".join(str(error).split())


def _of_sqlite(error: sqlite3.Error) -> AttentionError | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without its details
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Overloaded(f"The database was busy with others for {BUSY_TIMEOUT_S:.0f} s. Try again.", 5.0)
    return StorageFailed(SQLITE[code]) if code in SQLITE else None


def _of_postgresql(error: BaseException) -> AttentionError | None:
    if type(error).__module__.partition(".")[0] != "psycopg":
        return None
    code = getattr(error, "sqlstate", None)
    if code is None:  # there was no server to give one
        return StorageFailed(POSTGRESQL["08"]) if type(error).__name__ == "OperationalError" else None
    return next((StorageFailed(sentence) for start, sentence in POSTGRESQL.items() if code.startswith(start)), None)
