"""Sending a network to the hub by the hub's own client, to a hub on this machine, and reading it back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attention.weights.hub_server import TOKEN, Server, needs_client, serving

pytestmark = [pytest.mark.full, needs_client]


def export(endpoint: str, folder: Path, token: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run attention-lab export in a process of its own, because the client reads its settings when it is imported."""
    env = {**os.environ, "HF_ENDPOINT": endpoint, "HF_TOKEN": token, "HF_HOME": str(folder / "home")}
    env |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"}
    env.pop("HF_HUB_OFFLINE", None)
    network = "resnet20/eca?weights=shipped"
    command = [sys.executable, "-m", "attention", "export", network, "-o", str(folder / "eca"), "--hub", "me/eca"]
    return subprocess.run([*command, *options], env=env, capture_output=True, text=True, timeout=300)


def test_the_hubs_client_takes_the_folder_and_the_hub_gives_it_back(tmp_path: Path) -> None:
    with serving() as endpoint:
        done = export(endpoint, tmp_path, TOKEN, "--licence", "apache-2.0")
    assert done.returncode == 0, done.stderr
    assert "Sent. Ask for weights=hub:me/eca." in done.stdout
    assert Server.private == {"me/eca": True}
    assert set(Server.sent) == {"README.md", "config.json", "model.safetensors"}
    assert Server.sent == {file.name: file.read_bytes() for file in (tmp_path / "eca").iterdir()}
    assert json.loads(Server.sent["config.json"])["num_classes"] == 10
    assert b"license: apache-2.0" in Server.sent["README.md"]


def test_a_refused_token_gets_a_sentence_and_the_files_stay(tmp_path: Path) -> None:
    with serving() as endpoint:
        done = export(endpoint, tmp_path, "hf_of_nobody", "--public")
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "me/eca cannot be written:" in done.stderr and "401" in done.stderr, done.stderr
    assert sorted(file.name for file in (tmp_path / "eca").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
