"""Data sets over REST: understood and shown before they are kept; replaced, renamed and deleted; in use or not."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from attention.data.intake.inventory import OnImage
from attention.reports.study import StudyRequest
from attention.schemas import DataSet, Reading
from server.app import create_app
from server.settings import Settings
from server.store.ownership import asking_as
from tests.attention.data.archives import folder, photo, photos, write_tar, write_zip
from tests.server.api.http.test_problems import problem

pytestmark = pytest.mark.usefixtures("nothing_shipped")

PETS = photos([*folder("cats", 6), *folder("dogs", 6)])
BAD = {"cats/half.png": photo(60)[:60], "dogs/empty.jpg": b""}


@pytest.fixture
def idle(settings: Settings) -> Iterator[TestClient]:
    """A service that runs no jobs, so that one that was asked for stays in the queue."""
    with TestClient(create_app(settings.model_copy(update={"jobs": 0}))) as client:
        yield client


@pytest.fixture
def pets(tmp_path: Path) -> bytes:
    return write_zip(tmp_path / "pets.zip", PETS).read_bytes()


def send(client: TestClient, body: bytes, **query: Any):  # type: ignore[no-untyped-def]
    return client.post("/v1/datasets", params={"name": "pets", **query}, content=body)


def everything(settings: Settings) -> list[str]:
    """Every file below the folders of data sets and inventories, hidden ones too."""
    tops = [settings.folder / name for name in ("datasets", "inventories")]
    return sorted(path.relative_to(settings.folder).as_posix() for top in tops for path in top.rglob("*"))


def test_an_upload_answers_with_its_inventory(idle: TestClient, pets: bytes) -> None:
    kept = DataSet.model_validate(send(idle, pets).json())
    assert kept.inventory and kept.inventory.images == kept.images == 12 and kept.bytes == len(pets)
    assert {one.name: one.train + one.test for one in kept.inventory.classes} == {"cats": 6, "dogs": 6}
    listed = idle.get("/v1/datasets").json()
    assert listed["datasets"][0] == json.loads(kept.model_dump_json()) and listed["free_bytes"] > 0


def test_while_an_upload_is_read_the_list_says_how_many_of_its_images_were(
    idle: TestClient, pets: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = idle.app.state.service.shelf.data_sets  # type: ignore[attr-defined]
    seen: list[object] = []
    counted = stored.counted

    @contextmanager
    def looking(name: str) -> Iterator[OnImage]:
        with counted(name) as on_image:

            def look(done: int, total: int) -> None:
                on_image(done, total)
                seen.append(idle.get("/v1/datasets").json()["reading"])

            yield look

    monkeypatch.setattr(stored, "counted", looking)
    for query in ({"dry_run": True}, {}):
        seen.clear()
        send(idle, pets, name="My pets", **query)
        assert seen == [[{"name": "My pets", "read": done, "images": 12}] for done in range(1, 13)]
        assert idle.get("/v1/datasets").json()["reading"] == []
    with counted("pets") as on_image:
        on_image(1, 0)
        assert stored.reading == (Reading(name="pets", read=1, images=None),)
        with asking_as("another key"):
            assert stored.reading == ()


def test_a_dry_run_tells_all_and_keeps_no_byte(
    idle: TestClient, settings: Settings, pets: bytes, tmp_path: Path
) -> None:
    bad = write_zip(tmp_path / "bad.zip", PETS | BAD).read_bytes()
    for body, problems in ((pets, 0), (bad, 1)):
        answer = send(idle, body, dry_run=True)
        assert answer.status_code == 200 and len(answer.json()["inventory"]["problems"]) == problems
        assert everything(settings) == [] == idle.get("/v1/datasets").json()["datasets"]
    assert {file["name"] for file in answer.json()["inventory"]["bad"]} == set(BAD)


def test_an_upload_that_is_broken_off_leaves_nothing(idle: TestClient, settings: Settings, pets: bytes) -> None:
    for query in (b"name=pets&dry_run=true", b"name=pets"):
        assert broken_off(idle, pets[: len(pets) // 2], query) == [400]
        assert everything(settings) == []


def broken_off(client: TestClient, part: bytes, query: bytes) -> list[int]:
    """The statuses that are sent to a client who sends a part of a data set and hangs up."""
    coming = iter([{"type": "http.request", "body": part, "more_body": True}, {"type": "http.disconnect"}])
    statuses = []

    async def receive() -> Any:
        return next(coming)

    async def send_(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/v1/datasets",
        "raw_path": b"/v1/datasets",
        "query_string": query,
    }
    scope |= {"headers": [(b"host", b"testserver")], "http_version": "1.1", "scheme": "http", "root_path": ""}
    scope |= {"server": ("testserver", 80), "client": ("127.0.0.1", 9), "state": {}}
    assert client.portal is not None
    client.portal.call(client.app, scope, receive, send_)
    return statuses


def test_all_bad_files_stand_in_one_refusal_and_can_be_left_out(
    idle: TestClient, settings: Settings, tmp_path: Path
) -> None:
    body = write_zip(tmp_path / "bad.zip", PETS | BAD).read_bytes()
    refused = problem(send(idle, body), 422, "skip_bad=true", "pets")
    assert {fault["field"] for fault in refused.errors} == set(BAD) and everything(settings) == []
    kept = send(idle, body, skip_bad=True)
    assert kept.status_code == 201 and kept.json()["images"] == 12 and len(kept.json()["inventory"]["bad"]) == 2
    assert idle.get("/v1/datasets/pets").json()["inventory"]["choices"]["skip_bad"] is True


@pytest.mark.full
def test_what_was_chosen_at_the_upload_holds_for_a_study(client: TestClient, tmp_path: Path) -> None:
    body = write_zip(
        tmp_path / "d.zip", photos([f"{split}/{c}/{n}.png" for split in ("a", "b") for c in "xy" for n in range(3)])
    )
    assert send(client, body.read_bytes(), split="a=train,b=test").status_code == 201
    study = {"data": "pets", "size": 8, "variants": ["resnet20(width=4)/none", "resnet20(width=4)/se"], "seeds": 1}
    study["recipe"] = {"epochs": 1, "batch_size": 2, "lr": 0.01}
    job = client.post("/v1/jobs", json={"analysis": "study", "request": study}).json()
    with client.stream("GET", job["links"]["events"]) as events:
        for _ in events.iter_lines():
            pass
    data = client.get(job["links"]["report"]).json()["data"]
    assert (data["classes"], data["test_images"], data["split_by_hash"]) == (["x", "y"], 6, False)
    assert data["inventory"]["splits"] == {"a": "train", "b": "test"}


@pytest.mark.full
@pytest.mark.parametrize("kind", ["application/gzip", "application/x-tar", "application/octet-stream", ""])
def test_a_tar_is_taken_as_a_zip_is(idle: TestClient, settings: Settings, tmp_path: Path, kind: str) -> None:
    body = write_tar(tmp_path / "d.tgz", PETS).read_bytes()
    answer = idle.post("/v1/datasets?name=flowers.tar.gz", content=body, headers={"Content-Type": kind} if kind else {})
    assert (answer.status_code, answer.json()["name"], answer.json()["images"]) == (201, "flowers", 12)
    assert (settings.folder / "datasets" / "flowers.tar.gz").exists()


@pytest.mark.full
def test_another_archive_is_named(idle: TestClient) -> None:
    problem(send(idle, b"Rar!\x1a\x07\x01\x00" + bytes(99)), 422, "RAR archive", "as a zip")
    problem(send(idle, b"7z\xbc\xaf\x27\x1c" + bytes(99)), 422, "7-Zip archive")


@pytest.mark.full
def test_a_data_set_is_deleted_and_its_name_is_free(idle: TestClient, settings: Settings, pets: bytes) -> None:
    for _ in range(2):
        assert send(idle, pets).status_code == 201
        assert idle.delete("/v1/datasets/pets").status_code == 204
        assert everything(settings) == [] and idle.get("/v1/datasets/pets").status_code == 404
    problem(idle.delete("/v1/datasets/pets"), 404, "no data set 'pets'")


@pytest.mark.full
def test_a_folder_put_there_by_hand_is_looked_into_and_deleted(idle: TestClient, settings: Settings) -> None:
    for name, content in (PETS | {"cats/clip.mp4": b"\0\0\0\x18ftypmp42"}).items():
        path = settings.folder / "datasets" / "own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert idle.get("/v1/datasets").json()["datasets"][0]["inventory"] is None
    about = idle.get("/v1/datasets/own").json()
    assert about["images"] == 12 and about["inventory"]["left_out"][0]["what"] == "MP4 video"
    assert idle.get("/v1/datasets").json()["datasets"] == [about]
    (settings.folder / "datasets" / "own" / "cats" / "clip.mp4").unlink()
    assert idle.get("/v1/datasets/own").json()["inventory"]["left_out"] == []
    assert idle.delete("/v1/datasets/own").status_code == 204 and everything(settings) == []


@pytest.mark.full
def test_a_data_set_is_renamed_with_all_that_is_known_of_it(idle: TestClient, pets: bytes) -> None:
    before = send(idle, pets).json()
    after = idle.patch("/v1/datasets/pets", params={"new_name": "animals"})
    assert after.status_code == 200 and after.json() == before | {"name": "animals"}
    assert [row["name"] for row in idle.get("/v1/datasets").json()["datasets"]] == ["animals"]
    assert send(idle, pets).status_code == 201
    problem(idle.patch("/v1/datasets/pets", params={"new_name": "animals"}), 409, "already")
    problem(idle.patch("/v1/datasets/nothing", params={"new_name": "x"}), 404, "no data set")


def test_a_data_set_is_replaced_only_by_a_sound_one(
    idle: TestClient, settings: Settings, pets: bytes, tmp_path: Path
) -> None:
    assert send(idle, pets).status_code == 201
    problem(send(idle, b"no archive", replace=True), 422, "no zip or tar")
    assert idle.get("/v1/datasets/pets").json()["images"] == 12
    more = write_tar(tmp_path / "more.tgz", PETS | photos([*folder("owls", 4), *folder("cats", 1)])).read_bytes()
    problem(send(idle, more), 409, "already")
    assert send(idle, more, replace=True).status_code == 201
    assert idle.get("/v1/datasets/pets").json()["classes"] == ["cats", "dogs", "owls"]
    assert everything(settings) == ["datasets/pets.tar.gz", "inventories/pets.json"]


def test_a_data_set_that_a_job_needs_stays(idle: TestClient, settings: Settings, pets: bytes) -> None:
    assert send(idle, pets).status_code == 201
    study = StudyRequest.model_validate({"data": "pets", "variants": ["resnet20/none", "resnet20/se"]})
    app = idle.app
    job = app.state.service.store.jobs.add(study, 10)  # type: ignore[attr-defined]
    for answer in (
        idle.delete("/v1/datasets/pets"),
        idle.patch("/v1/datasets/pets", params={"new_name": "x"}),
        send(idle, pets, replace=True),
    ):
        problem(answer, 409, "in use by the job", job.id)
    idle.post(f"/v1/jobs/{job.id}/cancel")
    assert idle.delete("/v1/datasets/pets").status_code == 204


@pytest.mark.full
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"names": "klingon"}, "no encoding 'klingon'"),
        ({"split": "cats=maybe"}, "train, validation, test or none"),
        ({"class_level": 0}, "class_level"),
        ({"labels": "labels.csv"}, "no list of labels"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(
    idle: TestClient, settings: Settings, pets: bytes, query: dict[str, object], words: str
) -> None:
    problem(send(idle, pets, **query), 422, words)
    assert everything(settings) == []
