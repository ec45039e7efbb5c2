"""Networks to take away over HTTP: a job writes the file, it answers as torch does, and it leaves with its job."""

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load
from starlette.testclient import TestClient

from attention.build import build
from attention.spec import Variant
from server.jobs.worker import run_job
from server.settings import Settings
from tests.attention.running.test_export import needs_onnx
from tests.server.api.http.test_problems import problem

ECA = "vgg11_small(width=0.25)/eca@standard:5?classes=7&seed=3"

pytestmark = pytest.mark.full


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Jobs are done by the tests themselves."""
    return settings.model_copy(update={"jobs": 0})


def job(client: TestClient, settings: Settings, **question: Any) -> dict[str, Any]:
    """A job of export, when it has ended."""
    answer = client.post("/v1/export", json={"variant": ECA, **question})
    assert answer.status_code == 202, answer.text
    run_job(settings, answer.json()["id"])
    return dict(client.get(answer.headers["Location"]).json())


def written(settings: Settings) -> list[str]:
    """Everything in the folder of exports, hidden files too."""
    folder = settings.folder / "exports"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def truth(images: torch.Tensor) -> np.ndarray[Any, Any]:
    with torch.no_grad():
        return np.asarray(build(Variant.parse(ECA))(images))


def test_a_program_is_written_taken_away_and_gone_with_its_job(client: TestClient, settings: Settings) -> None:
    ended = job(client, settings, format="torch.export")
    assert ended["state"] == "done", ended["error"]
    report = client.get(ended["links"]["report"]).json()
    answer = client.get(ended["links"]["file"])
    assert report["complete"] and report["file"]["bytes"] == len(answer.content) == int(
        answer.headers["content-length"]
    )
    assert f'filename="{report["file"]["name"]}"' in answer.headers["content-disposition"]
    assert report["card"]["free_batch"] and len(report["card"]["checks"]) == 3
    images = torch.randn(5, 3, 32, 32)
    program = torch.export.load(io.BytesIO(answer.content)).module()
    with torch.no_grad():
        assert np.allclose(program(images).numpy(), truth(images), atol=1e-5)

    part = client.get(ended["links"]["file"], headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == answer.content[10:20]
    stored = next(kind for kind in client.get("/v1/storage").json()["kinds"] if kind["kind"] == "jobs")
    assert stored["bytes"] == ended["bytes"] + len(answer.content)
    assert client.delete(ended["links"]["job"]).status_code == 204
    assert written(settings) == []
    problem(client.get(ended["links"]["file"]), 404, "There is no job")


def test_the_hubs_layout_comes_as_one_zip(client: TestClient, settings: Settings) -> None:
    ended = job(client, settings, format="safetensors", licence="apache-2.0")
    packed = zipfile.ZipFile(io.BytesIO(client.get(ended["links"]["file"]).content))
    assert sorted(packed.namelist()) == ["README.md", "config.json", "model.safetensors"]
    tensors, model = load(packed.read("model.safetensors")), build(Variant.parse(ECA))
    assert all(torch.equal(tensors[name], tensor) for name, tensor in model.state_dict().items())
    config = json.loads(packed.read("config.json"))
    assert config["num_classes"] == 7 and config["attention_lab"]["card"]["checks"][0]["largest_difference"] == 0
    assert "license: apache-2.0" in packed.read("README.md").decode()


@needs_onnx
def test_onnx_of_another_size_answers_as_torch_does(client: TestClient, settings: Settings, tmp_path: Path) -> None:
    ended = job(client, settings, input_size=40)
    assert ended["state"] == "done", ended["error"]
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(client.get(ended["links"]["file"]).content)
    images = torch.randn(3, 3, 40, 40)
    assert np.allclose(session.run(None, {"images": images.numpy()})[0], truth(images), atol=1e-5)


def test_one_file_of_two_equal_jobs_leaves_with_the_last(client: TestClient, settings: Settings) -> None:
    first, second = (job(client, settings, format="safetensors") for _ in range(2))
    other = job(client, settings, format="safetensors", input_size=48)
    assert len(written(settings)) == 2
    client.delete(first["links"]["job"])
    assert client.get(second["links"]["file"]).status_code == 200
    client.delete(second["links"]["job"])
    assert len(written(settings)) == 1 and client.get(other["links"]["file"]).status_code == 200


def test_what_fails_leaves_nothing_and_says_why(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)  # as if it were not installed
    ended = job(client, settings, format="onnx")
    assert ended["state"] == "failed" and "pip install 'attention-lab[onnx]'" in ended["error"]
    assert written(settings) == []
    problem(client.get(ended["links"]["file"]), 404, "is failed and has no file")
    problem(client.post("/v1/export", json={"variant": ECA, "format": "tflite"}), 422, "onnx")
    problem(client.post("/v1/export", json={"variant": "resnet20/cbma"}), 422, "Did you mean 'cbam'?")


def test_other_jobs_have_no_file(client: TestClient, settings: Settings) -> None:
    answer = client.post("/v1/jobs", json={"analysis": "cost", "request": {"variants": ["eca"]}}).json()
    run_job(settings, answer["id"])
    assert answer["links"]["file"] is None
    problem(client.get(f"/v1/jobs/{answer['id']}/file"), 404, "Jobs of 'export' write one")
    assert client.delete(f"/v1/jobs/{answer['id']}").status_code == 204


def test_a_job_that_begins_again_leaves_nothing_of_its_first_try(client: TestClient, settings: Settings) -> None:
    first = job(client, settings, format="safetensors")
    place = settings.folder / client.get(first["links"]["report"]).json()["file"]["stored"]
    place.write_bytes(b"half")
    job(client, settings, format="safetensors")
    assert zipfile.ZipFile(place).testzip() is None and len(written(settings)) == 1
