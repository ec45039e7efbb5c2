"""``python -m server``: it starts, answers over a real socket, stops cleanly, and says in a sentence why it cannot."""

import gc
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from server.__main__ import check_folder, check_platform, listen, read_settings, warn_of_exposure
from server.access.keys import create_key
from server.process import prepare_process, spare_collector
from server.settings import Settings
from tests.server.conftest import photo

ROOT = Path(__file__).parents[3]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running service and its address."""
    environment = {**os.environ, "ATTENTION_DATA": str(tmp_path), "ATTENTION_PORT": "0", "ATTENTION_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "server"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line
        yield process, found[0]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.slow
def test_it_answers_over_a_socket_and_stops_on_ctrl_c(server: tuple[subprocess.Popen[str], str]) -> None:
    process, address = server
    with httpx2.Client(base_url=address, timeout=60) as client:
        assert client.get("/v1/ready").json()["status"] == "ok"
        answer = client.post(
            "/v1/compare", files={"image": ("photo.jpg", photo())}, data={"variants": "resnet20/none,resnet20/se"}
        )
        assert answer.status_code == 200 and len(answer.json()["predictions"]) == 2
        refused = client.post("/v1/images", content=iter([bytes(1_000_000)] * 40))
        assert refused.status_code == 413 and "20,000,000" in refused.json()["detail"]
        refused = client.post("/v1/images", files={"image": ("huge.jpg", bytes(40_000_000))})
        assert refused.status_code == 413 and "huge.jpg" in refused.json()["detail"]
        assert client.get("/v1/health").status_code == 200
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


@pytest.mark.full
def test_an_engine_that_is_not_there_is_said_in_a_sentence_alone(tmp_path: Path) -> None:
    """Whatever the engine says when it is made, as a Ray cluster that went away after the first look."""
    run = (
        "import server.app, server.__main__ as main\n"
        "from attention.errors import InvalidRequest\n"
        "def make(settings, memory): raise InvalidRequest('There is no such engine. Bring one.')\n"
        "server.app.make_engine = make\n"
        "main.main([])\n"
    )
    environment = {**os.environ, "ATTENTION_DATA": str(tmp_path), "ATTENTION_PORT": "0", "ATTENTION_DEVICE": "cpu"}
    ended = subprocess.run(
        [sys.executable, "-c", run], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 1
    assert "There is no such engine. Bring one." in ended.stderr and "Traceback" not in ended.stderr


def test_a_system_without_process_groups_is_refused_in_a_sentence() -> None:
    check_platform("linux")
    check_platform("darwin")
    with pytest.raises(SystemExit, match="WSL 2"):
        check_platform("win32")


def test_a_port_in_use_is_said_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit, match=rf"127\.0\.0\.1:{port} \(Address already in use\).*ATTENTION_PORT"):
            listen(Settings(port=port))


def test_a_data_folder_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SystemExit, match=r"cannot be written \(.+\).*ATTENTION_DATA"):
        check_folder(Settings(data=tmp_path / "file" / "data"))


def test_a_setting_that_is_wrong_is_named_as_the_operator_wrote_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTENTION_PORT", "http")
    monkeypatch.setenv("ATTENTION_DEVICE", "tpu")
    with pytest.raises(SystemExit) as stopped:
        read_settings()
    assert "ATTENTION_PORT: " in str(stopped.value) and "ATTENTION_DEVICE: " in str(stopped.value)


def test_waiting_threads_are_told_not_to_spin_unless_the_operator_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    prepare_process(Settings(threads=2))
    assert (os.environ.pop("OMP_WAIT_POLICY"), os.environ["OMP_NUM_THREADS"]) == ("PASSIVE", "7")


def test_the_garbage_collector_does_not_look_at_what_stays() -> None:
    spare_collector()
    try:
        assert gc.get_freeze_count() > 100 * len(gc.get_objects())
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "lab.example.org"])
def test_listening_beyond_this_machine_without_a_key_is_warned_of_loudly(
    host: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(data=tmp_path, host=host)
    warn_of_exposure(settings)
    (record,) = caplog.records
    assert record.levelname == "WARNING" and f"ANYBODY WHO REACHES {host}:8000" in record.getMessage()
    assert "python -m server keys create NAME" in record.getMessage() and "\n" not in record.getMessage()
    caplog.clear()
    warn_of_exposure(Settings(data=tmp_path, host=host, access="open"))
    create_key(settings.keys_path, "lab")
    warn_of_exposure(settings)
    assert not caplog.records


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_listening_on_this_machine_needs_no_warning(
    host: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_exposure(Settings(data=tmp_path, host=host))
    assert not caplog.records


def test_keys_that_cannot_be_read_stop_the_service_from_starting(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{")
    with pytest.raises(SystemExit, match="does not hold API keys"):
        warn_of_exposure(Settings(data=tmp_path))
