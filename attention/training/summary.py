"""What the runs of a study add up to: arms with their verdicts, the headline, and what speaks against saying more."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from attention.build import renamed
from attention.counting.cost import count
from attention.measuring.confounds import confounds, different_places
from attention.measuring.decision import LEAST_SEEDS, Rule, has_learned
from attention.measuring.statistics import paired_interval
from attention.measuring.traits import narrow_bottlenecks
from attention.measuring.verdicts import Outcome, headline, judge
from attention.reports.parts.evidence import Verdict
from attention.reports.parts.study_choice import Choice
from attention.reports.parts.study_plan import Score, StudyPlan
from attention.reports.study import Arm, DataFacts, RunReport, StudyReport, StudyRequest, late_plan
from attention.spec import Variant
from attention.training.choosing import choice_of
from attention.training.class_summary import class_summary
from attention.training.conditions import seeds_between_looks, unseen_images

POINTS = 100
"""Accuracies are shares; differences are told in points of a hundred."""

UNBALANCED = 1.5
"""Times 1 / C above which the share of the most frequent class makes accuracy a poor score."""


def summarise(
    request: StudyRequest,
    arms: Sequence[Variant],
    runs: Sequence[RunReport],
    facts: DataFacts,
    device: str,
    plan: StudyPlan | None = None,
) -> StudyReport:
    """Report on a study from the runs there are; the first arm is the baseline.

    Args:
        plan: what was recorded before the first run; None judges by what the request says, and says so.
    """
    verdicts = {} if request.choose else _verdicts(request, arms, runs, facts, plan, request.looks)
    names = [arm.name for arm in arms]
    learned = _any_learned(runs, facts)
    choice, planned_runs = choice_of(names, runs) if request.choose and learned else None, len(arms) * request.seeds
    bills = {arm.name: count(arm, request.size).total for arm in arms}
    base = bills[arms[0].name]
    differences = _differences(arms, runs, request.score)
    summaries = []
    for arm in arms:
        scores, bill = list(_scores(arm, runs, "accuracy").values()), bills[arm.name]
        interval = paired_interval(scores).model_copy(update={"method": "t over seeds"}) if len(scores) > 1 else None
        summaries.append(
            Arm(
                name=arm.name,
                variant=arm,
                accuracy=interval,
                spread=float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
                n=len(scores),
                parameters=bill.parameters,
                macs=bill.macs,
                extra_parameters=bill.parameters - base.parameters,
                extra_macs=bill.macs - base.macs,
                differences=tuple(differences[arm.name]),
                verdict=verdicts.get(arm.name),
            )
        )
    of_the_plan = [] if request.choose else _of_the_plan(request, arms, runs, facts, plan)
    former = dict.fromkeys(sentence for arm in request.arms() for sentence in renamed(arm))
    caveats = (*former, *of_the_plan, *_caveats(request, summaries, runs, facts))
    return StudyReport(
        headline=_chosen(choice, runs, planned_runs, learned)
        if request.choose
        else _headline(summaries, runs, planned_runs),
        caveats=caveats,
        baseline=arms[0].name,
        arms=tuple(summaries),
        runs=tuple(runs),
        data=facts,
        recipe=request.recipe,
        margin=request.margin,
        plan=plan,
        test_set=test_set(request, facts),
        choice=choice,
        classes=class_summary(names, runs, facts),
        device=device,
        torch=str(torch.__version__),
        complete=len(runs) == planned_runs and all(run.done for run in runs),
    )


def _score(run: RunReport, score: Score) -> float | None:
    """Score of a run in points; None until it is done."""
    share = run.test_accuracy if score == "accuracy" else run.balanced_accuracy
    return None if share is None else POINTS * share


def _scores(arm: Variant, runs: Sequence[RunReport], score: Score) -> dict[int, float]:
    """Scores of an arm's finished runs, points, by seed."""
    by_seed = {run.seed: _score(run, score) for run in runs if run.arm == arm.name}
    return {seed: points for seed, points in by_seed.items() if points is not None}


def _differences(arms: Sequence[Variant], runs: Sequence[RunReport], score: Score) -> dict[str, list[float]]:
    """Paired differences of every arm: its score minus the baseline's on each shared seed; none for the baseline."""
    base = _scores(arms[0], runs, score)
    differences: dict[str, list[float]] = {arms[0].name: []}
    for arm in arms[1:]:
        differences[arm.name] = [
            score - base[seed] for seed, score in sorted(_scores(arm, runs, score).items()) if seed in base
        ]
    return differences


def _verdicts(
    request: StudyRequest,
    arms: Sequence[Variant],
    runs: Sequence[RunReport],
    facts: DataFacts,
    plan: StudyPlan | None,
    looks: int,
) -> dict[str, Verdict]:
    rule = Rule(
        arms=len(arms) - 1,
        first_look=plan.first_look if plan else request.first_look or max(LEAST_SEEDS, request.seeds),
        looks=plan.looks if plan else looks,
        margin=request.margin,
        image_points=facts.image_points(request.score),
    )
    labels = None if facts.test_labels is None else np.array(facts.test_labels.numbers())
    outcomes: dict[str, list[Outcome]] = {arm.name: [] for arm in arms}
    for run in runs:
        if (ended := _outcome(run, facts, request.score, labels)) is not None:
            outcomes[run.arm].append(ended)
    baseline = outcomes.pop(arms[0].name)
    return judge(
        rule,
        baseline,
        outcomes,
        seeds=range(request.first_seed, request.first_seed + rule.look_sizes[-1]),
        confounds={arm.name: " ".join(confounds(arms[0], arm)) for arm in arms[1:]},
        images=facts.test_images,
        labels=labels if request.score == "balanced accuracy" else None,
    )


def _outcome(run: RunReport, facts: DataFacts, score: Score, labels: NDArray[np.int64] | None) -> Outcome | None:
    """How a run ended, as the rule sees it; None if it has not, or for a technical reason, and is done again."""
    points = _score(run, score)
    if run.diverged:
        return Outcome(run.seed, None)
    if run.test_accuracy is None or points is None:
        return None
    learned, right = None, None
    if facts.majority is not None:
        recalls = [share / images for share, images in zip(run.right, facts.test_per_class, strict=False)]
        right_images = round(run.test_accuracy * facts.test_images)
        learned = has_learned(right_images, facts.test_images, facts.majority, recalls, facts.test_per_class)
    if run.predicted is not None and labels is not None:
        right = np.array(run.predicted.numbers()) == labels
    return Outcome(run.seed, points, learned, right)


def _any_learned(runs: Sequence[RunReport], facts: DataFacts) -> bool:
    """Whether any run can be told from one that guesses, or that could not be checked."""
    return any(outcome.trained for run in runs if (outcome := _outcome(run, facts, "accuracy", None)) is not None)


# ---------------------------------------------------------------- in words


def _headline(arms: Sequence[Arm], runs: Sequence[RunReport], planned_runs: int) -> str:
    """What may be said: claims first; then, as long as the first look is not complete, how far the study is."""
    verdicts = [arm.verdict for arm in arms if arm.verdict is not None]
    ended, kinds = sum(run.done for run in runs), {verdict.kind for verdict in verdicts}
    if ended < planned_runs and "too few seeds" in kinds and not kinds & {"better", "worse"}:
        return f"The study is still running: {ended} of {planned_runs} runs have ended; nothing can be said yet."
    return headline(verdicts, arms[0].name)


def _chosen(choice: Choice | None, runs: Sequence[RunReport], planned_runs: int, learned: bool) -> str:
    """What was chosen by validation, or how far the study is."""
    ended = sum(run.done for run in runs)
    if ended < planned_runs:
        return f"The study is still running: {ended} of {planned_runs} runs have ended; nothing is chosen yet."
    if not learned:
        return "Nothing is chosen, for nothing was learned: no run can be told from naming the most frequent class."
    return choice.sentence if choice else "Nothing is chosen: no seed has a result of every arm."


def test_set(request: StudyRequest, facts: DataFacts) -> tuple[str, ...]:
    """Say what the test images can show whatever the runs do: their worth, the most frequent class, chance."""
    sentences, step = [], facts.image_points(request.score)
    if step is not None:
        what = "" if request.score == "accuracy" else " of balanced accuracy, in the rarest class"
        sentences.append(f"One test image is {step:.3g} points{what} ({facts.test_images:,} test images).")
        if request.margin is not None and request.margin < step:
            sentences.append(f"A margin of {request.margin:g} points is less than one test image and cannot be seen.")
    if facts.majority is not None:
        low, high = min(facts.test_per_class), max(facts.test_per_class)
        each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        sentences.append(
            f"Always naming the most frequent class has {POINTS * facts.majority:.3g} %, chance is "
            f"{POINTS / len(facts.classes):.3g} %; {each} test images of each of {len(facts.classes)} classes."
        )
    return tuple(sentences)


def _of_the_plan(
    request: StudyRequest,
    arms: Sequence[Variant],
    runs: Sequence[RunReport],
    facts: DataFacts,
    plan: StudyPlan | None,
) -> list[str]:
    """What the plan, or its absence, means for the verdicts."""
    if plan is not None:
        sentences = [plan.sentence]
        if plan.runs_before:
            sentences.append(f"{late_plan(plan)[0].upper()}{late_plan(plan)[1:]}.")
        between = seeds_between_looks(request.seeds, plan.look_sizes)
        return sentences + ([between] if between else [])
    if not any(run.done for run in runs):
        return []
    sentences = [
        "No plan was recorded before the first run; the 5 % hold only if seeds, arms and margin were set by then."
    ]
    if request.looks > 1:
        fixed = _verdicts(request, arms, runs, facts, None, 1)
        sentences += [
            f"Taken as a plan of one look: {verdict.sentence}" for verdict in fixed.values() if verdict.difference
        ]
    return sentences


def _caveats(request: StudyRequest, arms: Sequence[Arm], runs: Sequence[RunReport], facts: DataFacts) -> list[str]:
    sentences = [arm.verdict.sentence for arm in arms if arm.verdict and arm.verdict.kind == "withheld"]
    sentences += filter(None, [different_places(arm.variant for arm in arms)])
    counts = {arm.n for arm in arms}
    if len(counts) > 1:
        sentences.append(f"The arms have {min(counts)} to {max(counts)} finished runs; only shared seeds are compared.")
    sentences += filter(None, (narrow_bottlenecks(arm.variant) for arm in arms))
    sentences += filter(None, [unseen_images(request.recipe, facts.train_images)])
    failures = Counter(run.failed for run in runs if run.failed)
    sentences += [
        f"{run.arm}, seed {run.seed}: {run.failed}" for run in runs if run.failed and failures[run.failed] == 1
    ]
    sentences += [f"{number} runs: {sentence}" for sentence, number in failures.items() if number > 1]
    if facts.majority is None:
        sentences.append(
            "Whether anything was learned was not checked: how many images each class has is not recorded."
        )
    elif request.score == "accuracy" and facts.majority > UNBALANCED / len(facts.classes):
        sentences.append(
            f"{POINTS * facts.majority:.0f} % of the test images are of one class: balanced accuracy is the better "
            "score."
        )
    if facts.duplicates_across_splits:
        sentences.append(
            "Images that stand in both splits, so that the test has been seen in training: "
            f"{facts.duplicates_across_splits}."
        )
    if facts.label_conflicts:
        sentences.append(f"Images that stand there with more than one label: {facts.label_conflicts}.")
    if facts.split_by_hash:
        sentences.append("The data had no split; one was made by the hash of each file.")
    if facts.validation == "off":
        sentences.append(
            "There is no validation split, so curves are of the test images. If anything was chosen by them, these "
            "verdicts are too good."
        )
    if facts.validation == "cut":
        sentences.append(
            "Training images that were cut for validation, alike of each class, by the hash of each file: "
            f"{facts.validation_images:,}."
        )
    return sentences
