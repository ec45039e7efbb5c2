"""Operating characteristics of the decision rule: how often it claims what is false, and finds what is there.

    python -m benchmarks.decision            2,000 studies a cell, about a minute
    python -m benchmarks.decision --full     20,000 studies a cell

Per cent of simulated studies, margin 0.3 points. Runs of arms and baseline are drawn, and all arms share the baseline's
runs; ``sd`` is that of the paired differences. A cell "a / b" is the growing plan (three looks) at its first look, and
the fixed plan (one look).
"""

import argparse
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from attention.measuring.decision import Rule, estimate, image_variance, kinds
from attention.measuring.planning import seeds_needed, seeds_needed_range, telling

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]

MARGIN = 0.3
ARMS = (1, 3, 8, 13)
SEEDS = (6, 8, 10, 16, 30)
CRASH = 5.0
"""Points that a crashed run loses, with a probability of 0.05."""


def normal(generator: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Draw from the normal distribution, standard deviation 1."""
    return generator.normal(size=shape)


def heavy(generator: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Draw from Student's t with 3 degrees of freedom, standard deviation 1."""
    return np.asarray(generator.standard_t(3, shape) / 3**0.5)


def skewed(generator: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Draw from the exponential distribution, mean 0, standard deviation 1."""
    return generator.exponential(size=shape) - 1


def heaps(generator: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Draw from two narrow heaps of equal weight, standard deviation 1."""
    return (2 * generator.integers(0, 2, shape) - 1) * 0.9**0.5 + generator.normal(0, 0.1**0.5, shape)


def nothing(generator: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """A baseline that does not vary."""
    return np.zeros(shape)


def crashes(generator: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Points lost by crashed runs."""
    return np.where(generator.uniform(size=shape) < 0.05, -CRASH, 0.0)


Shape = tuple[Draw, Draw, bool, bool]
"""Draws of arm and baseline, and whether runs of each may crash."""

SHAPES: dict[str, Shape] = {
    "normal": (normal, normal, False, False),
    "t with 3 degrees of freedom": (heavy, heavy, False, False),
    "skewed runs (exponential), arm and baseline alike": (skewed, skewed, False, False),
    "skewed runs of the arms, normal baseline": (skewed, normal, False, False),
    "runs in two heaps": (heaps, heaps, False, False),
    "every run loses 5 points with probability 0.05": (normal, normal, True, True),
    "skewed differences: the baseline hardly varies": (skewed, nothing, False, False),
    "only runs of the arms lose 5 points; mean kept": (normal, normal, True, False),
}


def differences(generator: np.random.Generator, shape: Shape, studies: int, arms: int, seeds: int, sd: float) -> Floats:
    """Draw paired differences (studies, arms, seeds) whose mean is 0."""
    of_arm, of_base, arm_crashes, base_crashes = shape
    each = sd if of_base is nothing else sd / 2**0.5
    arm = each * of_arm(generator, (studies, arms, seeds))
    base = each * of_base(generator, (studies, 1, seeds))
    if arm_crashes:
        arm += crashes(generator, arm.shape) + (0.0 if base_crashes else 0.05 * CRASH)
    if base_crashes:
        base += crashes(generator, base.shape)
    return arm - base


def verdicts(values: Floats, looks: int) -> NDArray[np.str_]:
    """Kinds of differences (studies, arms, seeds), all at one look of a plan for these arms."""
    rule = Rule(values.shape[1], 6, looks, MARGIN)
    found = estimate(values, rule)
    return kinds(found.low, found.high, rule)


def share(hits: NDArray[np.bool_]) -> str:
    """Per cent of studies (first axis) in which anything is hit."""
    per_cent = 100 * float(hits.reshape(len(hits), -1).any(1).mean())
    return f"{per_cent:.0f}" if per_cent >= 10 else f"{per_cent:.1f}"


def table(title: str, head: Iterable[object], rows: Iterable[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    names = [str(name) for name in head]
    print(f"\n{title}\n\n| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def one_look(studies: int) -> None:
    """Print false claims and power at the first look."""
    generator = np.random.default_rng(7112026)

    def row(shape: Shape, sd: float, arms: int, truth: Floats, claims: Sequence[str], whole: bool) -> list[str]:
        cells = []
        for n in SEEDS:
            values = differences(generator, shape, studies, arms, n, sd) + truth[:arms, None]
            hit = [np.isin(verdicts(values, looks), claims) for looks in (3, 1)]
            cells.append(" / ".join(share(one if whole else one[:, :1]) for one in hit))
        return [f"{sd}", str(arms), *cells]

    none, first = np.zeros(16), np.eye(1, 16)[0]
    head = ["sd", "arms", *(f"n = {n}" for n in SEEDS)]
    plain, grid = SHAPES["normal"], [(sd, arms) for sd in (0.2, 0.4) for arms in ARMS]
    for title, truth, claims, whole in (
        ("No true difference; any arm called better or worse", none, ("better", "worse"), True),
        (
            "Every arm truly at the margin; any arm called equivalent or worse",
            none + MARGIN,
            ("equivalent", "worse"),
            True,
        ),
        ("Power: one arm truly +0.3, the others none; that arm called better", 0.3 * first, ("better",), False),
        ("Power: one arm truly +0.5, the others none; that arm called better", 0.5 * first, ("better",), False),
        ("Power: no true difference; an arm called equivalent", none, ("equivalent",), False),
    ):
        table(title, head, (row(plain, sd, arms, truth, claims, whole) for sd, arms in grid))
    rows = ([name, *row(s, 0.4, k, none, ("better", "worse"), True)[1:]] for name, s in SHAPES.items() for k in ARMS)
    table("Other shapes, sd 0.4, no true difference; any arm called better or worse", ["runs", *head[1:]], rows)


def adding_seeds(studies: int) -> None:
    """Print false claims at any of three looks, which is what a growing plan must keep below 5 %."""
    generator = np.random.default_rng(520)

    def cells(shape: Shape, sd: float, arms: int, truth: float) -> list[str]:
        wrong = ("better", "worse") if truth == 0 else ("equivalent", "worse")
        told = []
        for first in (6, 10):
            values = differences(generator, shape, studies, arms, 4 * first, sd) + truth
            hits = [np.isin(verdicts(values[..., : first * 2**j], 3), wrong).any(1) for j in range(3)]
            told.append(share(np.logical_or.reduce(hits)))
        return told

    rows = (
        [name, sd, arms, truth, *cells(shape, sd, arms, truth)]
        for name, shape in SHAPES.items()
        for sd in ((0.2, 0.4) if name == "normal" else (0.4,))
        for arms in ARMS
        for truth in (0.0, MARGIN)
    )
    head = ("runs", "sd", "arms", "true difference", "looks at 6, 12, 24", "looks at 10, 20, 40")
    table("Adding seeds after looking; any false claim at any look", head, rows)


def planner(pilots: int) -> None:
    """Print what the advice of a pilot is worth."""
    generator = np.random.default_rng(5)
    rows = []
    for n in (6, 10, 20):
        for arms in (1, 3, 8):
            rule = Rule(arms, 6, 3, MARGIN)
            truth = seeds_needed(0.4, rule)
            spreads = generator.normal(0, 0.4, (pilots, n)).std(1, ddof=1)
            advised = np.array([seeds_needed(float(sd), rule) for sd in spreads])
            power = np.mean([telling(0.4, int(seeds), rule) for seeds in advised])
            ends = [seeds_needed_range(float(sd), n, rule) for sd in spreads]
            held = np.mean([(low or 0) <= (truth or 0) <= (high or 10_000) for low, high in ends])
            quantiles = " / ".join(f"{q:.0f}" for q in np.quantile(advised, [0.05, 0.5, 0.95]))
            rows.append([n, arms, truth, quantiles, f"{power:.2f}", f"{100 * held:.0f} %"])
    head = ("pilot", "arms", "truly needed", "advised: 5 / 50 / 95 %", "chance at the advice", "range holds the truth")
    table("Seeds needed, true sd 0.4", head, rows)


def early_wins(studies: int) -> None:
    """Print how much an early "better" overstates."""
    generator = np.random.default_rng(2718)
    rows = []
    for n in (6, 8, 10, 16, 24):
        for looks in (1, 3):
            for arms in (1, 3):
                rule = Rule(arms, 6, looks, MARGIN)
                found = estimate(generator.normal(0.3, 0.4, (10 * studies, n)), rule)
                won = kinds(found.low, found.high, rule) == "better"
                covered = ((found.low <= 0.3) & (found.high >= 0.3))[won]
                mean = f"{found.mean[won].mean():+.2f}"
                rows.append([n, looks, arms, f"{share(won)} %", mean, f"{100 * covered.mean():.0f} %"])
    head = ("n", "looks", "arms", "called better", "mean shown effect", "covered")
    table("Early wins: true +0.3, sd 0.4", head, rows)


def images(studies: int) -> None:
    """Print how often intervals miss the mean over new images, with and without the part of the images."""
    generator = np.random.default_rng(99)
    rows = []
    for count, n, spread in ((100, 6, 0.0), (100, 6, 1.0), (100, 24, 1.0), (1000, 10, 1.0), (1000, 24, 1.0)):

        def rates(images: int, n: int, spread: float, seed_sd: float) -> tuple[Floats, Floats]:
            ease, effect = generator.normal(1.5, 2.5, images), generator.normal(0.15, spread, images)
            of_seed = generator.normal(0, seed_sd, (2, n, 1))
            return special.expit(ease + effect + of_seed[0]), special.expit(ease + of_seed[1])

        # Effects of seeds this small average out: what they add to the mean is of second order.
        truth = 100 * float(np.mean(np.subtract(*rates(4_000_000, 1, spread, 0.0))))
        missed = np.zeros((studies // 4, 2), bool)
        for study in range(len(missed)):
            arm, base = (generator.uniform(size=p.shape) < p for p in rates(count, n, spread, 0.05))
            rule, difference = Rule(1, 6, 3, MARGIN, 100 / count), 100 * (arm.mean(1) - base.mean(1))
            for column, variance in enumerate((0.0, image_variance(arm, base))):
                found = estimate(difference, rule, variance)
                missed[study, column] = not found.low <= truth <= found.high
        rows.append([count, n, spread, f"{truth:.2f}", *(f"{share(missed[:, column])} %" for column in (0, 1))])
    head = ("N", "n", "tau", "true difference", "missed, seeds only", "missed, seeds and images")
    table("The part of the images, nominal miss 1.7 %", head, rows)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="20,000 studies a cell and 300 pilots")
    full = parser.parse_args().full
    studies = 20_000 if full else 2_000
    one_look(studies)
    adding_seeds(studies // 2)
    planner(300 if full else 100)
    early_wins(studies)
    images(4 * 2_000 if full else studies)


if __name__ == "__main__":
    main()
