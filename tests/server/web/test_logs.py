"""The log: one line a record, whatever clients send, with the id of the request it is about."""

import json
import logging
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from server import logs
from server.app import create_app
from server.settings import Settings
from server.web.request_log import SPARING_S
from tests.server.api.http.test_problems import app_that_raises

Capsys = pytest.CaptureFixture[str]

COST = {"variants": ["resnet20/se"]}


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Whatever a test does to the log of this process is undone."""
    root = logging.getLogger()
    handlers, levels = root.handlers[:], {name: logging.getLogger(name).level for name in ("", *logs.OURS)}
    yield
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(False)


def told(written: str, logger: str = "server.requests") -> list[dict[str, Any]]:
    """The records of one logger, out of what was written to standard error."""
    records = [json.loads(line) for line in written.splitlines()]
    return [record for record in records if record["logger"] == logger]


@pytest.mark.full
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("trace-1.2:3_4", "trace-1.2:3_4"),
        ("x" * 200, "x" * 64),
        ("a\tb c;d\xe9'\"<>e", "abcde"),
        ("\x1b[31mred", "31mred"),
        ("...", "..."),
    ],
)
def test_an_id_that_comes_along_is_kept_cleaned_and_short(client: TestClient, sent: str, kept: str) -> None:
    answer = client.get("/v1/health", headers={b"X-Request-ID": sent.encode("latin-1")})
    assert answer.headers.get_list("X-Request-ID") == [kept]


@pytest.mark.full
def test_every_answer_has_an_id_of_its_own(client: TestClient) -> None:
    paths = ("/v1/health", "/v1/nothing", "/docs", "/v1/images/x", "/metrics")
    found = [client.get(path).headers["X-Request-ID"] for path in paths]
    found += [client.get("/v1/health", headers={"X-Request-ID": " ;"}).headers["X-Request-ID"]]
    assert len(set(found)) == len(found) and all(re.fullmatch(r"[0-9a-f]{16}", one) for one in found)


@pytest.mark.full
def test_a_request_is_one_json_object_with_all_that_is_known_of_it(settings: Settings, capsys: Capsys) -> None:
    chosen = settings.model_copy(update={"log_format": "json", "log_requests": "all"})
    logs.configure(chosen)
    with TestClient(create_app(chosen)) as client:
        client.get("/v1/health")  # asked every few seconds, and no news
        client.post("/v1/cost", json=COST, headers={"X-Request-ID": "mine"})
    (record,) = told(capsys.readouterr().err)
    assert record["request_id"] == "mine"
    assert (record["method"], record["route"], record["status"]) == ("POST", "/v1/cost", 200)
    assert record["level"] == "info" and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"])
    assert record["seconds"] > 0 and record["key"] == ""


@pytest.mark.full
def test_only_failures_are_told_unless_asked_for(settings: Settings, capsys: Capsys) -> None:
    chosen = settings.model_copy(update={"log_format": "json"})
    logs.configure(chosen)
    with TestClient(create_app(chosen)) as client:
        client.get("/v1/images")
        client.get("/v1/images/x")
    assert [record["status"] for record in told(capsys.readouterr().err)] == [404]


@pytest.mark.full
def test_a_thousand_refusals_do_not_flood_the_log_and_are_all_counted(settings: Settings, capsys: Capsys) -> None:
    logs.configure(settings.model_copy(update={"log_format": "json"}))
    app = create_app(settings)
    with TestClient(app) as client:
        admission = app.state.service.engine.admission
        admission.inside += 1_000_000
        for _ in range(200):
            refused = client.post("/v1/compare", files={"image": b"any"}, data={"variants": "resnet20/se"})
            assert (refused.status_code, refused.headers["Content-Type"]) == (503, "application/problem+json")
        time.sleep(SPARING_S)
        client.post("/v1/compare", files={"image": b"any"}, data={"variants": "resnet20/se"})
        admission.inside -= 1_000_000
        numbers = client.get("/metrics").text
    lines = told(capsys.readouterr().err)
    assert 2 <= len(lines) < 20 and {line["route"] for line in lines} == {"/v1/compare"}
    more = [int(found[1]) for line in lines if (found := re.search(r"and (\d+) more refused", line["message"]))]
    assert sum(more) + len(lines) == 201
    assert 'attention_http_requests_total{method="POST",route="/v1/compare",status="503"} 201.0' in numbers


def test_a_bug_is_logged_with_its_traceback_under_the_id_of_its_request(settings: Settings, capsys: Capsys) -> None:
    logs.configure(settings.model_copy(update={"log_format": "json"}))
    with TestClient(app_that_raises(settings, ZeroDivisionError("secret"))) as client:
        answer = client.post("/v1/cost", json=COST)
    assert "secret" not in answer.text and "Traceback" not in answer.text
    (record,) = told(capsys.readouterr().err, "server.problems")
    assert record["request_id"] == answer.headers["X-Request-ID"]
    assert "ZeroDivisionError: secret" in record["exception"]


@pytest.mark.full
def test_a_client_cannot_write_lines_of_its_own(settings: Settings, capsys: Capsys) -> None:
    logs.configure(settings)
    with TestClient(create_app(settings)) as client:
        client.get("/v1/x%0a2026-01-01 00:00:00 INFO server: all is well%1b[2J")
    text = capsys.readouterr().err
    (line,) = [line for line in text.splitlines() if "/v1/x" in line]
    assert r"/v1/x\n2026" in line and r"\x1b[2J" in line
    assert not [line for line in text.splitlines() if line.startswith("2026-01-01")]


def test_other_libraries_speak_only_when_something_is_wrong(settings: Settings, capsys: Capsys) -> None:
    logs.configure(settings.model_copy(update={"log_level": "debug"}), job="abc")
    logging.getLogger("PIL.Image").debug("chatter")
    logging.getLogger("server.x").debug("ours")
    logging.getLogger("PIL.Image").warning("trouble")
    found = capsys.readouterr().err.splitlines()
    assert [line.split(": ", 1)[1] for line in found] == ["ours [job abc]", "trouble [job abc]"]
