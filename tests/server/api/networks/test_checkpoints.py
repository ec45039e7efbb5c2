"""Networks to take away: a fold runs as a job, its product is used at once, and its file is what it was."""

from collections.abc import Iterator

import pytest
from safetensors.torch import load
from starlette.testclient import TestClient

from attention.analyses import run
from attention.build import build
from attention.data.files import samples
from attention.reports.cam import CamReport, CamRequest
from attention.reports.fold import FoldReport, FoldRequest
from attention.spec import Pictures, Variant
from server.jobs.worker import run_job
from server.settings import Settings
from server.store import Store
from tests.attention.direct_lab import DirectLab

SHIPPED_NONE = "resnet20/none?weights=shipped"
SHIPPED_SE = "resnet20/se?weights=shipped"
SHIPPED_ECA = "resnet20/eca?weights=shipped"

PHOTOS = tuple(sample.id for sample in samples()[:2])


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Jobs are done by the tests themselves, not by the service that is asked afterwards."""
    return settings.model_copy(update={"jobs": 0})


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    settings.folder.mkdir(parents=True)
    opened = Store(settings.database_url)
    yield opened
    opened.close()


@pytest.mark.full
def test_what_a_job_folded_is_used_and_taken_away(store: Store, settings: Settings, client: TestClient) -> None:
    photos = Pictures(images=PHOTOS)
    job = store.jobs.add(
        FoldRequest(variant=Variant.parse(SHIPPED_SE), images=photos, calibration=photos, rounds=6),
        9,
    )
    run_job(settings, job.id)
    ended = store.jobs.get(job.id)
    assert ended.state == "done", ended.error
    report = FoldReport.model_validate(store.jobs.stored_report(job.id).report)
    assert report.kept is not None and report.timing is not None and report.error <= report.error_allowed

    answer = client.get(f"/v1/checkpoints/{report.kept.checkpoint}")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/octet-stream"
    assert int(answer.headers["content-length"]) == len(answer.content) == report.kept.bytes
    assert f'filename="{report.kept.checkpoint}.safetensors"' in answer.headers["content-disposition"]
    tensors = load(answer.content)
    plain = build(Variant.parse(SHIPPED_NONE))
    plain.load_state_dict(tensors)  # its names are the plain network's, and no others

    compared = client.post("/v1/compare", json={"images": PHOTOS, "variants": [SHIPPED_SE, report.kept.name]})
    assert compared.status_code == 200, compared.text
    summary = compared.json()["variants"][1]
    assert summary["state"] == "trained" and summary["attention_parameters"] == 0
    assert client.get(f"/v1/jobs/{job.id}/report?format=csv").text.count("\n") == 4  # a header and three states


def test_a_refused_fold_is_a_job_that_failed_with_the_reason(store: Store, settings: Settings) -> None:
    request = FoldRequest(variant=Variant.parse("resnet20(width=4)/cbam"), images=Pictures(images=PHOTOS))
    job = store.jobs.add(request, 9)
    run_job(settings, job.id)
    failed = store.jobs.get(job.id)
    assert failed.state == "failed" and "weighs places" in str(failed.error)


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "status", "sentence"),
    [
        ("nowhere", 404, "There is no checkpoint 'nowhere' here"),
        ("..", 404, ""),
        ("..%2F..%2Fetc%2Fpasswd", 404, ""),
        (".hidden", 422, "not a checkpoint's name"),
        ("file:se", 422, "not a checkpoint's name"),
        ("model.pt", 422, "is a pickle"),
        ("x" * 300, 422, "not a checkpoint's name"),
    ],
)
def test_what_is_no_checkpoint_is_not_given(client: TestClient, name: str, status: int, sentence: str) -> None:
    answer = client.get(f"/v1/checkpoints/{name}")
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json" and sentence in answer.json()["detail"]


@pytest.mark.full
def test_a_checkpoint_may_have_any_letters(client: TestClient, settings: Settings) -> None:
    folder = settings.folder / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "r猫.safetensors").write_bytes(b"12345678{}")
    answer = client.get("/v1/checkpoints/r猫")
    assert answer.content == b"12345678{}"
    assert "filename*=utf-8''r%E7%8C%AB.safetensors" in answer.headers["content-disposition"]


@pytest.mark.full
def test_heat_maps_over_http_are_those_of_a_network_alone(client: TestClient, settings: Settings) -> None:
    asked = {
        "images": PHOTOS,
        "variants": [SHIPPED_SE, SHIPPED_ECA],
        "target": "dog",
        "stage": 3,
    }
    answer = client.post("/v1/cam", json=asked)
    assert answer.status_code == 200, answer.text
    found, truth = (
        CamReport.model_validate(answer.json()),
        run(CamRequest.model_validate(asked), DirectLab(settings.folder)),
    )
    for one, other in zip(found.maps, truth.maps, strict=True):
        assert one.target.probability == pytest.approx(other.target.probability, abs=1e-5)
        assert one.maximum == pytest.approx(other.maximum, rel=1e-3)
        for row, same in zip(one.grid, other.grid, strict=True):
            assert row == pytest.approx(same, abs=2e-3)
    wrong = client.post("/v1/cam", json={**asked, "target": 11})
    assert wrong.status_code == 422 and "numbered 0 to 9" in wrong.json()["detail"]
