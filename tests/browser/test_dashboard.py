"""What a person sees: upload a photo, read what three networks say, look up what they cost."""

import io
import re
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

LOOK = "/look"

DRAWN = "[data-testid=stVegaLiteChart] :is(svg, canvas)"


def photo() -> bytes:
    out = io.BytesIO()
    Image.effect_mandelbrot((320, 240), (-2, -1, 1, 1), 60).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def upload(page: "Page", name: str, data: bytes) -> None:
    page.locator("input[type=file][multiple]").set_input_files({"name": name, "mimeType": "image/jpeg", "buffer": data})


def settle(page: "Page") -> None:
    """Wait until the script has run to its end, and see that it did not break."""
    page.get_by_test_id("stApp").and_(page.locator("[data-test-script-state=notRunning]")).wait_for()
    assert page.get_by_test_id("stException").count() == 0


def test_a_photo_is_uploaded_and_three_networks_answer(page: "Page", address: str) -> None:
    from playwright.sync_api import expect

    page.goto(address + LOOK)
    expect(page.get_by_role("heading", name="Look")).to_be_visible()
    expect(page.get_by_role("radio", name="Giant panda")).to_be_attached()
    upload(page, "fractal.jpg", photo())
    expect(page.get_by_text("fractal.jpg, 320 × 240")).to_be_visible()
    for name in ("None", "SE", "ECA"):
        expect(page.get_by_role("row", name=re.compile(name)).first).to_be_visible()
    expect(page.get_by_text("probability", exact=True).first).to_be_visible()
    settle(page)
    assert re.search(r"image=[0-9a-f]{64}", page.url)


def test_a_broken_file_is_refused_in_words(page: "Page", address: str) -> None:
    from playwright.sync_api import expect

    page.goto(address + LOOK)
    expect(page.get_by_role("heading", name="Open one layer")).to_be_visible()
    upload(page, "broken.jpg", photo()[:500])
    expect(page.get_by_role("alert").filter(has_text="broken.jpg:")).to_be_visible()
    expect(page.get_by_role("heading", name="Open one layer")).to_be_visible()
    settle(page)


def test_the_price_is_one_click_away(page: "Page", address: str) -> None:
    from playwright.sync_api import expect

    page.goto(address + LOOK)
    page.get_by_role("link", name="Price", exact=True).first.click()
    expect(page.get_by_role("heading", name="Price", exact=True)).to_be_visible()
    expect(page.get_by_role("cell", name="25,557,032").first).to_be_visible()
    expect(page.get_by_role("cell", name="+87,808")).to_be_visible()
    page.get_by_text("What other counters say").click()
    for axis in ("added MACs, one image", "added bytes read and written", "reported, in the counter's unit"):
        expect(page.locator("svg text", has_text=axis).first).to_be_visible()
    settle(page)
    page.get_by_role("button", name=re.compile(r"^\S*\s*All \d+ modules$")).click()
    expect(page.get_by_role("cell", name="+20,882,385,664")).to_be_visible()
    page.get_by_role("radio", name="ECA-paper units").click()
    expect(page.get_by_role("cell", name="24.373 Mi").first).to_be_visible()
    settle(page)


def test_learn_draws_every_lesson(page: "Page", address: str) -> None:
    from playwright.sync_api import expect

    page.goto(address + LOOK)
    page.get_by_role("link", name="Learn", exact=True).first.click()
    expect(page.get_by_role("heading", name="Learn", exact=True)).to_be_visible()
    drawn = {"0": 0, "1": 3, "2": 1, "3": 2, "4": 3, "5": 2, "6": 1}
    for lesson, pictures in drawn.items():
        page.get_by_role("radio", name=re.compile(rf"^{lesson} ")).click()
        expect(page.get_by_role("heading", name=re.compile(rf"^{lesson}\. "))).to_be_visible()
        expect(page.locator(DRAWN)).to_have_count(pictures)
        if lesson == "2":
            expect(page.get_by_text("the paper's formula: γ = 2, b = 1")).to_be_visible()
        if lesson == "4":
            expect(page.get_by_text("modules: 16, parameters: 86")).to_be_visible()
    page.go_back()
    page.go_back()
    expect(page.get_by_role("heading", name=re.compile(r"^[45]\. "))).to_be_visible()
    page.goto(address + "/learn?lesson=3&lang=zh")
    expect(page.get_by_role("heading", name=re.compile(r"^3\. 谁听谁"))).to_be_visible()
    page.get_by_role("link", name=re.compile("训练好的网络里谁听谁")).click()
    expect(page.get_by_role("heading", name="SE", exact=True)).to_be_visible()
    settle(page)
