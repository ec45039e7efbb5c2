"""The page of stored things: what the service lists, and what it lets one do with it."""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import dashboard
from attention.client import Client
from dashboard import connect
from dashboard.widgets.jobs import age
from tests.attention.data.archives import write_zip

PAGE = Path(dashboard.__file__).parent / "views" / "stored" / "page.py"


def opened(client: Client, monkeypatch: pytest.MonkeyPatch, kind: str) -> AppTest:
    monkeypatch.setattr(connect, "client", lambda: client)
    page = AppTest.from_file(PAGE, default_timeout=60)
    page.query_params["kind"] = [kind]
    page.run()
    assert not page.exception
    return page


@pytest.mark.full
def test_an_upload_is_listed_without_the_samples_and_deleted(
    client: Client, monkeypatch: pytest.MonkeyPatch, photo: Callable[[int], bytes]
) -> None:
    mine = [client.upload(f"{number}.jpg", photo(number)) for number in range(2)]
    page = opened(client, monkeypatch, "images")
    assert sorted(page.table[0].value["what"]) == ["0.jpg, 40 × 30", "1.jpg, 40 × 30"]
    page.multiselect[0].set_value([mine[0].id]).run()
    page.button(key="delete").click().run()
    assert not page.exception and not page.error
    assert [image.id for image in client.images() if not image.sample] == [mine[1].id]
    assert list(page.table[0].value["what"]) == ["1.jpg, 40 × 30"]


@pytest.mark.full
def test_a_data_set_gets_another_name_and_a_refusal_is_said(
    client: Client, monkeypatch: pytest.MonkeyPatch, photo: Callable[[int], bytes], tmp_path: Path
) -> None:
    pets = {f"{kind}/{number}.jpg": photo(number) for kind in ("cats", "dogs") for number in range(6)}
    for name in ("pets", "others"):
        client.upload_dataset(name, io.BytesIO(write_zip(tmp_path / f"{name}.zip", pets).read_bytes()))
    page = opened(client, monkeypatch, "datasets")
    assert sorted(page.table[0].value["name"]) == ["others", "pets"], "not what comes with the service"
    page.multiselect[0].set_value(["pets"]).run()
    page.text_input[0].set_value("others").run()
    page.button(key="rename").click().run()
    assert "others" in page.error[0].value and {row.name for row in client.datasets()} == {
        "pets",
        "others",
        "flowers-sample",
    }
    page.multiselect[0].set_value(["pets"]).run()
    page.text_input[0].set_value("animals").run()
    page.button(key="rename").click().run()
    assert not page.error and {row.name for row in client.datasets()} == {"animals", "others", "flowers-sample"}


def test_an_age_is_told_in_the_largest_units_that_matter() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert age((now - timedelta(minutes=5)).isoformat(), now) == "5 min"
    assert age((now - timedelta(days=3)).isoformat(), now) == "3 d 0 h"
    assert age(None) == ""
