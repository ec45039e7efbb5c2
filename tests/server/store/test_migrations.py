"""Every database comes up to the newest form, whatever it was, without loss, and once."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from attention.errors import StorageFailed
from server.__main__ import check_database
from server.settings import Settings
from server.store import Store
from server.store.database import connect
from server.store.migrations import FOLDER, migrate, revisions
from server.store.migrations.making import config
from server.store.ownership import OPERATOR, asking_as
from server.store.tables import Base
from tests.server.store.copies import copy_project

ROOT = Path(__file__).parents[3]

BEFORE_STEPS = """
CREATE TABLE images (id VARCHAR(64) NOT NULL, name VARCHAR(255) NOT NULL, format VARCHAR(32) NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, bytes INTEGER NOT NULL, created {moment} NOT NULL,
    PRIMARY KEY (id));
CREATE INDEX ix_images_created ON images (created);
CREATE TABLE jobs (number {counter} NOT NULL, id VARCHAR(32) NOT NULL, analysis VARCHAR(64) NOT NULL,
    request TEXT NOT NULL, state VARCHAR(16) NOT NULL, created {moment} NOT NULL, started {moment}, finished {moment},
    expected {moment}, done INTEGER NOT NULL, total INTEGER NOT NULL, note TEXT NOT NULL, error TEXT,
    attempts INTEGER NOT NULL, claims INTEGER NOT NULL, PRIMARY KEY (number), UNIQUE (id));
CREATE INDEX ix_jobs_state ON jobs (state);
CREATE TABLE reports (job_id VARCHAR(32) NOT NULL, json TEXT NOT NULL, final BOOLEAN NOT NULL, PRIMARY KEY (job_id),
    FOREIGN KEY(job_id) REFERENCES jobs (id));
INSERT INTO images VALUES ('aa', 'cat.jpg', 'JPEG', 4, 3, 99, '2026-01-02 03:04:05.000000');
INSERT INTO jobs (id, analysis, request, state, created, started, finished, done, total, note, attempts, claims)
    VALUES ('done1', 'cost', '{{}}', 'done', '2026-01-02 03:04:05.000000', '2026-01-02 03:04:05.000000',
    '2026-01-02 03:04:06.000000', 1, 1, '', 1, 1);
INSERT INTO jobs (id, analysis, request, state, created, started, done, total, note, attempts, claims)
    VALUES ('ran2', 'cost', '{{}}', 'running', '2026-01-02 03:04:05.000000', '2026-01-02 03:04:05.000000', 0, 1,
    '', 1, 1);
INSERT INTO jobs (id, analysis, request, state, created, done, total, note, attempts, claims)
    VALUES ('waits3', 'cost', '{{}}', 'queued', '2026-01-02 03:04:05.000000', 0, 0, '', 0, 0);
INSERT INTO reports VALUES ('done1', '{{"answer": 42}}', {true});
"""
"""What SQLAlchemy's create_all made in the versions that knew no steps, and a row of everything."""

WORDS = {
    "sqlite": {"moment": "DATETIME", "counter": "INTEGER", "true": "1"},
    "postgresql": {"moment": "TIMESTAMP WITH TIME ZONE", "counter": "SERIAL", "true": "true"},
}

SHAPES = ("empty", "before steps", *revisions())
"""How a database may be when it is opened."""


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = connect(database_url)
    yield opened
    opened.dispose()


def bring_to(engine: Engine, shape: str) -> None:
    """Let a database look as some version left it."""
    if shape == "empty":
        return
    with engine.begin() as connection:
        if shape == "before steps":
            for statement in BEFORE_STEPS.format(**WORDS[engine.dialect.name]).split(";\n"):
                if statement.strip():
                    connection.execute(text(statement))
        else:
            command.upgrade(config(connection), shape)


def differences(engine: Engine) -> list[object]:
    """What Alembic would change to make the tables what the code says."""
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))


def at(engine: Engine) -> str:
    with engine.connect() as connection:
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


@pytest.mark.parametrize("shape", SHAPES)
def test_every_database_comes_up_to_the_tables_of_the_code(engine: Engine, shape: str) -> None:
    bring_to(engine, shape)
    for _ in range(2):
        migrate(engine)
        assert differences(engine) == []
        assert at(engine) == revisions()[-1]


def test_the_comparison_would_see_a_column_that_is_missing_and_an_index(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_jobs_state"))
        connection.execute(text("ALTER TABLE jobs DROP COLUMN owner"))
    assert len(differences(engine)) == 2


def test_what_was_stored_before_there_were_steps_is_there_afterwards(engine: Engine, database_url: str) -> None:
    bring_to(engine, "before steps")
    store = Store(database_url)
    assert [image.name for image in store.images()] == ["cat.jpg"]
    states = {job.id: job.state for job in store.jobs.newest(9)}
    assert states == {"waits3": "queued", "ran2": "running", "done1": "done"}
    assert store.jobs.get("done1").bytes == len('{"answer": 42}')
    stored = store.jobs.stored_report("done1")
    assert stored.report == {"answer": 42}
    assert stored.created.isoformat() == "2026-01-02T03:04:05+00:00"
    assert [(work.claim.job_id, work.owner) for work in store.jobs.running()] == [("ran2", None)]
    claim = store.jobs.claim_next()
    assert claim is not None and claim.job_id == "waits3"
    assert store.holdings() == "1 image, 0 answers, 1 job done, 2 jobs running"
    store.close()


@pytest.mark.full
def test_what_was_stored_before_there_were_owners_is_the_operators(engine: Engine, database_url: str) -> None:
    bring_to(engine, "before steps")
    migrate(engine)
    store = Store(database_url)
    for asker, sees in ((None, True), (OPERATOR, True), ("1a2b3c4d", False)):
        with asking_as(asker):
            assert [image.name for image in store.images()] == ["cat.jpg"] * sees
            assert len(store.jobs.newest(9)) == 3 * sees and len(store.jobs.finished(9)) == sees
    store.owners.share("photos", "aa", OPERATOR, shared=True)
    with asking_as("1a2b3c4d"):
        assert store.image("aa").name == "cat.jpg"
    store.close()


def test_going_back_and_forth_ends_where_it_began(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        command.downgrade(config(connection), "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    migrate(engine)
    assert differences(engine) == []


def test_a_step_that_fails_leaves_the_database_as_it_was(engine: Engine) -> None:
    bring_to(engine, "0002")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE jobs ADD COLUMN beats INTEGER"))  # in the way of the second half of 0003
    with pytest.raises(DBAPIError, match="beats"):
        migrate(engine)
    assert at(engine) == "0002"
    assert "owner" not in {column["name"] for column in inspect(engine).get_columns("jobs")}
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1


@pytest.mark.parametrize("shape", ["empty", "before steps", "0001"])
def test_of_many_that_start_at_once_one_changes_the_database(engine: Engine, database_url: str, shape: str) -> None:
    bring_to(engine, shape)
    start = Barrier(8)

    def open_store(_: int) -> str:
        start.wait()
        store = Store(database_url)
        store.check()
        store.close()
        return "here"

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(open_store, range(8))) == ["here"] * 8
    assert differences(engine) == []


@pytest.mark.full
def test_a_new_file_that_many_open_at_the_same_time_is_opened_by_all(tmp_path: Path) -> None:
    """SQLite refused one of eight now and then: it waits for no one who turns a new file's journal on."""
    for number in range(100):
        start = Barrier(8)

        def open_store(start: Barrier = start, address: str = f"sqlite:///{tmp_path}/{number}.db") -> None:
            start.wait()
            Store(address).close()

        with ThreadPoolExecutor(8) as pool:
            opened = [pool.submit(open_store) for _ in range(8)]
        assert [store.exception() for store in opened] == [None] * 8


@pytest.mark.slow
def test_processes_that_start_at_once_do_not_collide(engine: Engine, database_url: str) -> None:
    code = (
        "import sys; from server.store import Store; print('ready', flush=True); sys.stdin.readline(); "
        "store = Store(sys.argv[1]); store.check(); store.close()"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, database_url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    try:
        for process in started:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        told = [process.communicate(timeout=60)[1] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert [process.returncode for process in started] == [0] * 4, told
    assert differences(engine) == []


def test_a_database_of_a_newer_version_is_left_alone_with_a_sentence(engine: Engine, database_url: str) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageFailed, match=rf"newer version.*revision 9999.*up to {revisions()[-1]}.*backup"):
        Store(database_url)
    with pytest.raises(SystemExit, match="A newer version of the service has been at this database"):
        check_database(Settings(database=database_url))
    assert at(engine) == "9999"


def test_the_steps_are_one_line_and_each_is_called_by_its_number() -> None:
    scripts = ScriptDirectory(str(FOLDER))
    line = [script.revision for script in scripts.walk_revisions()]
    assert tuple(reversed(line)) == revisions()
    assert all(Path(script.path).name.startswith(f"v{script.revision}_") for script in scripts.walk_revisions())


@pytest.mark.slow
def test_the_next_step_is_written_from_what_the_tables_say(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    tables = project / "server" / "store" / "tables.py"
    owner = "    owner: Mapped[str | None] = mapped_column(Word(255))"
    code, at_owner, rest = tables.read_text().partition(owner)
    assert at_owner
    tables.write_text(f"{code}    place: Mapped[str | None] = mapped_column(Word(9))\n{owner}{rest}")

    def run(*arguments: str) -> str:
        done = subprocess.run([sys.executable, *arguments], cwd=project, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    number = int(revisions()[-1]) + 1
    step = project / "server" / "store" / "migrations" / "versions" / f"v{number:04}_place_of_a_job.py"
    assert f"{step} is written" in run("-m", "server.store.migrations", "place of a job")
    assert '"""Place of a job."""' in step.read_text() and "sa.String(length=9)" in step.read_text()
    old = f"sqlite:///{tmp_path / 'old.db'}"
    engine = connect(old)
    migrate(engine)
    look = "import sys; from server.store import Store; store = Store(sys.argv[1]); print(store.jobs.newest(9))"
    assert run("-c", look, old) == "()\n"
    assert "place" in {column["name"] for column in inspect(engine).get_columns("jobs")}
    engine.dispose()
