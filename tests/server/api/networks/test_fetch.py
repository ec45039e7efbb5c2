"""Published networks over HTTP: a job that brings them from a hub on this machine, once, and goes on after a cancel."""

import json
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from attention.analyses.fetch import fetch_networks
from attention.data.files import Files
from attention.errors import BadCheckpoint, StorageFailed
from attention.weights.hub import Hub
from attention.weights.hub_networks import find_networks
from server.app import create_app
from server.settings import Settings
from tests.attention.weights.checkpoint_files import trained, write
from tests.attention.weights.hub_server import COMMIT, Server, needs_client, serving
from tests.attention.weights.test_hub_networks import CONFIG, NAME

pytestmark = [needs_client, pytest.mark.full]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A hub that has a MobileNetV2 of the true names and shapes under every name; processes started now ask it."""
    Server.weights = write(tmp_path / "source.safetensors", trained("mobilenetv2/none").state_dict()).read_bytes()
    Server.config = json.dumps(CONFIG).encode()
    Server.asked.clear()
    Server.cuts = 0
    with serving() as address:
        chosen = {"HF_ENDPOINT": address, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        for name, value in {**chosen, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        yield address


def ended(client: TestClient, name: str) -> dict[str, Any]:
    """The job that fetches a network, when it has ended."""
    answer = client.post("/v1/weights/fetch", json={"name": name})
    assert answer.status_code == 202, answer.text
    until = time.monotonic() + 240
    while (job := client.get(answer.headers["Location"]).json())["finished"] is None and time.monotonic() < until:
        time.sleep(0.2)
    return dict(job)


def weights_asked() -> list[str]:
    return [line for line in Server.asked if line.startswith("GET") and "model.safetensors" in line]


def test_a_network_is_fetched_once_as_a_job_and_then_known(
    hub: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TestClient(create_app(settings)) as client:
        job = ended(client, NAME)
        assert job["state"] == "done", job["error"]
        assert job["done"] == job["total"] == len(Server.weights) // 1000
        assert job["note"].startswith(f"{NAME}: {len(Server.weights) / 1e6:.1f} of {len(Server.weights) / 1e6:.1f} MB")
        (network,) = client.get(f"/v1/jobs/{job['id']}/report").json()["networks"]
        assert network["name"] == f"mobilenetv2/none?weights=hub:timm/{NAME}"
        assert (network["revision"], network["licence"]) == (COMMIT, "apache-2.0")
        assert network["bytes"] == network["fetched_bytes"] == len(Server.weights)
        assert len(weights_asked()) == 1

        monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # what is here needs no network, and what is not says so
        again = ended(client, f"timm/{NAME}")
        (network,) = client.get(f"/v1/jobs/{again['id']}/report").json()["networks"]
        assert network["fetched_bytes"] == 0 and len(weights_asked()) == 1
        absent = ended(client, "resnet18.tv_in1k")
        assert absent["state"] == "failed" and "the network is not used here" in absent["error"]
        unknown = client.post("/v1/weights/fetch", json={"name": "quartett"})
        assert unknown.status_code == 422 and "Did you mean 'quartet'?" in unknown.json()["detail"]


def test_a_hub_out_of_reach_is_told_before_anything_is_asked_of_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("attention.weights.hub.CATALOGUE_WAITS_S", 60.0)  # a busy machine needs longer to know
    with TestClient(create_app(settings)) as client:
        told = {choice["obstacle"] for choice in client.get("/v1/weights").json()["weights"]}
    assert any(sentence.startswith("127.0.0.1 cannot be reached from this machine now. On a") for sentence in told)
    assert None not in told  # the others name what is not installed
    with pytest.raises(BadCheckpoint, match=r"cannot be fetched now: 127\.0\.0\.1 cannot be reached"):
        Hub(settings.folder / "hub")("timm/resnet18.tv_in1k", "model.safetensors", None)


CANCELLED = """
import sys
from pathlib import Path
from attention.analyses.fetch import fetch_networks
from attention.data.files import Files
from attention.errors import Cancelled
from attention.weights.hub import Hub
from attention.weights.hub_networks import find_networks

def stop(download):
    print(download.here, download.size, download.fetched)
    if download.fetched == download.size and sys.argv[2] == "cancel":
        raise Cancelled("It was cancelled.")

for report in fetch_networks(find_networks(sys.argv[3]), Files(Path(sys.argv[1])).checkpoints, stop):
    print("done", report.fetched_bytes)
"""


def test_a_cancelled_fetch_goes_on_where_it_stopped(hub: str, tmp_path: Path) -> None:
    def run(end: str) -> list[list[str]]:
        line = [sys.executable, "-c", CANCELLED, str(tmp_path), end, NAME]
        done = subprocess.run(line, capture_output=True, text=True, timeout=300)
        assert (done.returncode == 0) == (end != "cancel"), done.stderr
        return [text.split() for text in done.stdout.splitlines()]

    told = [int(line[0]) for line in run("cancel")]  # the last piece is told of before it is written
    assert told[0] == 0 < told[-2] < told[-1] == len(Server.weights)
    assert run("go on")[-1] == ["done", str(len(Server.weights) - told[-2])]
    assert weights_asked()[-1].endswith(f"bytes={told[-2]}-")


def test_a_disk_without_room_for_all_of_a_group_is_said_before_anything_is_fetched(
    hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**9, 6 * 10**8, 4 * 10**8))
    group = find_networks("quartet")  # each alone would fit
    with pytest.raises(StorageFailed, match=r"resnet33ts.* has 316 MB, and the disk it would be kept on has 400 MB"):
        next(fetch_networks(group, Files(tmp_path).checkpoints, lambda download: None))
    assert Server.asked == []
