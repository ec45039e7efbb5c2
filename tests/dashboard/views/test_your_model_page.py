"""The page of models that users bring: the operator's, their gates, and pointing at one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

import dashboard
from attention.client import Client
from attention.models import own_models
from dashboard import connect
from server.app import create_app
from server.settings import Settings
from tests.server.api.networks.test_own_models import MODELS

PAGE = Path(dashboard.__file__).parent / "views" / "your_model" / "page.py"


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    file = tmp_path / "models.py"
    file.write_text(MODELS)
    file.chmod(0o644)
    settings = Settings(data=tmp_path / "data", models=file, device="cpu", threads=1, jobs=0)
    with TestClient(create_app(settings)) as http:
        monkeypatch.setattr(connect, "client", lambda: Client(http))
        yield AppTest.from_file(PAGE, default_timeout=120)
    for name in own_models.names():
        own_models.remove(name)


@pytest.mark.full
def test_the_page_lists_the_operators_models_and_the_gates_of_one(page: AppTest) -> None:
    page.run()
    assert not page.exception and not page.error
    listed, gates = (table.value for table in page.table[:2])
    assert list(listed["name"]) == ["own(name=mine)", "own(name=roads)", "own(name=broken)", "own(name=number)"]
    assert "another machine" in listed["gives"][2] and listed["gives"][1] == "a map of classes"
    assert list(gates["gate"]) == ["se", "se2", "(model)"] and list(gates["layer"]) == ["1.1", "2.1", "2.2"]
    page.selectbox(key="network").select("own(name=roads)/none").run()
    assert list(page.table[1].value["entries"]) == ["8"] and "own(name=roads)/none" in page.query_params["network"]
    links = [element.value for element in page.markdown if element.value.startswith("[")]
    assert ["look" in link and "variant=own" in link for link in links].count(True) == 1
    assert any("ablate?network=own" in link for link in links) and any("price?more=own" in link for link in links)


@pytest.mark.full
def test_a_submodule_is_pointed_at_and_what_is_wrong_is_said(page: AppTest) -> None:
    page.query_params["network"] = ["resnet20/none"]
    page.run()
    assert not page.exception and any("has no gates" in caption.value for caption in page.caption)
    page.text_input(key="point").set_value("layer1.0.bn1=full").run()
    assert list(page.table[1].value["gate"]) == ["layer1.0.bn1"]
    page.text_input(key="point").set_value("layer1.0.bn9=full").run()
    assert "no submodule 'layer1.0.bn9'" in page.error[0].value
    page.text_input(key="point").set_value("layer1.0.bn1").run()
    assert "is not PATH=KIND" in page.error[0].value
