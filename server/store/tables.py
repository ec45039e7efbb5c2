"""The tables, and how to reach them: SQLite or PostgreSQL through SQLAlchemy."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, DateTime, Dialect, Engine, ForeignKey, Integer, String, Text, create_engine, event
from sqlalchemy import make_url as parse_url
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import QueuePool
from sqlalchemy.types import TypeDecorator


class UTCTime(TypeDecorator[datetime]):
    """A moment in UTC, also where the database forgets the zone, as SQLite does."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Put the zone back."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Base(DeclarativeBase):
    """The tables."""


class ImageRow(Base):
    """An uploaded image: what it is, and when it came last."""

    __tablename__ = "images"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    format: Mapped[str] = mapped_column(String(32))
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    bytes: Mapped[int] = mapped_column(Integer)
    created: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)


class JobRow(Base):
    """A job: the question, its state, and how far it is.

    ``claims`` counts how often somebody took the job up. Whoever works on it knows the count it was taken up under and
    writes only while that is still the count, so a worker that was given up for dead cannot disturb its successor.
    """

    __tablename__ = "jobs"

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)  # the order of the queue
    id: Mapped[str] = mapped_column(String(32), unique=True)
    analysis: Mapped[str] = mapped_column(String(64))
    request: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16), index=True)
    created: Mapped[datetime] = mapped_column(UTCTime)
    started: Mapped[datetime | None] = mapped_column(UTCTime)
    finished: Mapped[datetime | None] = mapped_column(UTCTime)
    expected: Mapped[datetime | None] = mapped_column(UTCTime)  # when it will be done, as far as anybody can tell
    done: Mapped[int] = mapped_column(Integer, default=0)
    total: Mapped[int] = mapped_column(Integer, default=0)
    note: Mapped[str] = mapped_column(Text, default="")
    error: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    claims: Mapped[int] = mapped_column(Integer, default=0)


class ReportRow(Base):
    """The report of a job, or what is known of it so far."""

    __tablename__ = "reports"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    json: Mapped[str] = mapped_column(Text)
    final: Mapped[bool] = mapped_column(Boolean)


def connect(url: str) -> Engine:
    """An engine for an SQLAlchemy URL."""
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    in_memory = parsed.database in (None, "", ":memory:")
    # A database in memory lives as long as its one connection, which the threads then share in turn.
    sizes = {"pool_size": 1, "max_overflow": 0} if in_memory else {"pool_size": 8, "max_overflow": 32}
    engine = create_engine(
        parsed, poolclass=QueuePool, connect_args={"check_same_thread": False, "timeout": 30}, **sizes
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")  # readers do not wait for the writer
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    return engine
