"""Every run of a study, one after the other or on several machines, and the report they add up to."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from attention.analysis import Step, in_order
from attention.build import resolve
from attention.errors import AttentionError, InvalidRequest
from attention.reports.parts.study_plan import StudyPlan
from attention.reports.study import DataFacts, RunReport, StudyReport, StudyRequest
from attention.running.device import device_name
from attention.spec import Variant
from attention.training.choosing import choice_of
from attention.training.conditions import check_trainable, unseen_images
from attention.training.plans import recorded_plan
from attention.training.side_by_side import MOST, SideBySide, best_count, speed_together
from attention.training.study import RunStore, Task
from attention.training.summary import summarise


class MapRuns(Protocol):
    """Function that does each run of a study and gives their reports as they finish, as `AnyLab.map` does."""

    def __call__(
        self,
        fn: Step[Task, RunReport],
        items: Sequence[Task],
        on_progress: Callable[[Task, RunReport], None],
        lost: Callable[[Task, str], RunReport],
    ) -> Iterable[RunReport]:
        """The reports of runs, in whatever order they finish."""


class Progress(Protocol):
    """Function that is told how far a study is; what it raises ends the study, which can be resumed."""

    def __call__(self, done: int, total: int, note: str = "", partial: StudyReport | None = None) -> None:
        """``done`` of ``total`` epochs, and what is known so far."""


@dataclass(frozen=True)
class Prepared:
    """A study before its next run: its arms, its runs with what is known of them, and its kept plan, if it has one."""

    arms: Sequence[Variant]
    tasks: Sequence[Task]
    records: dict[str, RunReport]
    plan: StudyPlan | None
    facts: DataFacts


def prepare(request: StudyRequest, run_store: RunStore) -> Prepared:
    """Look at the data, list the runs and keep the plan; nothing is trained.

    A study that chooses by validation accuracy has no plan, for it declares nothing about the test images.

    Raises:
        InvalidRequest: the training images do not fill one batch, or none can be held out to choose by.
    """
    data = run_store.data(request.data, request.size, request.validation)
    assert data.facts is not None
    check_trainable(request.recipe, len(data.train), request.data)
    if request.choose and data.validation is None:
        raise InvalidRequest(f"The data set {request.data} is too small to hold out validation images to choose by.")
    arms = [resolve(arm.model_copy(update={"classes": len(data.classes)})) for arm in request.arms()]
    seeds = range(request.first_seed, request.first_seed + request.seeds)
    tasks = [  # a seed at a time, so that every arm has its pairs early
        Task(
            variant=arm,
            recipe=request.recipe,
            seed=seed,
            data=request.data,
            size=request.size,
            validation=request.validation,
            fingerprint=data.facts.fingerprint,
            owner=run_store.owner,
        )
        for seed in seeds
        for arm in arms
    ]
    records = {task.name: report for task in tasks if (report := run_store.record(task))}
    ended = sum(report.done for report in records.values())
    plan = (
        None
        if request.choose
        else recorded_plan(run_store.file_store, request, arms, data.facts, ended, run_store.owner)
    )
    return Prepared(arms, tasks, records, plan, data.facts)


def run_study(
    request: StudyRequest,
    run_store: RunStore,
    progress: Progress,
    map_runs: MapRuns = in_order,
    by_arm: bool = False,
) -> StudyReport:
    """Do every run of a study and say what they add up to.

    Args:
        run_store: where the runs are done and kept.
        map_runs: what does the runs, such as `AnyLab.map`; one after the other (on CUDA several at once) if not given.
        by_arm: whether all seeds of an arm come before the next arm: where time may run out, some arms are whole then.

    Raises:
        InvalidRequest: the training images do not fill one batch.
        AttentionError: no run has a result.
    """
    if request.recipes:
        return _over_recipes(request, run_store, progress, map_runs, by_arm)
    study, device = prepare(request, run_store), device_name(run_store.device)
    arms, tasks, records, plan, facts = study.arms, study.tasks, study.records, study.plan, study.facts

    if map_runs is in_order and run_store.device.startswith("cuda"):
        map_runs = together(run_store, tasks)

    def on_progress(task: Task, report: RunReport) -> None:
        records[task.name] = report
        epochs = sum(request.recipe.epochs if record.done else len(record.curve) for record in records.values())
        note = f"{report.arm}, seed {report.seed}: epoch {len(report.curve)} of {request.recipe.epochs}"
        if report.test_accuracy is not None:
            note = f"{report.arm}, seed {report.seed}: done, {100 * report.test_accuracy:.2f} %"
        elif report.failed:
            note = f"{report.arm}, seed {report.seed}: no result. {report.failed}"
        runs = [records[task.name] for task in tasks if task.name in records]
        partial = summarise(request, arms, runs, facts, device, plan)
        progress(epochs, len(tasks) * request.recipe.epochs, note, partial)

    began = f"{len(tasks)} runs on {facts.train_images:,} images"
    unseen = unseen_images(request.recipe, facts.train_images)
    progress(0, len(tasks) * request.recipe.epochs, f"{began}. {unseen}" if unseen else began)
    by_run = {(task.variant.name, task.seed): task for task in tasks}
    names = [arm.name for arm in arms]
    order = sorted(tasks, key=lambda task: names.index(task.variant.name)) if by_arm else tasks
    for report in map_runs(
        partial(_run, run_store), order, on_progress, run_store.lost
    ):  # in whatever order they finish
        on_progress(by_run[report.arm, report.seed], report)
    runs = [records[task.name] for task in tasks]
    if all(run.failed for run in runs):
        raise AttentionError(f"No run has a result. The first: {runs[0].failed}")
    return summarise(request, arms, runs, facts, device, plan)


def _over_recipes(
    request: StudyRequest, run_store: RunStore, progress: Progress, map_runs: MapRuns, by_arm: bool
) -> StudyReport:
    """Do a study for each recipe, and report on the one whose arm is best on the validation images of all."""
    studies, reports = request.by_recipe(), dict[str, StudyReport]()
    costs = {name: len(study.arms()) * study.seeds * study.recipe.epochs for name, study in studies.items()}
    for number, (name, study) in enumerate(studies.items(), start=1):
        prefix, before = f"Recipe {name}, {number} of {len(studies)}: ", sum(costs[earlier] for earlier in reports)
        progress_of_recipe = partial(_of_recipe, progress, prefix, before, sum(costs.values()))
        reports[name] = run_study(study, run_store, progress_of_recipe, map_runs, by_arm)
    labels = {f"{arm.name} ({name})": name for name, report in reports.items() for arm in report.arms}
    runs = [
        run.model_copy(update={"arm": f"{run.arm} ({name})"}) for name, report in reports.items() for run in report.runs
    ]
    choice = choice_of(list(labels), runs) if any(report.choice for report in reports.values()) else None
    if choice is None:
        headlines = {report.headline for report in reports.values() if report.choice is None}
        several = "Nothing is chosen: no seed has a result of every arm and recipe."
        nothing = {"choice": None, "headline": headlines.pop() if len(headlines) == 1 else several}
        return next(iter(reports.values())).model_copy(update=nothing)
    return reports[labels[choice.arm]].model_copy(update={"choice": choice, "headline": choice.sentence})


def _of_recipe(
    progress: Progress,
    prefix: str,
    before: int,
    whole: int,
    done: int,
    total: int,
    note: str = "",
    partial: StudyReport | None = None,
) -> None:
    """Pass on how far the study of one recipe is, as part of all: ``before`` of ``whole`` epochs came before it."""
    shown = partial and partial.model_copy(update={"headline": prefix + partial.headline, "complete": False})
    progress(before + done, whole, prefix + note, shown)


def together(run_store: RunStore, tasks: Sequence[Task], most: int = MOST) -> MapRuns:
    """Do several runs at once, as many as trains fastest by a measurement with the first of them."""
    first = tasks[0]

    def speed(count: int) -> float:
        data = run_store.data(first.data, first.size, first.validation)
        return speed_together(first.variant, first.recipe, data, run_store.device, count)

    return SideBySide[Task, RunReport](run_store.device, lambda: best_count(speed, min(most, len(tasks))))


def _run(run_store: RunStore, task: Task, on_progress: Callable[[RunReport], None]) -> RunReport:
    """Do one run, in this process or in a worker's, and pass on what it has come to after each epoch."""
    return replace(run_store, on_progress=lambda task, report: on_progress(report)).run(task)
