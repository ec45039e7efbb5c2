"""Replaced gates through the service: what-if at once, a sweep as a job, and the same numbers as the naive loop."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from attention.analyses import run
from attention.data.files import samples
from attention.reports.sweep import SweepRequest, WhatIfReport
from attention.spec import Pictures, Variant
from server.engine.local import LocalEngine
from server.settings import Settings
from tests.attention.analyses.test_sweep import NaiveLab, write

ID = samples()[0].id


@pytest.mark.full
def test_what_if_is_answered_at_once_for_stored_photos_and_for_those_that_come_along(client: TestClient) -> None:
    answer = client.post("/v1/whatif", json={"variant": "eca", "images": [ID], "scopes": ["stage", "all"]})
    assert answer.status_code == 200
    report = WhatIfReport.model_validate_json(answer.content)
    assert [effect.scope for effect in report.effects] == ["stage:1", "stage:2", "stage:3", "stage:4", "all"]
    photo = {"image": ("cat.jpg", samples()[0].path.read_bytes())}
    form = client.post("/v1/whatif", data={"variant": "eca", "scopes": "all", "kinds": "scalar"}, files=photo)
    assert form.status_code == 200, form.text
    again = WhatIfReport.model_validate_json(form.content)
    assert again.photos == report.photos and len(again.effects) == 1
    refused = client.post("/v1/whatif", json={"variant": "none", "images": [ID]})
    assert refused.status_code == 422 and "has no attention" in refused.json()["detail"]


@pytest.mark.full
def test_a_sweep_becomes_a_job(client: TestClient) -> None:
    answer = client.post("/v1/sweep", json={"variant": "eca", "images": [ID], "kinds": ["scalar"], "scopes": ["all"]})
    assert answer.status_code == 202 and answer.headers["location"].startswith("/v1/jobs/")
    client.post(f"{answer.headers['location']}/cancel")


@pytest.mark.full
def test_the_engine_finds_what_the_naive_loop_finds(tmp_path: Path, settings: Settings) -> None:
    root = settings.folder
    write(root, "pets", ("cat", "dog"), 3)
    request = SweepRequest(
        variant=Variant.parse("eca"),
        images=Pictures(data="pets"),
        kinds=("mean", "scalar", "shuffle"),
        scopes=("gate", "stage", "all", "last_to_first"),
    )
    naive = run(request, NaiveLab(root))
    engine = LocalEngine(settings)
    try:
        found = run(request, engine.lab())
    finally:
        engine.close()
    assert (found.accuracy, found.images, found.calibration) == (naive.accuracy, naive.images, naive.calibration)
    assert found.true_probability == pytest.approx(naive.true_probability, abs=1e-6)
    for one, other in zip(found.effects, naive.effects, strict=True):
        assert (one.scope, one.kind, one.accuracy) == (other.scope, other.kind, other.accuracy)
        assert one.true_change == pytest.approx(other.true_change, abs=1e-5)
        assert one.kl == pytest.approx(other.kl, rel=1e-3, abs=1e-6)


@pytest.mark.full
def test_gates_of_another_image_are_put_in(tmp_path: Path, settings: Settings) -> None:
    write(settings.folder, "pets", ("cat", "dog"), 2)
    engine = LocalEngine(settings)
    try:
        request = SweepRequest(
            variant=Variant.parse("eca"), images=Pictures(data="pets"), kinds=("other_image",), scopes=("all", "gate")
        )
        first, again = run(request, engine.lab()), run(request, engine.lab())
    finally:
        engine.close()
    assert first.effects == again.effects and all(effect.kl > 0 for effect in first.effects)
