"""What docs/operations.md says of settings, metrics and commands is what there is."""

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from server.__main__ import _parse
from server.access.middleware import OPEN
from server.app import create_app
from server.settings import Settings, table

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(data=tmp_path_factory.mktemp("data"), device="cpu"))) as client:
        yield client


def test_the_table_of_settings_is_what_the_command_prints() -> None:
    assert table() in PAGE, "Put what `python -m server settings` prints at the end of docs/operations.md."


def test_every_setting_that_any_page_names_is_one() -> None:
    others = {
        "API",
        "API_KEY",
        "BIND",
        "DASHBOARD_HOSTS",
        "DASHBOARD_PORT",
    }  # of the dashboard, of `make run` and of the compose file
    known = {name.upper() for name in Settings.model_fields} | others
    for page in (PAGE, *((ROOT / name).read_text("utf-8") for name in ("README.md", "docs/settings.md"))):
        named = set(re.findall(r"ATTENTION_([A-Z_]*[A-Z])(?![A-Z_…])", page))
        assert named <= known, named - known


def test_the_table_of_metrics_is_what_a_service_tells(client: TestClient) -> None:
    rows = re.findall(r"^\| (`attention_\w+`(?:, `attention_\w+`)*) \|", PAGE, re.M)
    shown = {name.removesuffix("_total") for row in rows for name in re.findall(r"`(\w+)`", row)}
    client.get("/v1/health")
    there = {family.name for family in text_string_to_metric_families(client.get("/metrics").text)}
    ours = {name for name in there if name.startswith("attention_") and not name.endswith("_created")}
    assert shown - {"attention_gpu_memory_bytes"} == ours - {"attention_gpu_memory_bytes"}
    alerts = set(re.findall(r"(attention_[a-z_]+?)(?:_bucket|_total)?[\[{ ]", PAGE.split("## What to watch")[1]))
    assert alerts and alerts <= shown


def test_what_needs_no_key_is_what_the_page_says() -> None:
    (sentence,) = re.findall(r"Only (`/v1/health`.*?)\n?\s+do not\.", PAGE, re.S)
    assert set(re.findall(r"`([^`]+)`", sentence)) == {path for path in OPEN if "oauth2" not in path}


def test_the_commands_of_the_page_are_commands() -> None:
    commands = set(re.findall(r"python -m server ((?:check|keys|settings)[a-z ]*(?:NAME)?)", PAGE))
    assert len(commands) >= 3
    for command in commands:
        assert _parse(command.split()).command == command.split()[0]


@pytest.mark.slow
def test_the_commands_of_the_page_run_from_a_first_start_to_a_backup_that_is_restored(tmp_path: Path) -> None:
    """As the page has them: `check`, serve, `keys`, `settings`, the backup while it runs, SIGTERM, the restore."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    data = tmp_path / "data"
    own = {
        "ATTENTION_DATA": str(data),
        "ATTENTION_PORT": str(port),
        "ATTENTION_THREADS": "1",
        "ATTENTION_DEVICE": "cpu",
    }
    environment = {**os.environ, **own}
    block = PAGE.split("```")[1]
    commands = re.findall(r"^python -m (server[a-z ]*(?:NAME)?)", block, re.M)
    commands += [f"server {action}" for action in re.findall(r"`(keys (?:list|revoke)[A-Z ]*)`", PAGE)]
    commands += re.findall(r"`python -m (server settings)`", PAGE)
    commands = [command.strip().replace("NAME", "lab") for command in commands]
    assert commands[:2] == ["server check", "server"] and len(commands) == 6
    ran: dict[str, str] = {}

    def run(command: str) -> str:
        ended = subprocess.run(
            [sys.executable, "-m", *command.split()],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.returncode == 0, (command, ended.stdout, ended.stderr)
        return ended.stdout

    run(commands[0])
    serving = subprocess.Popen(
        [sys.executable, "-m", *commands[1].split()], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with serving, httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        try:
            assert serving.stdout is not None and str(port) in serving.stdout.readline()
            report = client.post("/v1/cost", json={"variants": ["resnet20/se"]}).headers["Report-Id"]
            ran = {command: run(command) for command in commands[2:]}
            assert ran["server keys create lab"].startswith("att_") and "lab" in ran["server keys list"]
            assert ran["server settings"].strip() in PAGE
            (backup,) = re.findall(r"`(sqlite3 [^`]*)`", PAGE)
            saved = shutil.which("sqlite3") is not None
            if saved:
                subprocess.run(backup, shell=True, cwd=data, check=True)
            serving.send_signal(signal.SIGTERM)
            assert serving.wait(60) == 0
        finally:
            serving.kill()
    if not saved:
        pytest.skip("The program sqlite3 is not here, so backup and restore were not tried.")
    else:
        for name in ("attention.db", "attention.db-wal", "attention.db-shm"):
            (data / name).unlink(missing_ok=True)
        (data / "attention.backup.db").rename(data / "attention.db")
        assert "the newest" in run(commands[0])
        with sqlite3.connect(data / "attention.db") as database:
            assert database.execute("SELECT count(*) FROM answers WHERE id = ?", (report,)).fetchone() == (1,)
