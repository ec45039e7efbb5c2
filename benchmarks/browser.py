"""The whole service as users start it, and a Chromium that looks at it: for pictures and times of pages."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from playwright.sync_api import Browser, Page, sync_playwright

from dashboard.serve import services

PAGES = {
    "overview": "/",
    "look": "/look",
    "ablate": "/ablate",
    "price": "/price",
    "study": "/study",
    "learn": "/learn",
    "module": "/module?name=eca",
}
"""Name of each page -> its address."""
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
BUSY = "[data-testid=stSkeleton]:visible, [data-stale=true]:visible, [data-testid=stSpinner]:visible"
CALM = 4
"""Looks in a row at which nothing may be on its way, before a page counts as drawn."""
LOOK_EVERY_MS, LOOKS = 250, 480


@dataclass(frozen=True)
class Running:
    """A service that runs: addresses of its pages and its API, and the id of the API's process."""

    pages: str
    api: str
    api_process: int


@contextmanager
def service(data: Path) -> Iterator[Running]:
    """The API and the dashboard on a data folder, at free ports."""
    settings = {
        "ATTENTION_DATA": str(data),
        "ATTENTION_PORT": str(free_port()),
        "ATTENTION_DASHBOARD_PORT": str(free_port()),
        "ATTENTION_DEVICE": "cpu",
    }
    with ExitStack() as stack, (data / "service.log").open("w") as log:
        processes = []
        both = services(settings)
        for part in both:
            environment = {**os.environ, **settings, **part.environment}
            process = subprocess.Popen(part.command, env=environment, stdout=log, stderr=log)
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)
            processes.append(process)
            wait_for(part.url + part.health, process)
        yield Running(both[1].url, both[0].url, processes[0].pid)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until an address answers.

    Raises:
        RuntimeError: its process has ended, or it does not answer for two minutes.
    """
    for _ in range(LOOKS):
        if process.poll() is not None:
            break
        try:
            if httpx2.get(url, timeout=5).is_success:
                return
        except httpx2.TransportError:
            time.sleep(LOOK_EVERY_MS / 1000)
    raise RuntimeError(f"{url} does not answer; service.log in the data folder says why.")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium without a window: that of CHROMIUM, or the one on the path."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS.split())
        try:
            yield browser
        finally:
            browser.close()


def settle(page: Page) -> None:
    """Wait until the script of a page has run to its end and all it draws is there."""
    page.get_by_test_id("stMainBlockContainer").locator("h1").first.wait_for(timeout=60_000)
    calm = 0
    for _ in range(LOOKS):
        running = page.locator("[data-test-script-state=running]").count()
        calm = 0 if running or page.locator(BUSY).count() else calm + 1
        if calm == CALM:
            return
        page.wait_for_timeout(LOOK_EVERY_MS)
    raise RuntimeError(f"{page.url} is not drawn after {LOOKS * LOOK_EVERY_MS // 1000} s.")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
