"""The store keeps the same promises on SQLite and PostgreSQL, and says in a sentence what a disk or database cannot."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import Pool
from starlette.testclient import TestClient

from attention.data.files import Files
from attention.errors import AttentionError, NotFound, Overloaded, StorageFailed
from attention.reports.cost import CostReport, CostRequest
from attention.schemas import Conditions, Image
from server.__main__ import check_database
from server.app import create_app
from server.settings import Settings
from server.store import Store
from server.store.database import connect
from server.store.reports import Answer
from tests.server.api.http.test_problems import problem
from tests.server.conftest import photo
from tests.server.store.databases import Cluster

ROOT = Path(__file__).parents[3]
NOBODY = 65534
REPORT = CostReport(variants=(), convention="none")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = Store(database_url)
    yield opened
    opened.close()


def image(number: int, name: str = "photo.jpg") -> Image:
    return Image(id=f"{number:064x}", name=name, format="JPEG", width=4, height=3, bytes=99)


# ---------------------------------------------------------------- the same on both


def test_an_image_that_comes_again_is_the_newest_under_its_new_name(store: Store) -> None:
    for number in (1, 2, 3, 1):
        store.add_image(image(number, f"photo {number}.jpg"))
    store.add_image(image(2, "renamed.jpg"))
    assert [found.name for found in store.images()] == ["renamed.jpg", "photo 1.jpg", "photo 3.jpg"]
    assert len(store.images(limit=2)) == 2
    with store.owners.transaction() as connection:
        store.erase_image(connection, image(2).id)
    with pytest.raises(NotFound, match="no image"):
        store.image(image(2).id)


def test_one_image_uploaded_by_many_at_once_is_kept_once(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.add_image(image(number % 3)), range(48)))
    assert len(store.images()) == 3
    assert store.holdings() == "3 images, 0 answers"


def test_a_job_and_its_report_belong_together(store: Store, database_url: str) -> None:
    claim = store.jobs.claim(store.jobs.add(CostRequest(), 9).id)
    assert claim is not None and store.jobs.finish(claim, REPORT)
    engine = connect(database_url)
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text("DELETE FROM jobs"))
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text("INSERT INTO reports (job_id, json, final) VALUES ('nobody', '{}', true)"))
    engine.dispose()
    assert store.jobs.stored_report(claim.job_id).report["convention"] == "none"


@pytest.mark.full
def test_services_that_keep_and_prune_the_same_answers_do_not_stand_in_each_others_way(database_url: str) -> None:
    stores = [Store(database_url) for _ in range(4)]
    conditions = Conditions(version="1", torch="2", device="cpu", threads=1).model_dump_json()
    answers = [Answer(f"{number:032}", "cost", "{}", conditions, b"{}", datetime.now(UTC)) for number in range(20)]

    def keep(number: int) -> None:
        table = stores[number % 4].answers
        table.put(random.Random(number).sample(answers, 15), 100)
        table.prune(10, 10_000, timedelta(days=1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(keep, range(40)))
    assert len(stores[0].answers.newest(99)) == 10
    for store in stores:
        store.close()


@pytest.mark.parametrize("odd", ["\0", "a\0b", "x" * 1000, "'; DROP TABLE jobs; --", "\N{GRINNING FACE}", "%00"])
def test_what_no_id_can_be_is_not_found(store: Store, odd: str) -> None:
    for look in (store.image, store.jobs.get, store.jobs.cancel, store.answers.get):
        with pytest.raises(NotFound):
            look(odd)


def test_text_of_every_script_comes_back_and_a_nul_as_the_sign_of_a_letter_lost(store: Store) -> None:
    store.add_image(image(1, "고양이 \N{GRINNING FACE} ß\0.jpg"))
    assert store.image(image(1).id).name == "고양이 \N{GRINNING FACE} ß\N{REPLACEMENT CHARACTER}.jpg"
    claim = store.jobs.claim(store.jobs.add(CostRequest(), 9).id)
    assert claim is not None and store.jobs.progress(claim, 1, 2, "a\0b", None)
    assert store.jobs.get(claim.job_id).note == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.full
def test_of_many_who_queue_at_once_no_more_get_in_than_there_is_room_for(database_url: str) -> None:
    stores = [Store(database_url) for _ in range(4)]

    def add(number: int) -> bool:
        try:
            stores[number % 4].jobs.add(CostRequest(), 5)
        except Overloaded:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(add, range(32))) == 5
    assert len(stores[0].jobs.newest(99)) == 5
    for store in stores:
        store.close()


# ---------------------------------------------------------------- SQLite's settings


def test_every_connection_to_sqlite_has_the_settings_we_count_on(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'settings.db'}")
    connections = [engine.connect() for _ in range(3)]
    for connection in connections:
        found = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
        assert found == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 30_000}
        connection.close()
    engine.dispose()


def test_readers_do_not_wait_for_a_writer_and_see_nothing_of_its_half(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'wal.db'}"
    store, engine = Store(url), connect(url)
    store.add_image(image(1))
    with engine.connect() as writer:
        writer.exec_driver_sql("BEGIN IMMEDIATE")
        writer.execute(text("DELETE FROM images"))
        assert len(store.images()) == 1
        writer.commit()
    assert store.images() == ()
    engine.dispose()
    store.close()


def test_a_writer_that_waits_too_long_is_told_to_come_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'busy.db'}"
    store, engine = Store(url), connect(url)
    event.listen(Pool, "checkout", short_patience)
    try:
        with engine.connect() as writer:
            writer.exec_driver_sql("BEGIN IMMEDIATE")
            with pytest.raises(Overloaded, match="busy with others") as refused:
                store.add_image(image(1))
        assert refused.value.retry_after_s > 0
    finally:
        event.remove(Pool, "checkout", short_patience)
    store.add_image(image(1))
    engine.dispose()
    store.close()


def short_patience(connection: Any, record: object, proxy: object) -> None:
    connection.execute("PRAGMA busy_timeout=50")


# ---------------------------------------------------------------- disks that are full or closed


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Call it, and SQLite has no room for another page, as on a disk that is full."""

    def no_more(connection: Any, record: object, proxy: object) -> None:
        connection.execute("PRAGMA max_page_count=1")  # never below what there is already

    yield lambda: event.listen(Pool, "checkout", no_more)
    event.remove(Pool, "checkout", no_more)


@pytest.mark.full
def test_a_full_disk_is_a_sentence_and_loses_nothing(full: Callable[[], None], settings: Settings) -> None:
    with TestClient(create_app(settings)) as client:
        kept = client.post("/v1/images", files={"image": ("photo.jpg", photo())}).json()["id"]
        full()
        answers = [
            client.post("/v1/images", files={"image": (f"{number:0200}.jpg", photo(number))}) for number in range(1, 60)
        ]
        failed = [answer for answer in answers if answer.status_code != 201]
        assert failed
        for answer in failed:
            problem(answer, 503, "disk with the database is full", "Make room")
        there = {found["id"] for found in client.get("/v1/images").json()["images"] if not found["sample"]}
        assert there == {kept} | {answer.json()["id"] for answer in answers if answer.status_code == 201}


def test_a_database_that_cannot_be_made_for_want_of_room_is_said_at_the_start(
    full: Callable[[], None], tmp_path: Path
) -> None:
    full()
    url = f"sqlite:///{tmp_path / 'new.db'}"
    with pytest.raises(SystemExit, match="disk with the database is full"):
        check_database(Settings(database=url))
    with pytest.raises(StorageFailed):
        Store(url)


def test_a_read_only_database_can_be_read_and_says_why_not_written(tmp_path: Path) -> None:
    path = tmp_path / "closed.db"
    store = Store(f"sqlite:///{path}")
    store.add_image(image(1))
    store.close()
    closed = Store(f"sqlite:///file:{path}?mode=ro&uri=true")
    assert len(closed.images()) == 1
    with pytest.raises(StorageFailed, match="cannot be written: its file, its folder or its disk is read-only"):
        closed.add_image(image(2))
    closed.close()


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"This is a letter, not a database. " * 200, "is none"), (None, "cannot be opened")],
)
def test_a_file_that_is_no_database_is_said_at_the_start(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "letter.db"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(SystemExit, match=told):
        check_database(Settings(database=f"sqlite:///{path}"))


AS_ANOTHER_USER = f"""
import os, sys
from pathlib import Path
from server.__main__ import check_folder, check_database
from server.settings import Settings
from server.store import Store
from attention.errors import AttentionError
from attention.data.files import Files
import alembic.command, server.store.migrations.making
folder = Path(sys.argv[1])
os.umask(0)
if os.getuid() == 0:
    os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
folder.chmod(0o555) if os.access(folder, os.W_OK) else None
for attempt in (
    lambda: check_folder(Settings(data=folder)),
    lambda: check_database(Settings(data=folder)),
    lambda: Store(f"sqlite:///{{folder / 'there.db'}}").holdings(),
    lambda: Files(folder).put_image(b"photo"),
):
    try:
        print(attempt())
    except (SystemExit, AttentionError) as told:
        print(type(told).__name__, told)
"""
"""Root may write everywhere, so the test becomes somebody else."""


@pytest.mark.full
def test_a_data_folder_that_is_read_only_is_a_sentence(tmp_path: Path) -> None:
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())  # where others may look in
    try:
        Store(f"sqlite:///{folder / 'there.db'}").close()
        (folder / "there.db").chmod(0o444)
        folder.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", AS_ANOTHER_USER, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        start, database, old, upload = done.stdout.splitlines()
        assert start.startswith(f"SystemExit The data folder {folder} cannot be written (Permission denied)")
        assert database.startswith("SystemExit The database file cannot be opened. Its folder has to be there")
        assert old.startswith("StorageFailed The database cannot be written") or "cannot be opened" in old
        assert upload.startswith("StorageFailed The data folder cannot be written")
    finally:
        folder.chmod(0o755)
        subprocess.run(["rm", "-r", str(folder)], check=True)


NO_ROOM = """
import resource, sys
from attention.errors import AttentionError
from attention.data.files import Files
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    Files(Path(sys.argv[1])).put_image(bytes(5000))
except AttentionError as told:
    print(type(told).__name__, told)
"""


@pytest.mark.full
def test_a_photo_for_which_there_is_no_room_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("StorageFailed The disk of the data folder is full"), done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_an_upload_left_that_was_cut_off_is_swept_up_when_nobody_can_be_writing_it(tmp_path: Path) -> None:
    files = Files(tmp_path)
    whole = files.put_image(b"whole")
    folder = tmp_path / "images" / whole[:2]
    old, new = folder / ".abcdef.part", folder / ".ghijkl.part"
    for path in (old, new):
        path.write_bytes(b"hal")
    os.utime(old, (0, 0))
    os.utime(folder / whole, (0, 0))
    assert files.sweep() == 1
    assert sorted(path.name for path in folder.iterdir()) == sorted([whole, new.name])


# ---------------------------------------------------------------- databases that are not there


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nonsense", "is no URL of a database"),
        ("postgresql+nodriver://me:secret@host/name", "is no URL of a database"),
        ("mongodb://me:secret@host/name", "is no URL of a database"),
        ("mysql+pymysql://me:secret@host/name", "driver of this database, pymysql, is not installed"),
        ("sqlite:////no/such/folder/at.db", "cannot be opened"),
    ],
)
def test_a_url_that_leads_nowhere_is_a_sentence_without_the_password(url: str, told: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        check_database(Settings(database=url))
    assert told in str(stopped.value) and "secret" not in str(stopped.value)


@pytest.mark.slow
def test_what_postgresql_refuses_is_a_sentence(postgres: Cluster) -> None:
    url = postgres.database()
    store = Store(url)
    engine = connect(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE ROLE guest LOGIN"))
    for refused, told in (
        (postgres.url("nowhere"), "does not answer|no database of that name"),
        (url.replace("tester", "stranger"), "does not answer|does not let the service in"),
        (url.replace(str(postgres.folder), "/no/such/folder"), "does not answer"),
        (postgres.database().replace("tester", "guest"), "does not let the service do this"),
        (f"{url}&options=-cdefault_transaction_read_only%3Don", "takes no changes now"),
    ):
        with pytest.raises(AttentionError, match=told):
            Store(refused).add_image(image(1))
    store.add_image(image(2))
    assert store.answers.prune(0, 0, timedelta(0)) == 0
    engine.dispose()
    store.close()


@pytest.mark.slow
def test_a_connection_that_postgresql_cuts_off_is_made_again(postgres: Cluster) -> None:
    url = postgres.database()
    store, other = Store(url), connect(url)
    store.add_image(image(1))
    with other.begin() as connection:
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND "
        assert connection.execute(text(f"{cut} pid <> pg_backend_pid()")).all()
    assert len(store.images()) == 1
    other.dispose()
    store.close()
