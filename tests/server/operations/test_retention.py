"""Uploads go when their time is over, and not before, and not while a job needs them."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from server.app import create_app
from server.operations.retention import sweep
from server.settings import Settings
from tests.server.conftest import photo


def upload(client: TestClient, seed: int) -> str:
    return str(client.post("/v1/images", files={"image": ("x.jpg", photo(seed))}).json()["id"])


def age(settings: Settings, image_id: str, days: float) -> Path:
    """Let an upload look as if it had come so many days ago."""
    path = settings.folder / "images" / image_id[:2] / image_id
    moment = time.time() - days * 86_400
    os.utime(path, (moment, moment))
    return path


@pytest.fixture
def idle(settings: Settings) -> Settings:
    return settings.model_copy(update={"jobs": 0, "keep_uploads_days": 7.0})


@pytest.mark.full
def test_what_is_old_goes_and_what_is_new_stays(idle: Settings) -> None:
    with TestClient(create_app(idle)) as client:
        old, new = upload(client, 1), upload(client, 2)
        path = age(idle, old, 8)
        assert sweep(client.app.state.service, datetime.now(UTC))["photos"] == 1  # type: ignore[attr-defined]
        assert not path.exists()
        assert client.get(f"/v1/images/{old}").status_code == 404
        assert client.get(f"/v1/images/{new}/file").status_code == 200
        assert any(image["sample"] for image in client.get("/v1/images").json()["images"])


@pytest.mark.full
def test_an_upload_that_comes_again_is_new_again(idle: Settings) -> None:
    with TestClient(create_app(idle)) as client:
        image_id = upload(client, 1)
        age(idle, image_id, 8)
        assert upload(client, 1) == image_id
        assert sweep(client.app.state.service, datetime.now(UTC))["photos"] == 0  # type: ignore[attr-defined]


@pytest.mark.full
def test_an_upload_that_a_job_waits_to_look_at_stays(idle: Settings) -> None:
    with TestClient(create_app(idle)) as client:
        needed, other = upload(client, 1), upload(client, 2)
        asked = {"analysis": "compare", "request": {"images": [needed], "variants": ["resnet20/se"]}}
        job = client.post("/v1/jobs", json=asked).json()["id"]
        age(idle, needed, 8), age(idle, other, 8)
        service = client.app.state.service  # type: ignore[attr-defined]
        assert sweep(service, datetime.now(UTC))["photos"] == 1
        assert client.get(f"/v1/images/{needed}/file").status_code == 200
        client.post(f"/v1/jobs/{job}/cancel")
        assert sweep(service, datetime.now(UTC))["photos"] == 1


@pytest.mark.full
def test_a_service_sweeps_by_itself_when_it_starts_if_it_is_told_to(idle: Settings) -> None:
    with TestClient(create_app(idle)) as client:
        path = age(idle, upload(client, 1), 100)
    with TestClient(create_app(idle.model_copy(update={"keep_uploads_days": 0}))) as client:
        time.sleep(0.3)
        assert path.exists()  # by default uploads stay
    with TestClient(create_app(idle.model_copy(update={"keep_uploads_days": 99}))) as client:
        until = time.monotonic() + 120
        while path.exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert not path.exists()
