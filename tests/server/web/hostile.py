"""What the tests of hostile requests share: an app of their own, and what every refusal has to be."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from attention.data.files import samples
from server.app import create_app
from server.settings import Settings

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=XX"}
ID = samples()[0].id.encode()

DEEP = 100_000
"""More levels than any parser goes down."""


@contextmanager
def serving(data: Path) -> Iterator[TestClient]:
    """An app inside, whose faults are answers, as they are for clients."""
    settings = Settings(data=data, device="cpu", threads=1, jobs=0)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def refused(client: TestClient, method: str, path: str, **request: Any) -> str:
    """The sentence that a request is refused with, as a Problem of one shape."""
    answer = client.request(method, path, **request)
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:300])
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert len(answer.content) < 20_000
    return str(problem["detail"])
