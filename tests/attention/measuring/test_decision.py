"""The decision rule against its worked examples, formulas written out as loops, and simulated studies."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from attention.measuring.decision import (
    Rule,
    adjusted_p,
    estimate,
    far_seeds,
    has_learned,
    image_variance,
    kinds,
    unseen_failure_rate,
    welch,
)

CASES: dict[str, dict[str, Any]] = {
    case["id"]: case for case in json.loads((Path(__file__).with_name("decision_examples.json")).read_text())["cases"]
}


@pytest.mark.parametrize(
    ("looks", "seeds", "factors"),
    [
        (3, 6, {1: 3.534, 3: 4.655, 8: 5.840, 13: 6.505, 16: 6.808}),
        (3, 8, {1: 3.128, 2: 3.636, 5: 4.355}),
        (3, 40, {1: 2.502, 10: 3.378}),
        (1, 6, {1: 2.571, 8: 4.526}),
        (1, 40, {1: 2.023, 16: 3.151}),
    ],
)
def test_the_factor_is_that_of_the_published_table(looks: int, seeds: int, factors: dict[int, float]) -> None:
    for arms, factor in factors.items():
        assert Rule(arms, 6, looks).factor(seeds) == pytest.approx(factor, abs=5e-4)


def test_looks_are_at_the_first_number_of_seeds_and_at_its_doubles() -> None:
    rule = Rule(2, 8)
    assert rule.look_sizes == (8, 16, 32)
    assert [rule.look(n) for n in (7, 8, 15, 16, 31, 32, 99)] == [0, 1, 1, 2, 2, 3, 3]
    assert [rule.next_look(n) for n in (0, 8, 31, 32)] == [8, 16, 32, None]
    assert Rule(2, 8, looks=1).look_sizes == (8,)


@pytest.mark.parametrize("wrong", [{"arms": 0}, {"first_look": 5}, {"looks": 4}, {"margin": 0.0}, {"margin": -1.0}])
def test_a_rule_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"rule|margin"):
        Rule(**({"arms": 1, "first_look": 6} | wrong))


@pytest.mark.full
def test_interval_and_verdict_never_disagree() -> None:
    """The interval computed with scipy for each of 100,000 samples, the kind read off by the words of the rule."""
    generator = np.random.default_rng(3)
    for n, looks, arms, points in ((6, 3, 1, 0.01), (8, 1, 5, 0.01), (12, 3, 13, 2.5), (24, 2, 3, None)):
        rule = Rule(arms, 6, looks, margin=0.3, image_points=points)
        spread = generator.choice([0.0, 0.001, 0.05, 0.3, 2.0], (25_000, 1))
        values = generator.normal(generator.choice([-0.5, -0.3, 0, 0.1, 0.3, 3], (25_000, 1)), spread, (25_000, n))
        found = estimate(values, rule)
        verdicts = kinds(found.low, found.high, rule)
        within = (np.maximum(-found.low, found.high) < 0.3) & (points is None or points <= 0.3)
        assert np.array_equal(verdicts == "equivalent", within)
        excludes = np.sign(found.low) * np.sign(found.high) > 0
        assert np.array_equal(excludes & ~within, np.isin(verdicts, ("better", "worse")))
        assert ((verdicts == "better") <= (found.mean > 0)).all() and ((verdicts == "worse") <= (found.mean < 0)).all()
        wide = (points is None or points < 0.05) and stats.ttest_1samp(values[spread[:, 0] >= 0.3], 0, axis=1)
        if wide:
            low, high = wide.confidence_interval(1 - 0.05 / (arms * looks))
            assert found.low[spread[:, 0] >= 0.3] == pytest.approx(low)
            assert found.high[spread[:, 0] >= 0.3] == pytest.approx(high)


@pytest.mark.full
def test_the_adjusted_p_says_what_the_interval_says() -> None:
    generator = np.random.default_rng(5)
    for variance in (0.0, 0.01):
        for _ in range(300):
            values = generator.normal(generator.choice([0.0, 0.2, 0.4]), 0.3, 8)
            rule = Rule(2, 8, margin=0.3, image_points=0.01)
            found = estimate(values, rule, variance)
            p = adjusted_p(rule, found)
            assert (p < 0.05) == (found.low > 0 or found.high < 0)
            if not variance:
                assert p == pytest.approx(min(1, 6 * stats.ttest_1samp(values, 0).pvalue))


def tables(case: dict[str, Any]) -> tuple[Any, Any]:
    seeds, images = np.arange(case["n"])[:, None], np.arange(case["N"])
    return tuple((a * images + b * seeds) % c < d for a, b, c, d in (case["arm"], case["baseline"]))


def test_the_part_of_the_images_is_the_worked_one() -> None:
    case = CASES["15"]
    arm, baseline = tables(case["input"])
    assert 100 * (arm.mean(1) - baseline.mean(1)) == pytest.approx(case["expect"]["differences"])
    assert image_variance(arm, baseline) == pytest.approx(case["expect"]["image_variance"], abs=1e-6)


def test_the_part_of_the_images_is_the_two_way_table_by_loops() -> None:
    generator = np.random.default_rng(2)
    easy = generator.uniform(0.2, 1, 30)
    arm, baseline = (generator.uniform(size=(5, 30)) < easy for _ in range(2))
    table = [[100.0 * (int(arm[s, i]) - int(baseline[s, i])) for i in range(30)] for s in range(5)]
    total = sum(map(sum, table)) / 150
    columns = [sum(table[s][i] for s in range(5)) / 5 for i in range(30)]
    rows = [sum(row) / 30 for row in table]
    images = 5 * sum((column - total) ** 2 for column in columns) / 29
    rest = sum((table[s][i] - rows[s] - columns[i] + total) ** 2 for s in range(5) for i in range(30)) / (4 * 29)
    assert image_variance(arm, baseline) == pytest.approx(max(0, (images - rest) / 5) / 30)


def test_of_balanced_accuracy_each_class_has_a_part_of_its_own() -> None:
    generator = np.random.default_rng(4)
    harder = np.repeat([0.9, 0.4], [10, 40])
    arm, baseline = (generator.uniform(size=(6, 50)) < generator.uniform(0, 1, 50) * harder for _ in range(2))
    parts = [image_variance(arm[:, part], baseline[:, part]) for part in (slice(0, 10), slice(10, 50))]
    assert image_variance(arm, baseline, np.repeat([0, 1], [10, 40])) == pytest.approx(sum(parts) / 4)


def test_what_is_random_in_each_run_on_each_image_is_not_counted_again() -> None:
    """Answers drawn anew for each run and image: no image is helped more than another, so the part is near zero."""
    generator = np.random.default_rng(0)
    parts = [
        image_variance(generator.uniform(size=(8, 400)) < 0.7, generator.uniform(size=(8, 400)) < 0.7)
        for _ in range(200)
    ]
    independent = 100**2 * 2 * 0.7 * 0.3 / (8 * 400)  # variance of the mean difference if all were counted
    assert np.mean(parts) < 0.05 * independent


def test_a_table_of_one_image_or_of_other_seeds_is_refused() -> None:
    with pytest.raises(ValueError, match="two seeds and two images"):
        image_variance(np.ones((6, 1)), np.ones((6, 1)))
    with pytest.raises(ValueError, match="same seeds and images"):
        image_variance(np.ones((6, 4)), np.ones((5, 4)))


@pytest.mark.parametrize(
    ("right", "images", "majority", "recalls", "per_class", "learned"),
    [
        (7710, 10_000, 0.1, (), (), True),
        (1000, 10_000, 0.1, (), (), False),
        (38, 40, 0.95, (1.0, 0.0), (38, 2), False),
        (900, 1000, 0.95, (0.9, 0.9), (950, 50), True),  # below the majority, and it knows both classes
        (950, 1000, 0.95, (1.0, 0.0), (950, 50), False),
        (8, 8, 0.5, (), (), False),  # 0.5 ** 8 = 0.004: eight images cannot show it
    ],
)
def test_a_run_that_guesses_is_told_from_one_that_learned(
    right: int, images: int, majority: float, recalls: Any, per_class: Any, learned: bool
) -> None:
    assert has_learned(right, images, majority, recalls, per_class) is learned


def test_a_seed_far_from_the_others_is_pointed_out() -> None:
    values = [0.4, 0.5, 0.42, 0.45, 0.39, 0.44, -6.2]
    assert far_seeds(values) == [6]
    assert far_seeds([0.1, 0.1, 0.1, 0.1, 5.0]) == []  # no spread to measure by
    draws = np.random.default_rng(1).normal(size=(4000, 6))
    assert np.mean([bool(far_seeds(draw)) for draw in draws]) == pytest.approx(0.029, abs=0.01)


def test_failures_unseen_in_few_runs() -> None:
    rates = {n: round(100 * unseen_failure_rate(n)) for n in (6, 10, 16, 20, 40)}
    assert rates == {6: 39, 10: 26, 16: 17, 20: 14, 40: 7}


def test_unpaired_runs_have_welchs_interval() -> None:
    case = CASES["17"]
    found = welch(case["input"]["arm"], case["input"]["baseline"], Rule(1, 6))
    for name, number in case["expect"].items():
        assert getattr(found, name) == pytest.approx(number, abs=1e-6)


# ------------------------------------------------------------------ simulated studies


@pytest.mark.parametrize("arms", [1, 3, 8])
@pytest.mark.parametrize("true", [0.0, 0.3])
def test_false_claims_over_all_arms_and_looks_stay_below_five_percent(arms: int, true: float) -> None:
    studies, rule = 2000, Rule(arms, 6, margin=0.3, image_points=0.01)
    generator = np.random.default_rng(100 * arms + round(10 * true))
    runs = generator.normal(0, 0.4 / np.sqrt(2), (studies, arms + 1, 24))
    differences = true + runs[:, 1:] - runs[:, :1]  # the baseline's runs are shared
    false = np.zeros(studies, bool)
    for seeds in rule.look_sizes:
        found = estimate(differences[..., :seeds], rule)
        said = kinds(found.low, found.high, rule)
        wrong = ("better", "worse") if true == 0 else ("equivalent", "worse")
        false |= np.isin(said, wrong).any(1)
    assert false.mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / studies)


@pytest.mark.parametrize("arms", [1, 3])
def test_intervals_cover_the_truth_at_every_look_together(arms: int) -> None:
    studies, rule = 4000, Rule(arms, 6)
    runs = np.random.default_rng(arms).normal(0, 0.3, (studies, arms + 1, 24))
    missed = np.zeros(studies, bool)
    for seeds in rule.look_sizes:
        found = estimate(runs[:, 1:, :seeds] - runs[:, :1, :seeds], rule)
        missed |= ((found.low > 0) | (found.high < 0)).any(1)
    assert 0.02 < missed.mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / studies)
