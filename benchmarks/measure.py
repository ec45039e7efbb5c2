"""CPU time of alternatives measured side by side in one run, as medians with their spread and as ratios."""

import statistics
import time
from collections.abc import Callable, Mapping


def side_by_side(alternatives: Mapping[str, Callable[[], object]], n: int, warm_up: int = 2) -> dict[str, list[float]]:
    """CPU milliseconds of this process (all its threads) for each call, the alternatives taking turns ``n`` times."""
    for _ in range(warm_up):
        for run in alternatives.values():
            run()
    times: dict[str, list[float]] = {name: [] for name in alternatives}
    for _ in range(n):
        for name, run in alternatives.items():
            started = time.process_time()
            run()
            times[name].append((time.process_time() - started) * 1e3)
    return times


def line(name: str, times: list[float], unit: str = "ms CPU") -> str:
    """``name   median [first quartile, third quartile] unit, n``."""
    low, middle, high = statistics.quantiles(times, n=4)
    return f"{name:<42} {middle:9.3f} [{low:.3f}, {high:.3f}] {unit}, n = {len(times)}"


def paired_ratio(name: str, over: list[float], under: list[float]) -> str:
    """The median of the ratios of each turn, with quartiles."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{name:<42} {middle:9.4f} [{low:.4f}, {high:.4f}] ratio, n = {len(ratios)}"
