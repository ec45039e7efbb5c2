"""A job that is wished for twice under one Idempotency-Key is queued once, also across restarts and processes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.testclient import TestClient

from attention.errors import InvalidRequest
from attention.reports.cost import CostRequest
from server.access.keys import create_key
from server.app import create_app
from server.settings import Settings
from server.store import Store
from tests.server.api.http.test_problems import problem


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"jobs": 0, "key_jobs": 1})


def ask(client: TestClient, key: str | None, size: int = 32, **headers: str):  # type: ignore[no-untyped-def]
    sent = {**headers, **({"Idempotency-Key": key} if key is not None else {})}
    return client.post("/v1/jobs", json={"analysis": "cost", "request": {"input_size": size}}, headers=sent)


@pytest.mark.full
def test_the_same_wish_is_one_job_and_another_under_its_key_is_refused(settings: Settings) -> None:
    with TestClient(create_app(settings)) as client:
        first = ask(client, "wish-1")
        assert first.status_code == 202
        again = ask(client, "wish-1")
        assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
        problem(ask(client, "wish-1", size=64), 422, "another question before", first.json()["id"])
        assert ask(client, "wish-2").json()["id"] != first.json()["id"]
        assert len({ask(client, None).json()["id"] for _ in range(2)}) == 2
        problem(ask(client, ""), 422, "key")
        problem(ask(client, "x" * 256), 422, "key")
    with TestClient(create_app(settings)) as client:  # a restart
        assert ask(client, "wish-1").json()["id"] == first.json()["id"]
        client.post(f"/v1/jobs/{first.json()['id']}/cancel")
        assert ask(client, "wish-1").json()["state"] == "cancelled"  # what became of the wish
        assert client.delete(f"/v1/jobs/{first.json()['id']}").status_code == 204
        assert ask(client, "wish-1").json()["state"] == "queued"


@pytest.mark.full
def test_keys_of_different_callers_do_not_meet_and_a_repetition_costs_no_job(settings: Settings) -> None:
    tokens = [create_key(settings.keys_path, name)[1] for name in ("ann", "bob")]
    with TestClient(create_app(settings)) as client:
        ids = [ask(client, "wish", Authorization=f"Bearer {token}").json()["id"] for token in tokens]
        assert ids[0] != ids[1]
        assert ask(client, "wish", Authorization=f"Bearer {tokens[0]}").json()["id"] == ids[0]
        assert ask(client, "more", Authorization=f"Bearer {tokens[0]}").status_code == 429


@pytest.fixture
def stores(database_url: str) -> Iterator[tuple[Store, ...]]:
    """The same database as several processes see it."""
    opened = tuple(Store(database_url) for _ in range(4))
    yield opened
    for store in opened:
        store.close()


@pytest.mark.full
def test_of_many_processes_that_queue_a_wish_at_once_one_does(stores: tuple[Store, ...]) -> None:
    def add(number: int) -> str:
        return stores[number % len(stores)].jobs.add(CostRequest(), 100, "wish").id

    with ThreadPoolExecutor(16) as threads:
        ids = set(threads.map(add, range(48)))
    assert len(ids) == len(stores[0].jobs.newest(99)) == 1
    with pytest.raises(InvalidRequest, match="another question before"):
        stores[1].jobs.add(CostRequest(input_size=99), 100, "wish")
