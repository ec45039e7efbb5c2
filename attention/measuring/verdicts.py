"""The verdicts of a study: for each arm the first line of the rule that applies, with its sentence and numbers.

The order is that of `decision`'s page in words: withheld, nothing learned, withheld for failed runs, too few seeds, no
spread; and then what the interval says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from attention.measuring.decision import (
    LEAST_SEEDS,
    Estimate,
    Rule,
    UnpairedEstimate,
    adjusted_p,
    estimate,
    far_seeds,
    image_variance,
    kinds,
    unseen_failure_rate,
    welch,
)
from attention.measuring.planning import MOST_SEEDS, seeds_needed, seeds_needed_range, telling
from attention.reports.parts.evidence import Interval, Verdict

EARLY = 16
"""Seeds below which "better" is found mostly where chance helped."""

UNPAIRED = "Unpaired: name each run's seed in a seed column, so that runs of one seed are compared with each other."
WHY_SIX = (
    f"Fewer than {LEAST_SEEDS} pairs have no interval: it would rest on the normal shape of the differences, which so "
    "few do not show."
)
"""Why there is no verdict, however clear the means are."""


@dataclass(frozen=True)
class Outcome:
    """How one run of a plan ended.

    Args:
        score: in points; None if loss or score were not finite: the run diverged.
        learned: whether the run is better than guessing; None if that could not be checked.
        right: whether it is right on each test image (N,), where known.
    """

    seed: int
    score: float | None
    learned: bool | None = None
    right: NDArray[np.bool_] | None = field(default=None, compare=False)

    @property
    def trained(self) -> bool:
        """Whether the run ended as one that trains normally does."""
        return self.score is not None and self.learned is not False


def judge(
    rule: Rule,
    baseline: Sequence[Outcome],
    arms: Mapping[str, Sequence[Outcome]],
    *,
    seeds: Sequence[int],
    confounds: Mapping[str, str] | None = None,
    images: int | None = None,
    labels: NDArray[np.int64] | None = None,
    unit: str = "points",
    full_scale: float = 100,
) -> dict[str, Verdict]:
    """Give every arm of a plan its verdict.

    Args:
        baseline: the runs of the baseline that have ended.
        arms: the ended runs of each other arm.
        seeds: the seeds of the plan in the order in which they count.
        confounds: arm -> what it differs in beside its attention.
        images: test images, for the sentences.
        labels: class of each test image (N,), if scores are balanced accuracies.
        full_scale: score of a run that has all images right, in the unit.
    """
    base = {outcome.seed: outcome for outcome in baseline}
    verdicts = {}
    for name, outcomes in arms.items():
        arm = {outcome.seed: outcome for outcome in outcomes}
        teller = _Teller(name, rule, unit, images)
        reason = (confounds or {}).get(name)
        verdicts[name] = (
            teller.silent("withheld", reason, 0) if reason else _judge_arm(teller, arm, base, seeds, labels, full_scale)
        )
    return verdicts


def judge_differences(
    rule: Rule,
    differences: Mapping[str, Sequence[float]],
    image_variances: Mapping[str, float] | None = None,
    unit: str = "points",
) -> dict[str, Verdict]:
    """Give every arm its verdict from its paired differences, in order of seeds.

    Args:
        image_variances: arm -> the variance that the draw of images gives to its mean, where known.
    """
    verdicts = {}
    for name, values in differences.items():
        variance = (image_variances or {}).get(name)
        verdicts[name] = _judge_pairs(_Teller(name, rule, unit), list(values), range(len(values)), variance)
    return verdicts


def judge_unpaired(
    name: str,
    rule: Rule,
    arm: Sequence[Outcome],
    baseline: Sequence[Outcome],
    *,
    reason: str | None = None,
    images: int | None = None,
    unit: str = "points",
) -> Verdict:
    """Give the verdict on runs that no seed pairs: the order of the rule, with Welch's interval.

    Args:
        reason: why nothing may be said, where there is such a reason.
    """
    teller, n = _Teller(name, rule, unit, images), min(len(arm), len(baseline))
    if reason:
        return teller.silent("withheld", reason, n)
    for whose, outcomes in (("baseline", baseline), ("arm", arm)):
        if outcomes and not any(outcome.trained for outcome in outcomes):
            return teller.nothing_learned(whose, outcomes, n)
    look = rule.look(n)
    most = rule.look_sizes[look - 1] if n > rule.first_look else max(len(arm), len(baseline))
    unused = sum(max(0, len(side) - most) for side in (arm, baseline))
    arm, baseline = arm[:most], baseline[:most]
    if not all(outcome.trained for outcome in (*arm, *baseline)):
        return teller.failed_runs(arm, baseline, n=n)
    if not look:
        return teller.too_few(n)
    first, second = ([outcome.score or 0.0 for outcome in side] for side in (arm, baseline))
    if np.ptp(first) == 0 and np.ptp(second) == 0:
        return teller.silent("withheld", "no spread", n)
    return teller.unpaired(welch(first, second, rule), len(first), len(second), unused)


def headline(verdicts: Sequence[Verdict], baseline: str, unit: str = "points") -> str:
    """Say what may be said of all arms: claims first, each with its numbers; else the sentence of their common kind."""
    claims = [verdict.sentence for verdict in verdicts if verdict.kind in ("better", "worse")]
    if claims:
        return " ".join(claims)
    kinds = {verdict.kind for verdict in verdicts}
    if len(kinds) != 1 or kinds == {"undecided"}:
        return f"No arm is shown to be better or worse than {baseline}."
    first = verdicts[0]
    if first.kind == "nothing learned":
        return _sentence(first.sentence.partition(": ")[2])
    if first.kind == "too few seeds":
        return f"Too few seeds to decide anything: the first verdict is given at {first.next_look}."
    if first.kind == "equivalent":
        return f"No arm differs from {baseline} by more than {first.margin:g} {unit}."
    return first.sentence if len(verdicts) == 1 else f"Every verdict is withheld. {first.sentence}"


def _judge_arm(
    teller: "_Teller",
    arm: Mapping[int, Outcome],
    base: Mapping[int, Outcome],
    seeds: Sequence[int],
    labels: NDArray[np.int64] | None,
    full_scale: float,
) -> Verdict:
    """Apply the rule's order to one arm that is not confounded."""
    paired = [seed for seed in seeds if seed in arm and seed in base]
    for whose, outcomes in (("baseline", base), ("arm", arm)):
        if outcomes and not any(outcome.trained for outcome in outcomes.values()):
            return teller.nothing_learned(whose, list(outcomes.values()), len(paired))
    ended = next((place for place, seed in enumerate(seeds) if seed not in arm or seed not in base), len(seeds))
    look = teller.rule.look(ended)
    used = list(seeds[: teller.rule.look_sizes[look - 1]]) if look else list(seeds)
    of_arm, of_base = ([runs[seed] for seed in used if seed in runs] for runs in (arm, base))
    if not all(outcome.trained for outcome in (*of_arm, *of_base)):
        return teller.failed_runs(of_arm, of_base, n=len([seed for seed in used if seed in paired]))
    if not look:
        return teller.too_few(len([seed for seed in seeds[: teller.rule.first_look] if seed in paired]))
    variance = _variance([arm[seed] for seed in used], [base[seed] for seed in used], labels)
    variance = None if variance is None else variance * (full_scale / 100) ** 2
    differences = [(arm[seed].score or 0.0) - (base[seed].score or 0.0) for seed in used]
    verdict = _judge_pairs(teller, differences, used, variance)
    unused = [seed for seed in paired if seed not in used]
    if not unused:
        return verdict
    note = f"{_seeds(unused)} {'is' if len(unused) == 1 else 'are'} not used before the next look."
    return verdict.model_copy(update={"notes": (*verdict.notes, note)})


def _judge_pairs(teller: "_Teller", values: Sequence[float], seeds: Sequence[int], variance: float | None) -> Verdict:
    """Judge the differences of the look that is reached."""
    look = teller.rule.look(len(values))
    if not look:
        return teller.too_few(len(values))
    used = np.asarray(values[: teller.rule.look_sizes[look - 1]])
    difference = estimate(used, teller.rule, variance or 0.0)
    if difference.sd_used == 0:
        return teller.silent("withheld", "no spread", len(used), f"all {len(used)} differences are {used[0]:+.2f}")
    notes = [
        f"Seed {seeds[place]} lies far from the others ({used[place]:+.2f}; median {np.median(used):+.2f}): "
        "look at this run."
        for place in far_seeds(used)
    ]
    return teller.interval(difference, look, variance is not None, notes)


def _variance(arm: Sequence[Outcome], base: Sequence[Outcome], labels: NDArray[np.int64] | None) -> float | None:
    """Variance over images, where each run's answers are known and every class has images enough."""
    tables = [[outcome.right for outcome in outcomes if outcome.right is not None] for outcomes in (arm, base)]
    if any(len(table) < len(arm) for table in tables):
        return None
    if labels is not None and min(np.unique(labels, return_counts=True)[1]) < 2:
        return None
    return image_variance(np.stack(tables[0]), np.stack(tables[1]), labels)


@dataclass(frozen=True)
class _Teller:
    """Says verdicts on one arm."""

    name: str
    rule: Rule
    unit: str
    images: int | None = None

    def silent(self, kind: str, reason: str, n: int, detail: str = "", sentence: str = "") -> Verdict:
        """A verdict without an interval."""
        text = sentence or f"{self.name}: withheld. {_sentence(reason + (f': {detail}' if detail else ''))}"
        return Verdict(
            kind=kind,  # type: ignore[arg-type]
            sentence=text,
            reason=reason,
            n=n,
            look=0,
            looks=self.rule.looks,
            k=self.rule.arms,
            difference=None,
            margin=self.rule.margin,
            next_look=self.rule.look_sizes[0] if kind == "too few seeds" else None,
        )

    def nothing_learned(self, whose: str, outcomes: Sequence[Outcome], n: int) -> Verdict:
        """No run of the baseline, or of the arm, trained."""
        who = "the baseline" if whose == "baseline" else self.name
        diverged = sum(outcome.score is None for outcome in outcomes)
        where = f" on {self.images:,} test images" if self.images else ""
        why = f"no run of {who} can be told from always naming the most frequent class{where}"
        if diverged:
            most = f"{diverged} of {len(outcomes)} runs of {who} diverged"
            why = most if diverged == len(outcomes) else f"{most}, and {why}"
        return self.silent("nothing learned", whose, n, sentence=f"{self.name}: nothing learned. {_sentence(why)}")

    def failed_runs(self, arm: Sequence[Outcome], base: Sequence[Outcome], n: int) -> Verdict:
        """The verdict where some runs learned, and some did not."""
        bad = [[outcome.seed for outcome in outcomes if not outcome.trained] for outcomes in (arm, base)]
        counts = f"{len(bad[0])} of {len(arm)} runs of the arm and {len(bad[1])} of {len(base)} of the baseline"
        reason = f"{counts} did not train"
        whose = zip(bad, ("the arm", "the baseline"), strict=True)
        named = [f"{_seeds(seeds).lower()} of {who}" for seeds, who in whose if seeds]
        verdict = self.silent("withheld", reason, n, " and ".join(named))
        if not self.images or not any(outcome.learned is False for outcome in (*arm, *base)):
            return verdict
        note = f"Not trained: with its score, a run cannot be told from guessing on {self.images:,} test images."
        return verdict.model_copy(update={"notes": (note,)})

    def too_few(self, n: int) -> Verdict:
        """The first look is not reached."""
        missing = self.rule.first_look - n
        sentence = (
            f"{self.name}: too few seeds to decide (n = {n}); {missing} more until the first verdict, at "
            f"{self.rule.first_look} seeds."
        )
        verdict = self.silent("too few seeds", f"{n} of {self.rule.first_look} seeds", n, sentence=sentence)
        return verdict.model_copy(update={"notes": (WHY_SIX,)}) if n < LEAST_SEEDS else verdict

    def interval(self, difference: Estimate, look: int, with_images: bool, notes: Sequence[str]) -> Verdict:
        """What the interval of paired differences says."""
        rule, n, sd = self.rule, difference.n, float(difference.sd_used)
        upcoming = rule.next_look(n)
        needed, bounds, power = None, None, None
        if rule.margin_is_visible:
            needed = seeds_needed(sd, rule, difference.half_images)
            bounds = seeds_needed_range(sd, n, rule, difference.half_images)
            power = telling(sd, upcoming, rule, difference.half_images) if upcoming else None
        verdict = Verdict(
            kind=str(kinds(difference.low, difference.high, rule)),  # type: ignore[arg-type]
            sentence="",
            n=n,
            look=look,
            looks=rule.looks,
            k=rule.arms,
            difference=self._difference(
                float(difference.mean), float(difference.low), float(difference.high), n, "paired t"
            ),
            half_seeds=float(difference.half_seeds),
            half_images=difference.half_images,
            scope="seeds and images" if with_images else "seeds, on these test images",
            p_adjusted=adjusted_p(rule, difference),
            margin=rule.margin,
            next_look=upcoming,
            seeds_needed=needed,
            seeds_needed_range=bounds,
            power_next=power,
        )
        return self._said(verdict, notes, "" if with_images else ", on these test images")

    def unpaired(self, difference: UnpairedEstimate, arm_runs: int, baseline_runs: int, unused: int) -> Verdict:
        """What Welch's interval says."""
        rule, n = self.rule, min(arm_runs, baseline_runs)
        verdict = Verdict(
            kind=str(kinds(difference.low, difference.high, rule)),  # type: ignore[arg-type]
            sentence="",
            n=n,
            look=rule.look(n),
            looks=rule.looks,
            k=rule.arms,
            difference=self._difference(difference.mean, difference.low, difference.high, n, "Welch's t, unpaired"),
            scope="seeds, on these test images",
            p_adjusted=difference.p_adjusted,
            margin=rule.margin,
            next_look=rule.next_look(n),
        )
        notes = [UNPAIRED]
        if unused:
            notes.append(f"Runs beyond the first {n} of each side are not used before the next look: {unused}.")
        return self._said(verdict, notes, f" against {baseline_runs}, unpaired, on these test images")

    def _difference(self, mean: float, low: float, high: float, n: int, test: str) -> Interval:
        arms, looks = self.rule.arms, self.rule.looks
        family = f"{arms} {'arm' if arms == 1 else 'arms'} and {looks} {'look' if looks == 1 else 'looks'}"
        return Interval(
            estimate=mean, low=low, high=high, confidence=0.95, n=n, method=f"{test}, simultaneous over {family}"
        )

    def _said(self, verdict: Verdict, notes: Sequence[str], scope: str) -> Verdict:
        """Add the sentence and what belongs beside it."""
        assert verdict.difference is not None
        low, high = verdict.difference.low, verdict.difference.high
        margin, unit = verdict.margin, self.unit
        between = "" if verdict.kind == "equivalent" else unit
        numbers = f"{verdict.difference.text(between, margin)}, n = {verdict.n}{scope}"
        if verdict.kind == "equivalent":
            sign = "above" if low > 0 else "below"
            sure = f": surely {sign} zero, but within the margin" if low > 0 or high < 0 else ""
            sentence = f"{self.name}: no difference larger than {margin:g} {unit} ({numbers}){sure}."
        elif verdict.kind == "undecided":
            sentence = f"{self.name}: not decided ({numbers}){self._advice(verdict)}"
        else:
            sentence = f"{self.name} is {verdict.kind} by {numbers}."
        return verdict.model_copy(update={"sentence": sentence, "notes": (*notes, *self._notes(verdict))})

    def _advice(self, verdict: Verdict) -> str:
        """What would decide, after "not decided"."""
        if not self.rule.margin_is_visible or verdict.half_seeds is None:
            return "."
        none = f"would tell {verdict.margin:g} {self.unit} from none"
        if verdict.seeds_needed is None:
            return f"; not even {MOST_SEEDS:,} seeds {none}: more test images are missing, not more seeds."
        least, most = verdict.seeds_needed_range or (None, None)
        bounds = f"{least} to {most}" if most is not None else f"{least} to more than {MOST_SEEDS:,}"
        advice = f"; about {verdict.seeds_needed} seeds in all ({bounds}) {none}."
        if verdict.next_look is None or verdict.power_next is None:
            return f"{advice} The plan is used up: more seeds need a new plan."
        return f"{advice} At the next look, {verdict.next_look} seeds, the chance is {100 * verdict.power_next:.0f} %."

    def _notes(self, verdict: Verdict) -> list[str]:
        assert verdict.difference is not None
        notes = []
        if verdict.kind == "better" and verdict.n < EARLY:
            low = verdict.difference.ends(verdict.margin)[0]
            notes.append(f"An effect found early is on average overstated; the lower end {low} is what is shown.")
        points = self.rule.image_points
        if self.rule.margin is not None and not self.rule.margin_is_visible and points is not None:
            notes.append(
                f"One test image is {points:.3g} {self.unit}; a margin of {self.rule.margin:g} cannot be seen."
            )
        rate = 100 * unseen_failure_rate(verdict.n)
        notes.append(f"After {verdict.n} clean runs a failure rate up to {rate:.0f} % cannot be excluded.")
        return notes


def _seeds(seeds: Sequence[int]) -> str:
    return f"Seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))}"


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else text + "."
