"""Exports of TensorBoard, Weights & Biases and MLflow as runs: the last step of each curve, or one that is named."""

import re
from collections.abc import Mapping, Sequence

from attention.data.result_tables.runs import NumberedRow, Result, Results, number, whole
from attention.errors import BadTable, did_you_mean
from attention.reports.judge import JudgeRequest, ResultFile

PATTERNS = (
    "{arm}-s{seed}",
    "{arm}-seed{seed}",
    "{arm}_s{seed}",
    "{arm}_seed{seed}",
    "{arm}/s{seed}",
    "{arm}/seed{seed}",
)
"""How runs are called where the question does not say it."""


def read_tensorboard(file: ResultFile, columns: list[str], rows: list[NumberedRow], request: JudgeRequest) -> Results:
    steps = next((name for name in columns if name.lower() == "step"), None)
    stem = re.sub(r"\.csv$", "", file.name.replace("\\", "/").rpartition("/")[2], flags=re.IGNORECASE)
    run = re.sub(r"-tag-.*$", "", stem.removeprefix("run-"))
    curve = {
        whole(cells[steps], f"Line {line} of {file.name}", "step") if steps else line: (line, cells["Value"])
        for line, cells in rows
    }
    return _of_curves({run: (file.name, curve)}, "TensorBoard's scalars", request)


def read_wandb(file: ResultFile, columns: list[str], rows: list[NumberedRow], request: JudgeRequest) -> Results:
    ours = [name for name in columns if " - " in name and not name.endswith(("__MIN", "__MAX"))]
    metrics = list(dict.fromkeys(name.rpartition(" - ")[2] for name in ours))
    metric = _chosen(metrics, request.score, file)
    steps = next((name for name in columns if " - " not in name), None)
    curves: dict[str, tuple[str, dict[int, tuple[int, str]]]] = {}
    for name in ours:
        run, _, of = name.rpartition(" - ")
        if of == metric:
            curve = {
                whole(cells[steps], f"Line {line} of {file.name}", "step") if steps else line: (line, cells[name])
                for line, cells in rows
                if cells[name]
            }
            curves[run.removeprefix("Name: ")] = (file.name, curve)  # as charts that are grouped by name have it
    return _of_curves(curves, "Weights & Biases' chart", request)


def read_mlflow(file: ResultFile, columns: list[str], rows: list[NumberedRow], request: JudgeRequest) -> Results:
    called = next((name for name in ("Name", "tags.mlflow.runName") if name in columns), None)
    status = next((name for name in columns if name.lower() == "status"), None)
    if request.step is not None:
        raise BadTable(
            f"Line 1 of {file.name}: MLflow's runs have the last value of each metric only, so there is no step "
            f"{request.step} to take."
        )
    metrics = [name for name in columns if name.startswith("metrics.")] or [
        name for name in columns if request.score in (name, f"metrics.{name}")
    ]
    if not metrics and request.score is None:
        raise BadTable(
            f"Line 1 of {file.name} does not say which columns are metrics, so say which is the score. It has: "
            f"{', '.join(columns[:20])}."
        )
    metric = _chosen(metrics, request.score, file)
    runs, left_out = [], []
    for line, cells in rows:
        where = f"Line {line} of {file.name}"
        name = cells[called] if called else ""
        if status and cells[status].upper() not in ("FINISHED", ""):
            left_out.append(f"{where}: run {name or line} is {cells[status]}, so it has not ended.")
            continue
        arm_and_seed = _named(name, request, cells, where)
        if arm_and_seed is None:
            left_out.append(f"{where}: run {name!r} names neither arm nor seed.")
        else:
            runs.append(Result(*arm_and_seed, number(cells[metric], where), where))
    return Results(tuple(runs), "MLflow's runs", tuple(left_out))


def _of_curves(
    curves: Mapping[str, tuple[str, dict[int, tuple[int, str]]]], source: str, request: JudgeRequest
) -> Results:
    """Take one step of each run: the last, or the one that is asked for.

    Args:
        curves: name of a run -> its file, and step -> line and value.
    """
    runs, left_out = [], []
    for name, (file, curve) in curves.items():
        arm_and_seed = _named(name, request, {}, file)
        if arm_and_seed is None:
            left_out.append(f"Run {name!r} of {file} names neither arm nor seed.")
            continue
        if not curve:
            raise BadTable(f"Run {name!r} of {file} has no value.")
        step = max(curve) if request.step is None else request.step
        if step not in curve:
            raise BadTable(f"Run {name!r} of {file} has no step {step}; its last is {max(curve)}.")
        line, value = curve[step]
        where = f"Line {line} of {file}"
        runs.append(Result(*arm_and_seed, number(value, where), where, last=step if request.step is None else None))
    return Results(tuple(runs), source, tuple(left_out))


def _named(name: str, request: JudgeRequest, cells: Mapping[str, str], where: str) -> tuple[str, int] | None:
    """Arm and seed of a run: each from its column if the question names one, else from the run's name; None if neither.

    Args:
        cells: the columns of a run; empty where an export has none beside the run's name.
    """
    named_columns = {"arm": request.arm_column, "seed": request.seed_column}
    columns = {what: column for what, column in named_columns.items() if column is not None}
    for column in columns.values():
        if column not in cells:
            names = "" if cells else " Runs of this export have names only: say pattern."
            raise BadTable(f"There is no column {column!r} in {where}.{did_you_mean(column, cells)}{names}")
    parts = {what: cells[column] for what, column in columns.items()}
    if len(parts) < 2:
        parts = _parts_of_name(name, request.pattern) | parts
    if not parts.get("arm") or not parts.get("seed"):
        return None
    return parts["arm"], whole(parts["seed"], where, "seed")


def _parts_of_name(name: str, pattern: str | None) -> dict[str, str]:
    """Arm and seed as a run's name has them; nothing if it is called otherwise."""
    words = {"{arm}": r"(?P<arm>.+?)", "{seed}": r"(?P<seed>\d{1,9})"}
    for known in (pattern,) if pattern else PATTERNS:
        parts = re.split(r"(\{arm\}|\{seed\})", known)
        match = re.fullmatch("".join(words.get(part, re.escape(part)) for part in parts), name)
        if match is not None:
            return match.groupdict()
    return {}


def _chosen(metrics: Sequence[str], metric: str | None, file: ResultFile) -> str:
    """The metric that is asked for, or the only one."""
    fitting = [name for name in metrics if metric in (name, name.removeprefix("metrics."))] if metric else list(metrics)
    if len(fitting) != 1:
        what = f"no metric {metric!r}" if metric else f"{len(metrics)} metrics, so say which is the score"
        raise BadTable(f"Line 1 of {file.name} has {what}. There is: {', '.join(metrics[:12]) or 'none'}.")
    return fitting[0]
