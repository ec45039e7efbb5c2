"""Everything stored can be listed with its size and age, renamed where it has a name, deleted, and grows old."""

import contextlib
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from starlette.testclient import TestClient

from server.app import create_app
from server.operations.retention import sweep
from server.settings import Settings
from server.store import Store
from tests.server.api.data.test_data_sets import SPLIT, zipped
from tests.server.api.http.test_problems import problem
from tests.server.conftest import photo

pytestmark = pytest.mark.usefixtures("nothing_shipped")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Jobs wait: no process takes them up."""
    return settings.model_copy(update={"jobs": 0})


def put_checkpoint(settings: Settings, name: str = "mine") -> Path:
    path = settings.folder / "checkpoints" / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(save({"weight": torch.ones(3)}))
    path.with_suffix(".json").write_text("{}")  # a card that cannot be read is in the way of nothing
    return path


def job(client: TestClient, **request: object) -> str:
    answer = client.post("/v1/jobs", json={"analysis": "compare", "request": {"variants": ["eca"], **request}})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def kinds(client: TestClient) -> dict[str, dict[str, Any]]:
    return {kind["kind"]: kind for kind in client.get("/v1/storage").json()["kinds"]}


@pytest.mark.full
def test_storage_sums_up_what_was_stored(client: TestClient, settings: Settings) -> None:
    assert {kind["count"] for kind in kinds(client).values()} == {0}
    image = client.post("/v1/images", content=photo()).json()["id"]
    data_set = client.post("/v1/datasets", params={"name": "pets"}, content=zipped(SPLIT)).json()
    checkpoint = put_checkpoint(settings)
    job(client, images=[image])
    report = client.post("/v1/compare", json={"images": [image], "variants": ["eca"]})
    stored = client.get("/v1/reports").json()["reports"][0]
    assert stored["id"] == report.headers["report-id"]
    found = {name: (kind["count"], kind["bytes"]) for name, kind in kinds(client).items()}
    assert found == {
        "photos": (1, len(photo())),
        "data sets": (1, data_set["bytes"]),
        "checkpoints": (1, checkpoint.stat().st_size),
        "jobs": (1, 0),  # it has no report yet
        "reports": (1, stored["bytes"]),
    }
    storage = client.get("/v1/storage").json()
    assert storage["bytes"] == sum(size for _, size in found.values())
    assert 0 < storage["free_bytes"] <= storage["disk_bytes"]
    for kind in storage["kinds"]:
        assert abs(datetime.now(UTC) - datetime.fromisoformat(kind["oldest"])) < timedelta(minutes=5)


@pytest.mark.full
def test_checkpoints_are_listed_renamed_and_deleted(client: TestClient, settings: Settings) -> None:
    path = put_checkpoint(settings)
    put_checkpoint(settings, "other")
    mine, other = client.get("/v1/checkpoints").json()["checkpoints"]
    told = {"name": "mine", "weights": "file:mine", "bytes": path.stat().st_size, "origin": "unknown", "variant": None}
    assert mine.items() >= told.items() and other["name"] == "other"
    problem(client.patch("/v1/checkpoints/mine?new_name=other"), 409, "a checkpoint 'other' already")
    problem(client.patch("/v1/checkpoints/mine?new_name=../up"), 422, "cannot be a checkpoint's name")
    problem(client.patch("/v1/checkpoints/nowhere?new_name=x"), 404, "no checkpoint 'nowhere'")
    renamed = client.patch("/v1/checkpoints/mine?new_name=yours").json()
    assert renamed == {**mine, "name": "yours", "weights": "file:yours"}
    assert client.get("/v1/checkpoints/mine").status_code == 404
    assert client.delete("/v1/checkpoints/yours").status_code == 204
    assert sorted(file.name for file in path.parent.iterdir()) == ["other.json", "other.safetensors"]
    problem(client.delete("/v1/checkpoints/yours"), 404, "no checkpoint 'yours'")


@pytest.mark.full
def test_a_photo_gets_another_name_and_a_sample_does_not(client: TestClient, image_id: str) -> None:
    renamed = client.patch(f"/v1/images/{image_id}", params={"new_name": "../x/cat.jpg"})
    assert renamed.json()["name"] == client.get(f"/v1/images/{image_id}").json()["name"] == "cat.jpg"
    sample = client.get("/v1/images").json()["images"][0]["id"]
    problem(client.patch(f"/v1/images/{sample}?new_name=x"), 422, "sample gallery")
    problem(client.patch(f"/v1/images/{'0' * 64}?new_name=x"), 404, "no image")


@pytest.mark.full
def test_what_an_unfinished_job_needs_stays(client: TestClient, settings: Settings, image_id: str) -> None:
    put_checkpoint(settings)
    variants = ["eca", {"attention": "se", "weights": "file:mine"}]
    waiting = job(client, images=[image_id], variants=variants)
    problem(client.delete(f"/v1/images/{image_id}"), 409, f"in use by the job {waiting}")
    problem(client.delete("/v1/checkpoints/mine"), 409, f"in use by the job {waiting}")
    problem(client.patch("/v1/checkpoints/mine?new_name=yours"), 409, f"in use by the job {waiting}")
    problem(client.delete(f"/v1/jobs/{waiting}"), 409, "This job is queued")
    client.post(f"/v1/jobs/{waiting}/cancel")
    for path in (f"/v1/images/{image_id}", "/v1/checkpoints/mine", f"/v1/jobs/{waiting}"):
        assert client.delete(path).status_code == 204
        assert client.get(path).status_code == 404


@pytest.mark.full
def test_a_report_is_deleted_and_a_job_with_its_own(client: TestClient) -> None:
    report = client.post("/v1/cost", json={}).headers["report-id"]
    assert client.delete(f"/v1/reports/{report}").status_code == 204
    problem(client.get(f"/v1/reports/{report}"), 404, "no report")
    problem(client.delete(f"/v1/reports/{report}"), 404, "no report")
    problem(client.delete("/v1/reports/0000000000000000"), 404, "no report")


@pytest.mark.full
def test_each_kind_grows_old_by_its_own_setting(settings: Settings) -> None:
    days = {f"keep_{kind}_days": 7.0 for kind in ("data_sets", "checkpoints", "jobs")}
    with TestClient(create_app(settings.model_copy(update=days))) as client:
        client.post("/v1/datasets", params={"name": "pets"}, content=zipped(SPLIT))
        image = client.post("/v1/images", content=photo()).json()["id"]
        put_checkpoint(settings), put_checkpoint(settings, "needed")
        ended = job(client, images=[image])
        client.post(f"/v1/jobs/{ended}/cancel")
        waits = job(client, images=[image], variants=[{"attention": "se", "weights": "file:needed"}])
        service = client.app.state.service  # type: ignore[attr-defined]
        now = datetime.now(UTC)
        assert set(sweep(service, now + timedelta(days=6)).values()) == {0}
        assert sweep(service, now + timedelta(days=8)) == {"data sets": 1, "checkpoints": 1, "jobs": 1, "reports": 0}
        assert [one["name"] for one in client.get("/v1/checkpoints").json()["checkpoints"]] == ["needed"]
        assert [one["id"] for one in client.get("/v1/jobs").json()["jobs"]] == [waits]
        assert client.get(f"/v1/images/{image}").status_code == 200  # photos stay, as they are told to


@pytest.fixture
def two_processes(settings: Settings) -> Iterator[tuple[TestClient, TestClient]]:
    """Two apps with nothing in common but the data folder, as two API processes are."""
    with TestClient(create_app(settings)) as one, TestClient(create_app(settings)) as other:
        yield one, other


@pytest.mark.full
def test_a_deleted_photo_is_answered_about_by_no_process(two_processes: tuple[TestClient, TestClient]) -> None:
    one, other = two_processes
    image = one.post("/v1/images", content=photo()).json()["id"]
    asked = {"images": [image], "variants": ["eca"]}
    reference = {"kind": "mean", "reference": {"images": [image]}}
    ablated = {"images": [image_of_samples(one)], "variants": ["eca"], "ablation": reference}
    for client in two_processes:
        for question in (asked, ablated):
            answers = [client.post("/v1/compare", json=question) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
        assert client.app.state.service.answer_cache.hits == 2  # type: ignore[attr-defined]
    assert one.delete(f"/v1/images/{image}").status_code == 204
    for client in two_processes:
        problem(client.post("/v1/compare", json=asked), 404, "no image", image)
        problem(client.post("/v1/compare", json=ablated), 404, "no image", image)
        problem(client.post("/v1/jobs", json={"analysis": "compare", "request": asked}), 404, "no image", image)
    assert other.post("/v1/images", content=photo()).status_code == 201
    assert one.post("/v1/compare", json=asked).status_code == 200  # it is here again, and the same


def image_of_samples(client: TestClient) -> str:
    return str(client.get("/v1/images").json()["images"][0]["id"])


def test_every_missing_photo_is_named_with_its_place(client: TestClient, image_id: str) -> None:
    missing = ["1" * 64, "2" * 64]
    answer = client.post("/v1/compare", json={"images": [missing[0], image_id, missing[1]], "variants": ["eca"]})
    found = problem(answer, 404, "2 images are not here", *missing)
    assert [fault["field"] for fault in found.errors] == ["images[0]", "images[2]"]
    assert all(name in fault["message"] for fault, name in zip(found.errors, missing, strict=True))


@pytest.mark.full
def test_old_files_are_told_by_their_own_time(settings: Settings, client: TestClient) -> None:
    path = put_checkpoint(settings)
    moment = time.time() - 3 * 86_400
    os.utime(path, (moment, moment))
    (checkpoint,) = client.get("/v1/checkpoints").json()["checkpoints"]
    assert datetime.fromisoformat(checkpoint["created"]).timestamp() == pytest.approx(moment, abs=1e-3)


@pytest.mark.full
def test_only_the_services_user_can_enter_the_data_folder_and_read_the_database(settings: Settings) -> None:
    settings.folder.mkdir()
    settings.folder.chmod(0o755)
    database = settings.folder / "attention.db"
    for _ in range(2):  # a new database, then one from before
        with TestClient(create_app(settings)):
            assert stat.S_IMODE(settings.folder.stat().st_mode) == 0o700
            for file in settings.folder.glob("attention.db*"):  # with those that SQLite keeps beside it
                assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        database.chmod(0o644)


LOCKED = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)  # SQLite's range of shared locks
    except OSError:
        print("locked")
"""


def test_a_second_store_in_a_process_leaves_the_locks_of_the_first(tmp_path: Path) -> None:
    """POSIX ends all locks of a process on a file when any of its descriptors closes."""
    path = tmp_path / "attention.db"
    with contextlib.closing(Store(f"sqlite:///{path}")) as first:
        first.check()
        for _ in range(2):
            asked = subprocess.run([sys.executable, "-c", LOCKED, str(path)], capture_output=True, text=True)
            assert asked.stdout.strip() == "locked", asked.stderr
            second = Store(f"sqlite:///{path}")
            assert second.holdings() == first.holdings()
