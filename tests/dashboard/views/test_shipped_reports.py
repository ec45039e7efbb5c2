"""Nothing is dead on arrival: pages open with a report that comes along, and a visitor's own question replaces it."""

import re
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from attention.client import Client
from attention.reports.diagnose import DiagnoseReport, DiagnoseRequest
from attention.reports.disagreement import DisagreementReport, DisagreementRequest
from attention.reports.fold import FoldReport, FoldRequest
from attention.reports.latency import LatencyReport, LatencyRequest
from attention.reports.overview import OverviewRequest
from attention.reports.sweep import SweepReport, SweepRequest
from attention.spec import Pictures, Request, Variant
from dashboard import connect
from dashboard.views.overview import table as answers
from server.settings import Settings
from tests.dashboard.page_parts import done, linked, page_of, table, tables, texts

ECA = Variant.parse("resnet20/eca?classes=10&weights=shipped")
PAGES: dict[type[Request[Any]], tuple[str, dict[str, str]]] = {
    SweepRequest: ("ablate/page", {"on": "data"}),
    FoldRequest: ("ablate/page", {"on": "fold"}),
    DiagnoseRequest: ("ablate/page", {"on": "why"}),
    DisagreementRequest: ("ablate/disagreement", {}),
    LatencyRequest: ("price/measured", {}),
}


def opened(client: Client, monkeypatch: pytest.MonkeyPatch, page: str, **address: str) -> AppTest:
    monkeypatch.setattr(connect, "client", lambda: client)
    shown = AppTest.from_file(page_of(page), default_timeout=120)
    for key, value in address.items():
        shown.query_params[key] = value
    shown.run()
    assert not shown.exception and not shown.error
    return shown


def form(page: AppTest) -> Any:
    return next(box for box in page.expander if box.label.startswith("New: "))


def drawn(page: AppTest, report: Any) -> bool:
    """Whether the page's numbers are the report's."""
    match report:
        case SweepReport():
            cells = list(table(page, "scope", "kind", "change")["change"])
            single = [effect for effect in report.effects if effect.family in ("gate", "stage", "all")]
            return cells == [effect.accuracy_change.estimate for effect in single if effect.accuracy_change]
        case FoldReport():
            kept = table(page, "layer", "part", "spread")
            return list(kept["spread"][::2]) == [gate.over_channels for gate in report.gates]
        case DiagnoseReport():
            shown = texts(page.caption)
            (trouble,) = (statement for statement in report.statements if statement.finding == "trouble")
            others = [statement.source for statement in report.statements if statement is not trouble]
            return all(shown.index(trouble.source) <= shown.index(source) for source in others)
        case DisagreementReport():
            return list(table(page, "first", "second", "agreement")["agreement"][::2]) == [
                pair.agreement for pair in report.pairs
            ]
        case LatencyReport():
            ratios = [report.control, *(timing.ratio for timing in report.timings if timing.ratio)]
            medians = [list(frame["median"]) for frame in tables(page) if "median" in frame]
            return [ratio.estimate for ratio in ratios] in medians
    return False


@pytest.mark.full
@pytest.mark.parametrize("question", PAGES)
def test_a_page_opens_with_the_report_that_comes_along(
    question: type[Request[Any]], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, address = PAGES[question]
    shown = opened(client, monkeypatch, page, **address)
    stored = client.stored(f"shipped-{question.analysis}")
    report = question.report.model_validate(stored.report)
    (line,) = [caption.value for caption in shown.caption if "comes with the service" in caption.value]
    assert stored.conditions is not None
    assert all(part in line for part in (stored.conditions.device, stored.finished.date().isoformat()))
    n = getattr(report, "n", None)
    assert n is None or f"n = {n}" in line
    assert drawn(shown, report)
    assert not form(shown).proto.expanded, "the answer before the form"
    assert {"CSV", "LaTeX", "JSON"} <= {button.proto.label for button in shown.get("download_button")}
    shown.button(key=f"again.shipped-{question.analysis}").click().run()
    (job,) = client.jobs()
    assert question.model_validate(job.request) == question.model_validate(stored.request)
    assert linked(shown, "job") == [job.id] and "comes with the service" not in texts(shown.caption)


@pytest.mark.full
def test_the_address_names_another_report_of_the_kind(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = opened(client, monkeypatch, "price/measured", report="shipped-latency-resnet20")
    assert "32 pixels" in texts(shown.caption) and not shown.warning
    for wrong in ("shipped-nothing", "shipped-sweep"):
        shown = opened(client, monkeypatch, "price/measured", report=wrong)
        assert wrong in texts(shown.warning) and "96 pixels" in texts(shown.caption)


@pytest.mark.full
def test_a_link_that_fills_the_form_opens_it(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = opened(client, monkeypatch, "price/measured", variant="resnet50/se")
    assert form(shown).proto.expanded
    assert form(shown.run()).proto.expanded, "and a click somewhere does not close it"


@pytest.mark.full
def test_photos_without_labels_have_agreement_from_0_to_100_and_no_accuracy(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep called agreement a negative share, and spoke of accuracy where no labels exist."""
    photos = Pictures(images=tuple(image.id for image in client.images()[:3]))
    client.submit(SweepRequest(variant=ECA, images=photos, kinds=("mean", "neutral"), scopes=("gate", "all")))
    job = done(client, settings)
    report = client.report(job, SweepReport)
    shown = opened(client, monkeypatch, "ablate/page", job=job)
    assert not report.labelled
    cells = table(shown, "scope", "kind", "change")
    assert list(cells["change"]) == [pytest.approx(100 * effect.agreement) for effect in report.effects]
    assert cells["change"].between(0, 100).all() and cells["change"].min() < 100
    words = texts(shown.subheader) + texts(shown.caption) + texts(shown.markdown)
    assert "top-1" not in words.replace("McNemar", "").split("Images are paired")[0] and "costs accuracy" not in words
    bars = report.tables()[0].bars
    assert bars is not None and bars.value == "agreement"


@pytest.mark.full
def test_each_time_of_the_answer_table_is_the_reports_and_leads_to_it(client: Client) -> None:
    report = client.ask(OverviewRequest())
    times = [row.time for row in report.rows if row.time]
    links = re.findall(r'<a href="/measured\?report=([\w-]+)">×([\d.]+)<', answers.html(report, {}))
    assert len(times) == len(report.rows) - 1 > 10, "all but the plain network of another width"
    assert links == [(time.report, f"{time.ratio.estimate:.2f}") for time in times]
    published = answers.html(client.ask(OverviewRequest(evidence="timm_resnet33ts")), {})
    assert "×" not in published and "not measured" in published


def test_many_verdicts_that_decide_nothing_are_folded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = opened(client, monkeypatch, "study/page")
    (folded,) = (box for box in shown.expander if "not decided" in box.label)
    assert folded.label == "11 not decided, and what would decide them"
    assert texts(folded.markdown).count(":gray-badge[not decided]") == 11 == texts(shown.markdown).count("-badge[")
