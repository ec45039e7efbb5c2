"""The dashboard in process: pages talk to the real API through Starlette's test client, in a folder of their own."""

import io
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

import dashboard
from attention.client import Client
from attention.reports.compare import ClassScore, Comparison, GateSummary, Prediction, VariantSummary
from attention.spec import Preprocess, Variant
from dashboard import connect
from dashboard.drawing import draw
from server.app import create_app
from server.settings import Settings
from tests.server.conftest import routes_built_once

__all__ = ["routes_built_once"]  # a fixture, too

APP = Path(dashboard.__file__).parent / "app.py"


@pytest.fixture(autouse=True, scope="session")
def components_found_once() -> Iterator[None]:
    """Every AppTest reads the metadata of all installed packages, a quarter of a second of CPU each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(autouse=True, scope="session")
def charts_checked() -> Iterator[None]:
    """Every chart that a page draws is checked against Vega-Lite's schema."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draw, "CHECKED", True)
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """No job runs by itself: a test does it when it wants to."""
    return Settings(data=tmp_path / "data", device="cpu", threads=1, jobs=0, max_upload_bytes=200_000)


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with TestClient(create_app(settings)) as http:
        yield Client(http)


@pytest.fixture
def app(client: Client, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(connect, "client", lambda: client)
    return AppTest.from_file(APP, default_timeout=120)


@pytest.fixture
def photo() -> Callable[[int], bytes]:
    """Small JPEGs, another one for every number."""

    def make(number: int = 0) -> bytes:
        values = np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        out = io.BytesIO()
        Image.fromarray(values).save(out, "JPEG")
        return out.getvalue()

    return make


@pytest.fixture
def comparison() -> Callable[..., Comparison]:
    """Reports made by hand: every variant has the given gates, as rows of weights."""

    def make(names: list[str], rows: list[list[float]], images: tuple[str, ...] = ("photo",)) -> Comparison:
        def prediction(image: str, name: str) -> Prediction:
            plain = name.partition("?")[0].endswith("/none")
            return Prediction(
                image=image,
                variant=name,
                top=(
                    ClassScore(index=3, label="cat", probability=0.75),
                    ClassScore(index=5, label=None, probability=0.2),
                ),
                gates=() if plain else tuple(_summary(number, row) for number, row in enumerate(rows)),
                values=() if plain else tuple(tuple(row) for row in rows),
            )

        return Comparison(
            variants=tuple(_variant(name) for name in names),
            predictions=tuple(prediction(image, name) for image in images for name in names),
            ablation=None,
            device="cpu",
            dtype="float32",
        )

    return make


def _summary(number: int, row: list[float]) -> GateSummary:
    values = np.array(row)
    return GateSummary(
        path=f"layer{number // 2 + 1}.{number % 2}.standard.0.gate",
        kind="channel",
        position="standard",
        stage=number // 2 + 1,
        block=number % 2 + 1,
        shape=(len(row), 1, 1),
        mean=float(values.mean()),
        std=float(values.std()),
        min=float(values.min()),
        max=float(values.max()),
        share_low=float((values < 0.1).mean()),
        share_high=float((values > 0.9).mean()),
    )


def _variant(name: str) -> VariantSummary:
    return VariantSummary(
        name=name,
        variant=Variant.parse(name),
        trained=False,
        warning="Untrained.",
        card=None,
        preprocess=Preprocess(),
        parameters=1_234_567,
        macs=4_089_184_256,
        attention_parameters=86,
        attention_macs=87_808,
    )
