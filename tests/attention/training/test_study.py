"""A study: pairs by seed, keeps what is finished, and says only what its numbers allow."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from attention.analyses import run
from attention.build import build
from attention.data.dataset import read
from attention.errors import AttentionError, Cancelled, InvalidRequest, NotFound
from attention.reports.parts.grid import Grid
from attention.reports.study import RunReport, StudyReport, StudyRequest
from attention.spec import Plain, Recipe, Variant
from attention.training.run_study import prepare
from attention.training.study import RunStore
from attention.training.train import predict
from tests.attention.direct_lab import DirectLab

ARMS = ("resnet20(width=4)/none", "resnet20(width=4)/eca")
RECIPE = Recipe(epochs=2, batch_size=8, lr=0.05, crop_padding=0)


@pytest.fixture
def lab(tmp_path: Path) -> DirectLab:
    for split, count in (("train", 8), ("test", 4)):
        for number, label in enumerate(("dark", "light")):
            for index in range(count):
                rng = np.random.default_rng(100 * number + index + (50 if split == "test" else 0))
                pixels = rng.integers(0, 120, (8, 8, 3)) + 130 * number
                path = tmp_path / "datasets" / "shades" / split / label / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.astype(np.uint8)).save(path)
    return DirectLab(tmp_path)


def ask(**changes: Any) -> StudyRequest:
    return StudyRequest(**{"data": "shades", "size": 8, "variants": ARMS, "recipe": RECIPE, "seeds": 2, **changes})


@pytest.mark.full
def test_every_arm_is_trained_with_every_seed_and_its_weights_are_kept(lab: DirectLab) -> None:
    report = run(ask(), lab)
    names = [f"{name}?classes=2" for name in ARMS]
    assert [(one.arm, one.seed) for one in report.runs] == [(name, seed) for seed in (0, 1) for name in names]
    assert report.complete and report.baseline == names[0] and report.data.name == "shades"
    for one in report.runs:
        assert one.done and len(one.curve) == 2 and one.weights is not None
        stem = lab.files.root / "checkpoints" / one.weights.removeprefix("file:")
        assert stem.with_suffix(".safetensors").exists() and stem.with_suffix(".json").exists()
    plain, eca = report.arms
    by_seed = {(one.arm, one.seed): 100 * (one.test_accuracy or 0) for one in report.runs}
    assert eca.differences == tuple(by_seed[names[1], seed] - by_seed[names[0], seed] for seed in (0, 1))
    assert plain.verdict is None and eca.verdict is not None and eca.verdict.difference is None
    # Kernels 1, 3 and 3 at 4, 8 and 16 channels, three blocks each.
    assert (eca.extra_parameters, plain.extra_parameters) == (3 * 1 + 3 * 3 + 3 * 3, 0)


@pytest.mark.full
def test_a_run_keeps_what_it_gave_each_test_image_and_what_follows_from_it(lab: DirectLab) -> None:
    report = run(ask(), lab)
    assert report.data.test_labels is not None and report.data.test_per_class == (4, 4)
    labels = report.data.test_labels.numbers()
    for one in report.runs:
        assert one.predicted is not None and one.confusion is not None and one.weights is not None
        told = one.predicted.numbers()
        pairs = list(zip(labels, told, strict=True))
        assert len(pairs) == report.data.test_images == 8
        right = [sum(a == b == number for a, b in pairs) for number in (0, 1)]
        assert one.right == tuple(right) and one.test_accuracy == sum(right) / 8
        assert one.confusion == tuple(tuple(pairs.count((a, b)) for b in (0, 1)) for a in (0, 1))
        assert one.balanced_accuracy == pytest.approx((right[0] / 4 + right[1] / 4) / 2)
        model = build(Variant.parse(f"{one.arm}&weights={one.weights}"), lab.files.checkpoints)
        data = read(lab.files.root / "datasets" / "shades", 8)
        assert predict(model, data.test, data.preprocess()).tolist() == told, "the kept weights give the kept classes"


@pytest.mark.full
def test_curves_are_of_validation_images_and_without_any_a_caveat_says_so(lab: DirectLab) -> None:
    report = run(ask(), lab)
    assert (report.data.validation, report.data.validation_images, report.data.train_images) == ("cut", 2, 14)
    assert "were cut for validation, alike of each class, by the hash of each file: 2." in " ".join(report.caveats)
    for one in report.runs:
        assert [point.test_accuracy for point in one.curve] == [None, None]
        assert one.validation_accuracy == one.curve[-1].validation_accuracy is not None
    off = run(ask(validation=0), lab)
    assert off.data.validation == "off" and "curves are of the test images" in " ".join(off.caveats)
    for one in off.runs:
        assert one.validation_accuracy is None and one.curve[-1].test_accuracy == one.test_accuracy


def test_a_report_from_before_there_was_a_validation_split_stays_readable() -> None:
    """A run as reports of version 27f4bb4 have it: no predictions, curves of the test images."""
    point = {"epoch": 1, "loss": 1.5, "test_accuracy": 0.8, "seconds": 2.0}
    stored = {"arm": "resnet20/eca?classes=10", "seed": 3, "done": True, "test_accuracy": 0.8, "curve": [point]}
    one = RunReport.model_validate({**stored, "seconds": 2.0, "weights": "file:run-1"})
    assert one.curve[0].accuracy == one.test_accuracy == 0.8 and one.predicted is None and one.right == ()


@pytest.mark.full
def test_a_study_asked_again_trains_nothing_and_more_seeds_train_only_the_new_ones(lab: DirectLab) -> None:
    first = run(ask(), lab)
    lab.told.clear()
    assert run(ask(), lab) == first
    assert lab.told[1:] == [(8, 8)] * 4
    more = run(ask(seeds=3), lab)
    assert more.runs[:4] == first.runs and len(more.runs) == 6


@pytest.mark.full
def test_a_cancelled_study_goes_on_where_it_was(lab: DirectLab) -> None:
    class Impatient(DirectLab):
        def progress(self, done: int, total: int, note: str = "", partial: Plain | None = None) -> None:
            super().progress(done, total, note)
            if done == 3:
                assert isinstance(partial, StudyReport) and not partial.complete and len(partial.runs) == 2
                raise Cancelled("Enough.")

    impatient = Impatient(lab.files.root)
    with pytest.raises(Cancelled):
        run(ask(), impatient)
    assert len(list((lab.files.root / "runs").glob("*.part"))) == 1
    resumed = run(ask(), lab)
    assert [done for done, _ in lab.told[:4]] == [0, 3, 4, 4], "the finished epoch of the second run was done again"
    fresh = DirectLab(lab.files.root.parent / "fresh")
    fresh.files.root.mkdir()
    (fresh.files.root / "datasets").symlink_to(lab.files.root / "datasets")
    whole = run(ask(), fresh)
    assert [one.test_accuracy for one in resumed.runs] == [one.test_accuracy for one in whole.runs]
    assert [[point.loss for point in one.curve] for one in resumed.runs] == [
        [point.loss for point in one.curve] for one in whole.runs
    ]
    assert not list((lab.files.root / "runs").glob("*.part"))


@pytest.mark.full
def test_results_may_come_in_any_order(lab: DirectLab) -> None:
    class Backwards(DirectLab):
        def map(self, fn: Any, items: Sequence[Any], on_progress: Any, lost: Any) -> Iterator[Any]:
            return super().map(fn, items[::-1], on_progress, lost)

    assert run(ask(), Backwards(lab.files.root)).complete


class Watched(DirectLab):
    """Keeps the last report that was shown while the study ran."""

    def progress(self, done: int, total: int, note: str = "", partial: Plain | None = None) -> None:
        self.shown = partial


@pytest.mark.full
def test_a_study_of_which_every_run_diverges_fails_and_says_why(lab: DirectLab) -> None:
    watched = Watched(lab.files.root)
    with pytest.raises(AttentionError, match=r"No run has a result\. The first: .* diverged in epoch [12]"):
        run(ask().model_copy(update={"recipe": RECIPE.model_copy(update={"lr": math.inf})}), watched)
    assert isinstance(watched.shown, StudyReport) and all(one.diverged for one in watched.shown.runs)
    assert watched.shown.headline.startswith("Nothing learned")


def test_images_that_do_not_fill_a_batch_are_said_before_anything_is_trained(lab: DirectLab) -> None:
    with pytest.raises(InvalidRequest, match="14 training images, which do not fill one batch of 64"):
        run(ask(recipe=Recipe(epochs=1, batch_size=64)), lab)
    assert not (lab.files.root / "runs").exists()


@pytest.mark.full
def test_a_run_that_lacked_memory_is_reported_and_tried_again_the_next_time(
    lab: DirectLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> float:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with monkeypatch.context() as patched:
        patched.setattr("attention.training.train.evaluate", full)
        with pytest.raises(AttentionError, match="No run has a result.*Halve batch_size"):
            run(ask(), lab)
    assert [one.failed for one in run(ask(), lab).runs] == [None] * 4


def test_a_data_set_that_is_not_there_gets_a_sentence(lab: DirectLab) -> None:
    with pytest.raises(NotFound, match=r"There is no data set 'flowers'\. In the data folder there is: shades"):
        run(ask(data="flowers"), lab)


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": "../etc"},
        {"data": ".hidden"},
        {"variants": ARMS[:1]},
        {"variants": ("se", "eca")},
        {"recipe": "quickest"},
        {"seeds": 0},
        {"first_look": 5},
        {"looks": 4},
        {"margin": 0},
        {"seeds": 9, "first_look": 8, "looks": 1},
        {"seeds": 33, "first_look": 8},
        {"variants": (), "grids": ({"base": "resnet20/eca", "vary": {"colour": ["red"]}},)},
    ],
)
def test_a_study_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ask(**wrong)


def test_a_grid_is_every_combination() -> None:
    grid = Grid(
        base=Variant.parse("resnet20/se"), vary={"options.reduction": (4, 8), "placement": ("standard", "tail")}
    )
    assert [one.name for one in grid.variants()] == [
        "resnet20/se(reduction=4)",
        "resnet20/se(reduction=4)@tail",
        "resnet20/se(reduction=8)",
        "resnet20/se(reduction=8)@tail",
    ]
    arms = ask(variants=("resnet20/none",), grids=(grid, grid)).arms()
    assert len(arms) == 5 and arms[0].name == "resnet20/none"


@pytest.mark.full
def test_the_plan_is_kept_before_the_first_run_and_found_again(lab: DirectLab) -> None:
    first = run(ask(), lab)
    plan = first.plan
    assert plan is not None and plan.runs_before == 0 and plan.look_sizes == (6, 12, 24)
    assert plan.arms == tuple(arm.name for arm in first.arms) and plan.margin == 0.5
    (file,) = (lab.files.root / "runs" / "plans").iterdir()
    oldest = min(path.stat().st_mtime_ns for path in (lab.files.root / "runs").glob("run-*.json"))
    assert file.stat().st_mtime_ns <= oldest
    assert run(ask(seeds=3), lab).plan == plan, "more seeds go on with the plan"
    assert run(ask(first_look=6), lab).plan == plan
    assert plan.sentence in first.caveats


def test_arms_in_another_order_are_the_same_plan_and_another_baseline_is_not(lab: DirectLab) -> None:
    store = RunStore(lab.files.file_store, "cpu")
    base, *others = (*ARMS, "resnet20(width=4)/se")
    plan = prepare(ask(variants=(base, *others)), store).plan
    assert plan is not None and prepare(ask(variants=(base, *reversed(others))), store).plan == plan
    assert prepare(ask(variants=(*others, base)), store).plan != plan


@pytest.mark.full
@pytest.mark.parametrize(
    "changes",
    [{"first_look": 8}, {"looks": 1}, {"margin": 0.3}, {"margin": None}, {"variants": (*ARMS, "resnet20(width=4)/se")}],
)
def test_another_first_look_margin_or_arm_is_another_plan_and_says_how_late_it_is(
    lab: DirectLab, changes: dict[str, Any]
) -> None:
    first = run(ask(), lab)
    later = run(ask(**changes), lab)
    assert later.plan is not None and later.plan != first.plan and later.plan.runs_before == 4
    asked = 2 * len(later.arms)
    assert any(f"4 of {asked} runs had ended before this plan was made" in caveat for caveat in later.caveats)
    assert run(ask(), lab).plan == first.plan, "the first plan is still there"
