"""Why does it not help: the statements of a job as a list, in both languages, each with number and threshold."""

import pytest
from streamlit.testing.v1 import AppTest

from attention.client import Client
from attention.reports.diagnose import TOPICS, DiagnoseReport, DiagnoseRequest, Statement
from attention.reports.parts.evidence import Interval
from attention.spec import Pictures, Variant
from dashboard import connect
from dashboard.views.ablate import diagnosis
from server.settings import Settings
from tests.dashboard.page_parts import done, linked, page_of, texts, write_pets


def test_every_topic_has_its_question_and_every_finding_its_meaning() -> None:
    assert tuple(diagnosis.MEANINGS) == TOPICS
    assert all({"ok", "notice"} <= set(meanings) for _, meanings in diagnosis.MEANINGS.values())


def test_a_statement_is_said_with_number_interval_and_threshold() -> None:
    interval = Interval(estimate=-5, low=-9.5, high=-0.25, confidence=0.95, n=60, method="")
    mean = Statement(
        topic="mean",
        finding="ok",
        sentence="",
        number=-5.0,
        unit="points",
        interval=interval,
        threshold=0.5,
        source="",
    )
    assert diagnosis.numbers_of(mean) == "**−5.00** points [−9.50 … −0.25] · threshold ± 0.5"
    seeds = mean.model_copy(update={"topic": "seeds", "number": None, "unit": "seeds", "threshold": 8.0})
    seeds = seeds.model_copy(update={"interval": interval.model_copy(update={"low": 64.0, "high": 10_000.0})})
    assert diagnosis.numbers_of(seeds) == "**> 10,000** seeds [64 … 10,000] · threshold 8"


@pytest.mark.full
def test_a_diagnosis_is_asked_for_done_and_shown(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "client", lambda: client)
    write_pets(settings)
    page = AppTest.from_file(page_of("ablate/page"), default_timeout=120)
    page.query_params.update({"on": "why", "network": "resnet20/se?classes=10&weights=shipped"})
    page.run()
    page.button(key="diagnose").click().run()
    assert not page.exception and not page.error
    report = client.report(done(client, settings), DiagnoseReport)
    assert report.n == 12 and report.network.name == "resnet20/se?classes=10&weights=shipped"
    for language, word in (("en", "threshold"), ("zh", "阈值")):
        page.query_params["lang"] = language
        page.run()
        assert not page.exception and linked(page, "on") == ["why"]
        shown = texts(page.markdown)
        assert all(diagnosis.numbers_of(one).split(" ")[0] in shown for one in report.statements if one.unit)
        assert shown.count(word) == sum(one.threshold is not None for one in report.statements)
    assert "11 项检查" in texts(page.subheader)
    english = [one.source for one in report.statements] + list(report.caveats)
    assert not [text for text in english if text in texts(page.caption)], "sources and caveats are in Chinese, too"


@pytest.mark.full
def test_a_link_to_a_diagnosis_opens_its_section(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "client", lambda: client)
    write_pets(settings)
    job = client.submit(
        DiagnoseRequest(variant=Variant.parse("resnet20/se?classes=10&weights=shipped"), images=Pictures(data="pets"))
    )
    page = AppTest.from_file(page_of("ablate/page"), default_timeout=120)
    page.query_params["job"] = job.id
    page.run()
    assert not page.exception and linked(page, "on") == ["why"]
    assert "SE · ResNet-20" in texts(page.markdown)
