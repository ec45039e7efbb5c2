"""The tables. A change of them needs a step to `server.store.migrations`; a test says when one is missing."""

from datetime import UTC, datetime

from sqlalchemy import (
    Boolean,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


class UTCTime(TypeDecorator[datetime]):
    """A moment in UTC, also where the database forgets the zone, as SQLite does."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Put the zone back."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Word(TypeDecorator[str]):
    """Text in which U+0000 becomes U+FFFD, also where it is looked for: PostgreSQL takes it in no text."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace U+0000 before text goes to the database."""
        return None if value is None else value.replace("\0", "\N{REPLACEMENT CHARACTER}")


class Prose(Word):
    """Text of any length without U+0000."""

    impl = Text
    cache_ok = True


class Base(DeclarativeBase):
    """The tables."""


class ImageRow(Base):
    """An uploaded image: what it is, and when it came last."""

    __tablename__ = "images"

    id: Mapped[str] = mapped_column(Word(64), primary_key=True)
    name: Mapped[str] = mapped_column(Word(255))
    format: Mapped[str] = mapped_column(Word(32))
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    bytes: Mapped[int] = mapped_column(Integer)
    note: Mapped[str | None] = mapped_column(Prose)
    created: Mapped[datetime] = mapped_column(UTCTime, index=True)


class JobRow(Base):
    """A job: the question, its state, and how far it is.

    ``claims`` counts how often a process took the job up. The one that works on it knows the count it was taken
    up under and writes only while that is still the count, so a worker that was given up for dead cannot disturb its
    successor.

    ``beats`` goes up every few seconds while a process works on the job, so that others see that it is in good hands
    whatever their clocks say.

    ``crashes`` and ``interruptions`` count how often its worker died since ``furthest`` last went up.
    """

    __tablename__ = "jobs"

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)  # the order of the queue
    id: Mapped[str] = mapped_column(Word(32), unique=True)
    analysis: Mapped[str] = mapped_column(Word(64))
    request: Mapped[str] = mapped_column(Text)
    asked_as: Mapped[str | None] = mapped_column(Word(64), unique=True, index=True)  # hash of an Idempotency-Key
    state: Mapped[str] = mapped_column(Word(16), index=True)
    created: Mapped[datetime] = mapped_column(UTCTime)
    started: Mapped[datetime | None] = mapped_column(UTCTime)
    finished: Mapped[datetime | None] = mapped_column(UTCTime)
    expected: Mapped[datetime | None] = mapped_column(UTCTime)  # when it will be done, as far as is known
    done: Mapped[int] = mapped_column(Integer, default=0)
    total: Mapped[int] = mapped_column(Integer, default=0)
    note: Mapped[str] = mapped_column(Prose, default="")
    error: Mapped[str | None] = mapped_column(Prose)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    furthest: Mapped[int] = mapped_column(Integer, default=0, server_default="0")  # most steps done in any attempt
    crashes: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    interruptions: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    claims: Mapped[int] = mapped_column(Integer, default=0)
    owner: Mapped[str | None] = mapped_column(Word(255))  # the process that took it up, see server/store/owner.py
    beats: Mapped[int] = mapped_column(Integer, default=0, server_default="0")


class ReportRow(Base):
    """The report of a job, or what is known of it so far."""

    __tablename__ = "reports"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    json: Mapped[str] = mapped_column(Text)
    final: Mapped[bool] = mapped_column(Boolean)
    size: Mapped[int] = mapped_column(Integer, default=0, server_default="0")  # of the JSON, bytes


class AnswerRow(Base):
    """An answer that was given at once: its question, its conditions, and the report, packed where it is long."""

    __tablename__ = "answers"
    __table_args__ = (Index("ix_answers_age", "created", "id", "size"),)  # all that pruning looks at

    id: Mapped[str] = mapped_column(Word(32), primary_key=True)
    analysis: Mapped[str] = mapped_column(Word(64))
    created: Mapped[datetime] = mapped_column(UTCTime)
    size: Mapped[int] = mapped_column(Integer)  # of the report as it is kept, bytes
    request: Mapped[str] = mapped_column(Text)
    conditions: Mapped[str] = mapped_column(Text)
    packed: Mapped[bool] = mapped_column(Boolean)  # by zlib
    report: Mapped[bytes] = mapped_column(LargeBinary)  # JSON


class OwnerRow(Base):
    """One key's share in a stored thing; see server/store/ownership.py."""

    __tablename__ = "owners"
    __table_args__ = (Index("ix_owners_owner", "kind", "owner"),)

    kind: Mapped[str] = mapped_column(Word(16), primary_key=True)  # as server/stored calls it
    name: Mapped[str] = mapped_column(Word(255), primary_key=True)
    owner: Mapped[str] = mapped_column(Word(8), primary_key=True)  # id of a key; empty for operators
    called: Mapped[str | None] = mapped_column(Word(255))  # what this owner calls it, where content names it
    created: Mapped[datetime] = mapped_column(UTCTime)  # when this owner kept it last
    shared: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
