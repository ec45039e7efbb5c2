"""How far predictions agree: Jensen-Shannon divergence, Cohen's kappa, and who is right where the other is not."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attention.measuring.statistics import mcnemar_p

Numbers = NDArray[np.float64]


def divergence(shares: ArrayLike) -> Numbers:
    """Jensen-Shannon divergence of M predictions by its maximum log M, image by image: (M, B, K) -> (B), 0..1.

    H(mean of p) - mean of H(p), each prediction counting alike. J. Lin, Divergence Measures Based on the Shannon
    Entropy, IEEE Transactions on Information Theory 37, 1991, https://doi.org/10.1109/18.61115.

    Raises:
        ValueError: fewer than two predictions.
    """
    each = np.asarray(shares, np.float64)
    if each.ndim != 3 or len(each) < 2:
        raise ValueError(f"At least two predictions (M, B, K) are needed, not an array {each.shape}.")
    apart = _entropy(each.mean(0)) - _entropy(each).mean(0)
    bounded: Numbers = np.clip(apart / np.log(len(each)), 0.0, 1.0)  # rounding alone leaves these bounds
    return bounded


def _entropy(shares: Numbers) -> Numbers:
    """In nats, over the last axis."""
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    entropy: Numbers = -(shares * logs).sum(-1)
    return entropy


def kappa(one: ArrayLike, other: ArrayLike) -> float | None:
    """Cohen's kappa of two answers for each image: (agreement - chance) / (1 - chance).

    Chance is that of answers drawn independently, each with the shares seen. J. Cohen, A Coefficient of Agreement for
    Nominal Scales, Educational and Psychological Measurement 20, 1960, https://doi.org/10.1177/001316446002000104.
    None where chance is 1, for both always give one and the same answer.
    """
    first, second = np.asarray(one), np.asarray(other)
    classes = np.union1d(first, second)
    chance = sum(float((first == answer).mean()) * float((second == answer).mean()) for answer in classes)
    if chance >= 1:
        return None
    return (float((first == second).mean()) - chance) / (1 - chance)


def rights(one: ArrayLike, other: ArrayLike) -> dict[str, int | float]:
    """Of two networks that are right or not on each image (N): how often both, one or none are, and McNemar's p."""
    first, second = np.asarray(one, bool), np.asarray(other, bool)
    return {
        "both_right": int((first & second).sum()),
        "only_first": int((first & ~second).sum()),
        "only_second": int((~first & second).sum()),
        "both_wrong": int((~first & ~second).sum()),
        "p": mcnemar_p(first, second),
    }
