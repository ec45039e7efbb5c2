"""What was wrong once, in a real browser: order after two clicks, links in a fresh session, phones, two languages."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.browser.test_dashboard import settle

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PAGES = ("/", "/look", "/ablate", "/price", "/study", "/learn", "/module?name=eca")


def classes(page: "Page") -> list[str]:
    """Class names on the axis of the first chart, from top to bottom."""
    labels = page.locator("[data-testid=stVegaLiteChart]").first.locator(".role-axis-label text")
    texts = [(label.bounding_box(), label.text_content() or "") for label in labels.all()]
    return [text for box, text in sorted((box["y"], text) for box, text in texts if box) if "%" not in text]


def marks(page: "Page") -> dict[str, float]:
    """Class -> the largest probability that the first chart draws for it, from the names of its marks."""
    found: dict[str, float] = {}
    for mark in page.locator("[data-testid=stVegaLiteChart]").first.locator("[aria-roledescription=point]").all():
        told = dict(
            part.split(": ", 1) for part in (mark.get_attribute("aria-label") or "").split("; ") if ": " in part
        )
        share = float(told["probability"].rstrip("%")) / (100 if told["probability"].endswith("%") else 1)
        found[told["class"]] = max(found.get(told["class"], 0.0), share)
    return found


@contextmanager
def in_chinese(page: "Page") -> Iterator["Page"]:
    """Open a page's address in a fresh session of a browser that asks for Chinese."""
    context = page.context.browser.new_context(locale="zh-CN")  # type: ignore[union-attr]
    try:
        other = context.new_page()
        other.set_default_timeout(60_000)
        other.goto(page.url)
        yield other
    finally:
        context.close()


def test_classes_stand_in_the_order_of_the_second_photo_too(page: "Page", address: str) -> None:
    from playwright.sync_api import expect

    page.goto(address + "/look")
    for title in ("German shepherd", "Four horses and a foal", "Giant panda"):
        page.get_by_role("radio", name=title).click()
        expect(page.locator("figcaption", has_text=title)).to_be_visible()
        settle(page)
        drawn = marks(page)
        assert classes(page) == sorted(drawn, key=lambda name: -drawn[name]), title


def test_the_gallery_is_one_tab_stop_and_arrow_keys_move_in_it(page: "Page", address: str) -> None:
    from playwright.sync_api import expect

    page.goto(address + "/look")
    first = page.get_by_role("radio", name="Sunflower")
    first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("figcaption", has_text="Pink tulips")).to_be_visible()
    stops = page.get_by_role("radiogroup", name="Photos").locator("[role=radio][tabindex='0']")
    assert stops.count() == 1


def test_the_tab_key_stops_at_most_thirty_times_on_look_and_never_where_nothing_is_seen(
    page: "Page", address: str
) -> None:
    page.goto(address + "/look")
    page.locator("[data-testid=stVegaLiteChart] svg").nth(2).wait_for()
    settle(page)
    stops = []
    for _ in range(60):
        page.keyboard.press("Tab")
        box = page.evaluate(
            "(() => { const e = document.activeElement, r = e.getBoundingClientRect();"
            " return e === document.body ? null : [r.width, r.height, e.innerText || e.ariaLabel || e.title] })()"
        )
        if box is None:
            break
        stops.append(box)
    assert 15 <= len(stops) <= 30, stops
    assert all(width > 1 and height > 1 for width, height, _ in stops), stops


def test_a_choice_is_in_the_address_and_a_fresh_session_shows_it_in_the_other_language(
    page: "Page", address: str
) -> None:
    from playwright.sync_api import expect

    page.goto(address + "/look")
    page.get_by_role("radio", name="Giant panda").click()
    expect(page.get_by_text("this photo shows none of them")).to_be_visible()
    page.get_by_role("radio", name="layer 3.2").click()
    page.wait_for_url(re.compile(r"layer=3\.2"))
    settle(page)
    with in_chinese(page) as other:
        expect(other.get_by_role("heading", name="观察")).to_be_visible()
        expect(other.get_by_text("不属于任何一类")).to_be_visible()
        expect(other.get_by_role("radio", name="第 3.2 层")).to_be_checked()
        expect(other.locator("html")).to_have_attribute("lang", "zh-Hans")


def test_the_language_stays_from_page_to_page(page: "Page", address: str) -> None:
    from playwright.sync_api import expect

    page.goto(address)
    page.get_by_role("radio", name="中文").click()
    expect(page.get_by_role("heading", name="注意力值得吗？")).to_be_visible()
    page.get_by_role("link", name="看一看").first.click()
    expect(page.get_by_role("heading", name="观察")).to_be_visible()
    page.get_by_role("link", name="消融", exact=True).first.click()
    expect(page.get_by_role("heading", name="消融", exact=True)).to_be_visible()


@pytest.mark.parametrize("width", [1440, 420])
def test_a_new_study_keeps_its_choices_on_the_way_back_and_in_a_fresh_session(
    page: "Page", address: str, width: int
) -> None:
    from playwright.sync_api import expect

    page.set_viewport_size({"width": width, "height": 900})
    page.goto(address + "/study?arm=resnet20/cbam")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="CBAM", exact=True)).to_be_visible()
    for module in ("SK", "GC"):
        dialog.get_by_role("button", name=module, exact=True).click()
        page.wait_for_url(re.compile(rf"study\.modules={module.lower()}"))
    dialog.get_by_role("button", name="Next: Seeds and recipe").click()
    dialog.get_by_label("Seeds", exact=True).fill("4")
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("4 seeds decide nothing")).to_be_visible()
    dialog.get_by_role("button", name="Back").click()
    dialog.get_by_role("button", name="Back").click()
    expect(dialog.get_by_role("button", name="Back")).to_have_count(0)
    dialog.get_by_role("button", name="3 · Seeds and recipe").click()
    expect(dialog.get_by_label("Seeds", exact=True)).to_have_value("4")
    assert page.evaluate("document.querySelector('[role=dialog]').scrollWidth") <= width
    settle(page)
    with in_chinese(page) as other:
        expect(other.get_by_role("button", name="开始实验")).to_be_visible()
        expect(other.get_by_text("网络：None、CBAM、SK、GC")).to_be_visible()
        expect(other.get_by_label("种子数", exact=True)).to_have_value("4")


@pytest.mark.parametrize("where", PAGES)
def test_no_page_is_wider_than_a_phone_and_every_picture_has_a_name(page: "Page", address: str, where: str) -> None:
    page.set_viewport_size({"width": 420, "height": 900})
    page.goto(address + where)
    page.get_by_test_id("stMainBlockContainer").locator("h1").first.wait_for()
    settle(page)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 420
    for image in page.locator("img:visible").all():
        name = image.get_attribute("alt")
        assert name or image.evaluate("e => !!e.closest('button, a, [aria-label]')"), image.get_attribute("src")


CUT = """() => [...document.querySelectorAll('[data-testid=stVegaLiteChart] svg')].flatMap(svg => {
    const box = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('text')].filter(text => {
        const word = text.getBoundingClientRect();
        return word.width && (word.right > box.right + 4 || word.left < box.left - 4);
    }).map(text => text.textContent);
})"""
"""Words of charts that stand beyond their picture."""


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    "where",
    [
        "/",
        "/study?study.curves=true&study.classes=true",
        "/learn?lesson=4",
        "/learn?lesson=5",
        "/price?counters=true",
        "/classes",
    ],
)
def test_no_word_of_a_chart_is_cut_off_on_a_phone(page: "Page", address: str, where: str, language: str) -> None:
    page.set_viewport_size({"width": 420, "height": 900})
    page.goto(f"{address}{where}{'&' if '?' in where else '?'}lang={language}")
    page.locator("[data-testid=stVegaLiteChart] svg text").first.wait_for()
    settle(page)
    assert not page.evaluate(CUT)


LAID = """chart => {
    const box = part => { const b = part.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; };
    return [box(chart.querySelector('image')), [...chart.querySelectorAll('.mark-rect path')].map(box)];
}"""
"""Where the photo of a chart lies, and where its cells do: left, top, width and height."""


@pytest.mark.parametrize("width", [1400, 420])
def test_a_heat_map_lies_on_its_photo(page: "Page", address: str, width: int) -> None:
    """The map was as wide as the page and the photo below it was not, so it showed other places than it meant."""
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(address + "/look?numbers=true&cam=1")
    chart = page.locator("[data-testid=stVegaLiteChart]", has=page.locator("image")).first
    chart.wait_for()
    settle(page)
    photo, cells = chart.evaluate(LAID)  # in one moment: below other parts of the page, a chart still moves
    assert len(cells) >= 4
    left, right = min(cell[0] for cell in cells), max(cell[0] + cell[2] for cell in cells)
    top, bottom = min(cell[1] for cell in cells), max(cell[1] + cell[3] for cell in cells)
    assert [left, top, right - left, bottom - top] == pytest.approx(photo, abs=2)


def test_the_lesson_follows_the_channel_that_is_chosen(page: "Page", address: str) -> None:
    from playwright.sync_api import expect

    page.goto(address + "/learn")
    chosen = page.get_by_role("radio", name="channel 0", exact=True)
    chosen.click()
    expect(page.get_by_role("cell", name="beyond the edge")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("cell", name="beyond the edge")).to_have_count(0)
    expect(page.get_by_role("radio", name="channel 1", exact=True)).to_have_attribute("aria-checked", "true")


def test_a_channel_is_chosen_by_mouse_and_keys_and_its_images_are_shown(page: "Page", address: str) -> None:
    from playwright.sync_api import expect

    page.goto(address + "/look")
    maps = page.get_by_role("radiogroup", name="Maps of ECA").get_by_role("radio")
    maps.nth(1).click()
    expect(page.get_by_text("What a channel sees: ECA, layer 1.1")).to_be_visible()
    heading = page.get_by_text("What a channel sees: ECA, layer 1.1").text_content()
    expect(page.locator(".lab-ends img")).to_have_count(8)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text(heading or "")).to_have_count(0)
    expect(page.get_by_text("What a channel sees: ECA, layer 1.1")).to_be_visible()
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator(".lab-ends img")).to_have_count(8)
