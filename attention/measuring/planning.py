"""How many seeds a study needs: the chances of the very verdicts that `decision` gives, computed without simulation.

An arm's verdict depends on its own mean and spread only. Given the spread, the mean is normal; so each chance is an
average of normal probabilities over the chi-square distribution of the spread.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

from attention.measuring.decision import LEAST_SEEDS, Floats, Rule

POWER = 0.8
"""Chance with which the seeds asked for tell the margin from no difference."""

MOST_SEEDS = 10_000
"""Beyond so many seeds the answer is that seeds are not what is missing."""

QUANTILES = 4000


@dataclass(frozen=True)
class Chances:
    """Probabilities of the three verdicts that are claims."""

    better: float
    worse: float
    equivalent: float


def chances(theta: float, sd: float, seeds: int, rule: Rule, half_images: float = 0.0) -> Chances:
    """Probability of each claim for an arm whose true difference and true spread are given.

    Args:
        theta: true mean difference, points.
        sd: true standard deviation of the paired differences, points; above 0.
        half_images: what the test images add to the interval's half width, points.
    """
    error = sd / np.sqrt(seeds)
    half = np.hypot(rule.factor(seeds) * error * np.sqrt(_chi2_quantiles(seeds - 1) / (seeds - 1)), half_images)
    margin = rule.margin if rule.margin is not None and rule.margin_is_visible else -np.inf
    claimed = np.maximum(half, margin - half)  # a mean beyond this is called better: the interval excludes zero
    room = np.where(half < margin, margin - half, 0.0)
    within = stats.norm.cdf((room - theta) / error) - stats.norm.cdf((-room - theta) / error)
    return Chances(
        better=float(stats.norm.sf((claimed - theta) / error).mean()),
        worse=float(stats.norm.cdf((-claimed - theta) / error).mean()),
        equivalent=float(np.where(room > 0, within, 0.0).mean()),
    )


def telling(sd: float, seeds: int, rule: Rule, half_images: float = 0.0) -> float:
    """Chance that so many seeds tell the margin from nothing: the smaller of the chances of both right verdicts."""
    if rule.margin is None:
        raise ValueError("Without a margin there is nothing to plan for.")
    return min(
        chances(rule.margin, sd, seeds, rule, half_images).better, chances(0.0, sd, seeds, rule, half_images).equivalent
    )


@lru_cache(maxsize=4096)  # a running study is judged again after every epoch, from the same runs
def seeds_needed(sd: float, rule: Rule, half_images: float = 0.0) -> int | None:
    """Least number of seeds in all that tells the margin from nothing with a chance of 80 %.

    None if ten thousand are not enough, for then test images are missing and not seeds, or if one test image is worth
    more than the margin.
    """
    if not rule.margin_is_visible or telling(sd, MOST_SEEDS, rule, half_images) < POWER:
        return None
    low, high = LEAST_SEEDS, LEAST_SEEDS
    while telling(sd, high, rule, half_images) < POWER:
        low, high = high + 1, min(2 * high, MOST_SEEDS)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if telling(sd, middle, rule, half_images) >= POWER else (middle + 1, high)
    return low


def seeds_needed_range(sd: float, seeds: int, rule: Rule, half_images: float = 0.0) -> tuple[int | None, int | None]:
    """Seeds needed at both ends of the 80 % interval for a standard deviation that ``seeds`` differences gave."""
    spread = stats.chi2(seeds - 1)
    ends = (sd * np.sqrt((seeds - 1) / spread.isf(0.1)), sd * np.sqrt((seeds - 1) / spread.ppf(0.1)))
    return seeds_needed(float(ends[0]), rule, half_images), seeds_needed(float(ends[1]), rule, half_images)


@lru_cache(maxsize=256)
def _chi2_quantiles(freedom: int) -> Floats:
    return np.asarray(stats.chi2.ppf((np.arange(QUANTILES) + 0.5) / QUANTILES, freedom))
