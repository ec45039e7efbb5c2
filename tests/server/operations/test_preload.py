"""Networks that are loaded at the start: there before the first question, and a wrong one stops nothing."""

import logging
import time

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from server.app import create_app
from server.settings import Settings
from tests.server.api.http.test_problems import problem

pytestmark = pytest.mark.full

SE = "resnet20(width=4)/se"


def test_the_first_question_finds_its_network_in_memory(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "server.operations.preload")
    with TestClient(create_app(settings.model_copy(update={"preload": (SE, "resnet20/cbma")}))) as client:
        while (answer := client.get("/v1/ready")).status_code == 503:
            problem(answer, 503, "Networks are being loaded: ")
            time.sleep(0.05)
        kept = client.app.state.service.engine.networks.kept  # type: ignore[attr-defined]
        assert (kept.hits, kept.misses) == (0, 1)
        photo = client.get("/v1/images").json()["images"][1]["id"]
        assert client.post("/v1/compare", json={"images": [photo], "variants": [SE]}).status_code == 200
        assert (kept.hits, kept.misses) == (1, 1)
    assert f"{SE} is loaded." in caplog.text
    assert "resnet20/cbma of ATTENTION_PRELOAD cannot be loaded: There is no attention module" in caplog.text


def test_names_come_from_the_environment_and_one_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTENTION_PRELOAD", "resnet50(stem=deep,shortcut=pool)/eca, se")
    assert Settings().preload == ("resnet50(stem=deep,shortcut=pool)/eca", "se")
    monkeypatch.setenv("ATTENTION_PRELOAD", "resnet50((/eca")
    with pytest.raises(ValidationError, match="resnet50"):
        Settings()
