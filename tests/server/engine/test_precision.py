"""A service in another number format: it says so wherever it says a number, and answers what float32 answers."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from attention.data.files import samples
from attention.errors import InvalidRequest
from attention.precision import APART
from attention.reports.cam import CamReport
from attention.reports.compare import Comparison
from attention.reports.sweep import WhatIfReport
from server.app import create_app
from server.engine.local import LocalEngine
from server.engines import check_runs
from server.settings import Settings

IMAGE = next(iter(samples())).id


def service(folder: Path, dtype: str) -> TestClient:
    return TestClient(create_app(Settings(data=folder, device="cpu", threads=1, jobs=0, dtype=dtype)))  # type: ignore[arg-type]


@pytest.mark.full
def test_answers_in_bfloat16_say_so_and_are_those_of_float32(tmp_path: Path) -> None:
    question = {"images": [IMAGE], "variants": ["se", "eca"], "top_k": 3, "gates": "json"}
    found: dict[str, Comparison] = {}
    for dtype in ("float32", "bfloat16"):
        with service(tmp_path / dtype, dtype) as http:
            answer = http.post("/v1/compare", json=question)
            found[dtype] = Comparison.model_validate_json(answer.content)
            kept = http.get(f"/v1/reports/{answer.headers['report-id']}").json()
        assert found[dtype].dtype == kept["conditions"]["dtype"] == dtype
    for one, other in zip(found["float32"].predictions, found["bfloat16"].predictions, strict=True):
        scores = {score.index: score.probability for score in other.top}
        assert one.top[0].index in scores
        assert scores[one.top[0].index] == pytest.approx(one.top[0].probability, abs=APART["bfloat16"])
        assert one.values is not None and other.values is not None
        for mine, theirs in zip(one.values, other.values, strict=True):
            assert theirs == pytest.approx(mine, abs=APART["bfloat16"])


@pytest.mark.full
def test_replaced_gates_are_asked_in_bfloat16_and_gradients_in_float32(tmp_path: Path) -> None:
    with service(tmp_path, "bfloat16") as http:
        answer = http.post("/v1/whatif", json={"images": [IMAGE], "variant": "se", "kinds": ["neutral", "shuffle"]})
        assert answer.status_code == 200, answer.text
        asked = WhatIfReport.model_validate_json(answer.content)
        assert asked.dtype == "bfloat16" and all(effect.kl >= 0 for effect in asked.effects)
        cam = CamReport.model_validate_json(http.post("/v1/cam", json={"images": [IMAGE], "variants": ["se"]}).content)
        assert {network.dtype for network in cam.networks} == {"float32"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"dtype": "float16"}, "float16 is slow"),
        ({"compile": "graphs"}, "CUDA only"),
        ({"device": "cuda"}, "no device"),
    ],
)
def test_a_service_whose_device_cannot_do_it_does_not_start(tmp_path: Path, wrong: dict[str, str], said: str) -> None:
    settings = Settings(**{"data": tmp_path, "device": "cpu", **wrong})  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match=said):
        check_runs(settings)
    with pytest.raises(InvalidRequest, match=said):
        LocalEngine(settings)


@pytest.mark.parametrize(
    ("chosen", "device", "records"),
    [
        ("auto", "cuda:1", True),
        ("auto", "cpu", False),
        ("off", "cuda", False),
        ("graphs", "cuda", True),
        ("graphs", "cpu", True),  # and is refused with a sentence, not left out in silence
    ],
)
def test_passes_are_recorded_by_default_where_there_is_cuda(chosen: str, device: str, records: bool) -> None:
    assert Settings(compile=chosen).records(device) is records  # type: ignore[arg-type]
    assert Settings().compile == "auto"
