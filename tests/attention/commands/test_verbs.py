"""Verbs that ask an analysis: the library's report in every form, sentences, exit codes, and a user's own files."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import attention
from attention.commands import main, verbs
from attention.data.files import samples
from attention.progress import ProgressLine
from attention.reports.compare import Comparison
from attention.reports.cost import CostReport

PHOTO = samples()[0].name
ROOT = Path(__file__).parents[3]

MODEL = """
import torch
from helper import WIDTH

class Gated(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, WIDTH, 3)
        self.squeeze = torch.nn.Conv2d(WIDTH, WIDTH, 1)

    def forward(self, x):
        x = self.first(x)
        return x * torch.sigmoid(self.squeeze(x.mean((2, 3), keepdim=True)))

def build():
    return Gated()

def broken():
    raise KeyError("weights")

def number():
    return 7
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model of the user's own, and files that are called like parts of this project."""
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "helper.py").write_text("WIDTH = 5\n")
    (tmp_path / "attention.py").write_text("raise RuntimeError('the user\\'s own attention')\n")
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "__init__.py").write_text("raise RuntimeError('the user\\'s own server')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.mark.full
def test_compare_gives_the_report_of_the_library_in_every_form(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = attention.Lab(here, device="cpu")
    report = attention.look(PHOTO, "none", "se", lab=lab, top_k=2)
    words = ["compare", PHOTO, "none", "se", "--top-k", "2", "--folder", str(here), "--device", "cpu"]
    assert main([*words, "--format", "json"]) == 0
    assert Comparison.model_validate_json(capsys.readouterr().out) == report
    for form, text in (
        ("csv", report.csv("gates")),
        ("latex", report.latex("gates")),
        ("md", report.markdown("gates")),
    ):
        assert main([*words, "--format", form, "--table", "gates", "-o", f"out.{form}"]) == 0
        assert (here / f"out.{form}").read_text().splitlines() == text.rstrip().splitlines()
    assert main(words) == 0
    table = capsys.readouterr().out
    assert all(score.label is not None and score.label in table for said in report.predictions for score in said.top)
    assert "networks" in table and len(table.splitlines()) < 20


def test_cost_takes_options_of_its_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "resnet20/eca", "--input-size", "64", "--layers", "--format", "json"]) == 0
    (bill,) = CostReport.model_validate_json(capsys.readouterr().out).variants
    assert bill.input_size == 64 and bill.layers
    assert main(["cost", "resnet20/eca", "--input-size", "64x96", "--format", "json"]) == 0
    assert CostReport.model_validate_json(capsys.readouterr().out).variants[0].input_size == (64, 96)
    assert main(["cost", "resnet20/none", "resnet20/eca"]) == 0
    assert "resnet20/eca" in (printed := capsys.readouterr().out)
    assert main(["cost", "resnet20/none", "resnet20/eca", "-o", str(tmp_path / "cost.txt")]) == 0
    assert (tmp_path / "cost.txt").read_text().split() == printed.split()


def test_a_size_that_is_none_is_refused_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "eca", "-o", "eca.onnx", "--size", "abc"])
    assert "--size: An input's size is 1 to 2048 pixels, or height and width" in capsys.readouterr().err


@pytest.mark.full
def test_sweep_and_fold_read_a_data_set_of_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("train", "test"):
        for number, label in enumerate(("cat", "dog")):
            for index in range(2):
                pixels = np.random.default_rng([number, index]).integers(0, 255, (32, 32, 3), dtype=np.uint8)
                path = tmp_path / "datasets" / "pets" / split / label / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    words = ["eca", "--data", "pets", "--folder", str(tmp_path), "--device", "cpu"]
    asked = ["--kinds", "mean", "scalar", "--scopes", "all", "stage", "--calibration", "pets", "--format", "csv"]
    assert main(["sweep", *words, *asked]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["kind"] for row in rows} == {"mean", "scalar"} and {row["family"] for row in rows} == {"all", "stage"}
    by_path = [str(tmp_path / "datasets" / "pets") if word == "pets" else word for word in [*words, *asked]]
    assert main(["sweep", *by_path]) == 0
    values = [(row["kind"], row["family"], row["accuracy"]) for row in rows]
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["kind"], row["family"], row["accuracy"]) for row in rows] == values
    assert main(["fold", *words, "--rounds", "0", "--format", "json"]) == 0
    kept = json.loads(capsys.readouterr().out)["kept"]["checkpoint"]
    assert (tmp_path / "checkpoints" / f"{kept}.safetensors").exists()


def test_watch_finds_the_gates_of_a_users_own_model(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for source in ("./model.py:build", "model:build"):
        assert main(["watch", source, "--example", "3,20,20", "--format", "csv"]) == 0
        (gate,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
        assert (gate["module"], gate["kind"], gate["entries"]) == ("Gated", "channel", "5")
    assert main(["watch", "resnet20/none"]) == 1  # the answer is no
    assert "0 gates" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["compare", "kitten.jpg", "se"], "There is no file 'kitten.jpg'"),
        (["compare", PHOTO, "resnet20/cbma"], "Did you mean 'cbam'?"),
        (["compare", "se"], "Name a photo: a file, or a sample."),
        (["sweep", "eca"], "Name a photo or --data, a data set"),
        (["compare", "model.py", "se"], "text"),
        (["watch", "resnet20/se@stem"], "placement.position: Input should be"),
        (["watch", "./model.py"], "Say which function of ./model.py gives the model: ./model.py:NAME."),
        (["watch", "model:build", "--gates", "conv=round"], "'round' is not a kind of gate; there is channel"),
        (["cost", "resnet20/eca", "-o", "/dev/null/cost.txt"], "/dev/null"),
        (["compare", PHOTO, "--top-k", "many"], "The field 'top_k' is not right: input should be a valid integer"),
        (["sweep", "eca", "se", "--data", "pets"], "about one network"),
        (["sweep", "eca", PHOTO, "--data", "pets"], "either photos or --data"),
        (["sweep", "eca", "--data", "nothing"], "no data set 'nothing'"),
        (["sweep", "eca", "--data", "model.py"], "model.py"),
        (["sweep", "eca", "--data", "pets", "--calibration", "{broken"], "begins like JSON"),
        (["cost", "resnet20/eca", "--table", "bill"], "It has: bills"),
        (["watch", "./model.py:bild"], "Did you mean 'build'?"),
        (["watch", "./modle.py:build"], "There is no file modle.py"),
        (["watch", "model:broken"], "KeyError: 'weights'"),
        (["watch", "model:number"], "gives a int, and no nn.Module"),
        (["watch", "nowhere.models:build"], "no package 'nowhere.models'"),
        (["watch", "model:build", "--example", "big"], "--example takes a size"),
    ],
)
def test_what_is_asked_wrongly_is_a_sentence_and_exit_code_2(
    words: list[str], sentence: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = [] if words[0] == "cost" else ["--folder", str(here)]
    assert main([*words, *folder]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line != "working ..."]  # of a busy machine
    assert len(said) == 1 and sentence in said[0]


@pytest.mark.full
def test_the_command_works_beside_a_users_own_attention_and_server(here: Path) -> None:
    """The installed script has its own folder in front of the path, never the working folder."""
    script = "import sys; sys.path.insert(0, sys.argv.pop(1)); from attention.commands import main; sys.exit(main())"
    command = [sys.executable, "-P", "-c", script, str(ROOT)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for words in (["watch", "./model.py:build", "--example", "3,20,20"], ["cost", "resnet20/eca"]):
        done = subprocess.run([*command, *words], cwd=here, env=environment, capture_output=True, text=True)
        assert done.returncode == 0 and "own" not in done.stderr, done.stderr


def test_every_verb_has_a_first_line_and_is_found() -> None:
    assert {"compare", "cost", "fold", "latency", "sweep", "watch"} <= set(verbs())


def test_progress_is_told_after_a_while_and_not_before() -> None:
    quick, slow = io.StringIO(), io.StringIO()
    with ProgressLine(quick, after_s=60) as line:
        line(1, 2, "networks")
    assert quick.getvalue() == ""
    with ProgressLine(slow, after_s=60) as line:
        line(1, 2, "networks")
        line._show()  # as the clock does when its time has come
        line(2, 2)
        line(3, 0)  # of how many is not known
    assert slow.getvalue() == "1/2 (50%) networks\n2/2 (100%)\n3\n"


def test_a_file_gets_a_line_each_twentieth_of_the_work() -> None:
    """A study of 3,670 photos wrote as many lines into its log."""
    log = io.StringIO()
    with ProgressLine(log, after_s=60) as line:
        line._show()
        for done in range(1, 3671):
            line(done, 3670)
    lines = log.getvalue().splitlines()
    assert len(lines) == 22 and lines[0] == "working ..." and lines[-1] == "3,670/3,670 (100%)"
