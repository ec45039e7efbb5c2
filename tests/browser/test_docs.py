"""The pages of the API's documentation work in a browser, under the policy that their answers carry."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import FLAGS, ROOT

pytestmark = pytest.mark.browser


@pytest.fixture
def api(browser: str, tmp_path: Path) -> Iterator[str]:
    """The address of a running service."""
    own = {"ATTENTION_DATA": str(tmp_path), "ATTENTION_PORT": "0", "ATTENTION_DEVICE": "cpu", "ATTENTION_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "server"], cwd=ROOT, env={**os.environ, **own}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found
        yield found[0]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_both_pages_draw_and_questions_can_be_tried_out(browser: str, api: str) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=FLAGS.split())
        page = chromium.new_page()
        page.set_default_timeout(120_000)
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.goto(f"{api}/docs")
        page.locator("#operations-health-health").click()
        page.get_by_role("button", name="Try it out").click()
        page.get_by_role("button", name="Execute", exact=True).click()
        page.locator(".live-responses-table .response-col_status", has_text="200").wait_for()
        assert wrong == []
        page.goto(f"{api}/redoc")
        page.get_by_role("heading", name="Attention").first.wait_for()
        page.get_by_text("Whether the service lives").first.wait_for(state="attached")
        assert [
            text for text in wrong if "cdn.redoc.ly" not in text
        ] == []  # its maker's logo, which is not ours to load
        chromium.close()
