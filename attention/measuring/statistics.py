"""Statistics of few seeds: what may be said of a difference between two trained networks, and what may not.

Runs are paired by seed (same initial backbone, data order and augmentation), so only their differences count. With
a handful of seeds a bootstrap interval covers far less than it says, so intervals over seeds are Student's; an exact
sign-flip test cannot reach 0.05 with fewer than six pairs, so below six nothing is claimed. Bootstrap and
McNemar's test are for images, of which there are many.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from attention.reports.evidence import Interval, Verdict

LEAST_SEEDS = 6
"""Two to the power of five sign patterns give p = 2 / 32 at best; six pairs give 2 / 64 = 0.031."""

LEAST_IMAGES = 30
"""A bootstrap over fewer images covers less than it says."""

EXACT_UP_TO = 20
"""Pairs up to which every sign pattern is tried; beyond, a million are drawn."""


def paired_interval(differences: ArrayLike, confidence: float = 0.95) -> Interval:
    """Student's interval for the mean of paired differences.

    Raises:
        ValueError: fewer than two differences.
    """
    values = _vector(differences, least=2)
    half = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * _standard_error(values)
    mean = float(values.mean())
    return Interval(
        estimate=mean, low=mean - half, high=mean + half, confidence=confidence, n=len(values), method="paired t"
    )


def paired_t_p(differences: ArrayLike) -> float:
    """Two-sided p-value of the paired t-test; 1 if nothing differs, 0 if everything differs by the same amount."""
    values = _vector(differences, least=2)
    error = _standard_error(values)
    if error == 0:
        return 1.0 if values.mean() == 0 else 0.0
    return float(2 * stats.t.sf(abs(values.mean()) / error, len(values) - 1))


def sign_flip_p(differences: ArrayLike, seed: int = 0) -> float:
    """Two-sided sign-flip test: the share of all sign patterns whose mean is at least as far from zero.

    Exact up to 20 pairs; beyond that a million patterns are drawn from ``seed``, and the pattern seen counts as one.
    """
    values = _vector(differences, least=1)
    seen = abs(values.sum()) * (1 - 1e-12)
    if len(values) <= EXACT_UP_TO:
        sums = np.zeros(1)
        for value in values:  # every pattern's sum, one pair at a time
            sums = np.concatenate((sums + value, sums - value))
        return float((np.abs(sums) >= seen).mean())
    generator, hits, drawn = np.random.default_rng(seed), 0, 1_000_000
    for _ in range(100):
        signs = generator.integers(0, 2, (drawn // 100, len(values))) * 2 - 1
        hits += int((np.abs(signs @ values) >= seen).sum())
    return (hits + 1) / (drawn + 1)


def equivalence_p(differences: ArrayLike, margin: float) -> float:
    """Two one-sided t-tests: the p-value of "the difference is within the margin" (the larger of the two)."""
    values = _vector(differences, least=2)
    error = _standard_error(values)
    if error == 0:
        return 0.0 if abs(values.mean()) < margin else 1.0
    return float(stats.t.sf((margin - abs(values.mean())) / error, len(values) - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the order given."""
    adjusted = [0.0] * len(p_values)
    least = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = least
    return adjusted


def seeds_needed(spread: float, effect: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Pairs with which a two-sided paired t-test finds ``effect`` with the given power; at least six.

    Args:
        spread: standard deviation of the paired differences.
    """
    if effect <= 0:
        raise ValueError("An effect to plan for is a positive number.")
    if spread == 0:
        return LEAST_SEEDS

    def reached(n: int) -> float:
        critical, shift = stats.t.ppf(1 - alpha / 2, n - 1), effect / spread * math.sqrt(n)
        return float(stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift))

    high = LEAST_SEEDS
    while reached(high) < power:
        high *= 2
        if high > 10**6:
            return high
    low = max(LEAST_SEEDS, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) >= power else (middle + 1, high)
    return low


def verdicts(
    differences: Mapping[str, Sequence[float]], margin: float, unit: str = "points", alpha: float = 0.05
) -> dict[str, Verdict]:
    """The verdict on each arm against one baseline, corrected for how many arms are compared.

    "Better" and "worse" need Holm's correction of the paired t-test below ``alpha``, the exact sign-flip test below
    ``alpha``, and six pairs. "Equivalent" needs both one-sided tests within the margin, and six pairs; it comes
    first, for a difference that is sure but smaller than the margin is one that matters to nobody.

    Args:
        differences: arm -> its paired differences to the baseline, one a seed.
        margin: differences up to this matter to nobody.
        unit: what the differences are counted in, for the sentence.
    """
    testable = [arm for arm, values in differences.items() if len(values) >= 2]
    corrected = dict(zip(testable, holm([paired_t_p(differences[arm]) for arm in testable]), strict=True))
    return {arm: _verdict(arm, values, corrected.get(arm), margin, unit, alpha) for arm, values in differences.items()}


def _verdict(
    arm: str, values: Sequence[float], p_holm: float | None, margin: float, unit: str, alpha: float
) -> Verdict:
    n = len(values)
    if n < 2:
        return Verdict(
            kind="too few seeds",
            sentence=f"{arm}: too few seeds to decide ({n}). At least {LEAST_SEEDS} are needed for any claim.",
            difference=None,
            sign_flip_p=None,
            p=None,
            p_holm=None,
            equivalence_p=None,
            margin=margin,
            more_seeds=LEAST_SEEDS - n,
        )
    interval, flip, within = paired_interval(values), sign_flip_p(values), equivalence_p(values, margin)
    more = max(seeds_needed(float(np.std(values, ddof=1)), margin, alpha), LEAST_SEEDS) - n
    shown = f"{interval.estimate:+.2f} {unit} [{interval.low:+.2f}, {interval.high:+.2f}], n = {n}"
    if n < LEAST_SEEDS:
        kind = "too few seeds"
        sentence = f"{arm}: too few seeds to decide ({shown}). At least {LEAST_SEEDS} are needed for any claim."
    elif within < alpha:
        kind = "equivalent"
        sentence = f"{arm}: no difference larger than {margin:g} {unit} ({shown})."
    elif p_holm is not None and p_holm < alpha and flip < alpha:
        kind = "better" if interval.estimate > 0 else "worse"
        sentence = f"{arm} is {kind} by {shown}."
    else:
        kind = "undecided"
        plan = f"about {more} more seeds" if more > 0 else "these seeds, most of the time,"
        sentence = f"{arm}: not decided ({shown}); {plan} would detect {margin:g} {unit}."
    return Verdict(
        kind=kind,  # type: ignore[arg-type]
        sentence=sentence,
        difference=interval,
        sign_flip_p=flip,
        p=paired_t_p(values),
        p_holm=p_holm,
        equivalence_p=within,
        margin=margin,
        more_seeds=max(more, 0),
    )


# ---------------------------------------------------------------- over images


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
    generator, images, means = np.random.default_rng(seed), numbers.shape[1], []
    for start in range(0, draws, 50):  # so that memory does not grow with the draws
        drawn = generator.integers(0, images, (min(50, draws - start), images))
        counts = np.stack([np.bincount(row, minlength=images) for row in drawn])  # (draws, N)
        means.append(numbers @ counts.T / images)  # (E, draws)
    low, high = np.quantile(np.concatenate(means, 1), [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    return low, high


def bootstrap_interval(values: ArrayLike, confidence: float = 0.95, draws: int = 2000, seed: int = 0) -> Interval:
    """Percentile bootstrap interval for the mean of one number an image. Not for seeds: three of them cover 70 %.

    Raises:
        ValueError: fewer than 30 images, with which a bootstrap covers less than it says.
    """
    numbers = _vector(values, least=LEAST_IMAGES)
    generator = np.random.default_rng(seed)
    means = [numbers[generator.integers(0, len(numbers), len(numbers))].mean() for _ in range(draws)]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(
        estimate=float(numbers.mean()),
        low=float(low),
        high=float(high),
        confidence=confidence,
        n=len(numbers),
        method=f"percentile bootstrap over images, {draws} draws",
    )


def _vector(values: ArrayLike, least: int) -> NDArray[np.float64]:
    vector = np.asarray(values, np.float64)
    if vector.ndim != 1 or len(vector) < least or not np.isfinite(vector).all():
        raise ValueError(f"At least {least} finite numbers are needed, not {vector.tolist()!r:.80}.")
    return vector


def _standard_error(values: NDArray[np.float64]) -> float:
    spread = float(values.std(ddof=1))
    # Equal numbers have no spread; what rounding leaves is not one.
    return 0.0 if spread <= 1e-12 * max(1.0, float(np.abs(values).max())) else spread / math.sqrt(len(values))
