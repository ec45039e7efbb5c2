"""``python -m server check``: finds what is wrong with a configuration, says so in a line, and changes nothing."""

import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from server.access.keys import create_key, revoke_key
from server.engines import try_engine
from server.operations.check import findings

ROOT = Path(__file__).parents[3]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """Settings on a folder that is not there yet."""
    for name in [name for name in os.environ if name.startswith("ATTENTION_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ATTENTION_PORT", "0")
    monkeypatch.setenv("ATTENTION_DEVICE", "cpu")
    monkeypatch.setenv("ATTENTION_THREADS", "1")
    return os.environ


def found(environment: Mapping[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Verdicts and sentences by what they are about."""
    every: dict[str, list[tuple[str, str]]] = {}
    for finding in findings(environment, try_engine):
        assert "\n" not in str(finding)
        every.setdefault(finding.about, []).append((finding.verdict, finding.sentence))
    return every


@pytest.mark.full
def test_a_fresh_configuration_is_fine_and_nothing_is_made(environment: Mapping[str, str], tmp_path: Path) -> None:
    every = found(environment)
    assert list(every) == [
        "settings",
        "data folder",
        "database",
        "weights",
        "device",
        "memory",
        "port",
        "access",
        "engine",
    ]
    assert {verdict for lines in every.values() for verdict, _ in lines} == {"OK"}
    assert "agrees with the CPU" in every["device"][0][1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_command_prints_a_line_each_and_its_code_says_whether_anything_failed(tmp_path: Path) -> None:
    environment = {**os.environ, "ATTENTION_DATA": str(tmp_path / "data"), "ATTENTION_PORT": "0"}
    environment |= {"ATTENTION_DEVICE": "cpu", "ATTENTION_THREADS": "1", "ATTENTION_MAX_UPLAOD_BYTES": "1"}

    def check(**more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "server", "check"]
        return subprocess.run(
            command, cwd=ROOT, env={**environment, **more}, capture_output=True, text=True, timeout=120
        )

    fine = check()
    assert fine.returncode == 0, fine.stdout + fine.stderr
    lines = fine.stdout.splitlines()
    assert lines[0].startswith("WARN") and "Did you mean ATTENTION_MAX_UPLOAD_BYTES?" in lines[0]
    assert all(line.startswith("OK ") for line in lines[1:])
    wrong = check(ATTENTION_JOBS="many", ATTENTION_PORT="http")
    assert wrong.returncode == 1
    assert [line.split()[:3] for line in wrong.stdout.splitlines()] == [
        ["FAIL", "settings", "ATTENTION_PORT:"],
        ["FAIL", "settings", "ATTENTION_JOBS:"],
    ]


@pytest.mark.full
@pytest.mark.parametrize("command", [("server", "check"), ("server", "settings"), ("attention.commands", "--help")])
def test_output_that_nobody_reads_on_ends_a_command_without_a_traceback(command: Sequence[str], tmp_path: Path) -> None:
    """As ``command | head`` does, whose reader is gone before the command has written all; here before it begins."""
    environment = {**os.environ, "ATTENTION_DATA": str(tmp_path / "data"), "ATTENTION_DEVICE": "tpu"}
    run = f"import sys; from {command[0]}{'.__main__' if command[0] == 'server' else ''} import main; "
    run += f"sys.exit(main({list(command[1:])!r}))"
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-c", run], cwd=ROOT, env=environment, stdout=writer, stderr=subprocess.PIPE, timeout=120
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, b"")


@pytest.mark.full
def test_a_cluster_that_is_not_there_fails(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTENTION_ENGINE", "ray")
    monkeypatch.setenv("ATTENTION_RAY_ADDRESS", "127.0.0.1:1")
    ((verdict, sentence),) = found(environment)["engine"]
    assert verdict == "FAIL" and ("There is no Ray cluster" in sentence or "Ray is not installed" in sentence)


@pytest.mark.full
def test_an_engine_that_answers_says_what_it_is(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTENTION_JOBS", "3")
    ((verdict, sentence),) = found(environment)["engine"]
    assert verdict == "OK" and "answered a question" in sentence and "3 jobs" in sentence


@pytest.mark.full
def test_a_folder_that_cannot_be_written_fails(
    environment: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path / "file" / "data"))
    ((verdict, sentence),) = found(environment)["data folder"]
    assert verdict == "FAIL" and "ATTENTION_DATA" in sentence


@pytest.mark.full
def test_a_database_that_is_none_fails_without_its_password(
    environment: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.db").write_bytes(b"not a database at all" * 100)
    monkeypatch.setenv("ATTENTION_DATABASE", f"sqlite:///{tmp_path / 'x.db'}")
    assert found(environment)["database"][0][0] == "FAIL"
    monkeypatch.setenv("ATTENTION_DATABASE", "postgresql+psycopg://me:hunter2@127.0.0.1:1/nothing")
    ((verdict, sentence),) = found(environment)["database"]
    assert verdict == "FAIL" and "hunter2" not in sentence


@pytest.mark.full
def test_a_database_says_how_far_its_tables_are(
    environment: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.store import Store
    from server.store.migrations import revisions

    path = tmp_path / "x.db"
    monkeypatch.setenv("ATTENTION_DATABASE", f"sqlite:///{path}")
    Store(f"sqlite:///{path}").close()
    ((verdict, sentence),) = found(environment)["database"]
    assert verdict == "OK" and revisions()[-1] in sentence and f"sqlite {sqlite3.sqlite_version}" in sentence
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    ((verdict, sentence),) = found(environment)["database"]
    assert verdict == "FAIL" and "9999" in sentence


@pytest.mark.full
def test_a_port_that_is_taken_fails_unless_by_the_service_itself(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("ATTENTION_PORT", str(taken.getsockname()[1]))
        monkeypatch.setattr("server.operations.check.ANSWER_TIMEOUT_S", 0.2)
        assert found(environment)["port"][0][0] == "FAIL"

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status":"ok"}')

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setenv("ATTENTION_PORT", str(running.server_port))
        assert found(environment)["port"][0][0] == "WARN"
        running.shutdown()


@pytest.mark.full
def test_an_address_for_everybody_wants_keys(
    environment: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def access() -> tuple[str, str]:
        (line,) = found(environment)["access"]
        return line

    monkeypatch.setenv("ATTENTION_HOST", "0.0.0.0")
    assert access()[0] == "WARN" and "keys create" in access()[1]
    monkeypatch.setenv("ATTENTION_ACCESS", "open")
    assert access()[0] == "OK"
    monkeypatch.setenv("ATTENTION_ACCESS", "keys")
    assert access()[0] == "WARN" and "no request gets in" in access()[1]
    monkeypatch.delenv("ATTENTION_ACCESS")
    path = tmp_path / "data" / "keys.json"
    create_key(path, "lab")
    assert access() == ("OK", "A key is asked for; 1 in use: lab.")
    revoke_key(path, "lab")
    assert access()[0] == "WARN" and "no request gets in" in access()[1]
    path.write_text("{")
    assert access()[0] == "FAIL"


@pytest.mark.full
def test_keys_that_others_can_read_are_told_of(environment: Mapping[str, str], tmp_path: Path) -> None:
    path = tmp_path / "data" / "keys.json"
    create_key(path, "lab")
    path.chmod(0o644)
    assert ("WARN", f"Others on this machine can read {path}: chmod 600 {path}.") in found(environment)["access"]
