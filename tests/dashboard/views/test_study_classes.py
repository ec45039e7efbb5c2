"""A study class by class on its page: every mean and spread as counted by hand, and the mean confusion matrix."""

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from attention.client import Client
from attention.reports.study import StudyReport
from attention.training.class_summary import class_summary
from dashboard import connect
from dashboard.drawing import classes as drawing
from dashboard.views.study import charts
from server.settings import Settings
from tests.dashboard.page_parts import page_of, table
from tests.dashboard.views.test_study_page import claimed, drawn, rows, study

RIGHT = {0: (4000, 4500), 1: (4200, 4400)}
"""Seed -> test images of 5,000 a class that are told rightly, by every arm."""


def by_class() -> StudyReport:
    """A study of two seeds whose runs kept what they gave each class."""
    report = study(2)
    kept = []
    for run in report.runs:
        dark, light = RIGHT[run.seed]
        confusion = ((dark, 5000 - dark), (5000 - light, light))
        kept.append(run.model_copy(update={"right": (dark, light), "confusion": confusion}))
    classes = class_summary([arm.name for arm in report.arms], kept, report.data)
    return report.model_copy(update={"runs": tuple(kept), "classes": classes})


@pytest.mark.full
def test_every_class_has_mean_and_spread_over_seeds() -> None:
    report = by_class()
    label = charts.called(report)
    found = [row for row in rows(drawn(drawing.recalls(report.classes, label, charts.colours(report)))) if "low" in row]
    assert [(row["class"], row["arm"]) for row in found] == [
        (name, arm) for arm in ("None", "SE", "ECA") for name in ("dark", "light")
    ]
    assert report.classes[0].confusion is not None and report.classes[0].confusion[0][1] == 900, "of 1,000 and 800"
    dark = np.array([80.0, 84.0])  # 4,000 and 4,200 of 5,000
    assert found[0]["recall"] == pytest.approx(dark.mean()) and found[0]["n"] == 2
    assert found[0]["high"] - found[0]["recall"] == pytest.approx(dark.std(ddof=1))


def test_confusion_is_a_share_of_the_true_class() -> None:
    matrix = ((4100.0, 900.0), (550.0, 4450.0))
    found = {(row["true"], row["given"]): row for row in rows(drawn(drawing.confusion(matrix, ("dark", "light"))))}
    assert found["dark", "light"]["images"] == 900
    assert found["dark", "light"]["share"] == pytest.approx(0.18)
    assert sum(found["light", given]["share"] for given in ("dark", "light")) == pytest.approx(1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", device="cpu", threads=1, jobs=0)


@pytest.mark.full
@pytest.mark.parametrize(("language", "heading"), [("en", "Class by class"), ("zh", "逐类结果")])
def test_the_page_draws_classes(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch, language: str, heading: str
) -> None:
    monkeypatch.setattr(connect, "client", lambda: client)
    job_id, claim, store = claimed(settings)
    store.jobs.finish(claim, by_class())
    store.close()
    page = AppTest.from_file(page_of("study/page"), default_timeout=120)
    page.query_params.update({"job": job_id, "lang": language})
    page.run()
    assert not page.exception and not page.error
    assert heading in [box.label for box in page.expander] and "classes.arm" not in {box.key for box in page.selectbox}
    page.query_params["study.classes"] = "true"
    page.run()
    assert set(table(page, "class", "recall", "arm")["arm"]) == {"None", "SE", "ECA"}
    page.selectbox(key="classes.arm").set_value("resnet20/eca").run()
    assert not page.exception and table(page, "true", "given")["share"].sum() == pytest.approx(2)
