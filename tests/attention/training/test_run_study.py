"""Studies from the command line: kept run by run, reported in three formats, and shipped for the service to show."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from attention import shipped_reports
from attention.analyses import run
from attention.analysis import in_order
from attention.build import build
from attention.commands import main
from attention.commands.study import ship
from attention.data.folder import DataFolder
from attention.errors import InvalidRequest
from attention.network import describe
from attention.reports.parts.checkpoints import Card
from attention.reports.plan import PlanRequest
from attention.reports.study import StudyReport, StudyRequest
from attention.spec import Recipe, Variant
from attention.storage.folder import FolderStore
from attention.training.run_study import prepare, run_study, together
from attention.training.study import RunStore
from attention.weights import load as weights
from tests.attention.direct_lab import DirectLab

ARMS = ("resnet20(width=4)/none", "resnet20(width=4)/eca")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Dark squares and light ones, 32 to train on and 8 to test on."""
    for split, count in (("train", 16), ("test", 4)):
        for number, label in enumerate(("dark", "light")):
            for index in range(count):
                rng = np.random.default_rng([number, index, len(split)])
                pixels = rng.integers(0, 120, (8, 8, 3)) + 130 * number
                path = tmp_path / "shades" / split / label / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.astype(np.uint8)).save(path)
    return tmp_path / "shades"


def command(data: Path, *more: str, arms: tuple[str, ...] = ARMS) -> list[str]:
    usual = ["--size", "8", "--epochs", "1", "--batch-size", "16", "--seeds", "2", "--device", "cpu"]
    return ["study", str(data), *arms, *usual, "--keep", str(data.parent / "kept"), *more]


def kept_runs(data: Path) -> dict[str, int]:
    """When each checkpoint was written."""
    folder = data.parent / "kept" / "checkpoints"
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("run-*.safetensors")}


def report_of(data: Path) -> StudyReport:
    return StudyReport.model_validate_json((data.parent / "kept" / "report.json").read_bytes())


def test_every_arm_is_trained_with_every_seed_and_reported_in_three_formats(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(data)) == 0
    report, names = report_of(data), [f"{arm}?classes=2" for arm in ARMS]
    assert report.complete and [(run.arm, run.seed) for run in report.runs] == [
        (name, seed) for seed in (0, 1) for name in names
    ]
    kept = data.parent / "kept"
    with (kept / "report.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["arm"] for row in rows] == names * 2
    assert [float(row["test_accuracy"]) for row in rows] == [run.test_accuracy for run in report.runs]
    assert r"\toprule" in (kept / "report.tex").read_text()
    out = capsys.readouterr().out
    assert all(f"{name}: " in out for name in names) and "n = 2" in out
    assert f"=> {report.headline}" in out
    assert report.test_set and all(sentence in out for sentence in report.test_set)


@pytest.mark.full
def test_the_plan_says_what_the_test_images_can_show_before_anything_is_trained(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(data, "--plan-only", "--score", "balanced accuracy", "--batch-size", "20")) == 0
    out = capsys.readouterr().out
    assert "a margin of 0.5 points, balanced accuracy." in out and "points of balanced accuracy, in the rarest" in out
    assert "Always naming the most frequent class has" in out and "training images are never seen" in out
    assert main(command(data, "--plan-only", arms=("resnet20/none", "resnet20/cbam"))) == 0
    assert "bottlenecks of few units (1 at 16 channels" in capsys.readouterr().out
    assert not kept_runs(data)


@pytest.mark.full
def test_cards_name_the_command_that_gives_the_study_again(data: Path) -> None:
    assert main(command(data, "--data-name", "grey (squares)", "--threads", "1")) == 0
    cards = [Card.model_validate_json(path.read_bytes()) for path in (data.parent / "kept/checkpoints").glob("*.json")]
    assert len(cards) == 4 and {card.data for card in cards} == {"grey-squares"}
    for card in cards:
        assert card.command.startswith(
            "attention-lab study DATA 'resnet20(width=4)/none' 'resnet20(width=4)/eca' "
            "--data-name grey-squares --recipe quick --epochs 1 --batch-size 16 --size 8 --validation 0.1 --threads 1 "
            "--seeds 2 --first-seed 0 --looks 3 --margin 0.5"
        )
        assert card.variant.name in card.command and str(data.parent) not in card.command


@pytest.mark.full
def test_a_stopped_study_goes_on_and_gives_what_it_would_have_given(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def power_cut(done: int, total: int, note: str = "", partial: object = None) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("attention.commands.study._tell", power_cut)
        assert main(command(data)) == 130, "as shells say of what Ctrl-C ended"
    before = kept_runs(data)
    assert len(before) == 2 and not (data.parent / "kept" / "report.json").exists()
    assert main(command(data)) == 0
    after = kept_runs(data)
    assert len(after) == 4 and all(after[name] == when for name, when in before.items())
    resumed = report_of(data)
    assert main(command(data, "--keep", str(data.parent / "fresh"))) == 0
    fresh = StudyReport.model_validate_json((data.parent / "fresh" / "report.json").read_bytes())
    assert [run.test_accuracy for run in resumed.runs] == [run.test_accuracy for run in fresh.runs]
    assert [run.curve[-1].loss for run in resumed.runs] == [run.curve[-1].loss for run in fresh.runs]


@pytest.mark.full
def test_processes_with_seeds_of_their_own_share_a_folder_and_one_report_is_over_all(data: Path) -> None:
    assert main(command(data, "--seeds", "1", "--first-seed", "0")) == 0
    assert main(command(data, "--seeds", "1", "--first-seed", "1")) == 0
    assert [run.seed for run in report_of(data).runs] == [1, 1]
    before = kept_runs(data)
    assert len(before) == 4
    assert main(command(data)) == 0
    assert kept_runs(data) == before, "nothing was trained again"
    assert [run.seed for run in report_of(data).runs] == [0, 0, 1, 1]


@pytest.mark.full
def test_what_is_shipped_loads_as_shipped_and_leaves_the_folder_of_runs_alone(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped"
    monkeypatch.setattr("attention.commands.study.SHIPPED", shipped)
    monkeypatch.setattr(shipped_reports, "FOLDER", tmp_path / "reports")
    assert main(command(data, "--ship", "study-shades", "Shades (small)")) == 0
    stems = ["resnet20-width=4--eca", "resnet20-width=4--none"]
    assert sorted(path.name for path in shipped.iterdir()) == sorted(
        f"{stem}.{kind}" for stem in stems for kind in ("json", "safetensors")
    )
    assert [run.weights for run in report_of(data).runs if run.weights] and "shipped" not in (
        data.parent / "kept" / "report.csv"
    ).read_text()
    ((stored, study),) = shipped_reports.of(StudyRequest)
    assert stored.id == "shipped-study-shades" and StudyRequest.model_validate(stored.request).seeds == 2
    assert [(run.seed, run.weights) for run in study.runs] == [(0, "shipped")] * 2 + [(1, None)] * 2
    assert study.headline == report_of(data).headline and len(study.runs) == 4

    monkeypatch.setattr(weights, "SHIPPED", shipped)
    weights.shipped.cache_clear()
    weights._shipped_files.cache_clear()
    try:
        for arm, run in zip(ARMS, study.runs[:2], strict=True):
            variant = Variant.parse(f"{arm}?weights=shipped")
            card = describe(variant).card
            assert card is not None and (card.seed, card.labels) == (0, ("dark", "light"))
            assert card.test_accuracy == run.test_accuracy
            assert card.command.startswith("attention-lab study DATA ") and arm in card.command
            model = build(variant.model_copy(update={"classes": 2}))
            trained = data.parent / "kept" / "checkpoints" / first_run(data, arm)
            kept = load_file(trained)
            for name, value in model.state_dict().items():  # BatchNorm's statistics in float32, all else in float16
                exact = name.endswith(("running_mean", "running_var"))
                assert torch.equal(kept[name] if exact else kept[name].half().float(), value.float())
    finally:
        weights.shipped.cache_clear()
        weights._shipped_files.cache_clear()


def first_run(data: Path, arm: str) -> str:
    """The file of an arm's first run."""
    run = next(run for run in report_of(data).runs if run.arm.startswith(arm))
    assert run.weights is not None
    return f"{run.weights.removeprefix('file:')}.safetensors"


@pytest.mark.full
def test_a_study_trained_by_another_command_is_shipped_under_the_one_that_is_given(data: Path, tmp_path: Path) -> None:
    assert main(command(data, "--seeds", "1")) == 0
    out, reports, asked = (
        tmp_path / "out",
        tmp_path / "reports",
        StudyRequest(data="shades", variants=tuple(map(Variant.parse, ARMS))),
    )
    ship("study-shades", asked, report_of(data), data.parent / "kept", out, reports, "make the-study", "Shades (small)")
    cards = [json.loads((tmp_path / "out" / f"resnet20-width=4--{name}.json").read_text()) for name in ("none", "eca")]
    assert [card["command"] for card in cards] == ["make the-study"] * 2
    shown = StudyReport.model_validate(json.loads((reports / "study-shades.json").read_bytes())["report"])
    assert [shown.data.name, *(card["data"] for card in cards)] == ["Shades (small)"] * 3


@pytest.mark.full
def test_an_arm_whose_first_run_failed_is_shipped_without_weights(data: Path, tmp_path: Path) -> None:
    assert main(command(data, "--seeds", "1")) == 0
    report = report_of(data)
    failed = report.runs[1].model_copy(update={"weights": None, "test_accuracy": None, "failed": "It diverged."})
    report = report.model_copy(update={"runs": (report.runs[0], failed)})
    asked = StudyRequest(data="shades", variants=tuple(map(Variant.parse, ARMS)))
    ship("study-shades", asked, report, data.parent / "kept", tmp_path / "out", tmp_path / "reports", "x", "Shades")
    assert not (tmp_path / "out" / "resnet20-width=4--eca.safetensors").exists()
    assert (tmp_path / "out" / "resnet20-width=4--none.safetensors").exists()


@pytest.mark.full
def test_a_name_stands_for_one_data_set_in_a_folder_of_runs(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(data, "--seeds", "1")) == 0
    other = data.parent / "elsewhere" / "shades"
    other.mkdir(parents=True)
    assert main(["study", str(other), *command(data)[2:]]) == 2
    assert "'shades' is " in (said := capsys.readouterr().err) and "Give other data another name: --data-name." in said
    moved = data.rename(data.parent / "moved")
    again = command(data, "--seeds", "1", "--data-name", "shades")
    assert main(["study", str(moved), *again[2:]]) == 0, "data that was moved is found at its new place"
    assert len(kept_runs(data)) == 2, "and it is the same data, so nothing was trained again"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (["--seeds", "0"], "--seeds is 0. Input should be greater than or equal to 1."),
        (["--first-seed", "-1"], "--first-seed is -1."),
        (["--epochs", "0"], "--epochs is 0."),
        (["--margin", "0"], "--margin is 0.0."),
        (["--size", "1000"], "--size is 1000 pixels. Choose 4 to 512."),
        (["--device", "tpu"], "There is no device 'tpu' here. There is: cpu"),
        (["--data-name", "()"], "leaves no name for a data set"),
        (["--batch-size", "64"], "28 training images, which do not fill one batch of 64."),
    ],
)
def test_wrong_options_end_with_a_sentence_and_two(
    data: Path, wrong: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(data, *wrong)) == 2
    assert sentence in (said := capsys.readouterr().err) and said.count("\n") == 1


@pytest.mark.parametrize(
    ("arms", "sentence"),
    [
        (ARMS[:1], "A study compares at least two different networks."),
        (("none", "eca"), "A study trains from scratch, but resnet18(width=0.25)/none?weights=shipped names weights."),
        (("resnet20/none", "resnet20/ecca"), "There is no attention module named 'ecca'. Did you mean 'eca'?"),
        (("resnet20/none", "resnet20/eca@somewhere"), "somewhere"),
    ],
)
def test_arms_that_make_no_study_end_with_a_sentence_and_two(
    data: Path, arms: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(data, arms=arms)) == 2
    assert sentence in (said := capsys.readouterr().err) and said.count("\n") == 1


def test_data_that_is_not_there_or_lacks_a_class_ends_with_a_sentence_and_two(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(data / "nowhere")) == 2
    assert "There is no data set at " in capsys.readouterr().err
    for path in (data / "test" / "light").iterdir():
        path.unlink()
    assert main(command(data)) == 2
    assert "Class 'light' has no images in its test split." in capsys.readouterr().err


@pytest.mark.full
def test_by_arm_all_seeds_of_an_arm_are_trained_before_the_next_arm(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(data, "--by-arm")) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if ": done" in line]
    assert [("none" in line, "seed 1" in line) for line in said] == [
        (True, False), (True, True), (False, False), (False, True)
    ]  # fmt: skip
    assert [run.seed for run in report_of(data).runs] == [0, 0, 1, 1], "the report is in its usual order"


@pytest.mark.full
def test_a_study_whose_runs_go_side_by_side_is_the_same_study(data: Path) -> None:
    """As on a GPU: how many at once is measured, and the report is that of runs one after the other."""
    request = StudyRequest(
        data="shades",
        size=8,
        variants=tuple(Variant.parse(arm) for arm in ARMS),
        seeds=2,
        recipe=Recipe(epochs=1, batch_size=16),
    )
    reports, told = [], 0

    def progress(done: int, total: int, note: str = "", partial: StudyReport | None = None) -> None:
        nonlocal told
        told += partial is not None

    for name in ("alone", "beside"):
        folder = data.parent / name
        (folder / "datasets").mkdir(parents=True)
        (folder / "datasets" / "shades").symlink_to(data)
        run_store = RunStore(FolderStore(folder), "cpu")
        map_runs = together(run_store, prepare(request, run_store).tasks, most=2) if name == "beside" else in_order
        reports.append(run_study(request, run_store, progress, map_runs))
        assert told == 8, "after each epoch and each run"
        told = 0
    alone, beside = reports
    for ours, theirs in zip(beside.runs, alone.runs, strict=True):
        assert (ours.arm, ours.seed, ours.predicted) == (theirs.arm, theirs.seed, theirs.predicted)
        assert ours.curve[0].loss == pytest.approx(theirs.curve[0].loss, rel=1e-4)


@pytest.mark.full
def test_the_plan_counts_the_training_images_that_the_study_then_has(data: Path, tmp_path: Path) -> None:
    """32 of 40 to train on, of which a quarter of each class is cut for validation: what a batch may have at most."""
    lab, folder = DirectLab(tmp_path / "lab"), tmp_path / "lab" / "datasets"
    folder.mkdir(parents=True)
    (folder / "shades").symlink_to(data)
    DataFolder(lab.files.file_store).intake("shades")
    asked = {"data": "shades", "variants": ARMS, "size": 8, "validation": 0.25}
    study = StudyRequest.model_validate({**asked, "recipe": {"batch_size": 25, "crop_padding": 0}})
    with pytest.raises(InvalidRequest, match="has 24 training images.*at most 24") as refused:
        run(PlanRequest(study=study), lab)
    fits = study.model_copy(update={"recipe": study.recipe.model_copy(update={"batch_size": 24})})
    assert run(PlanRequest(study=fits), lab).runs == 2 * 8
    facts = prepare(fits, RunStore(lab.files.file_store, "cpu")).facts
    assert facts.train_images == 24 and "24" in str(refused.value)
    own = study.model_copy(update={"validation": 0.0})
    with pytest.raises(InvalidRequest, match="has 32 training images"):
        run(
            PlanRequest(study=own.model_copy(update={"recipe": study.recipe.model_copy(update={"batch_size": 33})})),
            lab,
        )


@pytest.mark.full
def test_recipes_are_chosen_among_by_validation_and_the_command_says_which(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = command(data, "--recipes", "quick,paper-like", "--validation", "0.25")
    assert main(asked) == 0
    report, said = report_of(data), capsys.readouterr().out
    assert report.choice is not None and report.plan is None and all(arm.verdict is None for arm in report.arms)
    means = report.choice.validation_accuracy
    assert len(means) == 2 * 2, "every network with every recipe"
    for name, mean in means.items():
        assert f"{name}: {mean:.2f} % on {report.data.validation_images} validation images" in said
    assert means[report.choice.arm] == max(means.values()) and f"=> {report.choice.sentence}" in said
    assert len(kept_runs(data)) == 2 * 2 * 2
    assert "--recipes quick,paper-like --choose" in cards(data)[0].command
    assert main(command(data, "--recipes", "quick,slow")) == 2
    assert "There is no recipe 'slow'. There is: quick" in capsys.readouterr().err
    assert main(command(data, "--recipes", "quick")) == 2
    assert "name two or more" in capsys.readouterr().err


def cards(data: Path) -> list[Card]:
    folder = data.parent / "kept" / "checkpoints"
    return [Card.model_validate_json(path.read_bytes()) for path in sorted(folder.glob("run-*.json"))]
