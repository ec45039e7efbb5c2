"""What may be said of these scores: is any arm really better than the baseline?"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.data.result_tables import read_results
from attention.data.result_tables.runs import Result, Results
from attention.errors import BadTable, did_you_mean
from attention.measuring.decision import LEAST_SEEDS, Rule, has_learned
from attention.measuring.verdicts import Outcome, headline, judge_differences, judge_unpaired
from attention.measuring.verdicts import judge as judge_paired
from attention.reports.judge import MOST_BYTES, JudgedArm, JudgeReport, JudgeRequest
from attention.reports.parts.evidence import Verdict
from attention.reports.parts.study_classes import ArmClasses
from attention.training.class_summary import POINTS, describe_classes

FULL_SCALE = {"points": 100.0, "percent": 100.0, "%": 100.0, "share": 1.0}
"""Unit that accuracies may be given in -> the accuracy of a network that has all images right, in that unit."""

ROUNDED = 0.0006
"""How far a score may lie from what the answers on each image say, as a share: scores are printed with few digits."""

NOT_CHECKED = "Not checked: whether the arms differ in recipe, data, width or place"


@analyses.register("judge")
def judge(request: JudgeRequest, lab: AnyLab) -> JudgeReport:
    """What may be said of these scores: is any arm really better than the baseline?"""
    return judged(request)


def judged(request: JudgeRequest) -> JudgeReport:
    """Judge results by the decision rule, without anything but the request.

    Raises:
        BadTable: the files cannot be judged as they are; the sentence names the line.
    """
    if request.differences:
        return _of_differences(request)
    if sum(len(file.text.encode()) for file in request.files) > MOST_BYTES:
        raise BadTable(
            f"The files have more than {MOST_BYTES // 1_000_000} MB. Send a row for each run, not for each step."
        )
    results = read_results(request)
    table = _Table(request, results)
    judge_arm = table.paired if table.is_paired else table.unpaired
    return table.report(judge_arm)


def _of_differences(request: JudgeRequest) -> JudgeReport:
    verdicts: dict[str, Verdict] = {}
    sign = -1 if request.lower_is_better else 1
    gains = {arm: tuple(sign * value + 0.0 for value in values) for arm, values in request.differences.items()}
    for arm, values in gains.items():
        rule = _rule(request, len(gains), len(values), request.test_images)
        verdicts |= judge_differences(rule, {arm: values}, unit=request.unit)
    arms = tuple(
        JudgedArm(name=arm, n=len(values), mean=None, spread=None, seeds=(), differences=values, verdict=verdicts[arm])
        for arm, values in gains.items()
    )
    return JudgeReport(
        headline=headline(list(verdicts.values()), "the baseline", request.unit),
        caveats=(
            *_first_look(request, list(map(len, gains.values()))),
            *_of_the_scale(request),
            f"{NOT_CHECKED}; whether anything was learned.",
        ),
        source="differences as they were sent",
        baseline="the baseline",
        unit=request.unit,
        margin=request.margin,
        paired=True,
        arms=arms,
    )


def _rule(request: JudgeRequest, arms: int, seeds: int, images: int | None) -> Rule:
    """The rule for one arm: where no first look is said, all seeds that there are make it."""
    scale = _full_scale(request)
    return Rule(
        arms=arms,
        first_look=request.first_look or max(LEAST_SEEDS, seeds),
        looks=request.looks,
        margin=request.margin,
        image_points=scale / images if scale and images else None,
    )


def _full_scale(request: JudgeRequest) -> float | None:
    """Score of a network that has all images right (where lower is better: wrong), in the unit; None of other scores.

    A score of which less is better is an error rate where its unit says so; points may as well be of a loss.
    """
    return None if request.lower_is_better and request.unit == "points" else FULL_SCALE.get(request.unit)


def _of_the_scale(request: JudgeRequest) -> list[str]:
    """Say how differences are read where lower scores are better, or one image's worth in the unit is not known."""
    sentences = []
    if request.lower_is_better:
        sentences.append("Lower is better: differences are turned, so that more than zero is an improvement.")
    if _full_scale(request) is None and (request.test_images or request.majority):
        sentences.append(
            f"What one test image is worth in {request.unit} is not known, so their number and the majority's share "
            "are not used."
        )
        if request.lower_is_better:
            sentences.append("If the scores are error rates, say percent or share as their unit.")
    return sentences


def _first_look(request: JudgeRequest, seeds: Sequence[int]) -> list[str]:
    """The note on scores that came without a plan of when the verdict would be read."""
    if request.first_look is not None or max(seeds) < LEAST_SEEDS:
        return []
    low, high = min(n for n in seeds if n >= LEAST_SEEDS), max(seeds)
    n = f"{low}" if low == high else f"{low} to {high}"
    return [
        f"Taken as the first look at {n} seeds of a plan of {request.looks}; if you looked at fewer before, say "
        "first_look."
    ]


class _Table:
    """Runs of files, as they are judged."""

    def __init__(self, request: JudgeRequest, results: Results) -> None:
        self.request, self.results = request, results
        self.by_arm: dict[str, list[Result]] = {}
        for run in results.runs:
            self.by_arm.setdefault(run.arm, []).append(run)
        self.baseline = request.baseline or next(iter(self.by_arm))
        if self.baseline not in self.by_arm:
            raise BadTable(
                f"There is no arm {self.baseline!r} to be the baseline.{did_you_mean(self.baseline, self.by_arm)}"
            )
        if len(self.by_arm) < 2:
            raise BadTable(
                f"{results.runs[0].where} and all others are of one arm, {self.baseline!r}: nothing to compare."
            )
        self.arms = [arm for arm in self.by_arm if arm != self.baseline]
        self.scale = _full_scale(request)
        self._check_scale()
        answered = [len(run.right) for run in results.runs if run.right is not None]
        self.images = answered[0] if answered else request.test_images
        if request.test_images is not None and self.images != request.test_images:
            raise BadTable(f"right has answers on {self.images} images, and test_images says {request.test_images}.")
        self.has_seeds = all(run.seed is not None for run in results.runs)
        self.is_paired = request.paired and self.has_seeds
        self.unlike_answers = next((run for run in results.runs if not self._fits_answers(run)), None)

    def accuracy(self, score: float) -> float | None:
        """Share of the test images that a score says are right; None where its unit does not say it."""
        if self.scale is None:
            return None
        return 1 - score / self.scale if self.request.lower_is_better else score / self.scale

    def _fits_answers(self, run: Result) -> bool:
        """Whether the score of a run is that of its answers on each image, as far as it is printed."""
        if run.right is None or run.score is None:
            return True
        accuracy = self.accuracy(run.score)
        return accuracy is not None and abs(accuracy - float(run.right.mean())) <= ROUNDED

    def _check_scale(self) -> None:
        """Refuse shares that are called points, shares among points, and shares above 1."""
        scored = [run for run in self.results.runs if run.score is not None]
        beyond = next((run for run in scored if self.scale == 1 and not 0 <= (run.score or 0) <= 1), None)
        if beyond is not None:
            raise BadTable(
                f"{beyond.where}: {beyond.score} is no share, which lies in 0 to 1. Say which unit it is in."
            )
        if self.scale != 100 or self.request.lower_is_better or not scored:
            return
        shares = [run for run in scored if 0 <= (run.score or 0) <= 1]
        if len(shares) == len(scored):
            raise BadTable(
                f"{scored[0].where}: all scores lie in 0 to 1, and the unit is {self.request.unit}. Say unit=share, "
                "with a margin in shares, or multiply the scores by 100."
            )
        fraction = next((run for run in shares if 0 < (run.score or 0) < 1), None)
        if fraction is not None:
            raise BadTable(f"{fraction.where}: {fraction.score} is a share among scores in {self.request.unit}.")

    def withheld(self, arm: str) -> str | None:
        """Why nothing is said of an arm whatever its scores are."""
        both = [*self.by_arm[self.baseline], *self.by_arm[arm]]
        if self.results.folds:
            return "folds of one cross-validation share training data, so they are no independent runs"
        if self.has_seeds and len({(run.arm, run.seed) for run in both}) < len(both):
            return "there are several epochs of one run; say which step is the score"
        scores = [{run.score for run in self.by_arm[name]} for name in (self.baseline, arm)]
        if len(both) > 2 and all(len(values) == 1 for values in scores):
            return "every run has the same score: were these really different seeds?"
        return None

    def outcome(self, run: Result) -> Outcome:
        """A run as the rule sees it: more is better, and whether it learned where that can be checked."""
        score = None if run.score is None else -run.score if self.request.lower_is_better else run.score
        learned, accuracy = None, None if run.score is None else self.accuracy(run.score)
        if accuracy is not None and self.images and self.request.majority:
            right = round(accuracy * self.images)
            learned = has_learned(min(max(right, 0), self.images), self.images, self.request.majority)
        return Outcome(run.seed or 0, score, learned, None if self.unlike_answers else run.right)

    def paired(self, arm: str) -> tuple[Verdict, tuple[int, ...], tuple[float, ...]]:
        """Judge an arm by its differences on the seeds that it shares with the baseline."""
        base, mine = ({run.seed or 0: self.outcome(run) for run in self.by_arm[name]} for name in (self.baseline, arm))
        shared = sorted(set(base) & set(mine))
        rule = _rule(self.request, len(self.arms), len(shared), self.images)
        reason = self.withheld(arm)
        verdicts = judge_paired(
            rule,
            list(base.values()),
            {arm: list(mine.values())},
            seeds=shared,
            confounds={arm: reason} if reason else None,
            images=self.images,
            unit=self.request.unit,
            full_scale=self.scale or 100,
        )
        pairs = [(seed, base[seed].score, mine[seed].score) for seed in shared]
        scored = [(seed, second - first) for seed, first, second in pairs if first is not None and second is not None]
        return verdicts[arm], tuple(seed for seed, _ in scored), tuple(value for _, value in scored)

    def unpaired(self, arm: str) -> tuple[Verdict, tuple[int, ...], tuple[float, ...]]:
        """Judge an arm by all of its runs against all of the baseline's."""
        sides = [[self.outcome(run) for run in self.by_arm[name]] for name in (arm, self.baseline)]
        rule = _rule(self.request, len(self.arms), min(map(len, sides)), self.images)
        return (
            judge_unpaired(arm, rule, *sides, reason=self.withheld(arm), images=self.images, unit=self.request.unit),
            (),
            (),
        )

    def report(self, judge_arm: Callable[[str], tuple[Verdict, tuple[int, ...], tuple[float, ...]]]) -> JudgeReport:
        """All arms with their verdicts, and what was left out or not checked."""
        verdicts = {arm: judge_arm(arm) for arm in self.arms}
        arms = []
        for name, runs in self.by_arm.items():
            scores = [run.score for run in runs if run.score is not None]
            verdict, seeds, differences = verdicts.get(name, (None, (), ()))
            arms.append(
                JudgedArm(
                    name=name,
                    n=len(scores),
                    mean=float(np.mean(scores)) if scores else None,
                    spread=float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
                    seeds=seeds,
                    differences=differences,
                    verdict=verdict,
                )
            )
        return JudgeReport(
            headline=headline([verdict for verdict, _, _ in verdicts.values()], self.baseline, self.request.unit),
            caveats=tuple(self._caveats(arms)),
            source=self.results.source,
            baseline=self.baseline,
            unit=self.request.unit,
            margin=self.request.margin,
            paired=self.is_paired,
            arms=tuple(arms),
            classes=self.classes(),
        )

    def classes(self) -> tuple[ArmClasses, ...]:
        """Describe every arm by the recalls of its runs, where the files have them, in the order of the columns.

        Raises:
            BadTable: a run has recalls of other classes than the first.
        """
        runs = [run for run in self.results.runs if run.recalls]
        if not runs:
            return ()
        names = list(runs[0].recalls)
        for run in runs:
            if set(run.recalls) != set(names):
                raise BadTable(f"{run.where} has recalls of other classes than {runs[0].where}.")
        factor = POINTS if all(recall <= 1 for run in runs for recall in run.recalls.values()) else 1
        tables: dict[str, dict[int, NDArray[np.float64]]] = {arm: {} for arm in self.by_arm}
        for number, run in enumerate(runs):
            key = number if run.seed is None or not self.is_paired else run.seed
            tables[run.arm][key] = factor * np.array([run.recalls[name] for name in names])
        return describe_classes(tables, self.baseline, names, [None] * len(names), self.is_paired)

    def _caveats(self, arms: Sequence[JudgedArm]) -> list[str]:
        sentences = list(self.results.left_out)
        if self.is_paired:
            sentences += self._lone_seeds()
            counts = [len(arm.seeds) for arm in arms if arm.name != self.baseline]
        else:
            counts = [arm.n for arm in arms]
            why = "the files have no seeds" if not self.has_seeds else "you said so"
            sentences.append(
                f"The runs are judged unpaired, for {why}. With a column seed, and the same seeds in every arm, runs "
                "of one seed are compared, which guards against a lucky baseline."
            )
        sentences += _first_look(self.request, counts)
        missing = "" if self.images and self.request.majority and self.scale else "; whether anything was learned"
        if self.unlike_answers is not None:
            sentences.append(
                f"{self.unlike_answers.where} has the score {self.unlike_answers.score:g}, which is not that of its "
                "answers on each image, so these are not used."
            )
        if self.unlike_answers or not all(run.right is not None for run in self.results.runs):
            missing += "; how much the draw of test images matters"
        sentences += _of_the_scale(self.request)
        return [*sentences, f"{NOT_CHECKED}{missing}."]

    def _lone_seeds(self) -> list[str]:
        """Seeds that an arm or the baseline has alone, and which are not used."""
        base = {run.seed for run in self.by_arm[self.baseline]}
        sentences = []
        for arm in self.arms:
            lone = sorted(seed or 0 for seed in base ^ {run.seed for run in self.by_arm[arm]})
            if lone:
                sentences.append(f"{arm}: seeds of one side only are not used: {', '.join(map(str, lone[:20]))}.")
        return sentences
