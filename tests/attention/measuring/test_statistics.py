"""Statistics of few seeds, against scipy, enumeration by hand and simulation."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from attention.measuring.statistics import (
    bootstrap_bounds,
    bootstrap_interval,
    equivalence_p,
    holm,
    mcnemar_p,
    paired_interval,
    paired_share_interval,
    paired_t_p,
    seeds_needed,
    sign_flip_p,
    verdicts,
)

SOME = [0.4, -0.1, 0.3, 0.55, 0.2, 0.05]


def test_the_interval_and_the_t_test_are_scipys() -> None:
    found = paired_interval(SOME)
    truth = scipy_stats.ttest_1samp(SOME, 0)
    low, high = truth.confidence_interval(0.95)
    assert (found.estimate, found.low, found.high) == pytest.approx((np.mean(SOME), low, high))
    assert paired_t_p(SOME) == pytest.approx(truth.pvalue)


def test_the_sign_flip_test_counts_every_pattern() -> None:
    by_hand = [
        abs(sum(sign * value for sign, value in zip(signs, SOME, strict=True))) >= abs(sum(SOME)) - 1e-9
        for signs in itertools.product((1, -1), repeat=len(SOME))
    ]
    assert sign_flip_p(SOME) == np.mean(by_hand)


@pytest.mark.parametrize(("n", "least"), [(3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_fewer_than_six_pairs_cannot_reach_five_percent(n: int, least: float) -> None:
    assert sign_flip_p(np.arange(1, n + 1)) == least


def test_many_pairs_are_sampled_and_agree_with_the_exact_test() -> None:
    values = np.random.default_rng(1).normal(0.3, 1, 21)
    exact = scipy_stats.permutation_test([values], np.mean, permutation_type="samples", n_resamples=2**22, batch=2**16)
    assert sign_flip_p(values) == pytest.approx(exact.pvalue, abs=0.002)


def test_equivalence_is_the_larger_of_two_one_sided_tests() -> None:
    sides = [
        scipy_stats.ttest_1samp(SOME, -0.6, alternative="greater").pvalue,
        scipy_stats.ttest_1samp(SOME, 0.6, alternative="less").pvalue,
    ]
    assert equivalence_p(SOME, 0.6) == pytest.approx(max(sides))


def test_holm_is_the_textbook_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0] and holm([]) == []


def test_the_planned_seeds_reach_the_power_they_promise() -> None:
    n = seeds_needed(spread=0.4, effect=0.3)
    draws = np.random.default_rng(0).normal(0.3, 0.4, (4000, n))
    power = np.mean(scipy_stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05)
    assert 0.78 < power < 0.85
    assert seeds_needed(spread=0.001, effect=1) == 6 and seeds_needed(spread=0.0, effect=1) == 6
    assert seeds_needed(spread=1, effect=0.1) == pytest.approx((1.96 + 0.8416) ** 2 / 0.01, rel=0.01)


def test_mcnemar_is_a_binomial_test_on_the_images_that_differ() -> None:
    one = np.array([True] * 60 + [False] * 40)
    other = np.array([True] * 50 + [False] * 47 + [True] * 3)
    assert mcnemar_p(one, other) == pytest.approx(scipy_stats.binomtest(10, 13).pvalue)
    assert mcnemar_p(one, one) == 1.0
    with pytest.raises(ValueError, match="same images"):
        mcnemar_p(one, other[:5])


def changed(n: int, lost: int, gained: int, kept: int = 0) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each of n images is right before and after."""
    place = np.arange(n)
    return (place < lost + kept), (place >= lost) & (place < lost + kept + gained)


def test_the_interval_of_a_change_of_share_is_the_published_one() -> None:
    """Airway hyper-responsiveness before and after stem cell transplantation (Bentur et al. 2009), n = 21, 7 and 1.

    The interval is that of Fagerland, Lydersen and Laake (2014) for this method, by its formula here.
    """
    found = paired_share_interval(*changed(21, lost=7, gained=1, kept=1))
    down, up = 8 / 23, 2 / 23
    half = 1.959964 * ((down + up - (up - down) ** 2) / 23) ** 0.5
    assert found.estimate == pytest.approx(-6 / 21) and found.n == 21
    assert (found.low, found.high) == pytest.approx((up - down - half, up - down + half))
    assert (round(found.low, 3), round(found.high, 3)) == (-0.508, -0.013)


def test_no_change_among_few_images_is_not_a_sure_zero() -> None:
    same = paired_share_interval(*changed(50, lost=0, gained=0, kept=30))
    assert same.estimate == 0 and same.low == -same.high and same.high == pytest.approx(1.96 * 2**0.5 / 52, rel=1e-3)
    whole = paired_share_interval(*changed(20, lost=20, gained=0))
    assert whole.low == -1 and whole.estimate == -1 and whole.high < -0.7
    with pytest.raises(ValueError, match="same images"):
        paired_share_interval([True], [True, False])


@pytest.mark.parametrize(
    ("n", "lost", "gained"), [(30, 0.2, 0.05), (50, 0.05, 0.02), (256, 0.01, 0.01), (256, 0.15, 0.02), (1000, 0.3, 0.3)]
)
def test_the_interval_of_a_change_of_share_covers_what_it_says(n: int, lost: float, gained: float) -> None:
    counts = np.random.default_rng(n).multinomial(n, [lost, gained, 1 - lost - gained], 2000)
    hits = 0
    for down, up, _ in counts.tolist():
        found = paired_share_interval(*changed(n, down, up))
        hits += found.low <= gained - lost <= found.high
    # Exactly 95 % is not to be had with counts; the method errs to the safe side where hardly anything changes.
    assert 0.935 <= hits / 2000 <= (0.97 if n * (lost + gained) > 10 else 1.0)


def test_bounds_drawn_together_are_those_of_one_number_at_a_time() -> None:
    values = np.random.default_rng(0).exponential(1, (3, 80))
    low, high = bootstrap_bounds(values, draws=4000)
    for row, bottom, top in zip(values, low, high, strict=True):
        alone = bootstrap_interval(row, draws=4000, seed=1)
        assert (bottom, top) == pytest.approx((alone.low, alone.high), abs=0.03)
    again = bootstrap_bounds(values[1:2], draws=4000)
    assert (again[0][0], again[1][0]) == pytest.approx((low[1], high[1]))  # whatever else is drawn with it
    with pytest.raises(ValueError, match="At least 30"):
        bootstrap_bounds(np.zeros((2, 29)))


def test_the_bootstrap_refuses_seeds_and_covers_over_images() -> None:
    with pytest.raises(ValueError, match="At least 30"):
        bootstrap_interval([0.1, 0.2, 0.3])
    generator, hits = np.random.default_rng(0), 0
    for trial in range(200):
        found = bootstrap_interval(generator.exponential(1, 100), draws=400, seed=trial)
        hits += found.low <= 1 <= found.high
    assert 0.88 <= hits / 200 <= 0.99


# ------------------------------------------------------------------ simulations


def test_paired_t_covers_what_it_says_and_a_bootstrap_of_three_seeds_does_not() -> None:
    generator = np.random.default_rng(0)
    t_hits, bootstrap_hits, trials = 0, 0, 2000
    for _ in range(trials):
        found = paired_interval(generator.normal(0.2, 0.5, 6))
        t_hits += found.low <= 0.2 <= found.high
        three = generator.normal(0.2, 0.5, 3)
        means = three[generator.integers(0, 3, (200, 3))].mean(1)
        low, high = np.quantile(means, [0.025, 0.975])
        bootstrap_hits += low <= 0.2 <= high
    assert 0.935 <= t_hits / trials <= 0.965
    assert bootstrap_hits / trials < 0.8


@pytest.mark.parametrize("n", [3, 6, 10])
def test_without_an_effect_a_family_of_arms_rarely_wins(n: int) -> None:
    generator = np.random.default_rng(n)
    trials, wins = 400, 0
    for _ in range(trials):
        baseline = generator.normal(0, 0.3, n)
        arms = {f"arm{index}": generator.normal(0, 0.3, n) - baseline for index in range(5)}
        wins += any(one.kind in ("better", "worse") for one in verdicts(arms, margin=0.3).values())  # type: ignore[arg-type]
    assert wins / trials <= (0 if n < 6 else 0.065)


def test_a_clear_effect_is_found_and_a_tight_nothing_is_called_none() -> None:
    generator = np.random.default_rng(0)
    clear = (1.0 + generator.normal(0, 0.2, 6)).tolist()
    nothing = generator.normal(0, 0.05, 8).tolist()
    noisy = generator.normal(0.1, 1, 6).tolist()
    found = verdicts({"clear": clear, "nothing": nothing, "noisy": noisy, "worse": [-v for v in clear]}, margin=0.3)
    assert [one.kind for one in found.values()] == ["better", "equivalent", "undecided", "worse"]
    (sure,) = verdicts({"sure": [0.1 + value / 10 for value in nothing]}, margin=0.3).values()
    assert sure.p is not None and sure.p < 0.001 and sure.kind == "equivalent"
    assert "no difference larger than 0.3 points" in found["nothing"].sentence
    assert "more seeds would detect 0.3 points" in found["noisy"].sentence
    assert all(f"n = {n}" in one.sentence for n, one in zip((6, 8, 6, 6), found.values(), strict=True))


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_below_six_pairs_nothing_wins_whatever_the_means(n: int) -> None:
    (found,) = verdicts({"eca": [50.0 + seed for seed in range(n)]}, margin=0.3).values()
    assert found.kind == "too few seeds" and (f"({n})" in found.sentence or f"n = {n}" in found.sentence)
    assert found.more_seeds is not None and found.more_seeds >= 6 - n


def test_more_arms_make_each_claim_harder() -> None:
    lone = [0.5, 0.2, 0.6, 0.1, 0.4, 0.3]
    noise = {f"n{i}": np.random.default_rng(i).normal(0, 1, 6).tolist() for i in range(9)}
    alone, among = verdicts({"a": lone}, 0.1)["a"], verdicts({"a": lone} | noise, 0.1)["a"]
    assert alone.p == among.p and alone.p_holm == alone.p and among.p_holm == pytest.approx(10 * (among.p or 0))
