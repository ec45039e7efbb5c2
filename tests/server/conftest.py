"""An app on a folder of its own, and photos made on the spot."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from fastapi import APIRouter
from PIL import Image
from starlette.testclient import TestClient

from attention.analysis import Analysis
from server.api.http.openapi import Schemas
from server.api.router import router
from server.app import create_app
from server.settings import Settings
from tests.server.store.databases import database_url, postgres

__all__ = ["database_url", "postgres"]  # fixtures, too


def photo(seed: int = 0, size: tuple[int, int] = (48, 40), form: str = "JPEG") -> bytes:
    """A small picture with some structure; every seed gives another one."""
    bent = Image.effect_mandelbrot(size, (-2.0 + seed / 50, -1.0, 1.0, 1.0 + seed / 50), 40)
    colour = Image.merge("RGB", (bent, bent.rotate(90), bent.rotate(180 + seed)))
    out = io.BytesIO()
    colour.save(out, form)
    return out.getvalue()


@pytest.fixture(autouse=True, scope="session")
def routes_built_once() -> Iterator[None]:
    """Share the routes among all apps of the tests: to build them takes as long as all else of an app."""
    routers: dict[tuple[str, ...], tuple[APIRouter, Schemas]] = {}

    def shared(analyses: Mapping[str, Analysis]) -> tuple[APIRouter, Schemas]:
        names = tuple(analyses)
        if names not in routers:
            routers[names] = router(analyses)
        return routers[names]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.app.router", shared)
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data=tmp_path / "data",
        device="cpu",
        threads=1,
        max_upload_bytes=200_000,
        max_request_bytes=500_000,
        max_json_bytes=20_000,
    )


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture
def image_id(client: TestClient) -> str:
    answer = client.post("/v1/images", files={"image": ("photo.jpg", photo())})
    assert answer.status_code == 201
    return str(answer.json()["id"])
