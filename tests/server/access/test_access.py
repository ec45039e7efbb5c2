"""Who may ask: with keys, without, within limits, and what is said to those who may not."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from starlette.testclient import TestClient

from attention.errors import Overloaded
from attention.schemas import Problem
from attention.spec import Request
from server.access.keys import create_key, revoke_key
from server.app import create_app
from server.engine.local import LocalEngine
from server.settings import Settings

COST = {"variants": ["resnet20/se"]}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def token(settings: Settings) -> str:
    return create_key(settings.keys_path, "lab")[1]


@pytest.fixture
def closed(settings: Settings, token: str) -> Iterator[TestClient]:
    """A service with one key."""
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.mark.full
def test_without_any_key_everybody_on_this_machine_may_ask(client: TestClient) -> None:
    assert client.post("/v1/cost", json=COST).status_code == 200
    assert client.get("/v1/images", headers=bearer("whatever")).status_code == 200


@pytest.mark.full
def test_with_one_key_nobody_may_ask_without(closed: TestClient, token: str) -> None:
    refused = closed.post("/v1/cost", json=COST)
    assert refused.status_code == 401
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="attention"'
    assert "Authorization: Bearer" in Problem.model_validate_json(refused.content).detail
    assert closed.post("/v1/cost", json=COST, headers=bearer(token)).status_code == 200
    assert closed.post("/v1/cost", json=COST, headers={"X-API-Key": token}).status_code == 200
    assert closed.post("/v1/cost", json=COST, headers={"Authorization": f"bearer  {token} "}).status_code == 200


@pytest.mark.full
@pytest.mark.parametrize("sent", ["att_00000000_" + "a" * 43, "x", "Bearer", "\xff"])
def test_a_wrong_key_is_told_from_none(closed: TestClient, sent: str) -> None:
    refused = closed.get("/v1/catalog", headers={b"Authorization": f"Bearer {sent}".encode("latin-1")})
    assert refused.status_code == 401 and 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


def test_another_scheme_is_no_key(closed: TestClient, token: str) -> None:
    assert closed.get("/v1/catalog", headers={"Authorization": f"Basic {token}"}).status_code == 401


@pytest.mark.full
def test_every_route_wants_the_key_but_for_signs_of_life_and_documentation(closed: TestClient) -> None:
    paths = closed.get("/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for method in methods:
            status = closed.request(method, path.replace("{", "").replace("}", "")).status_code
            assert (status == 401) is (path not in ("/v1/health", "/v1/ready")), (method, path, status)
    for path in ("/docs", "/redoc", "/static-offline-docs/swagger-ui.css"):
        assert closed.get(path).status_code == 200
    assert closed.get("/", follow_redirects=False).headers["Location"] == "/docs"
    for path in ("/metrics", "/v1", "/v1/nothing", "/v1/health/", "/docs/../v1/images", "/docsx"):
        assert closed.get(path, follow_redirects=False).status_code == 401, path


@pytest.mark.full
def test_a_key_made_or_revoked_while_the_service_runs_counts(settings: Settings) -> None:
    with TestClient(create_app(settings)) as client:
        assert client.get("/v1/images").status_code == 200
        _, token = create_key(settings.keys_path, "lab")
        client.portal.call(asyncio.sleep, 1.1)  # type: ignore[union-attr]
        assert client.get("/v1/images").status_code == 401
        assert client.get("/v1/images", headers=bearer(token)).status_code == 200
        revoke_key(settings.keys_path, "lab")
        client.portal.call(asyncio.sleep, 1.1)  # type: ignore[union-attr]
        assert client.get("/v1/images", headers=bearer(token)).status_code == 401


@pytest.mark.full
def test_keys_that_cannot_be_read_let_nobody_in_and_are_not_shown(settings: Settings) -> None:
    settings.folder.mkdir(parents=True)
    settings.keys_path.write_text("{broken")
    with TestClient(create_app(settings)) as client:
        answer = client.get("/v1/images")
        assert answer.status_code == 503 and str(settings.folder) not in answer.text
        assert client.get("/v1/health").status_code == 200


@pytest.mark.full
@pytest.mark.parametrize(("access", "status"), [("open", 200), ("keys", 401), ("auto", 200)])
def test_the_setting_decides_when_there_are_no_keys(settings: Settings, access: str, status: int) -> None:
    with TestClient(create_app(settings.model_copy(update={"access": access}))) as client:
        assert client.get("/v1/images").status_code == status


@pytest.mark.full
def test_an_open_service_asks_for_no_key_though_there_are_some(settings: Settings, token: str) -> None:
    with TestClient(create_app(settings.model_copy(update={"access": "open"}))) as client:
        assert client.get("/v1/images").status_code == 200


# ---------------------------------------------------------------- limits


class Slow(LocalEngine):
    """An engine that answers when told to."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.begun, self.go_on = Event(), Event()

    async def answer(self, request: Request[Any], photos: Mapping[str, bytes] | None = None) -> bytes:
        self.begun.set()
        await asyncio.to_thread(self.go_on.wait, 30)
        return await super().answer(request, photos)


@pytest.mark.full
def test_a_key_has_so_many_requests_in_flight_and_no_more(settings: Settings, token: str) -> None:
    tight = settings.model_copy(update={"key_in_flight": 1})
    engine = Slow(tight)
    _, other = create_key(settings.keys_path, "other")
    statuses: list[int] = []
    with TestClient(create_app(tight, engine)) as client:

        def ask() -> None:
            statuses.append(client.post("/v1/cost", json=COST, headers=bearer(token)).status_code)

        thread = Thread(target=ask)
        thread.start()
        assert engine.begun.wait(10)
        refused = client.get("/v1/images", headers=bearer(token))
        assert refused.status_code == 429 and refused.headers["Retry-After"] == "1"
        assert "in flight" in refused.json()["detail"]
        assert client.get("/v1/images", headers=bearer(other)).status_code == 200
        engine.go_on.set()
        thread.join(30)
        assert statuses == [200]
        assert client.get("/v1/images", headers=bearer(token)).status_code == 200
    engine.close()


@pytest.mark.full
def test_a_key_has_so_many_jobs_and_no_more(settings: Settings, token: str) -> None:
    tight = settings.model_copy(update={"key_jobs": 1, "jobs": 0})
    _, other = create_key(settings.keys_path, "other")
    question = {"analysis": "cost", "request": COST}
    with TestClient(create_app(tight)) as client:
        first = client.post("/v1/jobs", json=question, headers=bearer(token))
        assert first.status_code == 202
        refused = client.post("/v1/jobs", json=question, headers=bearer(token))
        assert refused.status_code == 429 and refused.headers["Retry-After"] == "60"
        assert client.post("/v1/jobs", json=question, headers=bearer(other)).status_code == 202
        assert client.post(f"/v1/jobs/{first.json()['id']}/cancel", headers=bearer(token)).status_code == 200
        assert client.post("/v1/jobs", json=question, headers=bearer(token)).status_code == 202


class Full(LocalEngine):
    """An engine without room."""

    async def answer(self, request: Request[Any], photos: Mapping[str, bytes] | None = None) -> bytes:
        raise Overloaded("Too much to do.", retry_after_s=3)


def test_a_full_service_is_told_from_a_key_that_asks_too_much(settings: Settings, token: str) -> None:
    engine = Full(settings)
    with TestClient(create_app(settings, engine)) as client:
        answer = client.post("/v1/cost", json=COST, headers=bearer(token))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    engine.close()


@pytest.mark.full
def test_the_description_of_the_api_tells_of_keys_and_of_limits(client: TestClient) -> None:
    told = client.get("/openapi.json").json()
    assert told["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    cost = told["paths"]["/v1/cost"]["post"]
    assert {"bearer": []} in cost["security"] and {"401", "429"} <= set(cost["responses"])
    health = told["paths"]["/v1/health"]["get"]
    assert "security" not in health and "401" not in health["responses"]


@pytest.mark.full
def test_uploads_are_deleted_on_demand_file_and_all(client: TestClient, image_id: str, settings: Settings) -> None:
    def files() -> list[Path]:
        return [path for path in (settings.folder / "images").rglob("*") if path.is_file()]

    assert [path.name for path in files()] == [image_id]
    assert client.delete(f"/v1/images/{image_id}").status_code == 204
    assert client.get(f"/v1/images/{image_id}/file").status_code == 404
    assert files() == []
