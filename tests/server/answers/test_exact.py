"""The same question, the same bytes: with one image a pass nobody changes a bit; else the tolerance says how much."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.testclient import TestClient

from server.app import create_app
from server.settings import Settings
from tests.server.conftest import photo

NETWORKS = ["se", "resnet20/eca?weights=shipped"]


@contextmanager
def asked_by_many(settings: Settings, **chosen: Any) -> Iterator[tuple[TestClient, dict[str, Any]]]:
    """A service that remembers no answer, and a question of two images that was asked while nobody else was there."""
    chosen = {"remember_answers": False, **chosen}
    with TestClient(create_app(settings.model_copy(update=chosen))) as client, ThreadPoolExecutor(8) as crowd:
        ids = [client.post("/v1/images", content=photo(number)).json()["id"] for number in range(12)]
        alone = client.post("/v1/compare", json={"images": ids[:2], "variants": NETWORKS, "gates": "json"})

        def ask(number: int) -> int:
            asked = {"images": [ids[2 + number % 10]], "variants": NETWORKS}
            return client.post("/v1/compare", json=asked).status_code

        others = crowd.map(ask, range(40))
        again = client.post(f"/v1/reports/{alone.headers['report-id']}/again").json()
        assert set(others) == {200}
        yield client, {**again, "report": alone.headers["report-id"]}


@pytest.mark.full
def test_with_one_image_a_pass_an_answer_is_the_same_to_the_last_bit_under_load(settings: Settings) -> None:
    with asked_by_many(settings, max_batch_size=1) as (client, again):
        assert (again["same"], again["count"], again["within_tolerance"]) == (True, 0, True), again
        conditions = client.get(f"/v1/reports/{again['report']}").json()["conditions"]
        assert conditions["tolerance"] == 0.0


@pytest.mark.full
def test_in_company_an_answer_stays_within_the_tolerance_that_its_conditions_name(settings: Settings) -> None:
    with asked_by_many(settings) as (client, again):
        assert again["within_tolerance"], again
        tolerance = client.get(f"/v1/reports/{again['report']}").json()["conditions"]["tolerance"]
        for difference in again["differences"]:
            before, after = difference["before"], difference["after"]
            assert abs(after - before) <= tolerance * max(1.0, abs(before), abs(after)), difference
