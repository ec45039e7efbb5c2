"""Overview, the pages of modules, and lesson 0: every number is the API's, every link leads somewhere."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from attention.client import Client
from attention.reports.overview import OverviewRequest
from attention.reports.trace import TraceRequest
from dashboard import connect, frame
from dashboard.drawing import theme, verdicts
from dashboard.views.learn import lesson0
from dashboard.views.overview import table as answers
from dashboard.widgets.markup import href
from tests.dashboard.page_parts import page_of, table, texts


def page(name: str, client: Client, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(connect, "client", lambda: client)
    return AppTest.from_file(page_of(name), default_timeout=120)


def test_the_home_page_opens_with_the_shipped_evidence(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = page("overview/page", client, monkeypatch).run()
    assert not shown.exception and not shown.error
    report = client.ask(OverviewRequest())
    assert texts(shown.info).startswith(answers.sentence(report))
    undecided = [answers.called(row, report) for row in report.rows if row.verdict and row.verdict.kind == "undecided"]
    assert all(name in texts(shown.info).partition("not decided: ")[2] for name in undecided)
    drawn = table(shown, "name", "price", "gain")
    paid = [row for row in report.rows if row.state == "measured" and row.gain is not None and row.added_parameters]
    told = {answers.called(row, report): row for row in paid}
    assert len(told) == len(paid) > 8
    for _, mark in drawn.iterrows():
        row = told.pop(mark["name"])
        assert (mark["gain"], mark["price"]) == (row.gain, row.added_parameters)
    assert not told


@pytest.mark.full
def test_gain_stands_against_measured_time(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = page("overview/page", client, monkeypatch)
    shown.query_params["price"] = "time"
    shown.run()
    assert not shown.exception and not shown.error
    drawn = table(shown, "name", "price", "gain")
    report = client.ask(OverviewRequest())
    told = {answers.called(row, report): row.time.ratio.estimate for row in report.rows if row.time and row.gain}
    assert len(told) > 1 and dict(zip(drawn["name"], drawn["price"], strict=True)) == told


@pytest.mark.full
def test_every_row_of_the_table_has_the_apis_numbers_and_a_way_on(client: Client) -> None:
    report = client.ask(OverviewRequest())
    gates = {entry.name: entry.gates for entry in client.catalog().modules}
    rows = answers.html(report, gates, "/study?job=1").split("<tr>")[2:]
    assert len(rows) == len(report.rows)
    known = set(frame.pages())
    for html, row in zip(rows, report.rows, strict=True):
        assert f">{answers.called(row, report)}</a>" in html and theme.called(row.module) in answers.called(row, report)
        assert f"+{row.added_parameters:,}<" in html or row.added_parameters == 0
        if row.state == "measured" and row.gain is not None and row.interval:
            assert verdicts.points(row.gain) in html and verdicts.interval(row.interval) in html
            assert "-" not in verdicts.points(row.gain), "a minus is no hyphen"
        for link in re.findall(r'href="([^"]+)"', html):
            assert urlsplit(link).path.strip("/") in known
        if row.module != "none":
            backbone = row.network.partition("/")[0].partition("(")[0]
            assert html.count(f'"{href("price", backbone=backbone, attention=row.module)}"') == 2, (
                "both prices lead there"
            )
        assert html.count('"/study?job=1"') == (2 if row.verdict else 0), "gain and verdict lead to the study"
        assert ("Look at it" in html) == (row.look is not None)
        assert ("Train it" in html) == (row.state == "no evidence")


@pytest.mark.full
def test_published_results_are_not_ranked_across_recipes(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = page("overview/page", client, monkeypatch)
    shown.query_params["evidence"] = "eca_resnet50"
    shown.run()
    assert not shown.exception
    assert "Not one recipe" in texts(shown.info)
    shown.button_group(key="evidence").set_value("timm_resnet33ts").run()
    assert "One run each" in texts(shown.info)


def test_an_address_survives_the_way_through_a_link() -> None:
    link = href("look", variant="resnet20(width=8)/se?classes=10&weights=shipped")
    said = parse_qs(urlsplit(link.replace("&amp;", "&")).query)
    assert said == {"variant": ["resnet20(width=8)/se?classes=10&weights=shipped"]}


@pytest.mark.full
@pytest.mark.parametrize("name", ["eca", "danet", "triplet"])
def test_a_module_has_its_price_and_its_evidence(name: str, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = page("module/page", client, monkeypatch)
    shown.query_params["name"] = name
    shown.run()
    assert not shown.exception and not shown.error
    price = shown.table[0].value
    if name == "eca":
        assert price.loc["ResNet-50, 224 px", "parameters"] == "+86"
        assert "+2.28" in shown.table[1].value["gain, points"].tolist()
    if name == "triplet":
        assert "No evidence here yet" in texts(shown.caption)


@pytest.mark.full
def test_a_module_that_is_not_there_is_said_and_all_are_listed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = page("module/page", client, monkeypatch)
    shown.query_params["name"] = "cbma"
    shown.run()
    assert not shown.exception
    assert "`cbma` is not here. Did you mean CBAM?" in texts(shown.warning)


@pytest.mark.full
@pytest.mark.parametrize("module", ["eca", "se"])
def test_lesson_0_has_words_for_every_step(module: str, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "client", lambda: client)
    variant = lesson0.network(module)
    assert variant.weights == "shipped"
    report = client.ask(TraceRequest(image=client.images()[0].id, variant=variant))
    words = lesson0.words(report)
    assert all(words.values()) and "-" not in words["shared"].partition(": ")[2]
