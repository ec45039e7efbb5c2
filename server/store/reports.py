"""The answers in the database that were given at once; jobs keep theirs themselves, in `server.store.jobs`."""

import json
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    delete,
    false,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from attention.errors import NotFound
from attention.schemas import Conditions, StoredReport
from server.store.database import alone, newest_first
from server.store.ownership import ASKER, add_owner, as_seen
from server.store.tables import AnswerRow, OwnerRow

PACK_LEVEL = 1
"""zlib's quickest: gates as base64 shrink by a quarter at any level, numbers in JSON to less than half."""


@dataclass(frozen=True)
class Answer:
    """An answer to be kept: as JSON the question, what else decided it, and the report; and when it was given."""

    id: str
    analysis: str
    request: str
    conditions: str
    report: bytes
    created: datetime
    owner: str | None = None
    """The key that asked; None where there are no keys."""


@dataclass(frozen=True)
class Listed:
    """An answer in a list: its id, the question, and when it was given."""

    id: str
    analysis: str
    request: dict[str, Any]
    created: datetime
    size: int


class AnswerTable:
    """Answers by id; every method is one transaction, and any thread may call it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, answers: Sequence[Answer], pack_above: int) -> int:
        """Keep answers; one that is here already becomes the newest. Reports above so many bytes are packed.

        Returns:
            how many bytes their reports take.
        """
        rows = {answer.id: _row(answer, pack_above) for answer in answers}
        if rows:
            owned = {(answer.id, answer.owner) for answer in answers if answer.owner is not None}
            try:
                self._put(rows, owned)
            except IntegrityError:  # another process gave one of them the same owner in between, and now it is seen
                self._put(rows, owned)
        return sum(row["size"] for row in rows.values())

    def _put(self, rows: dict[str, dict[str, Any]], owned: Collection[tuple[str, str]]) -> None:
        newest = max(row["created"] for row in rows.values())
        with self._engine.begin() as connection:
            alone(connection, "owners")  # before rows of answers are held, as who deletes one does
            alone(connection, "answers")  # two who hold what the other wants next would wait forever
            here = set[str]()
            if owned:
                refresh = update(AnswerRow).where(AnswerRow.id.in_(rows)).values(created=newest).returning(AnswerRow.id)
                here = set(connection.execute(refresh).scalars())
            connection.execute(_ADDED[connection.dialect.name], [{**row, "created": newest} for row in rows.values()])
            for name, owner in sorted(owned):
                add_owner(connection, KIND, name, owner, true() if name in here else false())

    def get(self, report_id: str) -> StoredReport:
        """One answer with its question.

        Raises:
            NotFound: it is not here.
        """
        query, _ = _seen(_WHOLE)
        with self._engine.connect() as connection:
            row = connection.execute(query.where(AnswerRow.id == report_id)).mappings().one_or_none()
        if row is None:
            raise no_report(report_id)
        return StoredReport(
            id=row["id"],
            analysis=row["analysis"],
            request=json.loads(row["request"]),
            created=row["created"],
            finished=row["created"],
            conditions=Conditions.model_validate_json(row["conditions"]),
            report=json.loads(zlib.decompress(row["report"]) if row["packed"] else row["report"]),
        )

    def newest(self, limit: int, after: tuple[datetime, str] | None = None) -> tuple[Listed, ...]:
        """List stored answers, newest first, beginning behind a given one."""
        query, created = _seen(_LISTED)
        return self._listed(newest_first(query, created, _COLUMNS.id, limit, after))

    def listed(self, report_id: str) -> Listed:
        """One stored answer as a list tells of it.

        Raises:
            NotFound: it is not here.
        """
        for listed in self._listed(_seen(_LISTED)[0].where(AnswerRow.id == report_id)):
            return listed
        raise no_report(report_id)

    def _listed(self, query: Select[Any]) -> tuple[Listed, ...]:
        with self._engine.connect() as connection:
            rows = connection.execute(query).mappings()
            return tuple(Listed(**{**row, "request": json.loads(row["request"])}) for row in rows)

    def extent(self) -> tuple[int, int, datetime | None]:
        """How many answers there are, the bytes of their reports, and when the oldest was given."""
        with self._engine.connect() as connection:
            count, size, oldest = connection.execute(_EXTENT).one()
        return count, int(size or 0), oldest

    def ages(self) -> tuple[tuple[str, int, datetime], ...]:
        """Each answer: its id, the bytes of its report, and when it was given."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(AnswerRow.id, AnswerRow.size, AnswerRow.created))
            return tuple((name, size, created) for name, size, created in rows)

    def erase(self, connection: Connection, report_id: str) -> None:
        """Forget an answer inside a transaction, if it is here."""
        connection.execute(delete(AnswerRow).where(AnswerRow.id == report_id))

    def prune(self, most: int, most_bytes: int, age: timedelta) -> int:
        """Forget all but the newest answers: at most so many, of so many bytes together, and none that is older.

        Returns:
            how many were forgotten.
        """
        too_old = datetime.now(UTC) - age
        with self._engine.connect() as connection:  # mostly there is nothing to do, and that is found out quickly
            count, size, oldest = connection.execute(_EXTENT).one()
        if count <= most and (size or 0) <= most_bytes and (oldest is None or oldest >= too_old):
            return 0
        order = (AnswerRow.created.desc(), AnswerRow.id)
        ranked = select(
            AnswerRow.id,
            AnswerRow.created,
            func.row_number().over(order_by=order).label("place"),
            func.sum(AnswerRow.size).over(order_by=order).label("so_far"),
        ).subquery()
        too_many = or_(ranked.c.place > most, ranked.c.so_far > most_bytes, ranked.c.created < too_old)
        with self._engine.begin() as connection:
            alone(connection, "owners")
            alone(connection, "answers")
            surplus = delete(AnswerRow).where(AnswerRow.id.in_(select(ranked.c.id).where(too_many)))
            gone = connection.execute(surplus).rowcount
            lost = OwnerRow.name.not_in(select(AnswerRow.id))
            connection.execute(delete(OwnerRow).where(OwnerRow.kind == KIND, lost))
            return gone


KIND = "reports"


def _added(rows: Any) -> Any:
    """Make a statement that adds rows of answers; those that are here become the newest."""
    return rows.on_conflict_do_update(index_elements=[AnswerRow.id], set_={"created": rows.excluded.created})


_ADDED = {
    "sqlite": _added(sqlite.insert(AnswerRow)),
    "postgresql": _added(postgresql.insert(AnswerRow)),
}
_COLUMNS = AnswerRow.__table__.c
_EXTENT = select(func.count(), func.sum(AnswerRow.size), func.min(AnswerRow.created))
_LISTED: Any = select(AnswerRow.id, AnswerRow.analysis, AnswerRow.request, AnswerRow.created, AnswerRow.size)
_WHOLE: Any = _LISTED.add_columns(AnswerRow.conditions, AnswerRow.packed, AnswerRow.report)


def no_report(report_id: str) -> NotFound:
    """Make the NotFound error of a report with an unknown id."""
    return NotFound(
        f"There is no report {report_id[:80]!r} here. Answers give way to newer ones in time; GET /v1/reports lists "
        "those there are."
    )


def _seen(query: Select[Any]) -> tuple[Select[Any], ColumnElement[datetime]]:
    """A query for answers as far as the key that asks may see them, and the column with their time."""
    if not (asker := ASKER.get()):
        return query, _COLUMNS.created
    shown = as_seen(KIND, asker)
    columns = [shown.c.created if column.key == "created" else column for column in query.selected_columns]
    return query.with_only_columns(*columns).join(shown, shown.c.name == AnswerRow.id), shown.c.created


def _row(answer: Answer, pack_above: int) -> dict[str, Any]:
    packed = len(answer.report) > pack_above
    report_bytes = zlib.compress(answer.report, PACK_LEVEL) if packed else answer.report
    return {
        "id": answer.id,
        "analysis": answer.analysis,
        "created": answer.created,
        "size": len(report_bytes),
        "request": answer.request,
        "conditions": answer.conditions,
        "packed": packed,
        "report": report_bytes,
    }
