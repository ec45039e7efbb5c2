"""What ``make run`` promises: both or none, both addresses, and nothing left behind."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from dashboard import serve

ROOT = serve.ROOT

ANSWERS = """
import http.server, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in sys.argv else lambda *_: sys.exit(0))
class Ok(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *args): pass
time.sleep(0.3)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ok).serve_forever()
"""
ENDS = "import sys, time; time.sleep({after}); sys.exit({code})"


def free_ports(number: int) -> list[int]:
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def service(name: str, port: int, *command: str) -> serve.Service:
    return serve.Service(name, (sys.executable, "-c", *command), "127.0.0.1", port, f"--{name.lower()}")


def answering(name: str, port: int, *how: str) -> serve.Service:
    return service(name, port, ANSWERS, str(port), *how)


@pytest.fixture
def signals() -> Iterator[None]:
    """Leave this process's signal handlers as they were."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def until_ready(child: "subprocess.Popen[str]") -> str:
    """What a launcher prints until all services run."""
    assert child.stdout is not None
    seen = ""
    for line in child.stdout:
        seen += line
        if line.startswith(serve.READY):
            return seen
    raise AssertionError(f"It never ran; it ended with {child.wait(10)} and said:\n{seen}")


def after(child: "subprocess.Popen[str]", within_s: float = 15) -> str:
    """What it prints from then to its end."""
    assert child.stdout is not None
    child.wait(within_s)
    return child.stdout.read()


@contextmanager
def started(*command: str, **environment: str) -> "Iterator[subprocess.Popen[str]]":
    """A launcher as a process of its own, which is stopped with the block even if the test fails in it."""
    child = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    )
    try:
        yield child
    finally:
        while child.poll() is None:  # the first signal asks, the second does not wait
            child.terminate()
            time.sleep(0.5)
        assert child.stdout is not None
        child.stdout.close()


def launched(*services: serve.Service, stop_within_s: float = 10) -> "AbstractContextManager[subprocess.Popen[str]]":
    """A launcher of these services."""
    call = f"serve.supervise({services!r}, stop_within_s={stop_within_s})"
    return started("-c", f"from dashboard import serve; from dashboard.serve import Service; raise SystemExit({call})")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_both_and_is_no_failure(how: signal.Signals) -> None:
    api, dashboard = free_ports(2)
    with launched(answering("API", api), answering("Dashboard", dashboard)) as child:
        said = until_ready(child)
        assert f"http://127.0.0.1:{dashboard}\n" in said and f"http://127.0.0.1:{api}\n" in said
        assert listens(api) and listens(dashboard)
        child.send_signal(how)
        assert after(child).strip() == "Stopped."
    assert child.returncode == 0
    assert not listens(api) and not listens(dashboard)


@pytest.mark.full
def test_a_service_that_does_not_listen_is_ended() -> None:
    api, dashboard = free_ports(2)
    with launched(answering("API", api, "deaf"), answering("Dashboard", dashboard), stop_within_s=0.5) as child:
        until_ready(child)
        child.terminate()
        assert "The API did not stop when asked, so it was ended." in after(child)
    assert not listens(api)


@pytest.mark.full
def test_a_second_signal_does_not_wait() -> None:
    (api,) = free_ports(1)
    with launched(answering("API", api, "deaf"), stop_within_s=60) as child:
        until_ready(child)
        child.send_signal(signal.SIGINT)
        time.sleep(0.3)
        child.send_signal(signal.SIGINT)
        assert child.wait(10) == 0
    assert not listens(api)


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize(("code", "ours"), [(3, 3), (0, 1)])
def test_one_that_ends_takes_the_other_with_it(code: int, ours: int, capsys: pytest.CaptureFixture[str]) -> None:
    api, dashboard = free_ports(2)
    dying = service("API", api, ENDS.format(after=0.8, code=code))
    assert serve.supervise([dying, answering("Dashboard", dashboard)]) == ours
    assert f"The API ended with exit code {code}" in capsys.readouterr().out
    assert not listens(dashboard)


@pytest.mark.usefixtures("signals")
def test_one_that_never_answers_is_given_up(capsys: pytest.CaptureFixture[str]) -> None:
    (api,) = free_ports(1)
    assert serve.supervise([service("API", api, "import time; time.sleep(60)")], start_within_s=0.5) == 1
    assert f"The API did not answer at http://127.0.0.1:{api}/ within 0.5 s." in capsys.readouterr().out


def test_a_busy_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    api, dashboard = free_ports(2)
    started = tmp_path / "started"
    first = service("API", api, f"open({str(started)!r}, 'w')")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", dashboard))
        taken.listen()
        sentence = rf"Dashboard cannot have port {dashboard}.*: attention-lab serve --dashboard {dashboard + 10}"
        with pytest.raises(serve.CannotStart, match=sentence):
            serve.supervise([first, answering("Dashboard", dashboard)])
    assert not started.exists()


def test_the_environment_says_where() -> None:
    api, dashboard = serve.services(
        {"ATTENTION_HOST": "0.0.0.0", "ATTENTION_PORT": "9000", "ATTENTION_DASHBOARD_PORT": "9001"}
    )
    assert (api.host, api.port, dashboard.host, dashboard.port) == ("0.0.0.0", 9000, "0.0.0.0", 9001)
    assert dashboard.environment == {"ATTENTION_API": "http://127.0.0.1:9000"}
    assert api.environment == {"ATTENTION_PORT": "9000"}


def test_the_command_says_the_ports(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    assert serve.run(parser.parse_args(["--port", "9000", "--dashboard", "9000"])) == 1
    assert "are both 9000" in capsys.readouterr().err
    assert serve.run(parser.parse_args(["--port", "notaport"])) == 1
    assert "'notaport' is not a port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"ATTENTION_PORT": "http"}, "ATTENTION_PORT='http' is not a port."),
        ({"ATTENTION_DASHBOARD_PORT": "70000"}, "ATTENTION_DASHBOARD_PORT='70000' is not a port."),
        ({"ATTENTION_PORT": "8501"}, "are both 8501"),
    ],
)
def test_ports_that_cannot_be_are_told(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(serve.CannotStart, match=sentence):
        serve.services(environment)


@pytest.mark.slow
def test_the_real_api_and_dashboard_start_answer_and_stop(tmp_path: Path) -> None:
    api, dashboard = free_ports(2)
    settings = {
        "ATTENTION_HOST": "127.0.0.1",
        "ATTENTION_PORT": str(api),
        "ATTENTION_DASHBOARD_PORT": str(dashboard),
        "ATTENTION_DATA": str(tmp_path),
    }
    with started("dashboard/__main__.py", **settings) as child:
        assert f"http://127.0.0.1:{dashboard}\n" in until_ready(child)
        with urllib.request.urlopen(f"http://127.0.0.1:{api}/v1/catalog", timeout=10) as answer:
            assert b'"eca"' in answer.read()
        with urllib.request.urlopen(f"http://127.0.0.1:{dashboard}/", timeout=10) as answer:
            assert answer.status == 200
        child.send_signal(signal.SIGINT)
        rest = after(child, within_s=40)
    assert child.returncode == 0
    assert "Stopped." in rest and "was ended" not in rest
    assert not listens(api) and not listens(dashboard)


def test_a_web_page_whose_name_points_here_cannot_drive_the_dashboard() -> None:
    from streamlit import config
    from streamlit.web.server.starlette import starlette_websocket

    before = config.get_option("server.allowedHosts")
    try:
        for host, names in (("127.0.0.1", ()), ("0.0.0.0", ("10.1.2.3", "192.168.0.255"))):
            allowed = list(serve.allowed_hosts(host, {"ATTENTION_ALLOWED_HOSTS": '["lab.example.org"]'}))
            config.set_option("server.allowedHosts", allowed)
            for name in ("localhost", "127.0.0.1", "lab.example.org", *names):
                assert starlette_websocket._is_origin_allowed(f"http://{name}:8501", f"{name}:8501"), (host, name)
            for name in ("rebound.attacker.example", "127.0.0.1.attacker.example", "localhost.attacker.example"):
                assert not starlette_websocket._is_origin_allowed(f"http://{name}:8501", f"{name}:8501"), (host, name)
    finally:
        config.set_option("server.allowedHosts", before)
