"""The archive: every answer that was given at once, written down by a thread of its own so that no request waits."""

import hashlib
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Condition, Thread
from time import monotonic
from typing import Any

from attention.schemas import Conditions, StoredReport
from attention.spec import Request
from server.settings import Settings
from server.store.reports import Answer, AnswerTable, Listed

log = logging.getLogger(__name__)

GATHER_S = 0.1
"""How long answers are gathered before they are written together."""

BATCH = 128
"""Answers in one transaction."""

MAX_WAITING = 512
MAX_WAITING_BYTES = 64_000_000
"""What may wait to be written; beyond it the thread that brings an answer writes it itself."""

TRY_AGAIN_S = 3.0
"""How long a database in trouble is left alone before the writer tries once more."""

PRUNE_EVERY_S = 3600.0
"""When old answers are looked for, also if none came."""

ID_DIGITS = 32


class Archive:
    """Answers by id. An id is the hash of question, conditions and report: it never stands for other numbers.

    So the same answer twice is kept once, and if the same question gets another answer under the same conditions, both
    are there to be compared. What waits to be written is written before it is read, and before the archive closes;
    only a process that is killed loses what it was told in the last tenth of a second.

    Args:
        table: where answers are kept.
        settings: how many answers are kept, and how large ones.
        most_waiting: answers that may wait to be written.
    """

    def __init__(self, table: AnswerTable, settings: Settings, most_waiting: int = MAX_WAITING) -> None:
        self._table = table
        self._settings = settings
        self._most_waiting = most_waiting
        self._changed = Condition()
        self._waiting: dict[str, Answer] = {}  # oldest first
        self._waiting_bytes = 0
        self._hurry = 0  # how many want all of it written now
        self._closed = False
        self._writer: Thread | None = None
        self._since = [0, 0]  # answers and bytes written since old ones were last looked for
        self._pruned = monotonic()

    def keep(
        self, question: Request[Any], conditions: Conditions, report: bytes, *, may_wait: bool = True
    ) -> str | None:
        """Keep an answer, its report as JSON.

        Args:
            may_wait: the caller's thread may be held up by the database, as happens when much waits to be written.

        Returns:
            the id it is kept under; None where answers are not kept, or none as long.

        Raises:
            BlockingIOError: it would have had to wait, and is not kept.
        """
        if self._settings.reports_kept == 0 or len(report) > self._settings.max_report_bytes:
            return None
        answer = _answer(question, conditions, report)
        if not self._hand_over(answer):
            if not may_wait:
                raise BlockingIOError
            try:
                self._write([answer])
            except Exception:
                log.exception("The report %s could not be kept.", answer.id)
                return None
        return answer.id

    def get(self, report_id: str) -> StoredReport:
        """One answer with its question.

        Raises:
            NotFound: it is not here.
        """
        with self._changed:
            waits = report_id in self._waiting
        if waits:
            self.flush()
        return self._table.get(report_id)

    def newest(self, limit: int) -> tuple[Listed, ...]:
        """What answers there are, newest first."""
        self.flush()
        return self._table.newest(limit)

    def flush(self) -> None:
        """Return when all that waits now is written."""
        with self._changed:
            waits = set(self._waiting)
            self._hurry += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: waits.isdisjoint(self._waiting))
            self._hurry -= 1

    def close(self) -> None:
        """Write what waits, then stop. Answers that come later are written by the thread that brings them."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._writer is not None:
            self._writer.join()

    def _hand_over(self, answer: Answer) -> bool:
        """Leave an answer to the writer; False if there is no room, or no writer any more."""
        size = len(answer.report)
        with self._changed:
            if answer.id in self._waiting:
                return True
            if self._closed or len(self._waiting) >= self._most_waiting:
                return False
            if self._waiting and self._waiting_bytes + size > MAX_WAITING_BYTES:
                return False
            self._waiting[answer.id] = answer
            self._waiting_bytes += size
            if self._writer is None:
                self._writer = Thread(target=self._work, name="archive", daemon=True)
                self._writer.start()
            if len(self._waiting) in (1, BATCH):
                self._changed.notify_all()
        return True

    def _work(self) -> None:
        while (batch := self._next()) or not self._closed:
            self._write_somehow(batch)
            with self._changed:
                for answer in batch:
                    del self._waiting[answer.id]
                    self._waiting_bytes -= len(answer.report)
                self._changed.notify_all()
            self._prune_if_due()

    def _next(self) -> list[Answer]:
        """The next answers to write, when there are some; none when the archive has closed, or nothing happens."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting or self._closed, PRUNE_EVERY_S):
                return []
            self._changed.wait_for(lambda: self._hurry or self._closed or len(self._waiting) >= BATCH, GATHER_S)
            return list(self._waiting.values())[:BATCH]

    def _write_somehow(self, batch: Sequence[Answer]) -> None:
        """Write answers; if the database is in trouble, once more in a while; and say in the log what was not kept."""
        for attempt in (1, 2):
            try:
                return self._write(batch)
            except Exception:  # whatever it is, the writer must go on
                if attempt == 2 or self._closed:
                    log.exception("These reports could not be kept: %s.", ", ".join(answer.id for answer in batch))
                    return
            with self._changed:
                self._changed.wait_for(lambda: self._closed, TRY_AGAIN_S)

    def _write(self, batch: Sequence[Answer]) -> None:
        size = self._table.put(batch, self._settings.pack_reports_above_bytes)
        with self._changed:
            self._since[0] += len(batch)
            self._since[1] += size

    def _prune_if_due(self) -> None:
        """Forget old answers when a twentieth of what is kept is new, or an hour has passed."""
        most, most_bytes = self._settings.reports_kept, self._settings.reports_kept_bytes
        due = self._since[0] > most // 20 or self._since[1] > most_bytes // 20
        if not due and monotonic() - self._pruned < PRUNE_EVERY_S:
            return
        with self._changed:
            self._since = [0, 0]
        self._pruned = monotonic()
        try:
            self._table.prune(most, most_bytes, timedelta(days=self._settings.reports_kept_days))
        except Exception:
            log.exception("Old reports could not be forgotten.")


def _answer(question: Request[Any], conditions: Conditions, report: bytes) -> Answer:
    """An answer with its id: the first 32 hex digits of the SHA-256 of analysis, question, conditions and report."""
    asked, decided = question.model_dump_json(), conditions.model_dump_json()
    text = f"{question.analysis}\n{asked}\n{decided}\n".encode() + report
    answer_id = hashlib.sha256(text).hexdigest()[:ID_DIGITS]
    return Answer(answer_id, question.analysis, asked, decided, report, datetime.now(UTC))


def is_answer(report_id: str) -> bool:
    """Whether an id is one of an answer; the ids of jobs are shorter."""
    return len(report_id) == ID_DIGITS
