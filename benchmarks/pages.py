"""Seconds of the pages in Chromium: the first picture, another photo, and how soon a hanging API is told.

    python -m benchmarks.pages [--rounds N]

Starts the service on a fresh data folder, opens each page once to warm it, and measures in a fresh session each round.
Beside them stands a page of Streamlit that has one chart and nothing else: what the browser and Streamlit take of any
page. The load of the machine is printed, since the browser, the pages and the API share its cores. Requests are counted
by the API.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx2
from playwright.sync_api import Browser, Page

from benchmarks.browser import PAGES, chromium, free_port, service, settle, wait_for

PHOTOS = ("German shepherd", "Bull moose", "Giant panda")
CHART = "[data-testid=stVegaLiteChart] :is(svg, canvas)"
FIRST = {"overview": ".lab-answers", "look": CHART, "ablate": CHART, "price": CHART, "study": CHART, "learn": ".lesson"}
"""Page -> what its first picture is."""
TOLD_WITHIN_S = 15.0
WATCHING = ("/v1/health", "/v1/ready", "/v1/jobs", "/metrics")
"""Routes that are asked again and again, whatever a page shows."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with (
        tempfile.TemporaryDirectory() as folder,
        service(Path(folder)) as running,
        one_chart(Path(folder)) as least,
        chromium() as browser,
    ):
        print(f"Load of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
        opened(browser, least, CHART)
        print(line("one chart, Streamlit alone", [opened(browser, least, CHART) for _ in range(rounds)]))
        for name, first in FIRST.items():
            address = running.pages + PAGES[name]
            opened(browser, address, first)
            seconds = [opened(browser, address, first) for _ in range(rounds)]
            calls = requests(running.api, partial(opened, browser, address, first))
            print(line(f"first picture of {name}", seconds), f"({calls} API calls)")
        print(line("another photo on Look", another_photo(browser, running.pages, rounds)))
        print(line("a hanging API is told", [hanging(browser, running.pages, running.api_process) for _ in range(3)]))
        print(f"Load of the last minute: {os.getloadavg()[0]:.1f}.")


def line(what: str, seconds: list[float]) -> str:
    """What was measured, as median with its extremes."""
    return (
        f"{what:<28} {statistics.median(seconds):6.2f} s [{min(seconds):.2f}, {max(seconds):.2f}], n = {len(seconds)}"
    )


@contextmanager
def one_chart(folder: Path) -> Iterator[str]:
    """The address of a page of Streamlit that has one chart and nothing else."""
    script, port = folder / "one_chart.py", free_port()
    script.write_text("import streamlit as st\nst.bar_chart([1, 2, 3])\n")
    options = ("--server.headless=true", f"--server.port={port}", "--browser.gatherUsageStats=false")
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(script), *options], stdout=subprocess.PIPE
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/_stcore/health", process)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def opened(browser: Browser, address: str, first: str) -> float:
    """Seconds from an address to the first picture, a CSS selector, in a fresh session."""
    page = browser.new_page()
    try:
        start = time.perf_counter()
        page.goto(address)
        page.locator(first).first.wait_for(timeout=60_000)
        return time.perf_counter() - start
    finally:
        page.close()


def another_photo(browser: Browser, address: str, rounds: int) -> list[float]:
    """Seconds from a click on a photo to its answers; each photo's first click is not counted."""
    page = browser.new_page()
    page.goto(address + PAGES["look"])
    settle(page)
    for title in PHOTOS:
        _click(page, title)
    seconds = [_click(page, PHOTOS[number % len(PHOTOS)]) for number in range(rounds)]
    page.close()
    return seconds


def _click(page: Page, title: str) -> float:
    start = time.perf_counter()
    page.get_by_role("radio", name=title).click()
    page.locator("figcaption", has_text=title).first.wait_for(timeout=60_000)
    seconds = time.perf_counter() - start
    settle(page)
    return seconds


def hanging(browser: Browser, address: str, api: int) -> float:
    """Seconds until a page says that the API is silent, after its process was stopped."""
    page = browser.new_page()
    page.goto(address + PAGES["overview"])
    settle(page)
    os.kill(api, signal.SIGSTOP)
    try:
        start = time.perf_counter()
        page.get_by_text("API silent").wait_for(timeout=1000 * TOLD_WITHIN_S)
        return time.perf_counter() - start
    finally:
        os.kill(api, signal.SIGCONT)
        page.close()


def requests(api: str, step: Callable[[], object]) -> int:
    """Requests that the API answers while a step is done, without those that watch: health, readiness, jobs."""
    before = _answered(api)
    step()
    return _answered(api) - before


def _answered(api: str) -> int:
    """Requests answered so far, by the API's own count."""
    lines = httpx2.get(f"{api}/metrics").text.splitlines()
    counted = [text for text in lines if text.startswith("attention_http_requests_total")]
    asked = [text for text in counted if not any(f'"{route}"' in text for route in WATCHING)]
    return sum(int(float(text.rpartition(" ")[2])) for text in asked)


if __name__ == "__main__":
    main()
