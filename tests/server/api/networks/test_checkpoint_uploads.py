"""Weights sent over HTTP: kept whole under a name, or refused with a sentence and nothing of them kept."""

import io
import json
from collections.abc import Iterator

import pytest
import torch
from safetensors.torch import load, save
from starlette.testclient import TestClient

from server.app import create_app
from server.settings import Settings
from tests.attention.weights.checkpoint_files import Bomb, trained
from tests.server.api.http.test_problems import problem

SMALL = {"layer.weight": torch.arange(6.0).reshape(2, 3), "steps": torch.tensor(7)}


def upload(client: TestClient, body: bytes | Iterator[bytes], name: str = "mine", kind: str = ""):  # type: ignore[no-untyped-def]
    headers = {"Content-Type": kind} if kind else {}
    return client.post("/v1/checkpoints", params={"name": name}, content=body, headers=headers)


def stored(settings: Settings) -> list[str]:
    """Everything in the folder of checkpoints, hidden files too."""
    folder = settings.folder / "checkpoints"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def pickled(content: object) -> bytes:
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


@pytest.mark.full
def test_weights_that_were_sent_are_what_a_variant_names(client: TestClient, settings: Settings) -> None:
    model = trained("resnet20(width=4)/se?classes=7")
    answer = upload(client, save(model.state_dict()), "mine.safetensors", "application/octet-stream")
    assert answer.status_code == 201, answer.text
    sent = answer.json()
    assert (sent["name"], sent["origin"], answer.headers["Location"]) == ("mine", "converted", "/v1/checkpoints/mine")
    assert client.get("/v1/checkpoints").json()["checkpoints"] == [sent]
    assert stored(settings) == ["mine.json", "mine.safetensors"]
    taken = load(client.get("/v1/checkpoints/mine").content)
    assert all(torch.equal(taken[name], tensor) for name, tensor in model.state_dict().items())
    image = client.get("/v1/images").json()["images"][0]["id"]
    question = {"images": [image], "variants": [f"{sent['variant']}?classes=7&weights=file:mine"]}
    if "classes=" in sent["variant"]:
        question["variants"] = [f"{sent['variant']}&weights=file:mine"]
    summary = client.post("/v1/compare", json=question).json()["variants"][0]
    assert summary["state"] == "trained"
    problem(upload(client, save(SMALL)), 409, "a checkpoint 'mine' already")


@pytest.mark.full
def test_numbers_of_any_float_format_are_taken(client: TestClient) -> None:
    kinds = (torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn)
    answer = upload(client, save({str(kind): torch.ones(2, 2).to(kind) for kind in kinds}))
    assert answer.status_code == 201 and answer.json()["variant"] is None


def with_header(change: dict[str, object]) -> bytes:
    """A file whose header says something else of its one tensor than is true."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **change}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(8)


WHOLE = save(SMALL)


REFUSED = (
    (pickled({"w": torch.ones(2)}), "Where it lies, `attention-lab convert FILE` makes safetensors of it."),
    (pickled(Bomb()), "is a pickle or an archive"),
    (WHOLE[:-1], "is damaged"),
    (WHOLE[:20], "is damaged"),
    (WHOLE[:5], "not a safetensors file"),
    (b"", "is empty"),
    (WHOLE + b"more", "is damaged"),
    (b"\xff" * 64, "not a safetensors file"),
    ((1 << 60).to_bytes(8, "little") + b"{}", "claims a header"),
    (with_header({"data_offsets": [0, 4]}), "is damaged"),
    (with_header({"shape": [1 << 62, 2]}), "is damaged"),
    (save({}), "holds no tensors"),
    (save({"w": torch.arange(3)}), "holds I64 in w, not floats"),
    (save({"w": torch.ones(2, dtype=torch.complex64)}), "holds C64 in w, not floats"),
    (save({"w": torch.tensor([1.0, float("nan")])}), "Not every number of w is finite"),
    (save({"w": torch.tensor([1.0, float("inf")], dtype=torch.bfloat16)}), "Not every number of w is finite"),
    (save({"w": torch.full((2,), float("nan")).to(torch.float8_e5m2)}), "Not every number of w is finite"),
)
"""Bodies, and what is said of each."""


@pytest.mark.full
def test_what_is_no_checkpoint_is_refused_and_nothing_is_kept(client: TestClient, settings: Settings) -> None:
    for body, sentence in REFUSED:
        found = problem(upload(client, body), 422, sentence)
        assert ".part" not in found.detail
        assert client.get("/v1/checkpoints").json()["checkpoints"] == []
        assert stored(settings) == []
    assert not Bomb.went_off


@pytest.mark.full
def test_the_limit_holds_while_bytes_enter(settings: Settings) -> None:
    read: list[int] = []

    def endless() -> Iterator[bytes]:
        for number in range(100):
            read.append(number)
            yield bytes(100)

    small = settings.model_copy(update={"max_checkpoint_bytes": 1000})
    with TestClient(create_app(small)) as client:
        problem(upload(client, bytes(1001)), 413, "larger than the 1,000 bytes")
        problem(upload(client, endless()), 413, "larger than the 1,000 bytes")
    assert stored(settings) == []


@pytest.mark.full
def test_a_name_that_cannot_be_one_is_refused_before_a_byte_is_kept(client: TestClient, settings: Settings) -> None:
    for name in ("../up", ".hidden", "a b", "猫", "x" * 201, "x" + "é" * 100):
        problem(upload(client, WHOLE, name), 422, "cannot be a checkpoint's name")
        assert stored(settings) == []


def test_a_form_is_told_how_a_checkpoint_is_sent(client: TestClient) -> None:
    answer = client.post("/v1/checkpoints", params={"name": "mine"}, files={"file": ("x.safetensors", WHOLE)})
    problem(answer, 415, "send the safetensors file itself")
