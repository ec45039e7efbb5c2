"""Weights on the Look page: published networks are fetched by a click, and a checkpoint of one's own is uploaded."""

import json
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from safetensors.torch import save
from streamlit.testing.v1 import AppTest

from attention.client import Client
from dashboard import connect
from server.settings import Settings
from tests.attention.weights.checkpoint_files import trained, write
from tests.attention.weights.hub_server import COMMIT, needs_client, serving
from tests.attention.weights.test_hub_networks import CONFIG, NAME
from tests.dashboard.page_parts import linked, page_of, texts

pytestmark = [pytest.mark.full, needs_client]


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hub that can be reached from this machine."""
    with serving() as address:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        yield


def look(client: Client, monkeypatch: pytest.MonkeyPatch, name: str = "look/page", **address: list[str]) -> AppTest:
    monkeypatch.setattr(connect, "client", lambda: client)
    page = AppTest.from_file(page_of(name), default_timeout=120)
    page.query_params.update(address)
    page.run()
    assert not page.exception
    return page


def offline(monkeypatch: pytest.MonkeyPatch, so: bool) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", so)


def put(settings: Settings) -> None:
    """Put a published network where the hub's client would, with weights made here."""
    folder = settings.folder / "hub" / f"models--timm--{NAME}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    (folder / "snapshots" / COMMIT).mkdir(parents=True)
    write(folder / "snapshots" / COMMIT / "model.safetensors", trained("mobilenetv2/none").state_dict())
    (folder / "snapshots" / COMMIT / "config.json").write_text(json.dumps(CONFIG))


def test_a_group_is_fetched_by_a_click_and_its_job_is_found_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline(monkeypatch, False)
    page = look(client, monkeypatch, trained=["imagenet"])
    assert "4 published networks of ImageNet, about 316 MB" in texts(page.markdown)
    page.button(key="fetch").click().run()
    assert not page.exception and [job.request for job in client.jobs()] == [{"name": "quartet"}]
    again = look(client, monkeypatch, trained=["imagenet"])
    assert "It waits for jobs" in "".join(str(bar.proto.text) for bar in again.get("progress"))
    client.cancel(client.jobs()[0].id)
    assert not look(client, monkeypatch, trained=["imagenet"]).button(key="fetch").disabled


def test_without_a_network_the_button_is_grey_and_says_why(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    offline(monkeypatch, True)
    page = look(client, monkeypatch, trained=["imagenet"], published=["resnet50-a1"])
    assert page.button(key="fetch").disabled and "uses no network (HF_HUB_OFFLINE)" in texts(page.caption)
    offline(monkeypatch, False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setattr("attention.weights.hub.CATALOGUE_WAITS_S", 60.0)
    page = look(client, monkeypatch, trained=["imagenet"], published=["resnet50-a1"], lang=["zh"])
    assert page.button(key="fetch").disabled and "无法从这台机器连接 127.0.0.1" in texts(page.caption)


@pytest.mark.skipif(find_spec("timm") is not None, reason="timm is installed")
def test_a_network_whose_library_is_missing_is_grey_and_says_what_to_install(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline(monkeypatch, False)
    page = look(client, monkeypatch, trained=["imagenet"], published=["efficientnet_b0.ra_in1k"])
    assert page.button(key="fetch").disabled and "pip install 'attention-lab[timm]'" in texts(page.caption)


def test_what_was_fetched_is_a_network_to_look_with(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(settings)
    offline(monkeypatch, True)
    page = look(client, monkeypatch, trained=["imagenet"], published=[NAME])
    assert not page.error and "224 × 224" in "".join(str(element.proto.body) for element in page.get("html"))
    states = {entry["name"]: entry["here"] for entry in client.entries("weights")}
    assert states[NAME] and sum(states.values()) == 1


@pytest.mark.parametrize(("name", "key"), [("look/page", "variant"), ("your_model/page", "network")])
def test_a_checkpoint_is_uploaded_and_chosen(
    name: str, key: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = look(client, monkeypatch, name)
    model = trained("resnet20(width=4)/se?classes=7")
    page.file_uploader(key="checkpoint").upload("mine.safetensors", save(model.state_dict())).run()
    page.button(key="checkpoint.send").click().run()
    assert not page.exception and not page.error
    (network,) = linked(page, key)
    assert network.startswith("resnet20") and network.endswith("weights=file:mine") and network in texts(page.success)
    assert [checkpoint["name"] for checkpoint in client.entries("checkpoints")] == ["mine"]


def test_a_bad_checkpoint_is_a_sentence(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    page = look(client, monkeypatch)
    page.file_uploader(key="checkpoint").upload("mine.safetensors", b"no tensors").run()
    page.button(key="checkpoint.send").click().run()
    assert not page.exception and "not a safetensors file" in texts(page.error)
