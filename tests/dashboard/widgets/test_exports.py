"""Taking a network away on a page: asked for by a click, found again later, saved as a file, and a failure is said."""

import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from attention.client import Client, ServiceError
from attention.reports.export import ExportReport
from dashboard import connect
from server.jobs.worker import run_job
from server.settings import Settings
from tests.dashboard.page_parts import done, page_of, texts

pytestmark = pytest.mark.full


@pytest.fixture
def page(client: Client, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """Look with one small network and the switch turned on."""
    monkeypatch.setattr(connect, "client", lambda: client)
    shown = AppTest.from_file(page_of("look/page"), default_timeout=120)
    shown.query_params.update({"variant": ["resnet20(width=4)/se"], "export": ["1"]})
    shown.run()
    assert not shown.exception and not shown.error
    return shown


def test_a_network_is_written_once_and_saved(page: AppTest, client: Client, settings: Settings, tmp_path: Path) -> None:
    page.button_group(key="export.format").set_value("safetensors").run()
    page.button(key="export.start").click().run()
    assert not page.exception and len(client.jobs()) == 1
    job = client.job(done(client, settings))
    page.run()
    assert not page.exception and not page.error and "differ by at most 0.0e+00" in texts(page.caption)
    report = client.report(job.id, ExportReport)
    (button,) = (one for one in page.get("download_button") if one.proto.id.endswith(f"export.{job.id}"))
    assert button.proto.label.startswith(report.file.name)
    with pytest.raises(Exception, match="export.start"):
        page.button(key="export.start")
    client.save_file(job.id, tmp_path / "saved.zip")
    assert (tmp_path / "saved.zip").read_bytes()[:2] == b"PK"
    with pytest.raises(ServiceError, match="no job"):
        client.save_file("nowhere", tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_failure_is_said_and_can_be_tried_again(
    page: AppTest, client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.button(key="export.start").click().run()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    run_job(settings, client.jobs()[0].id)
    page.run()
    assert not page.exception and "pip install 'attention-lab[onnx]'" in texts(page.error)
    page.button(key="export.start").click().run()
    assert len(client.jobs()) == 2
