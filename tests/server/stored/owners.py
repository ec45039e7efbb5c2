"""A service with three keys, and a thing of each stored kind that belongs to one of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from httpx2 import Response
from safetensors.torch import save
from starlette.testclient import TestClient

from attention.analyses.cost import cost
from attention.reports.cost import CostRequest
from server.access.keys import create_key
from server.app import create_app
from server.settings import Settings
from server.store.ownership import asking_as
from tests.server.api.data.test_data_sets import SPLIT, zipped
from tests.server.conftest import photo

LISTS = ("images", "datasets", "checkpoints", "jobs", "reports")
"""Addresses of the lists of all stored kinds, below /v1."""

JOB = {"analysis": "cost", "request": {"variants": ["resnet20/eca"]}}


@dataclass(frozen=True)
class Asker:
    """Somebody with a key, as tests ask the service."""

    http: TestClient
    token: str

    def __call__(self, method: str, path: str, **more: Any) -> Response:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return self.http.request(method, f"/v1/{path}", headers=headers, **more)

    @property
    def id(self) -> str:
        """Id of the key."""
        return self.token.split("_")[1]

    def ids(self, kind: str) -> set[str]:
        """What a list gives, without what comes with the service."""
        entries = self("GET", kind).json()[kind]
        stored = [entry for entry in entries if not (entry.get("sample") or entry.get("shipped"))]
        return {entry.get("id") or entry["name"] for entry in stored}

    def upload(self, data: bytes, name: str = "private.jpg") -> str:
        """Keep a photo; gives its id."""
        answer = self("POST", "images", params={"name": name}, content=data)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def compare(self, *images: str) -> Response:
        """Ask what a small network sees in photos."""
        return self("POST", "compare", json={"images": images, "variants": ["resnet20/eca"]})


@dataclass(frozen=True)
class Lab:
    """The service, its keys, and what ``anna`` keeps there: the id of one thing of each kind."""

    http: TestClient
    anna: Asker
    bert: Asker
    chief: Asker
    things: Mapping[str, str]


def finish(http: TestClient, job_id: str) -> None:
    """Let a job of `JOB` be done."""
    jobs = http.app.state.service.store.jobs  # type: ignore[attr-defined]
    claim = jobs.claim(job_id)
    assert claim is not None
    assert jobs.finish(claim, cost(CostRequest.model_validate(JOB["request"]), None))  # type: ignore[arg-type]


def weights(value: float = 1.0) -> bytes:
    """A checkpoint of one tensor."""
    return save({"weight": torch.full((3,), value)})


@contextmanager
def laboratory(settings: Settings) -> Iterator[Lab]:
    """A service with the keys anna, bert and an operator's, and anna's things; jobs only wait."""
    tokens = [create_key(settings.keys_path, name)[1] for name in ("anna", "bert")]
    chief = create_key(settings.keys_path, "chief", operator=True)[1]
    with TestClient(create_app(settings.model_copy(update={"jobs": 0}))) as http, asking_as(None):
        anna, bert = (Asker(http, token) for token in tokens)
        image = anna.upload(photo(7))
        things = {
            "images": image,
            "datasets": anna("POST", "datasets", params={"name": "pets"}, content=zipped(SPLIT)).json()["name"],
            "checkpoints": anna("POST", "checkpoints", params={"name": "mine"}, content=weights()).json()["name"],
            "jobs": anna("POST", "jobs", json=JOB).json()["id"],
            "reports": anna.compare(image).headers["report-id"],
        }
        finish(http, things["jobs"])
        yield Lab(http, anna, bert, Asker(http, chief), things)
