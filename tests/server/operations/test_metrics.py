"""The numbers at /metrics: what was asked, answered, batched, cached and queued is what they say."""

import asyncio
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from starlette.responses import Response
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from server.access.keys import KeyRing, create_key
from server.access.middleware import Access, Accounts
from server.app import create_app
from server.engine.admission import MemoryBudget
from server.operations.metrics import Metrics
from server.settings import Settings
from server.web.browser_security import BrowserSecurity
from server.web.request_log import RequestLog
from tests.server.conftest import photo

COST = {"variants": ["resnet20/se"]}

Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]


def numbers(client: TestClient, **headers: str) -> Numbers:
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(answer.text)
        for sample in family.samples
    }


def value(found: Numbers, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


@pytest.mark.full
def test_requests_are_counted_by_route_and_status(client: TestClient) -> None:
    for image_id in ("a" * 64, "b" * 64, "c"):
        client.get(f"/v1/images/{image_id}")
    client.post("/v1/cost", json=COST)
    found = numbers(client)
    name = "attention_http_requests_total"
    assert value(found, name, method="GET", route="/v1/images/{image_id}", status="404") == 3
    assert value(found, name, method="POST", route="/v1/cost", status="200") == 1
    assert value(found, "attention_http_request_seconds_count", route="/v1/cost") == 1
    assert value(found, "attention_http_requests_in_flight") == 1  # the one that asks


@pytest.mark.full
def test_a_client_cannot_make_numbers_without_end(client: TestClient) -> None:
    for number in range(20):
        client.get(f"/v1/nothing-{number}")
        client.request(f"METHOD{number}", "/v1/cost")
    found = numbers(client)
    series = {labels for name, labels in found if name == "attention_http_requests_total"}
    assert len(series) == 2
    assert value(found, "attention_http_requests_total", method="GET", route="other", status="404") == 20


@pytest.mark.full
def test_batches_analyses_and_caches_are_what_was_asked(client: TestClient) -> None:
    for seed in range(3):  # photos of their own, so that nothing is answered from what is known
        image_id = client.post("/v1/images", files={"image": ("x.jpg", photo(seed))}).json()["id"]
        asked = {"images": [image_id], "variants": ["resnet20/none", "resnet20/se"]}
        assert client.post("/v1/compare", json=asked).status_code == 200
    client.post("/v1/cost", json=COST)
    found = numbers(client)
    passes = value(found, "attention_batch_size_count")
    assert passes == 6 == value(found, "attention_batch_size_sum") == value(found, "attention_batch_seconds_count")
    assert value(found, "attention_analysis_seconds_count", analysis="compare") == 3
    assert value(found, "attention_analysis_seconds_count", analysis="cost") == 1
    assert value(found, "attention_cache_misses_total", cache="networks") == 2
    assert value(found, "attention_cache_hits_total", cache="networks") == 4
    assert value(found, "attention_queue_images") == value(found, "attention_queue_requests") == 0
    assert value(found, "attention_batch_seconds_sum") > 0


@pytest.mark.full
def test_jobs_are_counted_by_state(settings: Settings) -> None:
    with TestClient(create_app(settings.model_copy(update={"jobs": 0}))) as client:
        made = [client.post("/v1/jobs", json={"analysis": "cost", "request": COST}).json()["id"] for _ in range(3)]
        client.post(f"/v1/jobs/{made[0]}/cancel")
        found = numbers(client)
    states = {
        state: value(found, "attention_jobs", state=state) for state in ("queued", "running", "done", "cancelled")
    }
    assert states == {"queued": 2, "running": 0, "done": 0, "cancelled": 1}


@pytest.mark.full
def test_each_key_has_its_refusals(settings: Settings) -> None:
    _, token = create_key(settings.keys_path, "lab")
    _, watcher = create_key(settings.keys_path, "prometheus", operator=True)
    asked = {"analysis": "cost", "request": COST}
    with TestClient(create_app(settings.model_copy(update={"jobs": 0, "key_jobs": 1}))) as client:
        headers = {"Authorization": f"Bearer {token}"}
        statuses = [client.post("/v1/jobs", json=asked, headers=headers).status_code for _ in range(3)]
        found = numbers(client, Authorization=f"Bearer {watcher}")
        assert client.get("/metrics", headers=headers).status_code == 403  # it tells of other keys
    assert statuses == [202, 429, 429]
    assert value(found, "attention_limited_requests_total", key="lab", limit="jobs") == 2
    assert value(found, "attention_limited_requests_total", key="lab", limit="in_flight") == 0


@pytest.mark.full
def test_openmetrics_is_spoken_to_whoever_asks_for_it(client: TestClient) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    names = {family.name for family in parse_openmetrics(answer.text)}  # type: ignore[no-untyped-call]
    assert {"attention_http_requests", "attention_batch_size", "attention_jobs", "attention_data_free_bytes"} <= names


@pytest.mark.full
def test_an_app_that_starts_again_tells_of_itself_once(settings: Settings) -> None:
    app = create_app(settings)
    for _ in range(2):
        with TestClient(app) as client:
            text = client.get("/metrics").text
            assert text.count("# TYPE attention_batch_size histogram") == 1


@pytest.fixture
def surrounded(settings: Settings) -> Iterator[tuple[RequestLog, Metrics]]:
    """All that a request passes, and nothing behind it."""

    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(b"{}")(scope, receive, send)

    accounts = Accounts(settings, KeyRing(settings.keys_path))
    metrics = Metrics(accounts, MemoryBudget(1000))
    yield RequestLog(BrowserSecurity(Access(nothing, accounts), settings, accounts), settings, metrics), metrics


def test_what_a_request_passes_on_its_way_is_a_few_hundred_calls_and_opens_no_file(
    settings: Settings, surrounded: tuple[RequestLog, Metrics]
) -> None:
    """Key, limits, headers, id and numbers together, at most about a microsecond a call."""
    _, token = create_key(settings.keys_path, "lab")
    app, metrics = surrounded
    headers = [(b"host", b"127.0.0.1:8000"), (b"authorization", f"Bearer {token}".encode())]
    sent: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message.get("status", 0))

    called: list[str] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            called.append(frame.f_code.co_name if event == "call" else argument.__name__)

    async def ask() -> None:
        for _ in range(2):
            called.clear()
            scope = {"type": "http", "method": "GET", "path": "/v1/images", "headers": headers, "scheme": "http"}
            sys.setprofile(note)
            await app(scope, receive, send)
            sys.setprofile(None)

    asyncio.run(ask())
    assert set(sent) == {0, 200} and metrics.in_flight == 0
    assert "open" not in called and len(called) < 250, called
