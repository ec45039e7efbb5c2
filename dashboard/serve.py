"""Start the API and the dashboard together, say where they are, and stop both: what ``make run`` does.

    attention-lab serve
    attention-lab serve --port 9000 --dashboard 9001

What is not said comes from the environment: ATTENTION_HOST, ATTENTION_PORT, ATTENTION_DASHBOARD_PORT. All settings are
listed by ``python -m server settings``. Both are child processes. Ctrl-C or SIGTERM stops both; if one ends by itself,
the other is stopped too and its exit code is ours.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
START_WITHIN_S = 180.0
STOP_WITHIN_S = 20.0  # the API takes up to 15 to finish what it has
EVERY_ADDRESS = ("0.0.0.0", "::")
READY = "Press Ctrl-C to stop."

Child = subprocess.Popen[bytes]

_LOCAL = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks this machine, whatever proxy the environment names."""


class CannotStart(Exception):
    """What is in the way, as a sentence."""


@dataclass(frozen=True)
class Service:
    """One child process and how to tell that it is up."""

    name: str
    command: Sequence[str]
    host: str
    port: int
    port_option: str
    health: str = "/"
    page: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Its address as someone on this machine would type it."""
        return f"http://{_typed(self.host)}:{self.port}"


class Stop(Event):
    """Set by the first signal; a second one means: at once."""

    at_once = False


def services(environment: Mapping[str, str]) -> tuple[Service, Service]:
    """The API and the dashboard as the environment asks for them.

    Raises:
        CannotStart: a port that is none, or one port for both.
    """
    host = environment.get("ATTENTION_HOST") or "127.0.0.1"
    port = _port(environment, "ATTENTION_PORT", 8000)
    api = Service(
        name="API",
        command=(sys.executable, "-P", "-m", "server"),
        host=host,
        port=port,
        port_option="--port",
        health="/v1/ready",
        page="/docs",
        environment={"ATTENTION_PORT": str(port)},
    )
    dashboard_port = _port(environment, "ATTENTION_DASHBOARD_PORT", 8501)
    dashboard = Service(
        name="Dashboard",
        command=(
            *(sys.executable, "-P", "-m", "streamlit", "run", str(ROOT / "dashboard" / "app.py")),
            *("--server.address", host, "--server.port", str(dashboard_port), "--logger.hideWelcomeMessage", "true"),
            *(part for name in allowed_hosts(host, environment) for part in ("--server.allowedHosts", name)),
        ),
        host=host,
        port=dashboard_port,
        port_option="--dashboard",
        health="/_stcore/health",
        environment={"ATTENTION_API": api.url},
    )
    if api.port == dashboard.port:
        raise CannotStart(f"ATTENTION_PORT and ATTENTION_DASHBOARD_PORT are both {api.port}. Give them two ports.")
    return api, dashboard


def allowed_hosts(host: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Names by which a browser may call the dashboard, none of which a web page of another site can have.

    A page whose own name is made to point at this machine (DNS rebinding) is of the same origin as the dashboard in the
    browser's eyes, and could drive it. No name that can be registered ends in a number, so patterns that do stand for
    every IPv4 address where the dashboard listens on all.

    Args:
        host: the address it listens on.
        environment: ATTENTION_ALLOWED_HOSTS names others, as a JSON list, or separated by commas.
    """
    names = ["localhost", "*.localhost", "127.0.0.1", "::1", socket.gethostname(), host]
    if host in EVERY_ADDRESS:
        names += [f"*.{number}" for number in range(256)]
    extra = environment.get("ATTENTION_ALLOWED_HOSTS", "")
    names += [name for part in extra.strip("[] ").split(",") if (name := part.strip(" \"'"))]
    return tuple(dict.fromkeys(names))


def supervise(
    all_services: Sequence[Service], *, start_within_s: float = START_WITHIN_S, stop_within_s: float = STOP_WITHIN_S
) -> int:
    """Start the services, wait until all are healthy, and keep them until one ends or we are told to stop.

    Returns:
        0 if we were told to stop, else the exit code of the service that ended, or 1.

    Raises:
        CannotStart: a port is taken.
    """
    for service in all_services:
        _require_free(service)
    told_to_stop = _listen_to_signals()
    children: list[tuple[Service, Child]] = []
    try:
        for service in all_services:
            children.append((service, _start(service)))
        code = _wait_until_healthy(children, told_to_stop, start_within_s)
        if code is None:
            _say(f"\nUp and healthy:\n{_addresses(all_services)}\n{READY}\n")
            code = _wait_for_the_end(children, told_to_stop)
    finally:
        _stop(children, told_to_stop, stop_within_s)
    _say("Stopped.")
    return code


def _listen_to_signals() -> Stop:
    stop = Stop()

    def heard(number: int, frame: FrameType | None) -> None:
        stop.at_once = stop.is_set()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, heard)
    return stop


def _start(service: Service) -> Child:
    """Start it in a session of its own, so that Ctrl-C in the terminal reaches it once, through us."""
    return subprocess.Popen(
        service.command,
        cwd=ROOT,
        env={**os.environ, **_module_path(), **service.environment},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def _wait_until_healthy(children: Sequence[tuple[Service, Child]], stop: Stop, within_s: float) -> int | None:
    """None when all are healthy; otherwise the exit code to leave with."""
    deadline = time.monotonic() + within_s
    waiting = [service for service, _ in children]
    while waiting:
        if stop.is_set():
            return 0
        code = _ended(children)
        if code is not None:
            return code
        waiting = [service for service in waiting if not _healthy(service)]
        if waiting and time.monotonic() > deadline:
            for service in waiting:
                _say(f"The {service.name} did not answer at {service.url}{service.health} within {within_s:g} s.")
            return 1
        stop.wait(0.2 if waiting else 0)
    return None


def _wait_for_the_end(children: Sequence[tuple[Service, Child]], stop: Stop) -> int:
    while not stop.wait(0.2):
        code = _ended(children)
        if code is not None:
            return code
    return 0


def _ended(children: Sequence[tuple[Service, Child]]) -> int | None:
    """The exit code of a service that ended by itself, never 0: it was not asked to."""
    for service, child in children:
        code = child.poll()
        if code is not None:
            how = f"with exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
            _say(f"The {service.name} ended {how}; its last lines above say why.")
            return (128 - code if code < 0 else code) or 1
    return None


def _stop(children: Sequence[tuple[Service, Child]], stop: Stop, within_s: float) -> None:
    """Ask every service to end, the last started first; end those that do not listen."""
    running = [(service, child) for service, child in reversed(children) if child.poll() is None]
    for _, child in running:
        child.terminate()
    deadline = time.monotonic() + within_s
    for service, child in running:
        while child.poll() is None:
            if stop.at_once or time.monotonic() > deadline:
                _say(f"The {service.name} did not stop when asked, so it was ended.")
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            else:
                time.sleep(0.05)


def _require_free(service: Service) -> None:
    family = socket.AF_INET6 if ":" in service.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((service.host, service.port))
        except OSError as error:
            raise CannotStart(
                f"The {service.name} cannot have port {service.port} on {service.host} ({error.strerror}). Stop what "
                f"uses it, or choose another port: attention-lab serve {service.port_option} {service.port + 10}"
            ) from None


def _healthy(service: Service) -> bool:
    try:
        with _LOCAL.open(service.url + service.health, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _module_path() -> Mapping[str, str]:
    """Where children find this project if it is a checkout; -P keeps the working folder and all that lies there off."""
    if not (ROOT / "pyproject.toml").is_file():
        return {}
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise CannotStart(f"{name}={text!r} is not a port. Give a number from 1 to 65535.")
    return int(text)


def _typed(host: str) -> str:
    if host in EVERY_ADDRESS:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _addresses(all_services: Sequence[Service]) -> str:
    width = max(len(service.name) for service in all_services)
    return "\n".join(f"  {service.name:<{width}}  {service.url}{service.page}" for service in reversed(all_services))


def _say(text: str) -> None:
    print(text, flush=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two ports; all else comes from the environment."""
    parser.add_argument("--port", help="port of the API (ATTENTION_PORT; 8000)")
    parser.add_argument("--dashboard", metavar="PORT", help="port of the dashboard (ATTENTION_DASHBOARD_PORT; 8501)")


def run(chosen: argparse.Namespace) -> int:
    """Serve until told to stop: 0 after Ctrl-C, 1 with a sentence if it could not start."""
    try:
        ports = {"ATTENTION_PORT": chosen.port, "ATTENTION_DASHBOARD_PORT": chosen.dashboard}
        all_services = services({**os.environ, **{name: port for name, port in ports.items() if port}})
        _say("Starting the API and the dashboard; the first time takes a little longer.")
        return supervise(all_services)
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
