"""Databases for tests: files of SQLite, and a PostgreSQL of the test run's own where its programs are installed."""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/pgsql/bin")

QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=", "max_connections=200")
"""Nothing outlives the test run, and nobody reaches it but through its socket."""

GUARDED = '"$@" & cat; kill -QUIT $!; wait $!'
"""Runs a program until standard input closes, which it does however the test run ends. QUIT is "immediate"."""

UP_WITHIN_S = 30.0


class Cluster:
    """A running PostgreSQL in a folder of its own, reached through a socket in that folder."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.process = process
        self._numbers = itertools.count(1)

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database in it."""
        return f"postgresql+psycopg://tester@/{database}?host={self.folder}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name}")
        return self.url(name)

    def schema(self) -> str:
        """The URL of a new, empty schema, which to whoever connects there is a database, and is made much sooner."""
        name = f"test{next(self._numbers)}"
        self._run(f"CREATE SCHEMA {name}")
        return f"{self.url('postgres')}&options=-csearch_path%3D{name}"

    def _run(self, statement: str) -> None:
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()

    def wait(self) -> None:
        """Return when it answers."""
        engine = create_engine(self.url("postgres"))
        deadline = time.monotonic() + UP_WITHIN_S
        while True:
            try:
                engine.connect().close()
            except OperationalError:
                log = (self.folder / "log").read_text()
                assert self.process.poll() is None and time.monotonic() < deadline, log
                time.sleep(0.05)
            else:
                engine.dispose()
                return


def programs() -> Path | None:
    """Where initdb and postgres are; None if this machine has none."""
    told = shutil.which("pg_config")
    found = [Path(subprocess.check_output([told, "--bindir"], text=True).strip())] if told else []
    for place in PLACES:
        found += sorted(Path("/").glob(place[1:]), reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def somebody() -> str | None:
    """Whom PostgreSQL runs as, for it refuses to run as root: None is whoever runs the tests."""
    if os.getuid() != 0:
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL for the whole test run, gone at its end."""
    pytest.importorskip("psycopg", reason="psycopg, the driver for PostgreSQL, is not installed")
    if (bin_folder := programs()) is None:
        pytest.skip("PostgreSQL's initdb and postgres are not installed")
    user = somebody()
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # a short path, for a socket's name is at most 107 characters long
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"
    make = [str(bin_folder / "initdb"), "-D", str(data), "-U", "tester", "-A", "trust"]
    make += ["--encoding=UTF8", "--locale=C", "--no-sync"]
    run = ["sh", "-c", GUARDED, "sh", str(bin_folder / "postgres"), "-D", str(data), "-k", str(folder)]
    run += itertools.chain(*(("-c", setting) for setting in QUICK))
    process: subprocess.Popen[bytes] | None = None
    try:
        subprocess.run(make, check=True, capture_output=True, user=user, cwd=folder, timeout=120)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(run, stdin=subprocess.PIPE, stdout=log, stderr=log, user=user, cwd=folder)
        cluster = Cluster(folder, process)
        cluster.wait()
        yield cluster
    finally:
        if process is not None:
            process.communicate(timeout=UP_WITHIN_S)
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    cluster: Cluster = request.getfixturevalue("postgres")
    return cluster.schema()
