"""Lists in pages: every thing once, in order, whatever comes or goes between two pages."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from starlette.testclient import TestClient

from attention.client import Client
from server.app import create_app
from server.settings import Settings
from tests.server.api.data.test_data_sets import SPLIT, zipped
from tests.server.api.http.test_problems import problem
from tests.server.conftest import photo

pytestmark = pytest.mark.usefixtures("nothing_shipped")

LISTS = {"images": "id", "datasets": "name", "checkpoints": "name", "jobs": "id", "reports": "id"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service with seven of everything; jobs wait."""
    settings = Settings(data=tmp_path_factory.mktemp("pages"), device="cpu", threads=1, jobs=0)
    with TestClient(create_app(settings)) as client:
        for number in range(7):
            client.post("/v1/images", content=photo(number))
            client.post("/v1/checkpoints", params={"name": f"net{number}"}, content=save({"w": torch.ones(2)}))
            client.post("/v1/datasets", params={"name": f"pets{number}"}, content=zipped(SPLIT[:2] + SPLIT[2:]))
            client.post("/v1/jobs", json={"analysis": "cost", "request": {"input_size": 32 + number}})
            client.post("/v1/cost", json={"input_size": 32 + number})
        yield client


def pages(client: TestClient, path: str) -> Iterator[list[dict[str, Any]]]:
    """Page after page, by the links that lead there."""
    following: str | None = path
    while following is not None:
        answer = client.get(following)
        assert answer.status_code == 200, answer.text
        yield next(value for value in answer.json().values() if isinstance(value, list))
        following = answer.links["next"]["url"] if "next" in answer.links else None


@pytest.mark.full
@pytest.mark.parametrize("name", LISTS)
def test_pages_together_are_the_whole_list(client: TestClient, name: str) -> None:
    (whole,) = pages(client, f"/v1/{name}?limit=1000")
    assert len(whole) >= 7
    for limit in (1, 3, 7, len(whole)):
        found = list(pages(client, f"/v1/{name}?limit={limit}"))
        assert [thing for page in found for thing in page] == whole
        assert {len(page) for page in found[:-1]} <= {limit} and 0 < len(found[-1]) <= limit


@pytest.mark.full
def test_a_thing_that_goes_between_two_pages_takes_no_other_along(client: TestClient) -> None:
    (whole,) = pages(client, "/v1/checkpoints")
    names = [checkpoint["name"] for checkpoint in whole]
    following = pages(client, "/v1/checkpoints?limit=3")
    first = [checkpoint["name"] for checkpoint in next(following)]
    assert client.delete(f"/v1/checkpoints/{first[-1]}").status_code == 204
    rest = [checkpoint["name"] for page in following for checkpoint in page]
    assert first + rest == names


@pytest.mark.full
def test_other_choices_stay_from_page_to_page(client: TestClient) -> None:
    cancelled = client.get("/v1/jobs").json()["jobs"][2]["id"]
    client.post(f"/v1/jobs/{cancelled}/cancel")
    found = [job["id"] for page in pages(client, "/v1/jobs?state=queued&limit=2") for job in page]
    assert len(found) == 6 and cancelled not in found


@pytest.mark.full
def test_a_place_that_is_none_is_refused(client: TestClient) -> None:
    elsewhere = client.get("/v1/datasets?limit=1").links["next"]["url"].partition("after=")[2]
    for after in ("x", "%00", "W10", "bnVsbA", "WyJ4IiwieSJd", "e30", "é", "A" * 2000, elsewhere):
        problem(client.get(f"/v1/jobs?after={after}"), 422, "is no place in this list")
    problem(client.get("/v1/jobs?limit=0"), 422, "limit")


@pytest.mark.full
def test_the_client_of_the_library_reads_every_page(client: TestClient, tmp_path: Path) -> None:
    many = 120
    for number in range(many):
        client.app.state.service.shelf.photos.add(f"{number}.png", photo(number, (8, 8), "PNG"))  # type: ignore[attr-defined]
    (whole,) = pages(client, "/v1/images?limit=1000")
    assert [image.id for image in Client(client).images()] == [image["id"] for image in whole]
    assert len(whole) > many
