"""Verdicts on the worked examples, and what must not change them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attention.measuring.decision import Rule, has_learned
from attention.measuring.verdicts import Outcome, judge, judge_differences
from attention.reports.parts.evidence import Verdict
from tests.attention.measuring.test_decision import CASES, tables

VERDICTS = [case for case in CASES.values() if case["type"] == "verdict"]


def rule_of(asked: dict[str, Any], arms: int) -> Rule:
    images = asked.get("test_images")
    points = 100 / images if images else None
    return Rule(arms, asked["first_look"], asked.get("looks", 3), asked["margin"], points)


def outcome(run: dict[str, Any], majority: float) -> Outcome:
    learned = has_learned(run["correct"], run["total"], majority, run.get("recalls", ()), run.get("per_class", ()))
    return Outcome(run["seed"], run["score"], learned)


def judged(case: dict[str, Any]) -> dict[str, Verdict]:
    asked = case["input"]
    if "differences" in asked:
        rule = rule_of(asked, len(asked["differences"]))
        return judge_differences(rule, asked["differences"], asked.get("image_variance"))
    by_arm: dict[str, list[Outcome]] = {}
    for run in asked["runs"]:
        by_arm.setdefault(run["arm"], []).append(outcome(run, asked["majority"]))
    baseline = by_arm.pop(asked["baseline"])
    return judge(rule_of(asked, len(by_arm)), baseline, by_arm, seeds=range(24), images=asked["test_images"])


@pytest.mark.parametrize("case", VERDICTS, ids=lambda case: case["id"])
def test_worked_examples(case: dict[str, Any]) -> None:
    verdicts = judged(case)
    for arm, wanted in case["expect"].items():
        verdict = verdicts[arm]
        assert verdict.kind == wanted["kind"]
        for name in ("n", "look", "next_look", "reason", "seeds_needed"):
            if name in wanted:
                assert getattr(verdict, name) == wanted[name], name
        for name in ("half_seeds", "half_images", "p_adjusted"):
            if name in wanted:
                assert getattr(verdict, name) == pytest.approx(wanted[name], abs=1e-6), name
        if "power_next" in wanted:
            assert verdict.power_next == pytest.approx(wanted["power_next"], abs=0.002)
        if wanted.get("seeds_needed"):
            assert verdict.seeds_needed_range == pytest.approx(wanted["seeds_needed_range"], abs=1)
        if "low" in wanted:
            assert verdict.difference is not None and verdict.difference.confidence == 0.95
            found = (verdict.difference.estimate, verdict.difference.low, verdict.difference.high)
            assert found == pytest.approx((wanted["mean"], wanted["low"], wanted["high"]), abs=1e-6)
        if wanted["kind"] == "too few seeds":
            assert verdict.next_look is not None and verdict.next_look - verdict.n == wanted["more_seeds"]
            assert verdict.n == wanted["seeds"] and verdict.difference is None


def test_example_16_from_the_answers_of_each_run_on_each_image() -> None:
    arm, baseline = tables(CASES["15"]["input"])
    runs = [
        [Outcome(seed, 100 * float(row.mean()), True, row) for seed, row in enumerate(table)]
        for table in (arm, baseline)
    ]
    (verdict,) = judge(Rule(1, 6, margin=5, image_points=2.5), runs[1], {"a": runs[0]}, seeds=range(24)).values()
    wanted = CASES["16"]["expect"]["a"]
    assert verdict.difference and verdict.difference.low == pytest.approx(wanted["low"], abs=1e-6)
    assert verdict.scope == "seeds and images" and "on these test images" not in verdict.sentence
    assert "more test images are missing" in verdict.sentence


RULE = Rule(2, 8, margin=0.3, image_points=0.01)
DIFFERENCES = {
    "a": [0.41, 0.05, 0.62, 0.33, -0.12, 0.58, 0.27, 0.46],
    "b": [0.12, 0.09, 0.15, 0.11, 0.14, 0.08, 0.13, 0.1],
}


def test_the_order_of_arms_changes_nothing() -> None:
    assert judge_differences(RULE, dict(reversed(DIFFERENCES.items()))) == judge_differences(RULE, DIFFERENCES)


@pytest.mark.full
def test_an_arm_more_never_narrows_an_interval() -> None:
    def width(arms: int, looks: int = 3) -> float:
        (verdict,) = judge_differences(Rule(arms, 8, looks, 0.3, 0.01), {"a": DIFFERENCES["a"]}).values()
        assert verdict.difference is not None
        return verdict.difference.high - verdict.difference.low

    widths = [width(arms) for arms in range(1, 17)]
    assert widths == sorted(widths) and width(1, looks=1) < width(1, looks=2) < width(1, looks=3)


def outcomes(scores: Any) -> list[Outcome]:
    return [Outcome(seed, score, True) for seed, score in enumerate(scores)]


def test_a_seed_between_looks_changes_nothing_but_a_note() -> None:
    generator = np.random.default_rng(0)
    base, arm = generator.normal(80, 0.3, 15), generator.normal(80.5, 0.3, 15)
    verdicts = [
        judge(Rule(1, 8, margin=0.3), outcomes(base[:n]), {"a": outcomes(arm[:n])}, seeds=range(32))["a"]
        for n in (8, 9, 15)
    ]
    assert [verdict.model_copy(update={"notes": ()}) for verdict in verdicts] == [
        verdicts[0].model_copy(update={"notes": ()})
    ] * 3
    assert "Seed 8 is not used before the next look." in verdicts[1].notes
    assert any("Seeds 8, 9, 10" in note for note in verdicts[2].notes)


def test_a_missing_early_seed_holds_the_look_back() -> None:
    runs = outcomes(np.random.default_rng(1).normal(80, 0.3, 12))
    verdict = judge(Rule(1, 8, margin=0.3), runs, {"a": runs[:3] + runs[4:]}, seeds=range(32))["a"]
    assert (verdict.kind, verdict.n, verdict.next_look, verdict.look) == ("too few seeds", 7, 8, 0)
    assert verdict.difference is None and "1 more" in verdict.sentence


def test_a_run_that_fails_after_the_look_does_not_take_the_verdict_back() -> None:
    generator = np.random.default_rng(2)
    base, arm = generator.normal(80, 0.1, 9).tolist(), generator.normal(82, 0.1, 9).tolist()
    failed = [*outcomes(arm)[:8], Outcome(8, None)]
    verdict = judge(Rule(1, 8, margin=0.3), outcomes(base), {"a": failed}, seeds=range(32))["a"]
    assert verdict.kind == "better"
    early = [*outcomes(arm)[:3], Outcome(3, None)]
    before = judge(Rule(1, 8, margin=0.3), outcomes(base[:4]), {"a": early}, seeds=range(32))
    assert before["a"].kind == "withheld" and "seed 3 of the arm" in before["a"].sentence


def test_the_order_of_the_kinds() -> None:
    base = outcomes([80.0] * 3)
    bad = [Outcome(seed, 10.0, False) for seed in range(3)]
    rule = Rule(4, 8, margin=0.3)
    arms = {"other backbone": bad, "guesses": bad, "one diverged": [*base[:2], Outcome(2, None)], "few": base}
    found = judge(rule, base, arms, seeds=range(32), confounds={"other backbone": "Another backbone."})
    assert [verdict.kind for verdict in found.values()] == ["withheld", "nothing learned", "withheld", "too few seeds"]
    found = judge(rule, bad, arms, seeds=range(32), confounds={"other backbone": "Another backbone."})
    assert [verdict.kind for verdict in found.values()] == ["withheld"] + ["nothing learned"] * 3
    assert "baseline" in found["few"].sentence
    unknown = [Outcome(seed, 80.0) for seed in range(3)]  # neither images nor majority known: not checked
    assert judge(rule, unknown, {"few": unknown}, seeds=range(32))["few"].kind == "too few seeds"


REAL = {
    "se": [-0.35, -0.35, 0.33, 0.90, -0.64, -0.30, 0.16, 0.64, -0.64, 0.26],
    "eca": [-0.21, 0.03, 0.60, 1.10, 0.68, -0.06, 0.36, 1.19, -0.71, 0.46],
    "coord": [-1.49, -0.63, -0.26, -0.13, -0.80, -0.69, -0.12, 0.13, -0.95, -0.51],
}
"""ResNet-20 on CIFAR-10 (JPEG quality 75), 10 epochs on an H100, ten seeds: accuracy minus that without attention."""


@pytest.mark.full
@pytest.mark.parametrize(
    ("looks", "arm", "low", "high", "p", "kind", "needed"),
    [
        (1, "se", -0.4953, 0.4973, 1.0000, "undecided", (46, 30, 96)),
        (1, "eca", -0.2056, 0.8936, 0.2986, "undecided", (56, 36, 117)),
        (1, "coord", -0.9868, -0.1032, 0.0167, "worse", (37, 24, 77)),
        (3, "se", -0.6117, 0.6137, 1.0000, "undecided", (57, 36, 117)),
        (3, "eca", -0.3346, 1.0226, 0.8957, "undecided", (68, 44, 143)),
        (3, "coord", -1.0905, 0.0005, 0.0502, "undecided", (46, 30, 94)),
    ],
)
def test_a_real_study_in_both_readings(
    looks: int, arm: str, low: float, high: float, p: float, kind: str, needed: tuple[int, int, int]
) -> None:
    verdict = judge_differences(Rule(3, 10, looks, margin=0.3, image_points=0.01), REAL)[arm]
    assert verdict.difference is not None and verdict.kind == kind
    assert (verdict.difference.low, verdict.difference.high) == pytest.approx((low, high), abs=6e-5)
    assert verdict.p_adjusted == pytest.approx(p, abs=6e-5)
    assert verdict.seeds_needed_range and verdict.seeds_needed == needed[0]
    assert verdict.seeds_needed_range == pytest.approx(needed[1:], abs=1)


@pytest.mark.full
def test_sentences_say_what_the_rule_says() -> None:
    found = judge_differences(RULE, DIFFERENCES)
    assert found["b"].sentence == (
        "b: no difference larger than 0.3 points (+0.12 [+0.08, +0.15], n = 8, on these test images): surely above "
        "zero, but within the margin."
    )
    real = judge_differences(Rule(3, 10, margin=0.3, image_points=0.01), REAL)
    assert real["se"].sentence == (
        "se: not decided (+0.00 points [-0.61, +0.61], n = 10, on these test images); about 57 seeds in all "
        "(36 to 117) would tell 0.3 points from none. At the next look, 20 seeds, the chance is 2 %."
    )


def test_an_end_that_two_decimals_would_put_on_a_line_has_four() -> None:
    values = np.array([0.3, 0.31, 0.29, 0.3, 0.32, 0.28])
    rule = Rule(1, 6, margin=0.3)
    (verdict,) = judge_differences(rule, {"a": (values - values.mean() + 0.0233).tolist()}).values()
    assert verdict.difference is not None and round(verdict.difference.low, 2) == 0 < verdict.difference.low
    assert f"[{verdict.difference.low:+.4f}, " in verdict.sentence


def test_notes_beside_a_verdict() -> None:
    (better,) = judge_differences(Rule(1, 6, margin=0.3), {"a": [0.62, 0.48, 0.71, 0.55, 0.39, 0.66]}).values()
    said = " ".join(better.notes)
    assert "overstated" in said and "failure rate up to 39 %" in said
    (coarse,) = judge_differences(Rule(1, 6, margin=0.3, image_points=2.5), {"a": [0.0] * 6}).values()
    assert any("One test image is 2.5 points; a margin of 0.3 cannot be seen." in note for note in coarse.notes)
    (far,) = judge_differences(Rule(1, 6), {"a": [0.4, 0.5, 0.42, 0.45, 0.39, -6.2]}).values()
    assert any(note.startswith("Seed 5 lies far from the others (-6.20; median +0.41)") for note in far.notes)


def test_shares_are_printed_with_digits_that_tell_their_ends_apart() -> None:
    gains = [0.0062, 0.0048, 0.0071, 0.0055, 0.0039, 0.0066]  # example 1 of the specification, as shares
    rule = Rule(arms=1, first_look=6, looks=3, margin=0.003)
    (verdict,) = judge_differences(rule, {"a": gains}, unit="share").values()
    assert verdict.kind == "better" and "by +0.0057 share [+0.0040, +0.0074]" in verdict.sentence
    (points,) = judge_differences(replace(rule, margin=0.3), {"a": [100 * gain for gain in gains]}).values()
    assert "by +0.57 points [+0.40, +0.74]" in points.sentence
