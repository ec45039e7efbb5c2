"""One run of a study, kept so that nothing is ever trained twice; and what a set of runs adds up to.

A run is named by what decides its result: network, recipe, seed and the data's fingerprint. Its state after each
epoch, its weights and its record lie under that name, so a study that was killed goes on where it was, and one
with more seeds or arms trains only the new ones.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from attention.counting.cost import count
from attention.data.dataset import DataSet, read
from attention.data.folder import DataFolder
from attention.errors import AttentionError, Cancelled, InvalidRequest, NotFound, StorageFailed, TooLarge
from attention.measuring.classification import balanced_accuracy, confusion, macro_f1
from attention.measuring.statistics import paired_interval, verdicts
from attention.measuring.traits import narrow_bottlenecks
from attention.reports.predictions import PackedClasses
from attention.reports.study import Arm, CurvePoint, DataFacts, RunReport, StudyReport, StudyRequest
from attention.spec import Plain, Recipe, Variant
from attention.storage.base import Depot
from attention.training.cards import card_of
from attention.training.checkpointing import Epoch, write_checkpoint
from attention.training.train import Run, train

MOST_CONFUSED = 100
"""Confusion matrices of more classes than this are not kept in reports: a thousand classes have a million entries."""

POINTS = 100
"""Accuracies are shares; differences are told in points of a hundred."""


class Task(Plain):
    """One run to do."""

    variant: Variant
    recipe: Recipe
    seed: int
    data: str
    size: int
    validation: float
    fingerprint: str

    @property
    def name(self) -> str:
        """What its files are called: it names all that decides the result."""
        said = self.model_dump_json(exclude={"data"})
        return f"run-{hashlib.sha256(said.encode()).hexdigest()[:20]}"


@dataclass(frozen=True)
class Workshop:
    """Where runs are done and kept.

    Args:
        depot: what holds ``datasets``, ``runs`` and ``checkpoints``.
        device: a torch device.
        compiled: whether steps are compiled before the first.
        made_by: the command that the cards of its runs name.
        tell: told after each epoch; what it raises ends the run, which can be resumed.
    """

    depot: Depot
    device: str
    compiled: bool = False
    made_by: str = "POST /v1/study"
    tell: Callable[[Task, RunReport], None] = lambda task, report: None

    def data(self, name: str, size: int, validation: float) -> DataSet:
        """A data set of the data folder, with a share of its training images for validation.

        Raises:
            NotFound: there is none of that name.
            BadData: it cannot be trained on.
        """
        folder = DataFolder(self.depot)
        path = folder.path(name)
        if path is None:
            there = ", ".join(one.last for one in folder.entries()) or "none yet"
            raise NotFound(f"There is no data set {name!r}. In the data folder there is: {there}.")
        return _read(path, size, validation, path.stat().st_mtime_ns)

    def record(self, task: Task) -> RunReport | None:
        """What is known of a run, finished or not; None if it was never started."""
        try:
            return RunReport.model_validate_json(self.depot.read(_record(task)))
        except FileNotFoundError:
            return None

    def run(self, task: Task) -> RunReport:
        """Do a run, or give back what it gave before. One that ends with a sentence is a report too.

        Raises:
            Cancelled: ``tell`` said so.
        """
        known = self.record(task)
        if known is not None and known.done:
            return known
        data = self.data(task.data, task.size, task.validation)
        curve: list[Epoch] = []
        state = f"runs/{task.name}.part"
        resume = self.depot.root / state

        def on_epoch(epoch: Epoch) -> None:
            curve.append(epoch)
            report = _report(task, curve, done=False)
            self.depot.send(state)
            self.depot.write(_record(task), report.model_dump_json().encode())
            self.tell(task, report)

        try:
            resume.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                self.depot.path(state)
            if known is not None and resume.exists():
                curve += [Epoch(**point.model_dump()) for point in known.curve]
            run = train(
                task.variant,
                task.recipe,
                data,
                seed=task.seed,
                device=self.device,
                compiled=self.compiled,
                resume=resume,
                on_epoch=on_epoch,
            )
            made_by = f"{self.made_by}, {task.variant.name}, seed {task.seed}"
            card = card_of(
                task.variant.model_copy(update={"classes": None}), task.recipe, task.seed, data, run, made_by
            )
            write_checkpoint(self.depot, f"checkpoints/{task.name}", run.model, card)
            report = _finished(task, run, data)
        except Cancelled:
            raise
        except (TooLarge, InvalidRequest, StorageFailed) as error:  # not of the run: the next time it goes on
            return _report(task, curve, done=True, failed=str(error))
        except AttentionError as error:
            report = _report(task, curve, done=True, failed=str(error))
        self.depot.write(_record(task), report.model_dump_json().encode())
        self.depot.remove(state)
        return report

    def lost(self, task: Task, sentence: str) -> RunReport:
        """The report of a run whose machine went away; what is kept of it stays, so the next time it goes on."""
        known = self.record(task)
        curve = [Epoch(**point.model_dump()) for point in known.curve] if known else []
        return _report(task, curve, done=True, failed=sentence)


def _record(task: Task) -> str:
    """Where what is known of a run is kept."""
    return f"runs/{task.name}.json"


@lru_cache(maxsize=1)
def _read(path: Path, size: int, validation: float, changed: int) -> DataSet:
    return read(path, size, validation=validation)


def _report(task: Task, curve: Sequence[Epoch], done: bool, failed: str | None = None) -> RunReport:
    return RunReport(
        arm=task.variant.name,
        seed=task.seed,
        done=done,
        test_accuracy=None,
        curve=tuple(CurvePoint(**vars(epoch)) for epoch in curve),
        seconds=sum(epoch.seconds for epoch in curve),
        weights=None,
        failed=failed,
    )


def _finished(task: Task, run: Run, data: DataSet) -> RunReport:
    counts = confusion(data.test.labels.numpy(), run.predicted.numpy(), len(data.classes))
    return _report(task, run.curve, done=True).model_copy(
        update={
            "test_accuracy": run.test_accuracy,
            "validation_accuracy": run.curve[-1].validation_accuracy,
            "predicted": PackedClasses.of(run.predicted.tolist()),
            "right": tuple(np.diag(counts).tolist()),
            "confusion": tuple(map(tuple, counts.tolist())) if len(counts) <= MOST_CONFUSED else None,
            "balanced_accuracy": balanced_accuracy(counts),
            "macro_f1": macro_f1(counts),
            "weights": f"file:{task.name}",
        }
    )


# ---------------------------------------------------------------- what the runs add up to


def summarise(
    request: StudyRequest, arms: Sequence[Variant], runs: Sequence[RunReport], facts: DataFacts, device: str
) -> StudyReport:
    """The report of a study from the runs there are; the first arm is the baseline."""
    scores = {
        arm.name: {
            run.seed: POINTS * run.test_accuracy
            for run in runs
            if run.arm == arm.name and run.test_accuracy is not None
        }
        for arm in arms
    }
    base = arms[0]
    differences = {
        arm.name: [
            score - scores[base.name][seed]
            for seed, score in sorted(scores[arm.name].items())
            if seed in scores[base.name]
        ]
        for arm in arms[1:]
    }
    found = verdicts(differences, request.margin)
    confounded = {arm.name: confounds(base, arm) for arm in arms[1:]}
    base_bill = count(base, request.size).total
    summaries = []
    for arm in arms:
        values = list(scores[arm.name].values())
        bill = count(arm, request.size).total
        verdict = found.get(arm.name)
        if verdict is not None and confounded[arm.name]:
            verdict = verdict.model_copy(
                update={"kind": "withheld", "sentence": f"{arm.name}: withheld. {' '.join(confounded[arm.name])}"}
            )
        summaries.append(
            Arm(
                name=arm.name,
                variant=arm,
                accuracy=paired_interval(values).model_copy(update={"method": "t over seeds"})
                if len(values) > 1
                else None,
                spread=float(np.std(values, ddof=1)) if len(values) > 1 else None,
                n=len(values),
                parameters=bill.parameters,
                macs=bill.macs,
                extra_parameters=bill.parameters - base_bill.parameters,
                extra_macs=bill.macs - base_bill.macs,
                differences=tuple(differences.get(arm.name, ())),
                verdict=verdict,
            )
        )
    return StudyReport(
        headline=_headline(summaries, runs),
        caveats=_caveats(summaries, runs, facts, confounded),
        baseline=base.name,
        arms=tuple(summaries),
        runs=tuple(runs),
        data=facts,
        recipe=request.recipe,
        margin=request.margin,
        device=device,
        torch=str(torch.__version__),
        complete=len(runs) == len(arms) * request.seeds and all(run.done for run in runs),
    )


def confounds(base: Variant, arm: Variant) -> tuple[str, ...]:
    """What two arms differ in beside attention, as sentences that name the matched control; none if nothing.

    A plain network of another width is a control of capacity, not a confounded arm.
    """
    if arm.attention is None or arm.plain == base.plain:
        return ()
    control = f"The matched control is {arm.plain.name}."
    if arm.backbone != base.backbone:
        return (f"It has another backbone than {base.name}. {control}",)
    changed = sorted(
        option
        for option in {*arm.backbone_options, *base.backbone_options}
        if arm.backbone_options.get(option) != base.backbone_options.get(option)
    )
    if changed:
        return (f"Its backbone differs from the baseline's in {', '.join(changed)}. {control}",)
    return (f"It has another number of classes than {base.name}. {control}",)


def _headline(arms: Sequence[Arm], runs: Sequence[RunReport]) -> str:
    claims = [arm.verdict.sentence for arm in arms if arm.verdict and arm.verdict.kind in ("better", "worse")]
    if claims:
        return " ".join(claims)
    if not all(run.done for run in runs) or not runs:
        return "The study is still running; nothing can be said yet."
    kinds = {arm.verdict.kind for arm in arms if arm.verdict}
    if kinds == {"equivalent"}:
        return f"No arm differs from {arms[0].name} by more than {arms[1].verdict.margin:g} points."  # type: ignore[union-attr]
    if kinds == {"too few seeds"}:
        return "Too few seeds to decide anything."
    return f"No arm is shown to be better or worse than {arms[0].name}."


def _caveats(
    arms: Sequence[Arm], runs: Sequence[RunReport], facts: DataFacts, confounded: dict[str, tuple[str, ...]]
) -> tuple[str, ...]:
    said = [f"{name}: {sentence}" for name, sentences in confounded.items() for sentence in sentences]
    places = {str(arm.variant.placement) for arm in arms if arm.variant.attention}
    if len(places) > 1:
        said.append(
            f"The modules sit at different places ({', '.join(sorted(places))}): a ranking mixes module and place."
        )
    counts = {arm.n for arm in arms}
    if len(counts) > 1:
        said.append(f"The arms have {min(counts)} to {max(counts)} finished runs; only shared seeds are compared.")
    said += filter(None, (narrow_bottlenecks(arm.variant) for arm in arms))
    said += [f"{run.arm}, seed {run.seed}: {run.failed}" for run in runs if run.failed]
    if facts.duplicates_across_splits:
        said.append(
            f"{facts.duplicates_across_splits} images stand in both splits, so the test has been seen in training."
        )
    if facts.label_conflicts:
        said.append(f"{facts.label_conflicts} images stand there with more than one label.")
    if facts.split_by_hash:
        said.append("The data had no split; one was made by the hash of each file.")
    if facts.validation == "off":
        said.append(
            "There is no validation split, so curves are of the test images. If anything was chosen by them, these "
            "verdicts are too good."
        )
    if facts.validation == "cut":
        said.append(
            f"{facts.validation_images:,} of the training images were cut for validation, alike of each class, by the "
            "hash of each file."
        )
    return tuple(said)
