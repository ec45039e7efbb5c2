"""The decision rule of paired-seed studies: one interval for each arm, wide enough for all arms and all looks together.

Differences between an arm and the baseline on the same seed are taken as normal. Student's interval for their mean is
corrected by Bonferroni for the arms and for the looks that the plan allows, so that in 95 % of studies no interval
misses its truth at any look; every verdict is read off the interval and cannot contradict it. Everything here takes
one arm or many at once: the last axis is seeds, the axes before it are arms or studies. ``docs/verdicts.md`` says it
in words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

Floats = NDArray[np.float64]

ALPHA = 0.05
"""Share of studies in which any interval of any arm at any look may miss the truth."""

LEAST_SEEDS = 6
"""Pairs below which no interval is given: the factor grows steeply, and all would rest on the normal shape."""

LEARNED_P = 0.001
"""A run has learned if guessing the most frequent class would do as well with a probability below this."""

LEARNED_ERRORS = 3
"""Standard errors by which balanced accuracy exceeds 1 / C in a run that has learned."""

FAR = 10
"""Median distances from the median beyond which a seed is pointed out."""


@dataclass(frozen=True)
class Rule:
    """What a plan declares before its first run, as far as the intervals need it.

    Args:
        arms: differences to the baseline that the plan declares; arms that fail or are withheld count too.
        first_look: seeds at which the first verdict is given.
        looks: how often verdicts may be given: at first_look, at twice and at four times as many seeds.
        margin: differences up to this matter to nobody, in points; None: "no difference" is never said.
        image_points: points that one test image is worth, 100 / N for accuracy; None where N is not known.

    Raises:
        ValueError: a number outside these meanings.
    """

    arms: int
    first_look: int
    looks: int = 3
    margin: float | None = None
    image_points: float | None = None

    def __post_init__(self) -> None:
        if self.arms < 1 or self.first_look < LEAST_SEEDS or self.looks not in (1, 2, 3):
            raise ValueError(
                f"A rule needs an arm, a first look at {LEAST_SEEDS} seeds or more and 1 to 3 looks, not {self}."
            )
        if self.margin is not None and not 0 < self.margin < np.inf:
            raise ValueError(f"A margin is a number above 0, not {self.margin}.")

    @property
    def level(self) -> float:
        """One-sided error of one end of one interval."""
        return ALPHA / (2 * self.arms * self.looks)

    @property
    def look_sizes(self) -> tuple[int, ...]:
        """Seeds at which verdicts are given, in order."""
        return tuple(self.first_look * 2**look for look in range(self.looks))

    @property
    def margin_is_visible(self) -> bool:
        """Whether there is a margin, and one test image is not worth more than it."""
        return self.margin is not None and (self.image_points is None or self.margin >= self.image_points)

    def look(self, seeds: int) -> int:
        """Number of the look that so many seeds reach, from 1; 0 before the first."""
        return sum(seeds >= size for size in self.look_sizes)

    def next_look(self, seeds: int) -> int | None:
        """Seeds of the look after the one that so many seeds reach; None once the plan is used up."""
        return next((size for size in self.look_sizes if size > seeds), None)

    def factor(self, seeds: int) -> float:
        """Standard errors between the mean and the ends of its interval."""
        return float(stats.t.isf(self.level, seeds - 1))


@dataclass(frozen=True)
class Estimate:
    """Mean difference over n seeds with the interval that the rule gives it; scalars, or arrays over arms or studies.

    Args:
        sd: standard deviation of the differences, divisor n - 1.
        sd_used: the same, but at least half of what one test image is worth.
        image_variance: variance that the draw of test images gives to the mean; 0 where only scores are known.
    """

    n: int
    mean: Floats
    sd: Floats
    sd_used: Floats
    image_variance: float
    half_seeds: Floats
    half_images: float

    @property
    def half(self) -> Floats:
        """Half of the interval's width."""
        return np.hypot(self.half_seeds, self.half_images)

    @property
    def low(self) -> Floats:
        """Lower end of the interval."""
        return self.mean - self.half

    @property
    def high(self) -> Floats:
        """Upper end of the interval."""
        return self.mean + self.half


def estimate(differences: ArrayLike, rule: Rule, image_variance: float = 0.0) -> Estimate:
    """Give the mean of paired differences (..., n) its interval, 95 % simultaneous over the rule's arms and looks.

    The variances of two independent sources add: G. Y. Zou, A. Donner, "Construction of confidence limits about effect
    measures", Statistics in Medicine 27, 2008, https://doi.org/10.1002/sim.3095.

    Args:
        differences: score of the arm minus score of the baseline on the same seed, points.
        image_variance: see `image_variance`.
    """
    values = np.asarray(differences, np.float64)
    n, mean, sd = values.shape[-1], values.mean(-1), values.std(-1, ddof=1)
    sd = np.where(sd < 1e-9 * np.maximum(1, np.abs(values).max(-1)), 0.0, sd)  # what rounding leaves is no spread
    sd_used = np.maximum(sd, (rule.image_points or 0) / 2)
    return Estimate(
        n=n,
        mean=mean,
        sd=sd,
        sd_used=sd_used,
        image_variance=image_variance,
        half_seeds=rule.factor(n) * sd_used / np.sqrt(n),
        half_images=float(stats.norm.isf(rule.level)) * float(np.sqrt(image_variance)),
    )


def kinds(low: ArrayLike, high: ArrayLike, rule: Rule) -> NDArray[np.str_]:
    """Read the verdict off each interval: equivalent, better, worse or undecided, the first that holds."""
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    margin = rule.margin if rule.margin is not None and rule.margin_is_visible else -np.inf
    return np.select(
        [(low > -margin) & (high < margin), low > 0, high < 0], ["equivalent", "better", "worse"], "undecided"
    )


def adjusted_p(rule: Rule, difference: Estimate) -> float:
    """p-value of "no difference", corrected for all arms and looks; below 0.05 exactly if the interval excludes zero.

    The two-sided level at which the interval's nearer end would touch zero, times arms and looks.
    """
    mean, error = abs(float(difference.mean)), float(difference.sd_used) / np.sqrt(difference.n)
    image_error = np.sqrt(difference.image_variance)
    if mean == 0:
        return 1.0

    def beyond(log_level: float) -> float:
        tail = np.exp(log_level) / 2
        return float(np.hypot(stats.t.isf(tail, difference.n - 1) * error, stats.norm.isf(tail) * image_error) - mean)

    least = np.log(1e-300)
    level = np.exp(optimize.brentq(beyond, least, 0.0, xtol=1e-13)) if beyond(least) > 0 else 0.0
    return float(min(1.0, rule.arms * rule.looks * level))


def image_variance(arm: ArrayLike, baseline: ArrayLike, labels: ArrayLike | None = None) -> float:
    """Estimate the variance that the draw of test images gives to the mean difference, points squared.

    Two-way layout of seeds x images without repetition: what is random in each run on each image is part of the spread
    over seeds already and is subtracted here, so that nothing is counted twice.

    Args:
        arm, baseline: whether each run is right on each test image (n, N), the same seeds in the same order.
        labels: class of each test image (N,) where the score is balanced accuracy: the variance then is the sum of
            those of the C classes, each over the images of that class, divided by C squared.

    Raises:
        ValueError: fewer than two seeds, or a class with fewer than two images.
    """
    first, second = np.asarray(arm, bool), np.asarray(baseline, bool)
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"Both tables must be of the same seeds and images, not {first.shape} and {second.shape}.")
    if labels is not None:
        of = np.asarray(labels)
        parts = [image_variance(first[:, of == label], second[:, of == label]) for label in np.unique(of)]
        return float(sum(parts)) / len(parts) ** 2
    seeds, images = first.shape
    if seeds < 2 or images < 2:
        raise ValueError(f"The variance over images needs two seeds and two images, not {seeds} and {images}.")
    table = 100.0 * (first.astype(np.int8) - second.astype(np.int8))
    by_image = table.mean(0)
    rest = table - table.mean(1, keepdims=True) - by_image + table.mean()
    of_images = seeds * np.square(by_image - table.mean()).sum() / (images - 1)
    of_rest = np.square(rest).sum() / ((seeds - 1) * (images - 1))
    return max(0.0, float(of_images - of_rest) / seeds) / images


def has_learned(
    right: int, images: int, majority: float, recalls: Sequence[float] = (), per_class: Sequence[int] = ()
) -> bool:
    """Tell a run that learned from one that guesses.

    Args:
        right: test images that the run is right on, of ``images``.
        majority: share of the most frequent class among the test images.
        recalls: share that is right in each class, where known.
        per_class: test images of each class, where known.
    """
    if stats.binomtest(right, images, majority, alternative="greater").pvalue < LEARNED_P:
        return True
    if not recalls:
        return False
    recall, count, classes = np.asarray(recalls, np.float64), np.asarray(per_class, np.float64), len(recalls)
    error = np.sqrt((recall * (1 - recall) / count).sum()) / classes
    return bool(recall.mean() - 1 / classes > LEARNED_ERRORS * error)


def far_seeds(differences: ArrayLike) -> list[int]:
    """Positions of differences that lie more than ten median distances from the median."""
    values = np.asarray(differences, np.float64)
    distance = np.abs(values - np.median(values))
    typical = float(np.median(distance))
    return np.flatnonzero(distance > FAR * typical).tolist() if typical else []


def unseen_failure_rate(clean_runs: int) -> float:
    """Largest share of failing runs that so many runs without a failure do not exclude at 95 %."""
    return float(1 - ALPHA ** (1 / clean_runs))


@dataclass(frozen=True)
class UnpairedEstimate:
    """Difference of two means whose runs are not paired, with its interval: Welch's t."""

    mean: float
    df: float
    low: float
    high: float
    p_adjusted: float


def welch(arm: Sequence[float], baseline: Sequence[float], rule: Rule) -> UnpairedEstimate:
    """Compare runs that no seed ties together: Welch's interval, 95 % simultaneous over the rule's arms and looks.

    B. L. Welch, "The generalization of Student's problem when several different population variances are involved",
    Biometrika 34, 1947, https://doi.org/10.1093/biomet/34.1-2.28.
    """
    result = stats.ttest_ind(arm, baseline, equal_var=False)
    low, high = result.confidence_interval(1 - 2 * rule.level)
    return UnpairedEstimate(
        mean=float(np.mean(arm) - np.mean(baseline)),
        df=float(result.df),
        low=float(low),
        high=float(high),
        p_adjusted=float(min(1.0, rule.arms * rule.looks * result.pvalue)),
    )
