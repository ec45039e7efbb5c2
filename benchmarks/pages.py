"""Seconds of the pages in Chromium: the first picture, another photo, and how soon a hanging API is told.

    python -m benchmarks.pages [--rounds N]

Starts the service on a fresh data folder, opens each page once to warm it, and measures in a fresh session each round.
The load of the machine is printed beside, since the browser, the pages and the API share its cores. Requests are
counted by the API.
"""

import argparse
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
from playwright.sync_api import Browser, Page

from benchmarks.browser import PAGES, chromium, service, settle

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
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as running, chromium() as browser:
        print(f"Load of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
        for name in FIRST:
            opened(browser, running.pages, name)
            seconds = [opened(browser, running.pages, name) for _ in range(rounds)]
            calls = requests(running.api, lambda name=name: opened(browser, running.pages, name))  # type: ignore[misc]
            print(line(f"first picture of {name}", seconds), f"({calls} API calls)")
        print(line("another photo on Look", another_photo(browser, running.pages, rounds)))
        print(line("a hanging API is told", [hanging(browser, running.pages, running.api_process)]))
        print(f"Load of the last minute: {os.getloadavg()[0]:.1f}.")


def line(what: str, seconds: list[float]) -> str:
    """What was measured, as median with its extremes."""
    return (
        f"{what:<28} {statistics.median(seconds):6.2f} s [{min(seconds):.2f}, {max(seconds):.2f}], n = {len(seconds)}"
    )


def opened(browser: Browser, address: str, name: str) -> float:
    """Seconds from the address to the first picture, in a fresh session."""
    page = browser.new_page()
    try:
        start = time.perf_counter()
        page.goto(address + PAGES[name])
        page.locator(FIRST[name]).first.wait_for(timeout=60_000)
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
