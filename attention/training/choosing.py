"""Choosing among arms by their validation accuracy, so that the test images stay apart from the choice."""

from collections.abc import Sequence

import numpy as np

from attention.reports.parts.study_choice import Choice
from attention.reports.study import RunReport

POINTS = 100


def choice_of(arms: Sequence[str], runs: Sequence[RunReport]) -> Choice | None:
    """Choose the arm whose mean validation accuracy is best; of equal ones the first. None before all have a seed.

    Only seeds count that every arm has finished, so that a lucky seed helps all arms alike.
    """
    scores = {
        arm: {run.seed: run for run in runs if run.arm == arm and run.validation_accuracy is not None} for arm in arms
    }
    shared = set.intersection(*(set(by_seed) for by_seed in scores.values()))
    if not shared:
        return None
    means = {
        arm: POINTS * float(np.mean([by_seed[seed].validation_accuracy for seed in sorted(shared)]))
        for arm, by_seed in scores.items()
    }
    best = max(arms, key=means.__getitem__)
    tested = [accuracy for seed in sorted(shared) if (accuracy := scores[best][seed].test_accuracy) is not None]
    return Choice(
        arm=best,
        n=len(shared),
        validation_accuracy=means,
        test_accuracy=POINTS * float(np.mean(tested)),
        next_seed=max(run.seed for run in runs) + 1,
    )
