"""The planner against its worked example and against verdicts that were simulated."""

import numpy as np
import pytest

from attention.measuring.decision import Rule, estimate, kinds
from attention.measuring.planning import chances, seeds_needed, seeds_needed_range, telling
from tests.attention.measuring.test_decision import CASES


def test_the_planner_is_the_worked_one() -> None:
    case = CASES["18"]
    asked, wanted = case["input"], case["expect"]
    rule = Rule(asked["k"], 6, asked["looks"], asked["margin"])
    assert seeds_needed(asked["sd"], rule) == wanted["seeds_needed"]
    columns = {"better_at_margin": (0.3, "better"), "equivalent_at_zero": (0.0, "equivalent")}
    for name, (theta, kind) in (columns | {"better_at_half_a_point": (0.5, "better")}).items():
        chance = [getattr(chances(theta, asked["sd"], n, rule), kind) for n in asked["n"]]
        assert chance == pytest.approx(wanted[name], abs=1e-6)


@pytest.mark.parametrize(
    ("ratio", "looks", "needed"),
    [
        (0.5, 3, {1: 7, 3: 8, 8: 10, 16: 11}),
        (1.0, 3, {1: 17, 3: 21, 13: 26}),
        (1.0, 1, {1: 13, 2: 16, 8: 20}),
        (2.0, 3, {1: 57, 16: 89}),
        (2.0, 1, {1: 44, 13: 74}),
    ],
)
def test_seeds_needed_are_those_of_the_published_table(ratio: float, looks: int, needed: dict[int, int]) -> None:
    assert {arms: seeds_needed(0.3 * ratio, Rule(arms, 6, looks, 0.3)) for arms in needed} == needed


@pytest.mark.parametrize(
    ("theta", "sd", "seeds", "arms", "looks", "half_images"),
    [(0.3, 0.4, 12, 1, 3, 0.0), (0.0, 0.2, 8, 3, 3, 0.0), (-0.4, 0.3, 6, 1, 1, 0.0), (0.2, 0.1, 10, 2, 3, 0.1)],
)
def test_chances_are_those_of_simulated_verdicts(
    theta: float, sd: float, seeds: int, arms: int, looks: int, half_images: float
) -> None:
    rule, studies = Rule(arms, 6, looks, margin=0.3), 100_000
    values = np.random.default_rng(7).normal(theta, sd, (studies, seeds))
    found = estimate(values, rule)
    half = np.hypot(found.half_seeds, half_images)
    said = kinds(found.mean - half, found.mean + half, rule)
    chance = chances(theta, sd, seeds, rule, half_images)
    for kind in ("better", "worse", "equivalent"):
        assert (said == kind).mean() == pytest.approx(getattr(chance, kind), abs=0.005)


@pytest.mark.full
def test_seeds_needed_reach_the_chance_and_one_less_does_not() -> None:
    for sd in (0.25, 0.4, 1.0):
        rule = Rule(3, 8, margin=0.5)
        needed = seeds_needed(sd, rule)
        assert needed is not None and telling(sd, needed, rule) >= 0.8
        assert needed == 6 or telling(sd, needed - 1, rule) < 0.8
        least, most = seeds_needed_range(sd, 8, rule)
        assert least is not None and most is not None and least <= needed <= most


def test_where_images_are_missing_no_number_of_seeds_is_named() -> None:
    assert seeds_needed(0.4, Rule(1, 6, margin=0.3), half_images=0.4) is None
    assert seeds_needed(0.4, Rule(1, 6, margin=0.3, image_points=2.5)) is None
    assert seeds_needed(0.4, Rule(1, 6)) is None
    with pytest.raises(ValueError, match="margin"):
        telling(0.4, 8, Rule(1, 6))
