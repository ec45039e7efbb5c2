"""Train these networks on the same data with the same seeds: is any of them really better?"""

from attention.analyses import analyses
from attention.analysis import Lab
from attention.build import resolve
from attention.devices import device_name
from attention.reports.study import RunReport, StudyReport, StudyRequest
from attention.study import Task, Workshop, summarise


@analyses.register("study")
def study(request: StudyRequest, lab: Lab) -> StudyReport:
    """Train these networks on the same data with the same seeds: is any of them really better?"""
    workshop = Workshop(lab.files.root, lab.device)
    data = workshop.data(request.data, request.size)
    assert data.facts is not None
    facts, device = data.facts, device_name(lab.device)
    arms = [resolve(arm.model_copy(update={"classes": len(data.classes)})) for arm in request.arms()]
    seeds = range(request.first_seed, request.first_seed + request.seeds)
    tasks = [  # a seed at a time, so that every arm has its pairs early
        Task(
            variant=arm,
            recipe=request.recipe,
            seed=seed,
            data=request.data,
            size=request.size,
            fingerprint=facts.fingerprint,
        )
        for seed in seeds
        for arm in arms
    ]
    records: dict[str, RunReport] = {task.name: known for task in tasks if (known := workshop.record(task))}

    def tell(task: Task, report: RunReport) -> None:
        records[task.name] = report
        epochs = sum(request.recipe.epochs if one.done else len(one.curve) for one in records.values())
        note = f"{report.arm}, seed {report.seed}: epoch {len(report.curve)} of {request.recipe.epochs}"
        runs = [records[one.name] for one in tasks if one.name in records]
        partial = summarise(request, arms, runs, facts, device)
        lab.progress(epochs, len(tasks) * request.recipe.epochs, note, partial)

    busy = Workshop(lab.files.root, lab.device, tell)
    lab.progress(0, len(tasks) * request.recipe.epochs, f"{len(tasks)} runs on {len(data.train):,} images")
    by_run = {(task.variant.name, task.seed): task for task in tasks}
    for report in lab.map(busy.run, tasks):  # in whatever order they finish
        tell(by_run[report.arm, report.seed], report)
    return summarise(request, arms, [records[task.name] for task in tasks], facts, device)
