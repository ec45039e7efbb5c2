"""A study class by class: means, spreads and paired differences against loops over runs, and the tables of them."""

import csv
import io
import statistics

import numpy as np
import pytest
from scipy import stats

from attention.reports.parts.study_classes import HEADING, classes_table, recall_table
from attention.reports.study import DataFacts, RunReport
from attention.training.class_summary import class_summary

IMAGES = (40, 30, 10)
NAMES = ("cat", "dog", "owl")
FACTS = DataFacts(
    name="pets",
    classes=NAMES,
    train_images=100,
    test_images=80,
    size=32,
    split_by_hash=False,
    duplicates=0,
    duplicates_across_splits=0,
    label_conflicts=0,
    fingerprint="0",
    test_per_class=IMAGES,
)


def ended(arm: str, seed: int, confusion: list[list[int]]) -> RunReport:
    right = tuple(row[number] for number, row in enumerate(confusion))
    f1 = [2 * right[k] / (IMAGES[k] + sum(row[k] for row in confusion)) for k in range(3)]
    return RunReport(
        arm=arm,
        seed=seed,
        done=True,
        test_accuracy=sum(right) / 80,
        curve=(),
        seconds=1.0,
        weights=None,
        right=right,
        confusion=tuple(map(tuple, confusion)),
        macro_f1=sum(f1) / 3,
    )


def runs() -> list[RunReport]:
    """Four seeds of the baseline and three of the arm, which tells owls better and dogs worse."""
    rng = np.random.default_rng(0)

    def confusion(shares: tuple[float, float, float]) -> list[list[int]]:
        rows = []
        for true, (images, share) in enumerate(zip(IMAGES, shares, strict=True)):
            right = int(rng.binomial(images, share))
            others = [right if told == true else 0 for told in range(3)]
            others[(true + 1) % 3] += images - right
            rows.append(others)
        return rows

    base = [ended("none", seed, confusion((0.8, 0.8, 0.3))) for seed in (0, 1, 2, 3)]
    return base + [ended("eca", seed, confusion((0.8, 0.5, 0.9))) for seed in (3, 1, 2)]


def test_recalls_and_differences_are_those_of_the_runs() -> None:
    every = runs()
    plain, eca = class_summary(["none", "eca"], every, FACTS)
    assert (plain.n, eca.n) == (4, 3) and (eca.gains_most, eca.loses_most) == ("owl", "dog")
    assert plain.gains_most is None and all(score.difference is None for score in plain.classes)
    by_seed = {(run.arm, run.seed): run for run in every}
    for number, score in enumerate(eca.classes):
        recall = {key: 100 * run.right[number] / IMAGES[number] for key, run in by_seed.items()}
        own = [recall["eca", seed] for seed in (1, 2, 3)]
        assert score.recall == pytest.approx(statistics.mean(own))
        assert score.spread == pytest.approx(statistics.stdev(own))
        pairs = [recall["eca", seed] - recall["none", seed] for seed in (1, 2, 3)]
        half = stats.t.isf(0.025, 2) * statistics.stdev(pairs) / 3**0.5
        assert score.difference is not None
        found = (score.difference.low, score.difference.estimate, score.difference.high)
        mean = statistics.mean(pairs)
        assert found == pytest.approx((mean - half, mean, mean + half))
    balanced = [sum(100 * run.right[k] / IMAGES[k] for k in range(3)) / 3 for run in every if run.arm == "eca"]
    assert eca.balanced_accuracy == pytest.approx(statistics.mean(balanced))
    assert eca.spread == pytest.approx(statistics.stdev(balanced))
    assert eca.confusion is not None
    for true in range(3):
        assert sum(eca.confusion[true]) == pytest.approx(IMAGES[true])


def test_runs_without_classes_are_left_out_and_one_pair_has_no_interval() -> None:
    every = runs()
    lost = RunReport(arm="se", seed=0, done=True, test_accuracy=None, curve=(), seconds=0, weights=None, failed="Lost.")
    one = ended("sk", 0, [[40, 0, 0], [0, 30, 0], [0, 0, 10]])
    described = class_summary(["none", "se", "sk"], [*every, lost, one], FACTS)
    assert [arm.arm for arm in described] == ["none", "sk"]
    assert described[1].spread is None and all(score.difference is None for score in described[1].classes)
    assert described[1].balanced_accuracy == 100 and described[1].macro_f1 == 100
    assert class_summary(["none"], every, FACTS.model_copy(update={"test_per_class": ()})) == ()


def test_the_tables_hold_every_class_and_say_that_they_are_a_description() -> None:
    every = runs()
    text = classes_table(((run.arm, run.seed, run.right) for run in every), NAMES, IMAGES).csv()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 7 * 3
    for row in rows:
        assert float(row["recall"]) == pytest.approx(int(row["right"]) / int(row["test_images"]))
    assert sum(int(row["right"]) for row in rows if (row["arm"], row["seed"]) == ("eca", "3")) == sum(every[4].right)
    assert classes_table([("se", 0, ())], NAMES, IMAGES).csv().count("\n") == 1
    latex = recall_table(class_summary(["none", "eca"], every, FACTS), "pets").latex()
    assert HEADING in latex and latex.count(r"\\") == 1 + 3 + 1 and "owl & 10" in latex
