"""The archive: an id is told when its answer is kept and not before, and old answers leave."""

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from attention.errors import Overloaded, StorageFailed
from attention.reports.modules import KernelRequest
from attention.schemas import Conditions
from server.service import Service
from server.settings import Settings
from server.store import Store
from server.store.reports import Answer, AnswerTable
from server.store.tables import AnswerRow
from server.stored.reports import Archive

HERE = Conditions(version="1", torch="2", device="cpu", threads=1)


class Slow(AnswerTable):
    """A table that writes when it may, and remembers how many answers it wrote at a time."""

    def __init__(self, store: Store) -> None:
        self._engine = store.answers._engine
        self.may = Event()
        self.batches: list[int] = []
        self.broken: Exception | None = None

    def put(self, answers: Sequence[Answer], pack_above: int) -> int:
        assert self.may.wait(30)
        if self.broken:
            raise self.broken
        self.batches.append(len(answers))
        return super().put(answers, pack_above)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'answers.db'}")
    yield opened
    opened.close()


@pytest.fixture
def slow(store: Store) -> Slow:
    return Slow(store)


def question(number: int) -> KernelRequest:
    return KernelRequest(b=number / 100)


def report(number: int) -> bytes:
    return json.dumps({"number": number}).encode()


def handed_over(to: Archive, number: int, took_s: float = 0.0) -> Future[str]:
    written = to.keep(question(number), HERE, report(number), took_s)
    assert written is not None
    return written


def keep(to: Archive, number: int) -> str:
    return handed_over(to, number).result(30)


def test_an_id_is_told_when_the_database_has_the_answer_and_not_before(slow: Slow, store: Store) -> None:
    held = Archive(slow, Settings())
    written = [handed_over(held, number) for number in range(20)]  # returns, although nothing can be written
    assert not any(future.done() for future in written)
    assert store.answers.newest(99) == ()
    slow.may.set()
    names = [future.result(30) for future in written]
    assert [store.answers.get(name).report["number"] for name in names] == list(range(20))
    assert sum(slow.batches) == 20 and len(slow.batches) <= 2  # what came while the writer was busy goes together
    held.close()


def test_an_answer_waits_for_those_still_worked_out_and_no_longer(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.stored.reports.LINGER_S", 1000.0)
    slow.may.set()
    held = Archive(slow, Settings())

    def batches(*took_s: float, expected: int) -> list[int]:
        """How the answers of one moment, which took so long, are shared out when so many are worked out."""
        slow.batches.clear()
        with ExitStack() as others:
            for _ in range(expected):
                others.enter_context(held.expecting())
            number = next(unused)
            written = [handed_over(held, number + one, took) for one, took in enumerate(took_s)]
            assert len({future.result(30) for future in written}) == len(took_s)
        return slow.batches

    unused = count(step=10)
    assert batches(9999.0, expected=1) == [1]  # nobody else is there
    assert batches(9999.0, 9999.0, 9999.0, expected=3) == [3]  # the last one calls off the wait
    assert sum(batches(9999.0, 9999.0, 0.0, expected=9)) == 3  # one that was there at once does not wait, nor the rest
    assert batches(0.05, expected=9) == [1]  # a fifth of what it took
    held.close()


def test_the_same_answer_at_the_same_moment_is_written_once(slow: Slow) -> None:
    held = Archive(slow, Settings())
    written = [handed_over(held, 7) for _ in range(5)]
    slow.may.set()
    assert len({future.result(30) for future in written}) == 1 == len(slow.newest(99))
    held.close()
    assert sum(slow.batches) == 1


def test_with_no_room_left_no_id_is_told(slow: Slow) -> None:
    held = Archive(slow, Settings(), most_waiting=3)
    written = [handed_over(held, number) for number in range(5)]
    for future in written[3:]:
        with pytest.raises(Overloaded, match="not kept"):
            future.result(0)
    slow.may.set()
    names = {future.result(30) for future in written[:3]}
    held.close()
    assert {one.id for one in slow.newest(10)} == names


def test_what_waits_is_written_when_the_archive_closes_and_later_ones_are_not(store: Store) -> None:
    held = Archive(store.answers, Settings())
    written = [handed_over(held, number) for number in range(300)]
    held.close()
    assert {one.id for one in store.answers.newest(1000)} == {future.result(0) for future in written}
    with pytest.raises(Overloaded, match="shutting down"):
        handed_over(held, 300).result(0)


def test_everybody_reads_what_he_was_told_at_once(store: Store) -> None:
    held = Archive(store.answers, Settings())

    def ask(number: int) -> bool:
        return store.answers.get(keep(held, number)).report == {"number": number}

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(ask, [*range(60), *range(60)]))
    held.close()
    assert len(store.answers.newest(1000)) == 60


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (StorageFailed("The disk with the database is full, so this was not kept."), "disk .* is full"),
        (OSError("the disk is on fire"), "does not work"),
    ],
)
def test_trouble_is_told_instead_of_an_id_and_the_writer_goes_on(slow: Slow, fault: Exception, words: str) -> None:
    slow.may.set()
    held = Archive(slow, Settings())
    slow.broken = fault
    with pytest.raises(StorageFailed, match=words):
        keep(held, 2)
    assert "not kept" in str(held.obstacle)
    slow.broken = None
    assert slow.get(keep(held, 3)).report == {"number": 3}
    assert str(held.obstacle) == "None"
    held.close()


def full(store: Store, is_full: bool) -> None:
    """Let SQLite take no page more than it has, as on a full disk; or again as many as it likes."""
    with store._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one() if is_full else 2**30
    for _ in range(8):  # a limit of each connection
        connections = [store._engine.connect() for _ in range(8)]
        for connection in connections:
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
            connection.close()


@pytest.mark.full
def test_on_a_full_disk_the_answer_comes_without_an_id_and_says_why(client: TestClient) -> None:
    of: Service = client.app.state.service  # type: ignore[attr-defined]
    text = {"variants": ["resnet20/se"] * 2}
    assert "Report-Id" in client.post("/v1/cost", json=text).headers
    full(of.store, True)
    answers = [client.post("/v1/cost", json={"variants": [f"resnet20/se?seed={seed}"]}) for seed in range(40)]
    assert all(answer.status_code == 200 for answer in answers)
    assert "Report-Id" not in answers[-1].headers and "full" in answers[-1].headers["Report-Not-Kept"]
    for answer in answers:
        if name := answer.headers.get("Report-Id"):
            assert client.get(f"/v1/reports/{name}").status_code == 200
    ready = client.get("/v1/ready")
    assert ready.status_code == 200 and "degraded" in ready.json()["status"] and "full" in ready.json()["status"]
    full(of.store, False)
    name = client.post("/v1/cost", json={"variants": ["resnet20/eca"]}).headers["Report-Id"]
    assert client.get(f"/v1/reports/{name}").status_code == 200
    assert client.get("/v1/ready").json()["status"] == "ok"


@pytest.mark.full
def test_a_slow_database_holds_an_answer_up_only_so_long(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    of: Service = client.app.state.service  # type: ignore[attr-defined]
    table = Slow(of.store)
    monkeypatch.setattr(of.archive, "_table", table)
    monkeypatch.setattr("server.service.KEPT_WITHIN_S", 0.05)
    for seed in range(3):
        answer = client.post("/v1/cost", json={"variants": [f"resnet20/se?seed={seed}"]})
        assert answer.status_code == 200 and "Report-Id" not in answer.headers
        assert "database" in answer.headers["Report-Not-Kept"]
    table.may.set()
    monkeypatch.setattr("server.service.KEPT_WITHIN_S", 30.0)
    until = time.monotonic() + 30
    while "Report-Id" not in client.post("/v1/cost", json={"variants": ["resnet20/eca"]}).headers:
        assert time.monotonic() < until


def test_an_id_stands_for_question_conditions_and_report(store: Store) -> None:
    held = Archive(store.answers, Settings())
    first = keep(held, 1)
    assert keep(held, 1) == first and len(first) == 32
    other = held.keep(question(1), HERE, report(2))
    assert other is not None
    others = {keep(held, 2), other.result(30)}
    assert first not in others and len(others) == 2
    held.close()


def test_long_reports_are_packed_and_too_long_ones_are_not_kept(store: Store) -> None:
    held = Archive(store.answers, Settings(pack_reports_above_bytes=2_000, max_report_bytes=20_000))
    sizes: dict[int, int] = {}
    for length in (1_000, 10_000):
        text = json.dumps({"text": "x" * length}).encode()
        written = held.keep(question(length), HERE, text)
        assert written is not None
        name = written.result(30)
        assert store.answers.get(name).report == {"text": "x" * length}
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
    held.close()
    assert [one.request["b"] for one in store.answers.newest(100)] == [0.11, 0.1, 0.09, 0.08, 0.07]


def test_of_two_who_add_the_same_answer_both_succeed(tmp_path: Path) -> None:
    stores = [Store(f"sqlite:///{tmp_path / 'shared.db'}") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda store: store.answers.put([answer(number) for number in range(50)], 10_000), stores))
    assert len(stores[0].answers.newest(100)) == 50
    for store in stores:
        store.close()
