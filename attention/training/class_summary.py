"""What the runs of a study add up to class by class."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from attention.measuring.statistics import paired_interval
from attention.reports.parts.evidence import Interval
from attention.reports.parts.study_classes import ArmClasses, ClassRecall
from attention.reports.study import DataFacts, RunReport

POINTS = 100


def class_summary(arms: Sequence[str], runs: Sequence[RunReport], facts: DataFacts) -> tuple[ArmClasses, ...]:
    """Describe each arm class by class, from the runs that kept it; arms without any are left out.

    Args:
        arms: short names; the first is the baseline.
    """
    recalls = {arm: _recalls(arm, runs, facts) for arm in arms}
    described = []
    for arm in describe_classes(recalls, arms[0], facts.classes, facts.test_per_class):
        shown_runs = [run for run in runs if run.arm == arm.arm and run.seed in recalls[arm.arm]]
        f1 = [run.macro_f1 for run in shown_runs if run.macro_f1 is not None]
        matrices = [run.confusion for run in shown_runs if run.confusion is not None]
        confusion = np.mean(np.array(matrices), 0).tolist() if len(matrices) == len(shown_runs) else None
        more = {
            "macro_f1": POINTS * float(np.mean(f1)) if len(f1) == len(shown_runs) else None,
            "confusion": None if confusion is None else tuple(map(tuple, confusion)),
        }
        described.append(arm.model_copy(update=more))
    return tuple(described)


def describe_classes(
    recalls: Mapping[str, Mapping[int, NDArray[np.float64]]],
    baseline: str,
    names: Sequence[str],
    images: Sequence[int | None],
    paired: bool = True,
) -> tuple[ArmClasses, ...]:
    """Describe each arm by the recall of its classes; arms without any are left out.

    Args:
        recalls: arm -> seed -> recall of each class, points, (K,).
        names: the classes.
        images: test images of each class, where known.
        paired: whether runs of one seed belong together, so that they have a difference.
    """
    base, described = recalls[baseline], []
    for arm, by_seed in recalls.items():
        if not by_seed:
            continue
        shared = [seed for seed in by_seed if seed in base] if paired and arm != baseline else []
        differences = np.stack([by_seed[seed] - base[seed] for seed in shared]) if shared else None
        described.append(_of_arm(arm, np.stack(list(by_seed.values())), differences, names, images))
    return tuple(described)


def _recalls(arm: str, runs: Sequence[RunReport], facts: DataFacts) -> dict[int, NDArray[np.float64]]:
    """Recall of each class, points (K,), by seed."""
    images = np.array(facts.test_per_class)
    kept = sorted((run for run in runs if run.arm == arm and run.right), key=lambda run: run.seed)
    return {run.seed: POINTS * np.array(run.right) / images for run in kept} if len(images) else {}


def _of_arm(
    arm: str,
    table: NDArray[np.float64],
    differences: NDArray[np.float64] | None,
    names: Sequence[str],
    images: Sequence[int | None],
) -> ArmClasses:
    """Describe an arm by the recalls (n, K) of its runs and their differences to the baseline's (pairs, K)."""
    balanced, means = table.mean(1), np.zeros(0) if differences is None else differences.mean(0)
    classes = tuple(
        ClassRecall(
            name=name,
            test_images=count,
            recall=float(table[:, number].mean()),
            spread=_spread(table[:, number]),
            difference=_interval(None if differences is None else differences[:, number]),
        )
        for number, (name, count) in enumerate(zip(names, images, strict=True))
    )
    return ArmClasses(
        arm=arm,
        n=len(table),
        balanced_accuracy=float(balanced.mean()),
        spread=_spread(balanced),
        macro_f1=None,
        confusion=None,
        classes=classes,
        gains_most=names[int(means.argmax())] if len(means) and means.max() > 0 else None,
        loses_most=names[int(means.argmin())] if len(means) and means.min() < 0 else None,
    )


def _spread(values: NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


def _interval(differences: NDArray[np.float64] | None) -> Interval | None:
    return None if differences is None or len(differences) < 2 else paired_interval(differences)
