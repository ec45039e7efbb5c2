"""Verbs of the service: `attention-lab keys` and `check` do what `python -m server` does."""

import argparse
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

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
    ada, eve, joe = capsys.readouterr().out.splitlines()[-3:]
    assert "operator" in eve and "5,000,000 bytes" in joe and ada.endswith("in use")
    keys.run(parsed(keys, ["revoke", "ada"]))
    keys.run(parsed(keys, ["list"]))
    assert "revoked" in capsys.readouterr().out.splitlines()[0]
    with pytest.raises(SystemExit, match="bob"):
        keys.run(parsed(keys, ["revoke", "bob"]))


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

    assert "pets" in told("datasets") and "shared" not in told("datasets")
    assert "every key" in told("datasets", "pets") and told("datasets").endswith("shared\n")
    told("datasets", "--all", "--off")
    assert "shared" not in told("datasets")
    with pytest.raises(SystemExit, match="no data set"):
        told("datasets", "dogs")


@pytest.mark.full
def test_check_ends_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path))
    monkeypatch.setenv("ATTENTION_DEVICE", "cpu")
    with pytest.raises(SystemExit):
        check.run(parsed(check, []))
    assert "OK" in capsys.readouterr().out


def test_every_entry_point_is_a_verb() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["attention_lab.commands"]
    assert {"serve", "check", "keys", "share"} <= set(points)
    for module in map(import_module, points.values()):
        assert callable(module.add_arguments) and callable(module.run) and module.__doc__
