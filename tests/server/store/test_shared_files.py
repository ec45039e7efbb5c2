"""Two services with folders of their own, one database and one store of files: what one is given, the other has."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from attention.storage.s3 import _opened
from server.app import create_app
from server.operations.check import findings
from server.settings import Settings
from tests.attention.storage.file_stores import s3, store
from tests.server.api.data.test_data_sets import SPLIT, upload, zipped
from tests.server.api.http.test_problems import problem
from tests.server.conftest import photo

pytestmark = pytest.mark.usefixtures("nothing_shipped")

__all__ = ["s3", "store"]

VARIANTS = ["resnet20(width=4)/none", "resnet20(width=4)/eca"]
RECIPE = {"epochs": 1, "batch_size": 4, "crop_padding": 0}
STUDY = {"data": "pets", "size": 8, "variants": VARIANTS, "seeds": 1, "recipe": RECIPE}


@pytest.fixture
def services(store: str, tmp_path: Path) -> Iterator[tuple[TestClient, TestClient]]:
    def service(name: str) -> TestClient:
        database = f"sqlite:///{tmp_path / 'shared.db'}"
        chosen = Settings(data=tmp_path / name, files=store, database=database, device="cpu", threads=1)
        return TestClient(create_app(chosen))

    with service("a") as here, service("b") as there:
        yield here, there


def give(client: TestClient, data: bytes) -> str:
    answer = client.post("/v1/images", files={"image": ("photo.jpg", data)})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@pytest.mark.full
def test_a_photo_given_to_one_answers_at_the_other_and_is_gone_from_both_when_it_is_deleted(
    services: tuple[TestClient, TestClient],
) -> None:
    here, there = services
    image = give(here, photo(3))
    question = {"images": [image], "variants": ["resnet20/se"]}
    one, other = (client.post("/v1/compare", json=question) for client in services)
    assert (one.status_code, other.status_code) == (200, 200) and one.json() == other.json()
    assert there.get(f"/v1/images/{image}/file").content == photo(3)
    assert there.delete(f"/v1/images/{image}").status_code == 204
    fresh = {**question, "variants": ["resnet20/eca"]}  # nothing that was remembered
    for client in services:
        problem(client.post("/v1/compare", json=fresh), 404, "no image")
        problem(client.get(f"/v1/images/{image}/file"), 404, "image")


@pytest.mark.full
def test_a_data_set_given_to_one_is_listed_planned_with_and_looked_into_at_the_other(
    services: tuple[TestClient, TestClient],
) -> None:
    here, there = services
    assert upload(here, zipped(SPLIT)).status_code == 201
    (told,) = there.get("/v1/datasets").json()["datasets"]
    assert (told["name"], told["images"]) == ("pets", 8)
    problem(upload(there, zipped(SPLIT)), 409, "pets")
    plan = there.post("/v1/plan", json={"study": {"data": "pets", "variants": VARIANTS, "recipe": {"batch_size": 4}}})
    assert plan.status_code == 200, plan.text
    pictures = {"data": "pets", "split": "test", "limit": 2}
    asked = there.post("/v1/excitation", json={"variant": "resnet20/se", "pictures": pictures})
    assert asked.status_code == 200, asked.text
    assert not list(Path(here.app.state.service.settings.folder).rglob("pets*.zip")), "it went straight on"  # type: ignore[attr-defined]


@pytest.mark.full
def test_a_store_that_is_away_is_a_problem_with_a_sentence_and_other_questions_are_answered(
    services: tuple[TestClient, TestClient], store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = services
    image = give(here, photo(4))

    def away(*_: object, **__: object) -> None:
        raise ConnectionError("Could not connect")

    with monkeypatch.context() as patched:
        for method in ("cat_file", "info", "ls", "pipe_file", "put_file"):
            patched.setattr(_opened(store)[0], method, away)
        sentence = "store of files does not do what it is asked for now"
        problem(here.post("/v1/compare", json={"images": [image], "variants": ["resnet20/se"]}), 503, sentence)
        problem(here.post("/v1/images", files={"image": ("photo.jpg", photo(5))}), 503, sentence)
        problem(here.get("/v1/datasets"), 503, sentence)
        problem(upload(here, zipped(SPLIT)), 503, sentence)
        assert here.post("/v1/cost", json={"variants": ["resnet20/se"]}).status_code == 200
    assert here.post("/v1/compare", json={"images": [image], "variants": ["resnet20/se"]}).status_code == 200


def looks(monkeypatch: pytest.MonkeyPatch, folder: Path, files: str) -> list[tuple[str, str]]:
    monkeypatch.setenv("ATTENTION_DATA", str(folder))
    monkeypatch.setenv("ATTENTION_FILES", files)
    monkeypatch.setattr("server.operations.check._device", lambda settings: iter(()))
    found = findings({}, lambda settings: "it answers")
    return [(one.verdict, one.sentence) for one in found if one.about == "files"]


@pytest.mark.full
def test_the_check_tries_the_store_and_leaves_nothing(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = ("OK", f"{store} can be written, read, listed and deleted from.")
    assert looks(monkeypatch, tmp_path, store) == [fine]
    system, top = _opened(store)
    assert not system.exists(top) or system.find(top) == []
    with monkeypatch.context() as patched:
        patched.setattr(system, "put_file", lambda *_, **__: None)
        assert [verdict for verdict, _ in looks(monkeypatch, tmp_path, store)] == ["OK", "WARN"]
        patched.setattr(system, "pipe_file", lambda *_, **__: 1 / 0)
        (bad,) = looks(monkeypatch, tmp_path, store)
        assert bad[0] == "FAIL" and "store of files does not do what it is asked for" in bad[1]
    assert looks(monkeypatch, tmp_path, "") == []


@pytest.mark.full
def test_the_check_refuses_what_is_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bad,) = looks(monkeypatch, tmp_path, "/mnt/shared")
    assert bad[0] == "FAIL" and "goes into ATTENTION_DATA instead" in bad[1]


def conducted(client: TestClient) -> dict[str, Any]:
    """The report of a study, when its job is done."""
    job = client.post("/v1/jobs", json={"analysis": "study", "request": STUDY}).json()
    deadline = time.monotonic() + 180
    while (state := client.get(f"/v1/jobs/{job['id']}").json())["state"] in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert state["state"] == "done", state
    report: dict[str, Any] = client.get(f"/v1/jobs/{job['id']}/report").json()
    return report


@pytest.mark.slow
def test_a_study_run_by_one_in_a_process_of_its_own_is_there_at_the_other(s3: str, tmp_path: Path) -> None:
    def service(name: str) -> TestClient:
        database = f"sqlite:///{tmp_path / 'shared.db'}"
        chosen = Settings(data=tmp_path / name, files=f"{s3}/study", database=database, device="cpu", threads=1)
        return TestClient(create_app(chosen))

    with service("a") as here:
        assert upload(here, zipped(SPLIT)).status_code == 201
        first = conducted(here)
    with service("b") as there:
        assert there.post("/v1/plan", json={"study": STUDY}).json()["runs_done"] == 2
        second = conducted(there)
        assert second["runs"] == first["runs"], "trained once: even the seconds are the same"
        name = first["runs"][0]["weights"].removeprefix("file:")
        assert there.get(f"/v1/checkpoints/{name}").status_code == 200
