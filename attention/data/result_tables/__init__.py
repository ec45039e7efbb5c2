"""Scores of training runs from tables: a CSV of one's own, or what TensorBoard, Weights & Biases and MLflow export.

    arm,seed,score[,right][,status]                         a run a line; right: 0 and 1 for each test image
    arm,seed,score,recall:CLASS,recall:CLASS,...            the same with the recall of each class, as shares or points
    arm,seed,image,right                                    beside it, a line for each run and image
    Wall time,Step,Value                                    TensorBoard: scalars of one run, which the file's name names
    Step,RUN - METRIC,RUN - METRIC__MIN,...                 Weights & Biases: a chart's runs side by side
    Run ID,Name,...  or  run_id,...,metrics.METRIC          MLflow: a run a line

Nothing is dropped in silence: what cannot be read ends in a sentence with file and line, and runs whose names say
neither arm nor seed are listed.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from attention.data.result_tables.exports import read_mlflow, read_tensorboard, read_wandb
from attention.data.result_tables.runs import NumberedRow, Result, Results, number, whole
from attention.errors import BadTable, did_you_mean
from attention.reports.judge import JudgeRequest, ResultFile


def read_results(request: JudgeRequest) -> Results:
    """Read the runs of all files of a question.

    Raises:
        BadTable: a file is no such table, or a line of one cannot be judged.
    """
    parts: list[Results] = []
    answers: dict[tuple[str, int], tuple[str, NDArray[np.bool_]]] = {}
    for file in request.files:
        columns, rows = _table(file, request)
        if {"arm", "seed", "image", "right"} <= set(columns) and "score" not in columns:
            answers |= _answers(file, rows)
            continue
        parts.append(_reader(file, columns)(file, columns, rows, request))
    runs = [run for part in parts for run in part.runs]
    if not runs:
        left = " ".join(sentence for part in parts for sentence in part.left_out)
        raise BadTable(f"No run has a score. {left}" if left else "No file has scores of runs.")
    runs = [_with_answers(run, answers) for run in _without_repeats(runs)]
    for (arm, seed), (where, _) in answers.items():
        if not any(run.arm == arm and run.seed == seed for run in runs):
            raise BadTable(f"{where} has answers of arm {arm!r}, seed {seed}, which has no score.")
    return Results(
        runs=tuple(runs),
        source=", ".join(dict.fromkeys(part.source for part in parts)),
        left_out=(*(sentence for part in parts for sentence in part.left_out), *_ends(runs)),
        folds=any(part.folds for part in parts),
    )


def _ends(runs: Sequence[Result]) -> list[str]:
    """Say that curves end at different steps, where the last of each was taken."""
    ended = [run for run in runs if run.last is not None]
    first, last = (of(ended, key=lambda run: run.last or 0, default=None) for of in (min, max))
    if first is None or last is None or first.last == last.last:
        return []
    return [
        f"Runs end at different steps, {first.last} (arm {first.arm!r}, seed {first.seed}) to {last.last}; the last of "
        "each was taken. Name a step to take the same of all."
    ]


def _table(file: ResultFile, request: JudgeRequest) -> tuple[list[str], list[NumberedRow]]:
    """Read a CSV's columns and rows, whatever its separator; decimal commas become points unless commas separate."""
    text = file.text.removeprefix("\ufeff")
    separator = max(",;\t", key=text.lstrip().partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    rows: list[NumberedRow] = []
    columns: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = [name.strip() for name in cells]
                continue
            if len(cells) != len(columns):
                raise BadTable(
                    f"Line {reader.line_num} of {file.name} has {len(cells)} cells; the first line has {len(columns)}."
                )
            if separator != ",":
                cells = [DECIMAL_COMMA.sub(r"\1.\2", cell) for cell in cells]
            rows.append((reader.line_num, {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}))
    except csv.Error as error:
        raise BadTable(f"Line {reader.line_num} of {file.name} is not CSV: {error}.") from None
    lowered = [name.lower() if name.lower() in OWN else name for name in columns]
    columns_by_role = {"arm": request.arm_column, "seed": request.seed_column, "score": request.score}
    roles = {column: name for name, column in columns_by_role.items() if column in {*columns, *lowered}}
    named = [
        roles.get(name, roles.get(low, f"{low}, not asked for" if low in roles.values() else low))
        for name, low in zip(columns, lowered, strict=True)
    ]
    export = _export(lowered)  # those who read one ask for its columns by their own names
    if export is None or (export is read_tensorboard and "arm" in named):
        absent = next((column for column in columns_by_role.values() if column and column not in roles), None)
        if absent and {"arm", "score"} <= set(named):
            raise BadTable(f"Line 1 of {file.name} has no column {absent!r}.{did_you_mean(absent, columns)}")
        lowered = named
    if lowered != columns:
        rows = [(line, dict(zip(lowered, cells.values(), strict=True))) for line, cells in rows]
    if len(set(lowered)) < len(lowered):
        raise BadTable(f"Line 1 of {file.name} names a column twice.")
    return lowered, rows


DECIMAL_COMMA = re.compile(r"^(\s*[-+]?\d+),(\d+\s*)$")
OWN = ("arm", "seed", "score", "right", "status", "image", "epoch", "step", "fold")
"""Columns of a table of one's own, in whatever case they are written."""

RECALL = "recall:"
"""How the name of a column with the recall of a class begins."""

Reader = Callable[[ResultFile, list[str], list[NumberedRow], JudgeRequest], Results]


def _export(columns: Sequence[str]) -> Reader | None:
    """What reads an export whose columns have names of its own; None for another table."""
    names = set(columns)
    if {"Wall time", "Value"} <= names or names == {"step", "Value"}:
        return read_tensorboard
    return read_mlflow if {"Run ID", "run_id"} & names else None


def _reader(file: ResultFile, columns: Sequence[str]) -> Reader:
    """What reads a file of these columns."""
    names = set(columns)
    if (export := _export(columns)) is not None:
        return export
    if "arm" in names and "score" in names:
        return _own
    if any(" - " in name for name in columns):
        return read_wandb
    missing = [name for name in ("arm", "score") if name not in names]
    raise BadTable(
        f"Line 1 of {file.name} has no column {' and no column '.join(missing)}, and is of no export known here. "
        f"It has: {', '.join(columns[:12]) or 'nothing'}. Say which of them are arm, seed and score: arm_column, "
        "seed_column and score."
    )


# ---------------------------------------------------------------- one table a format


def _own(file: ResultFile, columns: list[str], rows: list[NumberedRow], request: JudgeRequest) -> Results:
    epochs = next((name for name in ("epoch", "step") if name in columns), None)
    if request.step is not None and epochs is None:
        raise BadTable(f"Line 1 of {file.name} has no column epoch or step, and so no step {request.step}.")
    runs: list[Result] = []
    length = None
    for line, cells in rows:
        where = f"Line {line} of {file.name}"
        if not cells["arm"]:
            raise BadTable(f"{where} names no arm.")
        status = cells.get("status", "").lower() or "ok"
        if status not in ("ok", "diverged"):
            raise BadTable(f"{where}: a status is ok or diverged, not {status!r}.")
        score = None if status == "diverged" else number(cells["score"], where)
        right = _answered(cells.get("right", ""), where)
        if right is not None and length not in (None, len(right)):
            raise BadTable(f"{where} has answers on {len(right)} images; lines before it have {length}.")
        length = length if right is None else len(right)
        seed = whole(cells["seed"], where, "seed") if "seed" in columns else None
        epoch = whole(cells[epochs], where, epochs) if epochs else None
        runs.append(Result(cells["arm"], seed, score, where, epoch, right, _recalls(cells, where)))
    chosen = runs if request.step is None else _at_step(runs, request.step)
    return Results(tuple(chosen), "a table of runs", folds="fold" in columns)


def _at_step(runs: Sequence[Result], step: int) -> list[Result]:
    """Take one step of every run of a table; a run that diverged before it ended there."""
    by_run: dict[tuple[str, int | None], list[Result]] = {}
    for run in runs:
        by_run.setdefault((run.arm, run.seed), []).append(run)
    chosen = []
    for (arm, seed), of in by_run.items():
        at_step = [run for run in of if run.epoch == step]
        last = max(of, key=lambda run: run.epoch or 0)
        if not at_step and last.score is not None:
            named = f"arm {arm!r}" + ("" if seed is None else f", seed {seed}")
            raise BadTable(f"{last.where}: {named} has no step {step}; its last is {last.epoch}.")
        chosen += at_step or [last]
    return chosen


def _recalls(cells: Mapping[str, str], where: str) -> dict[str, float]:
    """Class -> recall of a run; none where all such cells are empty."""
    texts = {name.partition(":")[2].strip(): text for name, text in cells.items() if name.startswith(RECALL)}
    if not any(texts.values()):
        return {}
    recalls = {name: number(text, f"{where}, recall of {name}") for name, text in texts.items()}
    for name, recall in recalls.items():
        if not 0 <= recall <= 100:
            raise BadTable(f"{where}: the recall of {name} is {recall:g}; it is a share or points from 0 to 100.")
    return recalls


def _answered(text: str, where: str) -> NDArray[np.bool_] | None:
    if not text:
        return None
    if set(text) - {"0", "1"}:
        raise BadTable(f"{where}: right is a 0 or 1 for each test image, without anything between.")
    return np.frombuffer(text.encode(), np.uint8) == ord("1")


def _answers(file: ResultFile, rows: Iterable[NumberedRow]) -> dict[tuple[str, int], tuple[str, NDArray[np.bool_]]]:
    """Arm and seed -> first line and the answers on each image, the images in the same order for all."""
    by_run: dict[tuple[str, int], dict[str, bool]] = {}
    lines: dict[tuple[str, int], str] = {}
    for line, cells in rows:
        where = f"Line {line} of {file.name}"
        key = cells["arm"], whole(cells["seed"], where, "seed")
        if cells["right"] not in ("0", "1"):
            raise BadTable(f"{where}: right is 0 or 1, not {cells['right'][:40]!r}.")
        lines.setdefault(key, where)
        if cells["image"] in by_run.setdefault(key, {}):
            raise BadTable(f"{where} repeats image {cells['image']!r} of arm {key[0]!r}, seed {key[1]}.")
        by_run[key][cells["image"]] = cells["right"] == "1"
    images = sorted(next(iter(by_run.values()), {}))
    for key, answers in by_run.items():
        if sorted(answers) != images:
            raise BadTable(
                f"{lines[key]}: arm {key[0]!r}, seed {key[1]} has answers on other images than the first run."
            )
    return {key: (lines[key], np.array([of[image] for image in images])) for key, of in by_run.items()}


def _with_answers(run: Result, answers: Mapping[tuple[str, int], tuple[str, NDArray[np.bool_]]]) -> Result:
    if run.seed is None or (run.arm, run.seed) not in answers:
        return run
    return replace(run, right=answers[run.arm, run.seed][1])


def _without_repeats(runs: Sequence[Result]) -> Iterator[Result]:
    """All runs, if none is there twice; several epochs of one run are left for the verdict to be withheld."""
    by_key: dict[tuple[str, int, int | None], Result] = {}
    for run in runs:
        if run.seed is not None:
            key = run.arm, run.seed, run.epoch
            if key in by_key:
                raise BadTable(f"{run.where} repeats arm {run.arm!r}, seed {run.seed}, as {by_key[key].where} has it.")
            by_key[key] = run
        yield run
