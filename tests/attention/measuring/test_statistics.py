"""Intervals and tests for single comparisons, against formulas written out, published numbers and simulation."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from attention.measuring.statistics import bootstrap_bounds, holm, mcnemar_p, paired_interval, paired_share_interval

SOME = [0.4, -0.1, 0.3, 0.55, 0.2, 0.05]


def test_the_interval_and_the_t_test_are_scipys() -> None:
    found = paired_interval(SOME)
    truth = scipy_stats.ttest_1samp(SOME, 0)
    low, high = truth.confidence_interval(0.95)
    assert (found.estimate, found.low, found.high) == pytest.approx((np.mean(SOME), low, high))
    same = paired_interval([0.1 + 0.2] * 6)
    assert (same.estimate, same.low, same.high) == (0.1 + 0.2,) * 3


def test_holm_is_the_textbook_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0] and holm([]) == []


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


@pytest.mark.full
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


def test_bootstrap_ends_are_quantiles_of_means_drawn_with_replacement() -> None:
    values = np.random.default_rng(0).exponential(1, (3, 80))
    low, high = bootstrap_bounds(values, draws=4000)
    generator = np.random.default_rng(1)
    for row, bottom, top in zip(values, low, high, strict=True):
        means = [row[generator.integers(0, 80, 80)].mean() for _ in range(4000)]
        assert (bottom, top) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.03)
    again = bootstrap_bounds(values[1:2], draws=4000)
    assert (again[0][0], again[1][0]) == pytest.approx((low[1], high[1]))  # whatever else is drawn with it
    with pytest.raises(ValueError, match="At least 30"):
        bootstrap_bounds(np.zeros((2, 29)))


def test_the_bootstrap_covers_over_images() -> None:
    low, high = bootstrap_bounds(np.random.default_rng(0).exponential(1, (300, 100)), draws=400)
    # Every row is drawn with the same images, so the rows are as good as independent samples of 100.
    assert 0.88 <= ((low <= 1) & (high >= 1)).mean() <= 0.99


# ------------------------------------------------------------------ simulations


@pytest.mark.full
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
