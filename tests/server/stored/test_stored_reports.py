"""The archive: nobody waits for it, nothing is lost, what was told can be read, and old answers leave."""

import json
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, current_thread

import pytest
from sqlalchemy import select

from attention.errors import NotFound
from attention.reports.modules import KernelRequest
from attention.schemas import Conditions
from server.settings import Settings
from server.store import Store
from server.store.reports import Answer, AnswerTable
from server.store.tables import AnswerRow
from server.stored import reports as archive
from server.stored.reports import Archive

HERE = Conditions(version="1", torch="2", device="cpu", threads=1)


class Slow(AnswerTable):
    """A table that writes when it may, and remembers who wrote."""

    def __init__(self, store: Store) -> None:
        self._engine = store.answers._engine
        self.may = Event()
        self.writers: list[str] = []
        self.broken = 0

    def put(self, answers: Sequence[Answer], pack_above: int) -> int:
        if current_thread().name == "archive":
            assert self.may.wait(30)
        self.writers += [current_thread().name] * len(answers)
        if self.broken:
            self.broken -= 1
            raise OSError("the disk is on fire")
        return super().put(answers, pack_above)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'answers.db'}")
    yield opened
    opened.close()


@pytest.fixture
def slow(store: Store, monkeypatch: pytest.MonkeyPatch) -> Slow:
    monkeypatch.setattr(archive, "TRY_AGAIN_S", 0.01)
    monkeypatch.setattr(archive, "GATHER_S", 0.0)
    return Slow(store)


def question(number: int) -> KernelRequest:
    return KernelRequest(b=number / 100)


def report(number: int) -> bytes:
    return json.dumps({"number": number}).encode()


def keep(to: Archive, number: int) -> str:
    kept = to.keep(question(number), HERE, report(number))
    assert kept is not None
    return kept


def test_nobody_waits_for_the_database(slow: Slow) -> None:
    held = Archive(slow, Settings())
    names = [keep(held, number) for number in range(20)]  # returns, although nothing can be written
    assert slow.writers == []
    slow.may.set()
    assert [held.get(name).report["number"] for name in names] == list(range(20))
    assert set(slow.writers) == {"archive"}
    held.close()


def test_with_no_room_left_whoever_brings_an_answer_writes_it(slow: Slow) -> None:
    held = Archive(slow, Settings(), most_waiting=3)
    names = [keep(held, number) for number in range(5)]
    assert slow.writers == [current_thread().name] * 2
    with pytest.raises(BlockingIOError):  # who may not wait is told so
        held.keep(question(9), HERE, report(9), may_wait=False)
    assert slow.get(names[4]).report == {"number": 4}
    slow.may.set()
    held.close()
    assert {one.id for one in slow.newest(10)} == set(names)


def test_what_waits_is_written_when_the_archive_closes_and_later_ones_at_once(store: Store) -> None:
    held = Archive(store.answers, Settings())
    names = [keep(held, number) for number in range(300)]
    held.close()
    assert len(store.answers.newest(1000)) == 300
    late = keep(held, 300)
    assert store.answers.get(late).report == {"number": 300}
    assert store.answers.get(names[7]).request == question(7).model_dump(mode="json")


def test_everybody_reads_what_he_was_told_at_once(store: Store) -> None:
    held = Archive(store.answers, Settings())

    def ask(number: int) -> bool:
        return held.get(keep(held, number)).report == {"number": number}

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(ask, [*range(60), *range(60)]))
    held.close()
    assert len(store.answers.newest(1000)) == 60


def test_trouble_that_passes_loses_nothing_and_trouble_that_stays_is_told(
    slow: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    slow.may.set()
    held = Archive(slow, Settings())
    slow.broken = 1
    assert held.get(keep(held, 1)).report == {"number": 1}
    slow.broken = 2
    with caplog.at_level(logging.ERROR):
        lost = keep(held, 2)
        held.flush()
    assert lost in caplog.text and "could not be kept" in caplog.text
    with pytest.raises(NotFound, match=r"no report .* GET /v1/reports"):
        held.get(lost)
    assert held.get(keep(held, 3)).report == {"number": 3}  # the writer goes on
    held.close()
    slow.broken = 1
    assert held.keep(question(4), HERE, report(4)) is None  # nobody is told an id that leads nowhere


def test_an_id_stands_for_question_conditions_and_report(store: Store) -> None:
    held = Archive(store.answers, Settings())
    first = keep(held, 1)
    assert keep(held, 1) == first and len(first) == 32
    others = {keep(held, 2), held.keep(question(1), HERE, report(2))}
    assert first not in others and len(others) == 2
    held.close()


def test_long_reports_are_packed_and_too_long_ones_are_not_kept(store: Store) -> None:
    held = Archive(store.answers, Settings(pack_reports_above_bytes=2_000, max_report_bytes=20_000))
    sizes: dict[int, int] = {}
    for length in (1_000, 10_000):
        text = json.dumps({"text": "x" * length}).encode()
        name = held.keep(question(length), HERE, text)
        assert name is not None
        assert held.get(name).report == {"text": "x" * length}
        sizes[length] = size_of(store, name)
    assert sizes[1_000] == 1_000 + len('{"text": ""}')
    assert sizes[10_000] < 200
    assert held.keep(question(3), HERE, b"x" * 20_001) is None
    held.close()


def size_of(store: Store, name: str) -> int:
    with store._engine.connect() as connection:
        return connection.execute(select(AnswerRow.size).where(AnswerRow.id == name)).scalar_one()


def answer(number: int, days_ago: float = 0.0, size: int = 100) -> Answer:
    made = datetime.now(UTC) - timedelta(days=days_ago)
    return Answer(f"{number:032}", "kernel", "{}", HERE.model_dump_json(), b" " * (size - 2) + b"{}", made)


def numbers(store: Store) -> list[int]:
    return [int(one.id) for one in store.answers.newest(1000)]


def test_old_answers_leave_by_number_by_bytes_and_by_age(store: Store) -> None:
    for number in range(10):
        store.answers.put([answer(number, days_ago=10 - number)], 10_000)
    assert numbers(store) == list(range(9, -1, -1))
    assert store.answers.prune(8, 10**9, timedelta(days=999)) == 2
    assert numbers(store) == list(range(9, 1, -1))
    assert store.answers.prune(100, 10**9, timedelta(days=6.5)) == 2
    assert numbers(store) == [9, 8, 7, 6, 5, 4]
    assert store.answers.prune(100, 350, timedelta(days=999)) == 3
    assert numbers(store) == [9, 8, 7]
    store.answers.put([answer(7)], 10_000)  # asked again: the newest now
    assert numbers(store) == [7, 9, 8]
    store.answers.prune(1, 10**9, timedelta(days=999))
    assert numbers(store) == [7]


def test_the_writer_prunes_by_itself(store: Store) -> None:
    held = Archive(store.answers, Settings(reports_kept=5))
    for number in range(12):
        keep(held, number)
        held.flush()
    held.close()
    assert [one.request["b"] for one in store.answers.newest(100)] == [0.11, 0.1, 0.09, 0.08, 0.07]


def test_of_two_who_add_the_same_answer_both_succeed(tmp_path: Path) -> None:
    stores = [Store(f"sqlite:///{tmp_path / 'shared.db'}") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda store: store.answers.put([answer(number) for number in range(50)], 10_000), stores))
    assert len(stores[0].answers.newest(100)) == 50
    for store in stores:
        store.close()
