"""Data sets over HTTP: listed by what lies there, and uploaded whole or not at all."""

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from server.app import create_app
from server.settings import Settings
from tests.server.api.http.test_problems import problem
from tests.server.conftest import photo

SPLIT = [f"{split}/{label}/{n}.jpg" for split in ("train", "test") for label in ("cats", "dogs") for n in range(2)]


def zipped(names: list[str], content: bytes | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, name in enumerate(names):
            archive.writestr(name, photo(number) if content is None else content)
    return out.getvalue()


def upload(client: TestClient, body: bytes, name: str = "pets", kind: str = "application/zip"):  # type: ignore[no-untyped-def]
    return client.post("/v1/datasets", params={"name": name}, content=body, headers={"Content-Type": kind})


def stored(settings: Settings) -> list[str]:
    """Everything in the folder of data sets, hidden files too."""
    folder = settings.folder / "datasets"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.full
def test_an_uploaded_zip_can_be_named_and_planned_with(client: TestClient, settings: Settings) -> None:
    (shipped,) = client.get("/v1/datasets").json()["datasets"]
    assert shipped["shipped"]
    answer = upload(client, zipped(SPLIT))
    told = {"name": "pets", "kind": "zip", "images": 8, "classes": ["cats", "dogs"], "split": True}
    assert answer.status_code == 201 and answer.json().items() >= told.items()
    assert client.get("/v1/datasets").json()["datasets"] == [answer.json(), shipped]
    assert client.get("/v1/datasets/pets").json() == answer.json()
    assert answer.headers["Location"] == "/v1/datasets/pets"
    assert stored(settings) == ["pets.zip"]
    study = {"data": "pets", "variants": ["resnet20/none", "resnet20/eca"], "seeds": 2, "recipe": {"batch_size": 4}}
    plan = client.post("/v1/plan", json={"study": study}).json()
    assert (plan["runs"], plan["runs_done"], plan["epochs"], plan["images"]) == (4, 0, 32, 8)
    assert plan["seconds"] > 0 and plan["basis"].startswith("Rough")
    assert "the first verdict is given at 6" in plan["notes"][0]
    study["recipe"] = "quick"
    problem(client.post("/v1/plan", json={"study": study}), 422, "4 training images, which do not fill one batch")


def test_a_plan_for_data_that_is_not_there_says_so(client: TestClient) -> None:
    study = {"data": "pets", "variants": ["resnet20/none", "resnet20/eca"]}
    problem(client.post("/v1/plan", json={"study": study}), 404, "no data set 'pets'")


def test_folders_and_archives_are_listed_by_their_names(client: TestClient, settings: Settings) -> None:
    folder = settings.folder / "datasets"
    for place in ("birds/owl/1.jpg", "birds/owl/2.png", "birds/jay/1.jpg", "birds/readme.txt"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(photo())
    (folder / "cifar-10-binary.tar.gz").write_bytes(b"")
    (folder / "notes.txt").write_text("not a data set")
    (folder / ".hidden").mkdir()
    found = {one["name"]: one for one in client.get("/v1/datasets").json()["datasets"]}
    assert list(found) == ["birds", "cifar-10-binary", "flowers-sample"]
    birds = {"name": "birds", "kind": "folder", "images": 3, "classes": ["jay", "owl"], "split": False}
    assert found["birds"].items() >= birds.items()
    assert found["cifar-10-binary"]["images"] is None  # nobody counted them


@pytest.mark.full
@pytest.mark.parametrize(
    ("asked", "name"),
    [("My pets.zip", "My-pets"), ("../../etc/passwd", "passwd"), ("C:\\x\\pets.ZIP", "pets"), ("été/été", "été")],
)
def test_a_name_becomes_one_that_is_no_path(client: TestClient, settings: Settings, asked: str, name: str) -> None:
    assert upload(client, zipped(SPLIT), asked).json()["name"] == name
    assert stored(settings) == [f"{name}.zip"]


def test_a_name_of_which_nothing_is_left_is_refused(client: TestClient) -> None:
    problem(upload(client, zipped(SPLIT), "..."), 422, "leaves no name")


def test_a_name_is_given_once(client: TestClient, settings: Settings) -> None:
    (settings.folder / "datasets" / "birds").mkdir(parents=True)
    assert upload(client, zipped(SPLIT)).status_code == 201
    before = (settings.folder / "datasets" / "pets.zip").read_bytes()
    for name in ("pets", "birds"):
        problem(upload(client, zipped(SPLIT[:4]), name), 409, f"a data set {name!r} already")
    assert (settings.folder / "datasets" / "pets.zip").read_bytes() == before


@pytest.mark.full
@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (lambda: b"not a zip", 422, "pets is no zip or tar"),
        (lambda: zipped(["cats/1.jpg", "cats/2.jpg"]), 422, "only the class folder 'cats'"),
        (lambda: zipped(["1.jpg", "2.jpg"]), 422, "lie in no class folder"),
        (lambda: zipped(["cats/1.jpg", "dogs/1.jpg"], b"no photo"), 422, "not an image"),
        (lambda: zipped([*SPLIT, "cats/3.jpg"]), 422, "'cats' is not. Say which"),
        (lambda: zipped(["cats/1.jpg", "../dogs/1.jpg"]), 422, "points outside of it"),
        (lambda: zipped(["cats/1.jpg", "/dogs/1.jpg"]), 422, "points outside of it"),
        (lambda: zipped(["cats/1.jpg", "dogs/1.jpg"], bytes(150_000_000)), 413, "far more than photos do"),
    ],
    ids=["no zip", "one class", "no class", "no photos", "half a split", "above", "absolute", "bomb"],
)
def test_a_zip_that_cannot_be_trained_on_leaves_nothing_behind(
    settings: Settings, body: Callable[[], bytes], status: int, sentence: str
) -> None:
    with TestClient(create_app(settings)) as client:
        problem(upload(client, body()), status, sentence, "pets")
    assert stored(settings) == []


def test_a_zip_that_lies_about_its_sizes_is_found_out(client: TestClient, settings: Settings) -> None:
    body = zipped(["cats/1.jpg", "dogs/1.jpg"], bytes(1_000_000))
    lying = body.replace((1_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    problem(upload(client, lying), 422, "cannot be unpacked")
    assert stored(settings) == []


def test_a_damaged_zip_is_found_out(client: TestClient, settings: Settings) -> None:
    body = bytearray(zipped(SPLIT))
    body[60:200] = bytes(140)
    problem(upload(client, bytes(body)), 422, "pets.zip cannot be unpacked")
    assert stored(settings) == []


@pytest.mark.full
def test_the_limit_holds_while_bytes_enter(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "small", device="cpu", threads=1, max_dataset_bytes=1000)
    with TestClient(create_app(settings)) as client:
        problem(upload(client, bytes(1001)), 413, "larger than the 1,000 bytes")
        read: list[int] = []

        def endless() -> Iterator[bytes]:
            for number in range(100):
                read.append(number)
                yield bytes(100)

        answer = client.post("/v1/datasets", params={"name": "pets"}, content=endless())
        problem(answer, 413, "larger than the 1,000 bytes")
    assert stored(settings) == []


@pytest.mark.full
def test_a_form_is_told_how_a_zip_is_sent(client: TestClient) -> None:
    answer = client.post("/v1/datasets", params={"name": "pets"}, files={"zip": ("pets.zip", zipped(SPLIT))})
    problem(answer, 415, "send the zip or tar itself", "curl")
    problem(client.post("/v1/datasets", content=b""), 422, "'name' is missing")
