"""The page that judges seeds: alive with the shipped study's runs, and every mistake in a table is its sentence."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from attention.client import Client
from dashboard import connect
from server.app import create_app
from server.settings import Settings
from tests.dashboard.page_parts import table as drawn_table

PAGE = Path(connect.__file__).parent / "views" / "study" / "judge.py"
CHART = "vega_lite_chart"
GAIN = [0.62, 0.48, 0.71, 0.55, 0.39, 0.66]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    with TestClient(create_app(Settings(data=tmp_path / "data", device="cpu", threads=1, jobs=0))) as http:
        client = Client(http)
        monkeypatch.setattr(connect, "client", lambda: client)
        yield AppTest.from_file(PAGE, default_timeout=120)


def texts(elements: Any) -> str:
    return "\n".join(str(element.value) for element in elements)


def ends(sentence: str) -> tuple[float, float]:
    low, high = re.findall(r"[+-]\d+\.\d+", sentence.partition("[")[2])[:2]
    return float(low), float(high)


def table(gain: float = 0.0) -> str:
    rows = [f"none,{seed},{77 + seed / 10}" for seed in range(6)]
    rows += [f"eca,{seed},{77 + seed / 10 + more + gain}" for seed, more in enumerate(GAIN)]
    return "\n".join(["arm,seed,score", *rows])


@pytest.mark.full
def test_it_opens_with_the_shipped_study_judged(page: AppTest) -> None:
    page.run()
    assert not page.exception and not page.error
    assert str(page.text_area(key="judge.text").value).startswith("arm,seed,score\nnone,0,")
    assert page.subheader[0].value == "No arm is shown to be better or worse than none."
    assert texts(page.markdown).count(":gray-badge[not decided]") == 2
    assert len(page.get(CHART)) == 1 and "n = 8" in texts(page.markdown)


@pytest.mark.full
def test_a_pasted_table_is_judged_at_once(page: AppTest) -> None:
    page.run()
    page.text_area(key="judge.text").set_value(table()).run()
    page.number_input(key="judge.margin").set_value(0.3).run()
    assert page.subheader[0].value.startswith("eca is better by +0.57 points [")
    growing = ends(page.subheader[0].value)
    page.button_group(key="judge.looks").set_value("no").run()
    fixed = ends(page.subheader[0].value)
    assert growing[0] < fixed[0] < fixed[1] < growing[1], "who may not add seeds has a narrower interval"


@pytest.mark.full
def test_a_margin_of_points_is_not_one_of_shares(page: AppTest) -> None:
    """A margin of 0.5 would make any two networks the same in shares."""
    page.run()
    rows = [line.rpartition(",") for line in table().splitlines()[1:]]
    shares = [f"{name},{float(score) / 100}" for name, _, score in rows]
    page.text_area(key="judge.text").set_value("\n".join(["arm,seed,score", *shares])).run()
    assert "all scores lie in 0 to 1" in texts(page.error)
    page.selectbox(key="judge.unit").set_value("share").run()
    assert not page.exception and not page.error and page.number_input(key="judge.margin.1").value == 0.005
    assert page.subheader[0].value.startswith("eca is better by +0.0057 share [")


@pytest.mark.full
def test_a_mistake_in_the_table_is_its_sentence(page: AppTest) -> None:
    page.run()
    page.text_area(key="judge.text").set_value(table() + "\neca,5,78").run()
    assert "Line 14 of pasted repeats arm 'eca', seed 5" in texts(page.error) and not page.exception
    page.text_area(key="judge.text").set_value(table()).run()
    page.text_input(key="judge.pattern").set_value("{arm}").run()
    assert "A pattern holds {arm} and {seed} once each" in texts(page.info) and not page.exception


@pytest.mark.full
def test_recalls_of_classes_are_drawn_as_a_description(page: AppTest) -> None:
    page.run()
    rows = ["none,0,77,0.7,0.84", "none,1,78,0.72,0.84", "se,0,78,0.74,0.82", "se,1,79,0.78,0.80"]
    page.text_area(key="judge.text").set_value("\n".join(["arm,seed,score,recall:cat,recall:dog", *rows])).run()
    assert not page.exception and not page.error
    drawn = drawn_table(page, "class", "recall", "arm")
    assert dict(zip(drawn["arm"] + " " + drawn["class"], drawn["recall"], strict=True)) == pytest.approx(
        {"none cat": 71, "none dog": 84, "se cat": 76, "se dog": 81}
    )
    assert "no verdict follows from it" in texts(page.caption)
