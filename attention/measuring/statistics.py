"""Intervals and tests for single comparisons: Student's over few runs, bootstrap and McNemar's over many images.

What may be said of the arms of a study is decided in `decision`. With a handful of seeds a bootstrap interval covers
far less than it says, so intervals over seeds are Student's.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from attention.reports.parts.evidence import Interval

LEAST_IMAGES = 30
"""A bootstrap over fewer images covers less than it says."""


def paired_interval(differences: ArrayLike, confidence: float = 0.95) -> Interval:
    """Student's interval for the mean of paired differences.

    Raises:
        ValueError: fewer than two differences.
    """
    values = _vector(differences, least=2)
    mean = float(values.mean())
    spread = np.ptp(values) > 1e-12 * max(1.0, float(np.abs(values).max()))  # what rounding leaves is none
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(confidence) if spread else (mean, mean)
    return Interval(
        estimate=mean, low=float(low), high=float(high), confidence=confidence, n=len(values), method="paired t"
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the order given."""
    adjusted = [0.0] * len(p_values)
    least = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = least
    return adjusted


def mcnemar_p(one_right: ArrayLike, other_right: ArrayLike) -> float:
    """Exact McNemar test: whether two networks are right on different numbers of the same images.

    Args:
        one_right, other_right: whether each network is right on each image (N,).
    """
    one, other = np.asarray(one_right, bool), np.asarray(other_right, bool)
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"Both must be about the same images; they have shapes {one.shape} and {other.shape}.")
    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    if only_one + only_other == 0:
        return 1.0
    return float(stats.binomtest(only_one, only_one + only_other, 0.5).pvalue)


def paired_share_interval(before: ArrayLike, after: ArrayLike, confidence: float = 0.95) -> Interval:
    """Interval for the change of a share between two looks at the same images: the share after minus that before.

    Wald's interval with one image more of each kind that changed: D. G. Bonett, R. M. Price, "Adjusted Wald Confidence
    Interval for a Difference of Binomial Proportions Based on Paired Data", Journal of Educational and Behavioral
    Statistics 37, 2012, https://doi.org/10.3102/1076998611411915; recommended by M. W. Fagerland, S. Lydersen,
    P. Laake, Statistics in Medicine 33, 2014, https://doi.org/10.1002/sim.6148. It depends on the same two counts as
    McNemar's test, and does not shrink to a point where no image changed, as a bootstrap does.

    Args:
        before, after: whether each image is right (N,).
    """
    one, other = np.asarray(before, bool), np.asarray(after, bool)
    if one.shape != other.shape or one.ndim != 1 or not one.size:
        raise ValueError(f"Both must be about the same images; they have shapes {one.shape} and {other.shape}.")
    n, lost, gained = len(one), int((one & ~other).sum()), int((other & ~one).sum())
    down, up = (lost + 1) / (n + 2), (gained + 1) / (n + 2)
    half = float(stats.norm.ppf((1 + confidence) / 2)) * math.sqrt((down + up - (up - down) ** 2) / (n + 2))
    return Interval(
        estimate=(gained - lost) / n,
        low=max(up - down - half, -1.0),
        high=min(up - down + half, 1.0),
        confidence=confidence,
        n=n,
        method="Bonett-Price adjusted Wald, paired images",
    )


def bootstrap_bounds(
    values: ArrayLike, confidence: float = 0.95, draws: int = 1000, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper ends (E,) of percentile bootstrap intervals for the means of E numbers an image, (E, N).

    All are drawn together, so that the same images are in every mean of a draw.

    Raises:
        ValueError: fewer than 30 images, with which a bootstrap covers less than it says.
    """
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 2 or numbers.shape[1] < LEAST_IMAGES or not np.isfinite(numbers).all():
        raise ValueError(f"At least {LEAST_IMAGES} finite numbers each are needed, not an array {numbers.shape}.")
    interval = stats.bootstrap(
        (numbers,),
        np.mean,
        axis=1,
        n_resamples=draws,
        batch=50,  # so that memory does not grow with the draws
        confidence_level=confidence,
        method="percentile",
        rng=seed,
    ).confidence_interval
    return np.asarray(interval.low), np.asarray(interval.high)


def _vector(values: ArrayLike, least: int) -> NDArray[np.float64]:
    vector = np.asarray(values, np.float64)
    if vector.ndim != 1 or len(vector) < least or not np.isfinite(vector).all():
        raise ValueError(f"At least {least} finite numbers are needed, not {vector.tolist()!r:.80}.")
    return vector
