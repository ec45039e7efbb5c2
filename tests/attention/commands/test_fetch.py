"""A data set of the hub: its parquet files and nothing else, whole or not at all, ready for a study."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from attention.commands import main
from attention.commands.fetch import fetch
from attention.data.dataset import read
from attention.data.folder import DataFolder
from attention.errors import BadData, InvalidRequest
from attention.storage.folder import FolderStore
from attention.weights.hub_networks import GROUPS, NETWORKS

pytestmark = pytest.mark.usefixtures("nothing_shipped")

pyarrow = pytest.importorskip("pyarrow", reason="parquet needs pyarrow: pip install 'attention-lab[hub]'")


def table(split: str, count: int) -> bytes:
    """Images and class names as hubs keep them."""
    import pyarrow.parquet as parquet

    rows = []
    for number in range(count):
        pixels = np.random.default_rng(number + 100 * (split == "test")).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        rows.append({"img": {"bytes": file.getvalue(), "path": None}, "label": number % 2})
    out = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), out)
    return out.getvalue()


class Hub:
    """As much of the hub as a download needs."""

    def __init__(self, files: dict[str, bytes], breaks: str = "") -> None:
        self.files, self.breaks = files, breaks
        self.asked: list[str] = []

    def list_repo_files(self, repo_id: str, *, repo_type: str, revision: str | None) -> Sequence[str]:
        assert repo_type == "dataset"
        if repo_id == "nobody/nothing":
            raise OSError("404: there is no such repository")
        return list(self.files)

    def hf_hub_download(
        self, repo_id: str, filename: str, *, repo_type: str, revision: str | None, local_dir: Path
    ) -> str:
        self.asked.append(filename)
        if filename == self.breaks:
            raise OSError("the line is dead")
        path = local_dir / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.files[filename])
        return str(path)


def hub(breaks: str = "") -> Hub:
    files = {
        "README.md": b"read me",
        "plain_text/test-00000-of-00001.parquet": table("test", 4),
        "plain_text/train-00000-of-00001.parquet": table("train", 8),
        "script.py": b"raise SystemExit",
    }
    return Hub(files, breaks)


def test_only_parquet_files_are_fetched_and_a_study_can_read_them(tmp_path: Path) -> None:
    there = hub()
    folder = fetch(there, "somebody/pets", tmp_path)
    assert folder == tmp_path / "datasets" / "pets" and all(name.endswith(".parquet") for name in there.asked)
    (listed,) = DataFolder(FolderStore(tmp_path)).all()
    assert (listed.name, listed.kind) == ("pets", "parquet")
    data = read(folder, 8)
    assert (len(data.train), len(data.test), data.classes) == (8, 4, ("0", "1"))


def test_what_breaks_off_is_no_data_set_and_goes_on_later(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="cannot be fetched: the line is dead"):
        fetch(hub(breaks="plain_text/train-00000-of-00001.parquet"), "somebody/pets", tmp_path)
    assert DataFolder(FolderStore(tmp_path)).all() == ()
    assert fetch(hub(), "somebody/pets", tmp_path, name="animals").name == "animals"
    assert fetch(hub(), "somebody/pets", tmp_path).name == "pets"


def test_without_a_network_the_other_ways_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Away(Hub):
        constants = SimpleNamespace(ENDPOINT="http://127.0.0.1:9")  # where nobody listens

        def list_repo_files(self, repo_id: str, *, repo_type: str, revision: str | None) -> Sequence[str]:
            raise AssertionError("the hub's client would try for half a minute")

    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path / "own"))
    monkeypatch.setattr("attention.commands.fetch.hub_client", lambda: Away({}))
    assert main(["fetch", "somebody/pets"]) == 2
    sentence = capsys.readouterr().err
    assert (
        "127.0.0.1 cannot be reached from this machine now. Without the hub" in sentence and "Traceback" not in sentence
    )
    assert str(tmp_path / "own" / "datasets" / "pets") in sentence and "POST /v1/datasets" in sentence
    assert "attention-lab data add FILE" in sentence


def test_the_networks_that_can_be_fetched_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "networks", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["name"] for row in rows} == set(NETWORKS)
    assert [row["name"] for row in rows if "quartet" in row["group"]] == [
        name for name in NETWORKS if name in GROUPS["quartet"].names
    ]
    assert main(["fetch", "quartet", "--format", "csv"]) == 2
    assert "attention-lab fetch networks" in capsys.readouterr().err


def test_what_cannot_be_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidRequest, match="Write owner/name"):
        fetch(hub(), "../pets", tmp_path)
    with pytest.raises(BadData, match="no such repository"):
        fetch(hub(), "nobody/nothing", tmp_path)
    with pytest.raises(BadData, match="has no parquet files"):
        fetch(Hub({"a.csv": b""}), "somebody/pets", tmp_path)
    fetch(hub(), "somebody/pets", tmp_path)
    with pytest.raises(InvalidRequest, match="There is a data set 'pets' already"):
        fetch(hub(), "somebody/pets", tmp_path)
    assert main(["fetch", "pets", "--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.strip()
