"""The whole service as users start it, two processes and a real Chromium, on free ports and a folder of its own."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)


def cannot(reason: str) -> NoReturn:
    """Skip with a reason; in CI, where the browser is part of the job, fail with it."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason} CI must run the browser tests.")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> str:
    """Where Chromium is."""
    try:
        import playwright  # noqa: F401
    except ImportError:
        cannot("Playwright is not installed (python -m pip install playwright).")
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None or not Path(found).exists():
        cannot("There is no Chromium on this machine (apt-get install chromium, or set CHROMIUM to its path).")
    return found


@pytest.fixture(scope="session")
def address(browser: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running dashboard with its API behind it."""
    folder = tmp_path_factory.mktemp("service")
    api, pages = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    settings = {
        "ATTENTION_DATA": str(folder / "data"),
        "ATTENTION_HOST": "127.0.0.1",
        "ATTENTION_PORT": api.rpartition(":")[2],
        "ATTENTION_DEVICE": "cpu",
        "ATTENTION_THREADS": "1",
        "ATTENTION_API": api,
    }
    streamlit = ["streamlit", "run", "dashboard/app.py", "--server.address=127.0.0.1", "--server.headless=true"]
    with (
        running(["server"], settings, folder / "server.log", f"{api}/v1/health"),
        running([*streamlit, f"--server.port={pages.rpartition(':')[2]}"], settings, folder / "pages.log", pages),
    ):
        yield pages


@pytest.fixture
def page(browser: str, address: str, tmp_path: Path) -> "Iterator[Page]":
    """A tall window; what it shows at the end is kept as page.png in the test's folder."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=FLAGS.split())
        try:
            opened = chromium.new_page(viewport={"width": 1440, "height": 2600})
            opened.set_default_timeout(60_000)
            yield opened
            opened.screenshot(path=tmp_path / "page.png")
        finally:
            chromium.close()


@contextmanager
def running(module: list[str], settings: dict[str, str], log: Path, url: str) -> Iterator[None]:
    """A ``python -m`` process that answers at ``url`` before the block begins and is gone after it."""
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *module], cwd=ROOT, env={**os.environ, **settings}, stdout=out, stderr=out
        )
    try:
        wait_for(url, process, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"{' '.join(map(str, process.args))} did not answer at {url}:\n{log.read_text()[-3000:]}")  # type: ignore[arg-type]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
