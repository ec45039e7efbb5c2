"""The command that looks after data sets does what REST does, on the folder itself."""

import argparse
import csv
import io
import json
from importlib import import_module
from pathlib import Path

import pytest

from attention.commands import main, training_options
from attention.commands.training_options import DataPlace
from attention.data.folder import DataFolder
from attention.reports.parts.inventory import AS_FOUND
from attention.storage.folder import FolderStore
from tests.attention.data.archives import folder, photos, write_tar, write_zip

pytestmark = pytest.mark.usefixtures("nothing_shipped")

PETS = photos([*folder("a/cats", 4), *folder("a/dogs", 4), *folder("b/cats", 2), *folder("b/dogs", 2)])


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path / "data"))
    return write_tar(tmp_path / "pets.tgz", PETS | {"a/cats/x.jpg": b"", "a/clip.mp4": b"\0\0\0\x18ftypmp42"})


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(["data", *words]) == code
    out = capsys.readouterr()
    return out.err if code else out.out


def test_a_data_set_is_shown_added_renamed_and_removed(
    pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--split", "a=train,b=test", "--skip-bad"]
    shown = told(capsys, "show", str(pets))
    assert "Problem: The file a/cats/x.jpg" in shown and "clip.mp4" in shown and "class_level=2" in shown
    assert not (tmp_path / "data" / "datasets").exists()
    assert "skip_bad=true" in told(capsys, "add", str(pets), code=2)
    added = told(capsys, "add", str(pets), *chosen)
    assert "cats: 4 train, 0 validation, 2 test" in added and added.endswith("A study can name it now: pets\n")
    assert told(capsys, "show", "pets") in added
    assert "already" in told(capsys, "add", str(pets), *chosen, code=2)
    told(capsys, "rename", "pets", "animals")
    assert all(text in told(capsys, "list") for text in ("animals", "tar", "12"))
    (row,) = json.loads(told(capsys, "list", "--format", "json"))
    assert (row["name"], row["kind"], row["images"]) == ("animals", "tar", 12)
    classes = list(csv.DictReader(io.StringIO(told(capsys, "show", "animals", "--format", "csv"))))
    assert [(row["name"], row["train"], row["test"]) for row in classes] == [("cats", "4", "2"), ("dogs", "4", "2")]
    out = tmp_path / "left_out.md"
    told(capsys, "show", "animals", "--table", "left_out", "--format", "md", "-o", str(out))
    assert "clip.mp4" in out.read_text()
    told(capsys, "remove", "animals")
    assert DataFolder(FolderStore(tmp_path / "data")).all() == () and "animals" not in told(capsys, "list")


def test_what_is_not_there_is_a_sentence(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["show", "nothing"], ["remove", "nothing"], ["rename", "nothing", "x"], ["add", "nothing.zip"]):
        assert "There is no" in told(capsys, *words, code=2)
    for words, sentence in ((["show", "/dev/zero"], "a device or a pipe"), (["add", str(pets.parent)], "is a folder")):
        assert sentence in told(capsys, *words, code=2)


def test_train_and_study_take_a_data_set_by_its_name_or_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    pets = write_zip(tmp_path / "datasets" / "pets.zip", PETS)
    monkeypatch.chdir(tmp_path)
    assert training_options.data_place("pets") == DataPlace(pets, AS_FOUND)
    assert all(training_options.data_place(text) == DataPlace(Path(text)) for text in ("datasets", "../pets", "x"))


@pytest.mark.full
def test_train_and_study_understand_a_data_set_as_it_was_chosen_when_it_was_added(
    pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "add", str(pets), "--split", "a=train,b=test", "--skip-bad")
    words = ["pets", "resnet20/none", "resnet20/se", "--size", "8", "--validation", "0", "--device", "cpu"]
    assert main(["train", *words, "--out", str(tmp_path / "out")]) == 2  # read, and then too few for a batch
    assert "pets: 8 to train on" in capsys.readouterr().out
    keep = tmp_path / "keep"
    for _ in range(2):  # a folder of runs that knows the data set, too
        assert main(["study", *words, "--batch-size", "4", "--keep", str(keep), "--plan-only"]) == 0
        inventory = DataFolder(FolderStore(keep)).intake("pets").inventory
        assert (inventory.train_images, inventory.test_images) == (8, 4)


@pytest.mark.parametrize("verb", ["sweep", "watch", "export", "data"])
def test_every_verb_works_on_the_folder_of_the_service(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path))
    parser = argparse.ArgumentParser()
    import_module(f"attention.commands.{verb}").add_arguments(parser)
    defaults = {action.dest: action.default for action in parser._actions}
    assert defaults.get("folder", defaults.get("data")) == tmp_path


@pytest.mark.parametrize(
    "words", [("study", "DATA", "resnet20/none", "resnet20/se"), ("train", "DATA", "resnet20/none")]
)
def test_who_trains_on_what_wants_a_choice_is_told_where_to_make_it(
    pets: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(pets.parent)
    assert main([str(pets) if word == "DATA" else word for word in words]) == 2
    refused = capsys.readouterr().err
    assert "skip_bad=true" in refused and "attention-lab data add FILE --skip-bad" in refused
