"""The archive: answers that were given at once, kept under ids that are told only after the database has them."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
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

LINGER, LINGER_S = 0.2, 0.03
"""How long an answer waits for those still worked out, to share a transaction: a share of what it took, and seconds.

A transaction of one answer takes four times the CPU time that an answer in one of eight takes.
"""

MAX_WAITING = 512
MAX_WAITING_BYTES = 64_000_000
"""What may wait to be written; beyond it an answer is not kept, and says so."""

PRUNE_EVERY_S = 3600.0
"""When old answers are looked for, also if none came."""

ID_DIGITS = 32


class Waiting(NamedTuple):
    """An answer that waits to be written, until when at most, and what learns of it: the id, or why it is not kept."""

    answer: Answer
    due: float
    written: Future[str]


class Archive:
    """Answers by id. An id is the hash of question, conditions and report: it never stands for other numbers.

    So the same answer twice is kept once, and if the same question gets another answer under the same conditions, both
    are there to be compared. A thread writes them, several in one transaction: at once when no other is expected, and
    else after a short wait for those that are.

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
        self._expected = 0
        self._due = 0.0  # when the writer stops waiting for more
        self._writer: Thread | None = None
        self._since = [0, 0]  # answers and bytes written since old ones were last looked for
        self._pruned = monotonic()
        self.obstacle: str | None = None
        """Why the last answers could not be kept, as a sentence; None if they could."""

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """While inside, an answer is worked out that may be kept; others may wait a moment to be written with it."""
        with self._changed:
            self._expected += 1
        try:
            yield
        finally:
            with self._changed:
                self._expected -= 1

    def keep(
        self, question: Request[Any], conditions: Conditions, report: bytes, took_s: float = 0.0
    ) -> Future[str] | None:
        """Keep an answer, its report as JSON. Nothing waits here for the database.

        Args:
            question: what was asked.
            conditions: what else decided the answer.
            report: the answer as JSON.
            took_s: how long it took, seconds; one that was there at once does not wait for others either.

        Returns:
            what gets the id when the database has the answer, or StorageFailed or Overloaded with the reason why it is
            not kept; several who keep the same answer share it. None where answers are not kept, or none as long.
        """
        if self._settings.reports_kept == 0 or len(report) > self._settings.max_report_bytes:
            return None
        due = monotonic() + min(LINGER * took_s, LINGER_S)
        return self._hand_over(Waiting(_answer(question, conditions, report), due, Future()))

    def close(self) -> None:
        """Write what waits, then stop. Answers that come later are not kept."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._writer is not None:
            self._writer.join()

    def _hand_over(self, new: Waiting) -> Future[str]:
        """Leave an answer to the writer, if there is room."""
        answer, written = new.answer, new.written
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
                self._waiting[entry] = new
                self._waiting_bytes += len(answer.report)
                if self._writer is None:
                    self._writer = Thread(target=self._work, name="archive", daemon=True)
                    self._writer.start()
                if self._complete or len(self._waiting) == 1 or new.due < self._due:
                    self._due = min(self._due, new.due)
                    self._changed.notify_all()
        return written

    @property
    def _complete(self) -> bool:
        """Whether no other answer is expected in the next transaction."""
        return len(self._waiting) >= min(self._expected, BATCH)

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
            self._due = min((waiting.due for waiting in self._waiting.values()), default=0.0)
            while not self._complete and not self._closed and (left := self._due - monotonic()) > 0:
                self._changed.wait(left)
            return list(self._waiting.values())[:BATCH]

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
