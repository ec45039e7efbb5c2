"""What can be known before a study starts: reasons not to train at all, and warnings."""

from collections.abc import Mapping, Sequence

import numpy as np

from attention.errors import InvalidRequest
from attention.measuring.decision import LEAST_SEEDS, Rule
from attention.measuring.planning import seeds_needed, telling
from attention.spec import Recipe


def check_trainable(recipe: Recipe, images: int, data: str, what: str = "training images") -> None:
    """Raise InvalidRequest unless the training images fill a batch, for only whole batches are trained on.

    Args:
        images: how many there are at most.
        what: what is counted, for the sentence.

    Raises:
        InvalidRequest: they do not.
    """
    if recipe.batch_size > images:
        raise InvalidRequest(
            f"The data set {data} has {images:,} {what}, which do not fill one batch of {recipe.batch_size}. "
            f"Take a batch_size of at most {images}."
        )


def unseen_images(recipe: Recipe, train_images: int) -> str | None:
    """Say that some training images are likely to be in no batch at all; None if all are seen.

    An epoch leaves out what does not fill a last batch, other images each time, so an image is left out of all epochs
    with the share that is left out to the power of the epochs.
    """
    left_out = train_images % recipe.batch_size
    unseen = train_images * (left_out / train_images) ** recipe.epochs
    if unseen < 0.5:
        return None
    return (
        f"About {unseen:,.0f} of {train_images:,} training images are never seen: {recipe.epochs} "
        f"{'epoch' if recipe.epochs == 1 else 'epochs'} of {train_images // recipe.batch_size} whole batches of "
        f"{recipe.batch_size}. Take more epochs or a smaller batch_size."
    )


def seeds_between_looks(seeds: int, looks: Sequence[int]) -> str | None:
    """Say what so many seeds will be judged at, where they are no look of the plan; None where they are one.

    Args:
        looks: seeds at which verdicts are given, in order.
    """
    if seeds in looks:
        return None
    if seeds < looks[0]:
        return (
            f"{seeds} {'seed decides' if seeds == 1 else 'seeds decide'} nothing: the first verdict is given at "
            f"{looks[0]}. The runs are kept, so more seeds can follow."
        )
    judged, upcoming = max(n for n in looks if n < seeds), next((n for n in looks if n > seeds), None)
    more = f"the next look is at {upcoming}" if upcoming else "the plan ends there"
    return f"{seeds} seeds will be judged at {judged}; {more}."


def earlier_spread(scores: Mapping[str, Mapping[int, float]], baseline: str) -> tuple[float, int] | None:
    """Pool the standard deviation of paired differences over arms that share six seeds or more with the baseline.

    Args:
        scores: arm -> seed -> score in points, of earlier runs.

    Returns:
        the standard deviation in points, and how many pairs it is of; None without such an arm.
    """
    base, squares, pairs, arms = scores.get(baseline, {}), 0.0, 0, 0
    for arm, by_seed in scores.items():
        shared = [by_seed[seed] - base[seed] for seed in by_seed if seed in base]
        if arm != baseline and len(shared) >= LEAST_SEEDS:
            squares += float(np.var(shared) * len(shared))
            pairs, arms = pairs + len(shared), arms + 1
    return ((squares / (pairs - arms)) ** 0.5, pairs) if arms else None


def seeds_advice(rule: Rule, seeds: int, spread: tuple[float, int] | None, margin: float) -> str:
    """Say what so many seeds can tell: from the spread of earlier runs, or for spreads as large as the margin."""
    looks = f"{rule.looks} {'look' if rule.looks == 1 else 'looks'}"
    if spread is None or spread[0] == 0:
        needed = {ratio: seeds_needed(ratio * margin, rule) for ratio in (0.5, 1, 2)}
        counts = ", ".join(f"{ratio * margin:g} points: {count or 'none'}" for ratio, count in needed.items())
        return (
            "How much differences between runs of one seed vary here is not known. Seeds in all that tell "
            f"{margin:g} points from none with a chance of 80 % ({looks}), by their standard deviation: {counts}."
        )
    chance, needed_here = telling(spread[0], max(seeds, LEAST_SEEDS), rule), seeds_needed(spread[0], rule)
    return (
        f"Differences between earlier runs here vary by {spread[0]:.2f} points (sd of {spread[1]} pairs): "
        f"{seeds} seeds tell {margin:g} points from none with a chance of {100 * chance:.0f} %; "
        f"{needed_here or 'not even 10,000'} seeds in all with one of 80 %."
    )
