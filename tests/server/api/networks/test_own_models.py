"""The operator's own models over REST: what is run, what is refused, and what they answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from starlette.testclient import TestClient

from attention.data.files import samples
from attention.errors import InvalidRequest
from attention.models import own_models
from server.app import create_app
from server.catalog import catalog
from server.jobs.worker import run_job
from server.settings import Settings
from server.store import Store

PHOTO = samples()[0].id

MODELS = '''
"""Models of this operator."""
from tests.attention.models.own import Classifier, Segmenter

def mine():
    """Tells five things apart."""
    return Classifier()

mine.labels = ["a", "b", "c", "d", "e"]

def roads():
    return Segmenter()

def broken():
    raise RuntimeError("the weights are on another machine")

def number():
    return 7

def _private():
    raise AssertionError
'''


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "models.py"
    file.write_text(MODELS)
    file.chmod(0o644)
    yield file
    for name in own_models.names():
        own_models.remove(name)


def settings(file: Path) -> Settings:
    return Settings(data=file.parent / "data", models=file, device="cpu", threads=1, jobs=0)


@pytest.mark.full
def test_the_service_answers_of_the_operators_models(file: Path) -> None:
    with TestClient(create_app(settings(file))) as client:
        entries = {entry["name"]: entry for entry in client.get("/v1/catalog").json()["own_models"]}
        assert list(entries) == ["own(name=mine)", "own(name=roads)", "own(name=broken)", "own(name=number)"]
        mine = entries["own(name=mine)"]
        assert (mine["title"], mine["classes"], mine["gates"], mine["input_size"]) == (
            "Tells five things apart.",
            5,
            3,
            32,
        )
        assert "RuntimeError: the weights are on another machine" in entries["own(name=broken)"]["problem"]
        assert "is a int, and no nn.Module" in entries["own(name=number)"]["problem"]
        assert (entries["own(name=roads)"]["outputs"], entries["own(name=roads)"]["problem"]) == ("map", None)

        asked = {"images": [PHOTO], "variants": ["own(name=mine)/none", "own(name=mine)/eca@after:down"]}
        answer = client.post("/v1/compare", json=asked).json()
        assert [gate["path"] for gate in answer["predictions"][0]["gates"]] == ["se", "se2", "(model)"]
        assert {score["label"] for score in answer["predictions"][0]["top"]} == set("abcde")
        assert "has not been trained" in answer["variants"][1]["warning"]
        gates = client.post("/v1/gates", json={"variant": "own(name=roads)/none"}).json()
        assert [(gate["path"], gate["kind"], gate["entries"]) for gate in gates["gates"]] == [("se", "channel", 8)]
        refused = client.post("/v1/compare", json={"images": [PHOTO], "variants": ["own(name=roads)/none"]})
        assert refused.status_code == 422 and "no classes of whole images" in refused.json()["detail"]
        effects = client.post("/v1/effects", json={"images": [PHOTO], "variant": "own(name=roads)/none"}).json()
        assert [0 <= effect["kept"] <= 1 for effect in effects["effects"]] == [True, True]
        broken = client.post("/v1/cost", json={"variants": ["own(name=broken)/none"]})
        assert broken.status_code == 422 and "another machine" in broken.json()["detail"]
        report = client.post("/v1/cost", json={"variants": ["own(name=mine)/none"]})
        conditions = client.get(f"/v1/reports/{report.headers['Report-Id']}").json()["conditions"]
        assert "own(name=mine)/none" in conditions["weights"]  # another file of models is another condition


@pytest.mark.full
def test_a_job_takes_the_operators_models(file: Path) -> None:
    with TestClient(create_app(settings(file))) as client:
        request = {
            "variant": "own(name=mine)/none",
            "images": {"images": [PHOTO]},
            "kinds": ["scalar"],
            "scopes": ["all"],
        }
        job = client.post("/v1/jobs", json={"analysis": "sweep", "request": request}).json()["id"]
        own_models.remove("mine")  # as in another process
        run_job(settings(file), job)
        report = client.get(f"/v1/jobs/{job}/report").json()
        assert report["effects"][0]["gates"] == 3
    Store(settings(file).database_url).close()


def test_a_file_that_others_can_write_is_not_run(file: Path) -> None:
    file.chmod(0o666)
    with pytest.raises(InvalidRequest, match=f"{file.name} must belong to the user who runs the service"):
        own_models.read(file)
    assert own_models.names() == ()
    file.chmod(0o644)
    file.parent.chmod(0o777)
    with pytest.raises(InvalidRequest, match="writable for nobody else"):
        own_models.read(file)
    file.parent.chmod(0o700)
    file.write_text("import nothing_of_that_name")
    with pytest.raises(InvalidRequest, match="ModuleNotFoundError: No module named 'nothing_of_that_name'"):
        own_models.read(file)
    with pytest.raises(InvalidRequest, match="There is no file of models"):
        own_models.read(file.with_name("none.py"))


@pytest.mark.full
def test_a_model_that_is_too_large_or_takes_too_long_is_left_out(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(
        "import time, torch\n"
        "def large():\n    return torch.nn.Linear(20_000, 20_001, device='meta')\n"
        "def slow():\n    time.sleep(5)\n"
    )
    monkeypatch.setattr(own_models, "BUILT_WITHIN_S", 1.0)
    own_models.read(file)
    problems = {entry.name: entry.problem for entry in catalog().own_models}
    assert "400,040,001 parameters; models of up to 400,000,000" in str(problems["own(name=large)"])
    assert "takes longer than 1 s" in str(problems["own(name=slow)"])


def test_weights_that_a_builder_draws_are_those_of_every_process(file: Path) -> None:
    first = (own_models.read(file), own_models.get("mine").module.state_dict())[1]
    torch.rand(3)
    second = (own_models.read(file), own_models.get("mine").module.state_dict())[1]
    assert all(torch.equal(first[name], second[name]) for name in first) and len(first) > 10
    assert own_models.get("mine").fingerprint != own_models.get("roads").fingerprint


def test_packages_give_models_by_entry_points(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    from importlib.metadata import EntryPoint

    points = [
        EntryPoint("packaged", "tests.attention.models.own:Segmenter", own_models.GROUP),
        EntryPoint("missing", "no_such_package:build", own_models.GROUP),
    ]
    monkeypatch.setattr(own_models, "entry_points", lambda group: [point for point in points if point.group == group])
    assert own_models.read() == ("packaged", "missing")
    assert own_models.get("packaged").measured.outputs == "map"
    with pytest.raises(InvalidRequest, match="'missing' of no_such_package:build cannot be imported"):
        own_models.get("missing").measured  # noqa: B018
