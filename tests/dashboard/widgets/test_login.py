"""The log-in: a visitor asks with a key of one's own, which the session keeps and nothing else."""

from collections.abc import Callable, Iterator

import pytest
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from attention.client import Client
from dashboard import connect
from server.access.keys import create_key
from server.app import create_app
from server.settings import Settings
from tests.dashboard.conftest import APP
from tests.dashboard.views.test_stored_page import opened

Ask = Callable[[str], Client]


@pytest.fixture
def keys(settings: Settings) -> dict[str, str]:
    return {name: create_key(settings.keys_path, name)[1] for name in ("anna", "bert")}


@pytest.fixture
def ask(settings: Settings, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """A service with two keys; gives clients of it, as the dashboard makes them."""
    app = create_app(settings)

    def http(key: str | None = None) -> TestClient:
        return TestClient(app, headers={"Authorization": f"Bearer {key}"} if key else {})

    monkeypatch.setattr(connect, "http", http)
    connect._client.clear()
    with TestClient(app):
        yield lambda key: Client(http(key))
    connect._client.clear()


def log_in(page: AppTest, key: str) -> AppTest:
    page.text_input(key="login.typed").set_value(key)
    next(button for button in page.button if button.label == "Log in").click()
    page.run()
    assert not page.exception
    return page


@pytest.mark.full
def test_a_visitor_logs_in_and_sees_ones_own_things(
    ask: Ask, keys: dict[str, str], photo: Callable[[int], bytes]
) -> None:
    ask(keys["anna"]).upload("anna.jpg", photo(1))
    page = AppTest.from_file(APP, default_timeout=120).run()
    assert not page.exception and [field.label for field in page.text_input] == ["API key"]
    log_in(page, "att_00000000_" + "x" * 43)
    assert "not known here" in page.error[0].value and connect.VISITOR not in page.session_state
    log_in(page, keys["bert"])
    assert not page.error and not [field for field in page.text_input if field.label == "API key"]
    assert keys["bert"] not in str(page.query_params)
    visitor: Client = page.session_state[connect.VISITOR]
    assert not [image for image in visitor.images() if not image.sample]
    assert connect._client().http.headers.get("Authorization") is None  # other sessions ask as before
    visitor.http.headers["Authorization"] = "Bearer att_00000000_" + "x" * 43  # as if the key had been revoked
    page.run()
    assert "not known here" in page.error[0].value
    assert connect.VISITOR not in page.session_state and [field.label for field in page.text_input] == ["API key"]


@pytest.mark.full
def test_a_service_without_keys_asks_for_none(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with TestClient(create_app(settings)) as http:
        monkeypatch.setattr(connect, "http", lambda key=None: http)
        page = AppTest.from_file(APP.parent / "views" / "login" / "page.py", default_timeout=60).run()
    assert not page.exception and not page.text_input and "asks for no key" in page.info[0].value


@pytest.mark.full
def test_what_is_chosen_on_the_page_is_shared_and_others_cannot_change_it(
    ask: Ask, keys: dict[str, str], photo: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, bert = (ask(keys[name]) for name in ("anna", "bert"))
    image = anna.upload("anna.jpg", photo(1)).id
    page = opened(anna, monkeypatch, "images")
    page.multiselect[0].set_value([image]).run()
    page.button(key="share-True").click().run()
    assert not page.exception and not page.error and list(page.table[0].value["shared"]) == ["with every key"]
    assert image in {shown.id for shown in bert.images()}
    page = opened(bert, monkeypatch, "images")
    assert list(page.table[0].value["shared"]) == ["by another key"] and not page.multiselect
    anna.share("images", image, shared=False)
    assert image not in {shown.id for shown in bert.images()} and bert.storage().bytes == 0
