"""What the runs of a study add up to: kinds, headline, caveats and tables, from runs made by hand."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from scipy import stats

from attention.measuring.classification import balanced_accuracy, confusion, macro_f1
from attention.measuring.decision import image_variance
from attention.reports.parts.predictions import PackedClasses
from attention.reports.parts.study_plan import Score, StudyPlan
from attention.reports.study import DataFacts, RunReport, StudyReport, StudyRequest
from attention.spec import Recipe, Variant
from attention.training.summary import summarise

FACTS = DataFacts(
    name="made up",
    classes=("a", "b"),
    train_images=10_000,
    test_images=10_000,
    size=32,
    split_by_hash=False,
    duplicates=0,
    duplicates_across_splits=0,
    label_conflicts=0,
    fingerprint="0",
    train_per_class=(5000, 5000),
    test_per_class=(5000, 5000),
)


def asked(scores: Mapping[str, Sequence[float]]) -> StudyRequest:
    seeds = max(map(len, scores.values()))
    arms = tuple(Variant.parse(name) for name in scores)
    return StudyRequest(data="made-up", size=32, variants=arms, recipe=Recipe(epochs=2), seeds=seeds, margin=0.3)


def planned(scores: Mapping[str, Sequence[float]], **changes: Any) -> StudyPlan:
    plan = StudyPlan(
        arms=tuple(scores),
        first_look=6,
        looks=3,
        margin=0.3,
        score="accuracy",
        recipe=Recipe(epochs=2),
        size=32,
        validation=0.1,
        first_seed=0,
        fingerprint="0",
        created=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        runs_before=0,
        runs_asked=12,
    )
    return plan.model_copy(update=changes)


def made_up(scores: Mapping[str, Sequence[float]], plan: StudyPlan | None = None, **facts: Any) -> StudyReport:
    """A report on runs with these accuracies in points."""
    arms = [Variant.parse(name) for name in scores]
    runs = [
        RunReport(
            arm=name,
            seed=seed,
            done=True,
            test_accuracy=score / 100,
            curve=(),
            seconds=1.0,
            weights=f"file:{name}{seed}",
        )
        for name, column in scores.items()
        for seed, score in enumerate(column)
    ]
    return summarise(asked(scores), arms, runs, FACTS.model_copy(update=facts), "a device", plan)


BASE = [80.0, 80.4, 79.8, 80.1, 80.3, 79.9]


def test_a_clear_gain_is_the_headline_with_its_interval() -> None:
    gain = [1.0, 1.2, 0.9, 1.1, 1.0, 1.3]
    report = made_up({"resnet20/none": BASE, "resnet20/eca": [a + b for a, b in zip(BASE, gain, strict=True)]})
    assert report.arms[1].verdict and report.arms[1].verdict.kind == "better"
    assert report.headline.startswith("resnet20/eca is better by +1.08 points [") and "n = 6" in report.headline
    assert "on these test images" in report.headline


@pytest.mark.full
def test_noise_is_not_a_claim() -> None:
    report = made_up({"resnet20/none": BASE, "resnet20/eca": [80.9, 79.6, 80.5, 79.5, 80.8, 80.0]})
    assert report.arms[1].verdict and report.arms[1].verdict.kind == "undecided"
    assert report.headline == "No arm is shown to be better or worse than resnet20/none."


def test_an_arm_with_another_stem_is_withheld_and_its_control_is_named() -> None:
    report = made_up({"resnet20/none": BASE, "resnet32/eca": [score + 2 for score in BASE]})
    assert report.arms[1].verdict and report.arms[1].verdict.kind == "withheld"
    assert "resnet32/none" in report.arms[1].verdict.sentence and "is better" not in report.headline
    assert any("another backbone" in caveat for caveat in report.caveats)


def test_places_missing_seeds_and_spoilt_data_are_caveats() -> None:
    scores = {"resnet20/none": BASE, "resnet20/eca": BASE[:4], "resnet20/se@tail": BASE}
    caveats = " ".join(made_up(scores, duplicates_across_splits=3, label_conflicts=1).caveats)
    assert "different places" in caveats and "4 to 6 finished runs" in caveats
    assert (
        "stand in both splits, so that the test has been seen in training: 3." in caveats
        and "more than one label" in caveats
    )


def test_only_shared_seeds_are_compared() -> None:
    report = made_up({"resnet20/none": BASE[:5], "resnet20/eca": BASE})
    assert len(report.arms[1].differences) == 5 and report.arms[1].n == 6


def test_the_tables_hold_every_run_and_their_conditions() -> None:
    report = made_up({"resnet20/none": BASE, "resnet20/eca(kernel_size=3)": BASE})
    rows = list(csv.DictReader(io.StringIO(report.csv())))
    assert [float(row["test_accuracy"]) for row in rows] == pytest.approx([score / 100 for score in BASE * 2])
    latex = report.latex()
    assert r"resnet20/eca(kernel\_size=3)" in latex and r"\toprule" in latex and latex.count(r"\\") == 3
    for condition in (
        "n = 6",
        "95 \\% simultaneous for 1 arm and 3 planned looks",
        "made up",
        "a device",
        "0.3 points",
    ):
        assert condition in latex
    assert "no plan recorded before the first run" in latex
    scores = {"resnet20/none": BASE, "resnet20/eca(kernel_size=3)": BASE}
    assert "margin 0.3 points, set before the first run" in made_up(scores, planned(scores)).latex()
    late = made_up(scores, planned(scores, runs_before=5)).latex()
    assert "5 of 12 runs had ended before this plan was made" in late


def test_where_nothing_was_learned_nothing_is_said() -> None:
    report = made_up({"resnet20/none": [50.0] * 6, "resnet20/eca": [50.0, 50.2, 49.9, 50.0, 50.1, 50.0]})
    assert report.arms[1].verdict and report.arms[1].verdict.kind == "nothing learned"
    assert report.headline.startswith("Nothing learned. No run of the baseline can be told from always naming")


def test_a_run_at_chance_withholds_its_arm_only() -> None:
    scores = {
        "resnet20/none": BASE,
        "resnet20/eca": [*(score + 1 for score in BASE[:5]), 50.0],
        "resnet20/se": [score + step for score, step in zip(BASE, (2, 2.1, 1.9, 2, 2.2, 2.1), strict=True)],
    }
    report = made_up(scores)
    assert [arm.verdict and arm.verdict.kind for arm in report.arms] == [None, "withheld", "better"]
    assert report.arms[1].verdict and "seed 5 of the arm" in report.arms[1].verdict.sentence
    assert len(report.arms[1].differences) == 6, "listed, without an interval"
    assert (
        "Not trained: with its score, a run cannot be told from guessing on 10,000 test images."
        in report.arms[1].verdict.notes
    )


def test_what_the_test_set_can_show_is_said_before_any_verdict() -> None:
    said = " ".join(made_up({"resnet20/none": BASE, "resnet20/eca": BASE}, test_per_class=(9500, 500)).test_set)
    assert "One test image is 0.01 points" in said and "95 %" in said and "chance is 50 %" in said
    assert "500 to 9,500 test images of each of 2 classes" in said
    few = made_up({"resnet20/none": BASE, "resnet20/eca": BASE}, test_images=40, test_per_class=(20, 20)).test_set
    assert any("less than one test image" in sentence for sentence in few)
    old = made_up({"resnet20/none": BASE, "resnet20/eca": BASE}, test_per_class=())
    assert any("learned was not checked" in caveat for caveat in old.caveats)


def test_without_a_recorded_plan_both_readings_are_given() -> None:
    gain = [0.62, 0.08, 0.71, 0.35, 0.0, 0.66]
    report = made_up({"resnet20/none": BASE, "resnet20/eca": [a + b for a, b in zip(BASE, gain, strict=True)]})
    assert any("No plan was recorded" in caveat for caveat in report.caveats)
    (fixed,) = (caveat for caveat in report.caveats if caveat.startswith("Taken as a plan of one look: resnet20/eca"))
    assert report.arms[1].verdict and report.arms[1].verdict.kind == "undecided" and "is better" in fixed


def test_seeds_between_looks_are_said_and_not_used() -> None:
    scores = {"resnet20/none": [*BASE, 80.0, 80.2], "resnet20/eca": [score + 1 for score in [*BASE, 80.0, 80.3]]}
    report = made_up(scores, planned(scores))
    assert report.arms[1].verdict and report.arms[1].verdict.n == 6 and report.arms[1].verdict.next_look == 12
    assert "8 seeds will be judged at 6; the next look is at 12." in report.caveats
    few = {name: column[:1] for name, column in scores.items()}
    assert any(said.startswith("1 seed decides nothing: ") for said in made_up(few, planned(few)).caveats)


def test_images_that_no_batch_holds_are_a_caveat() -> None:
    said = made_up({"resnet20/none": BASE, "resnet20/eca": BASE}, train_images=200).caveats
    assert any("of 200 training images are never seen: 2 epochs of 1 whole batches of 128" in caveat for caveat in said)
    assert not any("never seen" in caveat for caveat in made_up({"resnet20/none": BASE, "resnet20/eca": BASE}).caveats)


def test_a_cancelled_study_says_that_it_was_cancelled() -> None:
    report = made_up({"resnet20/none": BASE, "resnet20/eca": BASE[:3]})
    assert report.headline.startswith("The study is still running: 9 of 12 runs")
    cancelled = report.ended("cancelled")
    assert "was cancelled" in cancelled.headline and "running" not in cancelled.headline
    assert "; 9 are kept" in cancelled.headline
    whole = made_up({"resnet20/none": BASE, "resnet20/eca": BASE})
    assert whole.ended("cancelled") == whole


def test_reports_of_the_rule_before_stay_readable() -> None:
    report = made_up({"resnet20/none": BASE, "resnet20/eca": BASE})
    data = report.model_dump(mode="json")
    verdict = data["arms"][1]["verdict"]
    data["arms"][1]["verdict"] = {
        "kind": "undecided",
        "sentence": "resnet20/eca: not decided; about 30 more seeds would detect 0.3 points.",
        "difference": {"estimate": 0.1, "low": -0.2, "high": 0.4, "confidence": 0.95, "n": 6, "method": "paired t"},
        "sign_flip_p": 0.5,
        "p": 0.4,
        "p_holm": 0.4,
        "equivalence_p": 0.1,
        "margin": 0.3,
        "more_seeds": 30,
    }
    for field in ("plan", "test_set"):
        del data[field]
    for field in ("train_per_class", "test_per_class"):
        del data["data"][field]
    old = StudyReport.model_validate(data).arms[1].verdict
    assert old is not None and old.kind == "undecided" and old.n == 6 and old.look is None
    assert "about 30 more seeds" in old.sentence and "Holm 0.4" in old.notes[0] and verdict["n"] == 6
    assert "95 \\% paired t" in StudyReport.model_validate(data).latex()


# ------------------------------------------------------------------ where each run's answers are known


def answered(score: Score, lift: float) -> tuple[StudyReport, dict[str, Any]]:
    """A report on runs whose answers on 300 images of two unequal classes are drawn, and what was drawn."""
    generator = np.random.default_rng(11)
    labels = np.repeat([0, 1], [240, 60])
    ease = generator.uniform(0.5, 1, 300)
    right = {
        name: generator.uniform(size=(6, 300)) < np.clip(ease + gain * (labels == 1), 0, 1)
        for name, gain in (("resnet20/none", 0.0), ("resnet20/eca", lift))
    }
    runs = []
    for name, table in right.items():
        for seed, row in enumerate(table):
            predicted = np.where(row, labels, 1 - labels)
            counts = confusion(labels, predicted, 2)
            runs.append(
                RunReport(
                    arm=name,
                    seed=seed,
                    done=True,
                    test_accuracy=float(row.mean()),
                    predicted=PackedClasses.of(predicted.tolist()),
                    right=tuple(np.diag(counts).tolist()),
                    confusion=tuple(map(tuple, counts.tolist())),
                    balanced_accuracy=balanced_accuracy(counts),
                    macro_f1=macro_f1(counts),
                    curve=(),
                    seconds=1.0,
                    weights=None,
                )
            )
    facts = FACTS.model_copy(
        update={"test_images": 300, "test_per_class": (240, 60), "test_labels": PackedClasses.of(labels.tolist())}
    )
    scores = {name: [0.0] * 6 for name in right}
    request = asked(scores).model_copy(update={"score": score})
    arms = [Variant.parse(name) for name in scores]
    return summarise(request, arms, runs, facts, "a device"), {"right": right, "labels": labels}


@pytest.mark.parametrize("score", ["accuracy", "balanced accuracy"])
def test_with_answers_known_the_interval_covers_new_images_too(score: Score) -> None:
    report, drawn = answered(score, 0.1)
    verdict = report.arms[1].verdict
    assert verdict is not None and verdict.difference is not None and verdict.scope == "seeds and images"
    base, arm = drawn["right"]["resnet20/none"], drawn["right"]["resnet20/eca"]
    parts = [slice(0, 300)] if score == "accuracy" else [slice(0, 240), slice(240, 300)]
    shares = [[100 * table[:, part].mean(1) for part in parts] for table in (arm, base)]
    assert report.arms[1].differences == pytest.approx(np.mean(shares[0], 0) - np.mean(shares[1], 0))
    variance = sum(image_variance(arm[:, part], base[:, part]) for part in parts) / len(parts) ** 2
    assert verdict.half_images == pytest.approx(stats.norm.isf(0.05 / 6) * variance**0.5)
    assert "on these test images" not in verdict.sentence


def test_the_confusion_of_every_run_is_a_table() -> None:
    report, drawn = answered("accuracy", 0.1)
    rows = list(csv.DictReader(io.StringIO(report.csv("confusion"))))
    wrong = sum(int(row["images"]) for row in rows if row["class"] != row["told"] and row["arm"] == "resnet20/eca")
    assert wrong == int((~drawn["right"]["resnet20/eca"]).sum())
    assert sum(int(row["images"]) for row in rows) == 2 * 6 * 300 and {row["seed"] for row in rows} == set("012345")
    mistakes = (~drawn["right"]["resnet20/none"])[:, drawn["labels"] == 0].sum() / 6
    assert f"| resnet20/none | a | b | {mistakes:.1f} |" in report.markdown("confusion")


def test_one_image_is_worth_more_in_balanced_accuracy() -> None:
    assert any("One test image is 0.333 points" in said for said in answered("accuracy", 0.1)[0].test_set)
    balanced = answered("balanced accuracy", 0.1)[0]
    assert any("One test image is 0.833 points of balanced accuracy" in said for said in balanced.test_set)
    assert not any("better score" in caveat for caveat in balanced.caveats)
    assert any("80 % of the test images are of one class" in caveat for caveat in answered("accuracy", 0.1)[0].caveats)


def test_the_score_of_a_single_run_stands_in_the_table() -> None:
    """A single run has no interval, and no spread."""
    report = made_up({"resnet20/none": [81.25], "resnet20/se": [82.5]})
    none, se = csv.DictReader(io.StringIO(report.csv("arms")))
    assert (none["accuracy"], float(se["accuracy"]), se["sd"]) == ("81.25", 82.5, "")
    assert "| 81.25 | -- |" in report.markdown() and "over n = 1 seed." in report.markdown()
    assert "2 epochs, batch" in report.latex()
