"""API keys at rest and in use: only hashes are kept, changes are noticed, and what cannot be read lets nobody in."""

import hashlib
import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from attention.errors import InvalidRequest, NotFound
from server.access.keys import TOKEN, KeyRing, UnreadableKeys, create_key, read_keys, revoke_key

ROOT = Path(__file__).parents[3]


class Clock:
    """Seconds that pass when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "keys.json"


def test_the_file_holds_the_hash_of_a_key_and_not_the_key(path: Path) -> None:
    key, token = create_key(path, "lab")
    text = path.read_text()
    assert token not in text and token.split("_", 2)[2] not in text
    assert json.loads(text)["keys"][0]["sha256"] == hashlib.sha256(token.encode()).hexdigest() == key.sha256
    assert TOKEN.fullmatch(token) and len(token.split("_", 2)[2]) * 6 >= 256  # bits, in base64


def test_only_its_owner_can_read_the_file_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        create_key(path, "one")
        create_key(path, "two")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["keys.json"]


def test_a_key_is_found_and_any_other_text_is_not(path: Path) -> None:
    key, token = create_key(path, "lab")
    _, other = create_key(path, "other")
    ring = KeyRing(path)
    assert ring.find(token) == key
    forged = f"att_{key.id}_{other.split('_', 2)[2]}"
    for wrong in ("", "att_", token[:-1], token + "x", token.upper(), forged, f"att_{'0' * 8}_{'a' * 43}", "ü" * 56):
        assert ring.find(wrong) is None


def test_a_running_service_notices_new_and_revoked_keys_within_a_second(path: Path) -> None:
    clock = Clock()
    ring = KeyRing(path, clock)
    before = ring.some
    _, token = create_key(path, "lab")
    clock.now += 1.0
    assert (before, ring.some) == (False, True) and ring.find(token)
    revoke_key(path, "lab")
    clock.now += 1.0
    assert ring.find(token) is None


def test_a_service_whose_last_key_is_revoked_is_closed_and_not_open(path: Path) -> None:
    create_key(path, "lab")
    revoke_key(path, "lab")
    assert KeyRing(path).some


def test_a_file_that_vanishes_opens_nothing(path: Path) -> None:
    clock = Clock()
    ring = KeyRing(path, clock)
    _, token = create_key(path, "lab")
    assert ring.some
    path.unlink()
    clock.now += 1.0
    assert ring.some and ring.find(token) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"keys": [{"id": "1"}]}', '{"keys": [], "more": 1}'])
def test_a_file_that_holds_no_keys_lets_nobody_in_and_is_not_overwritten(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    ring = KeyRing(path)
    for _ in range(2):
        with pytest.raises(UnreadableKeys, match="does not hold API keys"):
            ring.find("x")
    with pytest.raises(UnreadableKeys):
        create_key(path, "lab")
    assert path.read_text() == text


def test_keys_made_at_the_same_time_are_all_kept(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        tokens = [token for _, token in pool.map(lambda number: create_key(path, f"key-{number}"), range(24))]
    ring = KeyRing(path)
    assert {key.name for token in tokens if (key := ring.find(token))} == {f"key-{number}" for number in range(24)}


def test_a_name_is_plain_and_taken_once(path: Path) -> None:
    for name in ("", "a b", "-x", "x" * 65, "x\n", "../x"):
        with pytest.raises(InvalidRequest, match="not a name"):
            create_key(path, name)
    first, _ = create_key(path, "lab")
    with pytest.raises(InvalidRequest, match="already"):
        create_key(path, "lab")
    assert revoke_key(path, first.id).name == "lab"
    create_key(path, "lab")  # its successor
    with pytest.raises(NotFound, match="keys list"):
        revoke_key(path, "nobody")


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ATTENTION_DATA": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "server", "keys", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.full
def test_the_command_shows_a_key_once_lists_it_without_and_revokes_it(tmp_path: Path) -> None:
    made = command(tmp_path, "create", "lab")
    token = made.stdout.strip()  # alone on standard output, so that a script can take it
    assert made.returncode == 0 and KeyRing(tmp_path / "keys.json").find(token)
    listed = command(tmp_path, "list").stdout
    assert "lab" in listed and "in use" in listed and token.split("_", 2)[2] not in listed
    assert command(tmp_path, "revoke", "lab").returncode == 0
    assert "revoked" in command(tmp_path, "list").stdout
    again = command(tmp_path, "revoke", "lab")
    assert again.returncode == 2 and "no key in use" in again.stderr
    assert len(read_keys(tmp_path / "keys.json").keys) == 1
