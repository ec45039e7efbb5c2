"""The whole service as users start it, and a Chromium that looks at it: for pictures and times of pages."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from dashboard.serve import READY

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


@contextmanager
def service(data: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The API and the dashboard on a data folder: address of the dashboard, and the process that keeps both."""
    api, pages = _free_port(), _free_port()
    settings = {
        "ATTENTION_DATA": str(data),
        "ATTENTION_PORT": str(api),
        "ATTENTION_DASHBOARD_PORT": str(pages),
        "ATTENTION_DEVICE": "cpu",
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "dashboard"]
    process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if READY in line:
                break
        else:
            raise RuntimeError("The service did not start; its last lines say why.")
        yield f"http://127.0.0.1:{pages}", process
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
