"""Timing alternatives side by side: turns in a new order each round, and a median with an interval that needs no bell.

Machines drift: they throttle, and other processes come and go. So alternatives are compared within a round, and the
baseline runs twice in each, which shows how far two timings of the very same thing are apart.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import stats

from attention.reports.parts.evidence import Interval


def rounds(
    alternatives: Mapping[str, Callable[[], object]],
    count: int,
    *,
    warm_up: int = 3,
    synchronise: Callable[[], None] = lambda: None,
    after_round: Callable[[int], None] = lambda done: None,
    clock: Callable[[], float] = time.perf_counter,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Seconds of every call, by alternative, round by round: wall-clock time unless another clock is given.

    Args:
        synchronise: waits until the device has done all it was told.
        after_round: told how many rounds are done; what it raises ends the measurement.
    """
    order, generator = list(alternatives), np.random.default_rng(seed)
    times: dict[str, list[float]] = {name: [] for name in alternatives}
    for number in range(-warm_up, count):
        generator.shuffle(order)
        for name in order:
            synchronise()
            started = clock()
            alternatives[name]()
            synchronise()
            if number >= 0:
                times[name].append(clock() - started)
        after_round(max(number + 1, 0))
    return times


def median_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """The median with an interval between two order statistics, exact for any continuous distribution.

    The number of values below the true median is binomial with one half; so the interval from the k-th smallest to
    the k-th largest covers it with probability 1 - 2 P(X < k). (Conover: Practical Nonparametric Statistics, 1999,
    section 3.2.)

    Raises:
        ValueError: fewer than six values, whose whole range covers less than 0.95.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    count = len(ordered)
    least = int(stats.binom.ppf((1 - confidence) / 2, count, 0.5))
    if least == 0:
        raise ValueError(f"{count} values are too few for an interval of confidence {confidence:g}.")
    covered = 1 - 2 * float(stats.binom.cdf(least - 1, count, 0.5))
    return Interval(
        estimate=float(np.median(ordered)),
        low=float(ordered[least - 1]),
        high=float(ordered[count - least]),
        confidence=covered,
        n=count,
        method="median, order statistics",
    )


def bandwidth(device: str, megabytes: int = 256, repeats: int = 7) -> float:
    """Bytes a second that copying a tensor larger than any cache moves, both read and written: the best of some."""
    source = torch.ones(megabytes * 2**18, device=device)  # float32
    target = torch.empty_like(source)
    wait = synchroniser(device)
    best = float("inf")
    for _ in range(repeats):
        wait()
        started = time.perf_counter()
        target.copy_(source)
        wait()
        best = min(best, time.perf_counter() - started)
    return 2 * source.numel() * source.element_size() / best


def synchroniser(device: str) -> Callable[[], None]:
    """Give the function that waits until a device has done its work; on the CPU it does nothing."""
    if device.startswith("cuda"):
        return partial(torch.cuda.synchronize, device)
    return torch.mps.synchronize if device.startswith("mps") else lambda: None
