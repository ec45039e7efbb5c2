"""Verbs of the service: `attention-lab keys` and `check` do what `python -m server` does."""

import argparse
import csv
import io
import json
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from attention.commands import exit_code
from attention.errors import InvalidRequest, NotFound
from server.commands import check, keys, share
from tests.attention.data.archives import write_zip


def parsed(module: object, words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    getattr(module, "add_arguments")(parser)  # noqa: B009
    return parser.parse_args(words)


def test_keys_are_made_listed_and_revoked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path))
    keys.run(parsed(keys, ["create", "ada"]))
    assert capsys.readouterr().out.strip()
    keys.run(parsed(keys, ["create", "eve", "--operator"]))
    keys.run(parsed(keys, ["create", "joe", "--bytes", "5000000"]))
    keys.run(parsed(keys, ["list"]))
    listed = capsys.readouterr().out
    assert all(text in listed for text in ("ada", "eve", "joe", "5,000,000", "in use"))
    keys.run(parsed(keys, ["list", "--format", "json"]))
    ada, eve, joe = json.loads(capsys.readouterr().out)
    assert (ada["state"], eve["operator"], joe["operator"], joe["most_bytes"]) == ("in use", True, False, 5_000_000)
    keys.run(parsed(keys, ["revoke", "ada"]))
    keys.run(parsed(keys, ["list"]))
    assert "revoked" in capsys.readouterr().out
    assert exit_code(lambda: keys.run(parsed(keys, ["revoke", "bob"]))) == 2
    assert "'bob'" in capsys.readouterr().err


@pytest.mark.full
@pytest.mark.usefixtures("nothing_shipped")
def test_what_lies_in_the_data_folder_is_listed_and_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    write_zip(tmp_path / "datasets" / "pets.zip", {"cats/1.jpg": b"", "dogs/1.jpg": b""})

    def told(*words: str) -> str:
        share.run(parsed(share, list(words)))
        return capsys.readouterr().out

    def shared() -> dict[str, str]:
        rows = csv.DictReader(io.StringIO(told("datasets", "--format", "csv")))
        return {row["name"]: row["shared"] for row in rows}

    assert "pets" in told("datasets") and shared() == {"pets": "False"}
    assert "every key" in told("datasets", "pets") and shared() == {"pets": "True"}
    told("datasets", "--all", "--off")
    assert shared() == {"pets": "False"}
    with pytest.raises(NotFound, match="no data set"):
        told("datasets", "dogs")
    with pytest.raises(InvalidRequest, match="--format.*attention-lab share datasets"):
        told("datasets", "pets", "--format", "csv")


@pytest.mark.full
def test_check_ends_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path))
    monkeypatch.setenv("ATTENTION_DEVICE", "cpu")
    code = check.run(parsed(check, []))
    lines = capsys.readouterr().out.splitlines()
    assert {line[:4] for line in lines} <= {"OK  ", "WARN", "FAIL"} and code == any("FAIL" in line for line in lines)
    out = tmp_path / "findings.json"
    assert check.run(parsed(check, ["--format", "json", "-o", str(out)])) == code
    assert [finding["about"] for finding in json.loads(out.read_text())] == [line[6:17].strip() for line in lines]


def test_every_entry_point_is_a_verb() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["attention_lab.commands"]
    assert {"serve", "check", "keys", "share"} <= set(points)
    for module in map(import_module, points.values()):
        assert callable(module.add_arguments) and callable(module.run) and module.__doc__
