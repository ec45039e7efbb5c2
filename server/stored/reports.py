"""The archive: answers that were given at once, kept under ids that are told only after the database has them."""

import hashlib
import logging
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from threading import Condition, Thread
from time import monotonic
from typing import Any, NamedTuple

from attention.errors import AttentionError, Overloaded, StorageFailed
from attention.schemas import Conditions
from attention.spec import Request
from server.settings import Settings
from server.store.ownership import ASKER
from server.store.reports import Answer, AnswerTable

log = logging.getLogger(__name__)

BATCH = 128
"""Answers in one transaction."""

LINGER_S = 0.01
"""How long answers wait at most until as many share their transaction as shared the last one."""

MAX_WAITING = 512
MAX_WAITING_BYTES = 64_000_000
"""What may wait to be written; beyond it an answer is not kept, and says so."""

PRUNE_EVERY_S = 3600.0
"""When old answers are looked for, also if none came."""

ID_DIGITS = 32


class Waiting(NamedTuple):
    """An answer that waits to be written, and what learns of it: the id, or why it could not be kept."""

    answer: Answer
    written: Future[str]


class Archive:
    """Answers by id. An id is the hash of question, conditions and report: it never stands for other numbers.

    So the same answer twice is kept once, and if the same question gets another answer under the same conditions, both
    are there to be compared. A thread writes, as soon as it is free, all that came in the meantime in one transaction.

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
        self._waiting: dict[tuple[str, str | None], Waiting] = {}  # by id and owner, oldest first
        self._waiting_bytes = 0
        self._closed = False
        self._shared = 1  # how many answers the last transaction had
        self._writer: Thread | None = None
        self._since = [0, 0]  # answers and bytes written since old ones were last looked for
        self._pruned = monotonic()
        self.obstacle: str | None = None
        """Why the last answers could not be kept, as a sentence; None if they could."""

    def keep(self, question: Request[Any], conditions: Conditions, report: bytes) -> Future[str] | None:
        """Keep an answer, its report as JSON. Nothing waits here for the database.

        Returns:
            what gets the id when the database has the answer, or StorageFailed or Overloaded with the reason why it is
            not kept; several who keep the same answer share it. None where answers are not kept, or none as long.
        """
        if self._settings.reports_kept == 0 or len(report) > self._settings.max_report_bytes:
            return None
        return self._hand_over(_answer(question, conditions, report))

    def close(self) -> None:
        """Write what waits, then stop. Answers that come later are not kept."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._writer is not None:
            self._writer.join()

    def _hand_over(self, answer: Answer) -> Future[str]:
        """Leave an answer to the writer, if there is room."""
        written: Future[str] = Future()
        with self._changed:
            entry = (answer.id, answer.owner)
            if entry in self._waiting:
                return self._waiting[entry].written
            crowded = self._waiting and self._waiting_bytes + len(answer.report) > MAX_WAITING_BYTES
            if self._closed:
                written.set_exception(Overloaded("The service is shutting down, so this was not kept.", 5.0))
            elif crowded or len(self._waiting) >= self._most_waiting:
                written.set_exception(Overloaded("Too many reports wait for the database, so this was not kept.", 5.0))
            else:
                self._waiting[entry] = Waiting(answer, written)
                self._waiting_bytes += len(answer.report)
                if self._writer is None:
                    self._writer = Thread(target=self._work, name="archive", daemon=True)
                    self._writer.start()
                if len(self._waiting) in (1, self._shared):
                    self._changed.notify_all()
        return written

    def _work(self) -> None:
        while (batch := self._next()) or not self._closed:
            reason = self._write(batch)
            with self._changed:
                for waiting in batch:
                    del self._waiting[waiting.answer.id, waiting.answer.owner]
                    self._waiting_bytes -= len(waiting.answer.report)
            for waiting in batch:
                if reason is None:
                    waiting.written.set_result(waiting.answer.id)
                else:
                    waiting.written.set_exception(reason)
            self._prune_if_due()

    def _next(self) -> list[Waiting]:
        """The next answers to write, as soon as there are some; none when the archive has closed, or after an hour."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, PRUNE_EVERY_S)
            self._changed.wait_for(lambda: len(self._waiting) >= self._shared or self._closed, LINGER_S)
            batch = list(self._waiting.values())[:BATCH]
            self._shared = max(len(batch), 1)
            return batch

    def _write(self, batch: Sequence[Waiting]) -> AttentionError | None:
        """Write answers; gives the reason if they are not kept."""
        if not batch:
            return None
        try:
            size = self._table.put([waiting.answer for waiting in batch], self._settings.pack_reports_above_bytes)
        except Exception as error:  # whatever it is, the writer must go on
            log.exception("%d reports could not be kept.", len(batch))
            unexplained = StorageFailed("The database does not work, so this was not kept. The log says more.")
            reason = error if isinstance(error, AttentionError) else unexplained
            self.obstacle = str(reason)
            return reason
        self.obstacle = None
        self._since[0] += len(batch)
        self._since[1] += size
        return None

    def _prune_if_due(self) -> None:
        """Forget old answers when a twentieth of what is kept is new, or an hour has passed."""
        most, most_bytes = self._settings.reports_kept, self._settings.reports_kept_bytes
        due = self._since[0] > most // 20 or self._since[1] > most_bytes // 20
        if not due and monotonic() - self._pruned < PRUNE_EVERY_S:
            return
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
    return Answer(answer_id, question.analysis, asked, decided, report, datetime.now(UTC), ASKER.get())


def is_answer(report_id: str) -> bool:
    """Whether an id is one of an answer; the ids of jobs are shorter."""
    return len(report_id) == ID_DIGITS
