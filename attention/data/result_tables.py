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
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from attention.errors import BadTable, did_you_mean
from attention.reports.judge import LARGEST, JudgeRequest, ResultFile

PATTERNS = (
    "{arm}-s{seed}",
    "{arm}-seed{seed}",
    "{arm}_s{seed}",
    "{arm}_seed{seed}",
    "{arm}/s{seed}",
    "{arm}/seed{seed}",
)
"""How runs are called where the question does not say it."""

NumberedRow = tuple[int, dict[str, str]]
"""Number of a line in its file, and its cells by column."""


@dataclass(frozen=True)
class Result:
    """One run as a table has it.

    Args:
        seed: None where the table has none.
        score: None for a run that diverged.
        where: file and line, for sentences.
        epoch: the epoch or step of the score, where the table has several.
        right: whether the run is right on each test image (N,), where known.
        recalls: recall of each class, as shares or points, where known.
    """

    arm: str
    seed: int | None
    score: float | None
    where: str
    epoch: int | None = None
    right: NDArray[np.bool_] | None = field(default=None, compare=False)
    recalls: Mapping[str, float] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Results:
    """All runs of the files, in order, and what is to be said of the files."""

    runs: tuple[Result, ...]
    source: str
    left_out: tuple[str, ...] = ()
    folds: bool = False


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
        left = "; ".join(sentence for part in parts for sentence in part.left_out)
        raise BadTable(f"No run has a score. {left}" if left else "No file has scores of runs.")
    runs = [_with_answers(run, answers) for run in _without_repeats(runs)]
    for (arm, seed), (where, _) in answers.items():
        if not any(run.arm == arm and run.seed == seed for run in runs):
            raise BadTable(f"{where} has answers of arm {arm!r}, seed {seed}, which has no score.")
    return Results(
        runs=tuple(runs),
        source=", ".join(dict.fromkeys(part.source for part in parts)),
        left_out=tuple(sentence for part in parts for sentence in part.left_out),
        folds=any(part.folds for part in parts),
    )


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
    said = {request.arm_column: "arm", request.seed_column: "seed", request.score: "score"}
    named = [said.get(name, name) for name in lowered]
    export = _export(lowered)  # those who read one ask for its columns by their own names
    if export is None or (export is _tensorboard and "arm" in named):
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
        return _tensorboard
    return _mlflow if {"Run ID", "run_id"} & names else None


def _reader(file: ResultFile, columns: Sequence[str]) -> Reader:
    """What reads a file of these columns."""
    names = set(columns)
    if (export := _export(columns)) is not None:
        return export
    if "arm" in names and "score" in names:
        return _own
    if any(" - " in name for name in columns):
        return _wandb
    missing = [name for name in ("arm", "score") if name not in names]
    raise BadTable(
        f"Line 1 of {file.name} has no column {' and no column '.join(missing)}, and is of no export known here. "
        f"It has: {', '.join(columns[:12]) or 'nothing'}. Say which of them are arm, seed and score: arm_column, "
        "seed_column and score."
    )


# ---------------------------------------------------------------- one table a format


def _own(file: ResultFile, columns: list[str], rows: list[NumberedRow], request: JudgeRequest) -> Results:
    epochs = next((name for name in ("epoch", "step") if name in columns), None)
    runs, length = [], None
    for line, cells in rows:
        where = f"Line {line} of {file.name}"
        if not cells["arm"]:
            raise BadTable(f"{where} names no arm.")
        status = cells.get("status", "").lower() or "ok"
        if status not in ("ok", "diverged"):
            raise BadTable(f"{where}: a status is ok or diverged, not {status!r}.")
        score = None if status == "diverged" else _number(cells["score"], where)
        right = _answered(cells.get("right", ""), where)
        if right is not None and length not in (None, len(right)):
            raise BadTable(f"{where} has answers on {len(right)} images; lines before it have {length}.")
        length = length if right is None else len(right)
        seed = _whole(cells["seed"], where, "seed") if "seed" in columns else None
        epoch = _whole(cells[epochs], where, epochs) if epochs else None
        if request.step is None or epoch is None or epoch == request.step:
            runs.append(Result(cells["arm"], seed, score, where, epoch, right, _recalls(cells, where)))
    return Results(tuple(runs), "a table of runs", folds="fold" in columns)


def _recalls(cells: Mapping[str, str], where: str) -> dict[str, float]:
    """Class -> recall of a run; none where all such cells are empty."""
    texts = {name.partition(":")[2].strip(): text for name, text in cells.items() if name.startswith(RECALL)}
    if not any(texts.values()):
        return {}
    recalls = {name: _number(text, f"{where}, recall of {name}") for name, text in texts.items()}
    for name, recall in recalls.items():
        if not 0 <= recall <= 100:
            raise BadTable(f"{where}: the recall of {name} is {recall:g}; it is a share or points from 0 to 100.")
    return recalls


def _tensorboard(file: ResultFile, columns: list[str], rows: list[NumberedRow], request: JudgeRequest) -> Results:
    steps = next((name for name in columns if name.lower() == "step"), None)
    stem = re.sub(r"\.csv$", "", file.name.replace("\\", "/").rpartition("/")[2], flags=re.IGNORECASE)
    run = re.sub(r"-tag-.*$", "", stem.removeprefix("run-"))
    curve = {
        _whole(cells[steps], f"Line {line} of {file.name}", "step") if steps else line: (line, cells["Value"])
        for line, cells in rows
    }
    return _of_curves({run: (file.name, curve)}, "TensorBoard's scalars", request)


def _wandb(file: ResultFile, columns: list[str], rows: list[NumberedRow], request: JudgeRequest) -> Results:
    ours = [name for name in columns if " - " in name and not name.endswith(("__MIN", "__MAX"))]
    metrics = list(dict.fromkeys(name.rpartition(" - ")[2] for name in ours))
    metric = _chosen(metrics, request.score, file)
    steps = next((name for name in columns if " - " not in name), None)
    curves: dict[str, tuple[str, dict[int, tuple[int, str]]]] = {}
    for name in ours:
        run, _, of = name.rpartition(" - ")
        if of == metric:
            curve = {
                _whole(cells[steps], f"Line {line} of {file.name}", "step") if steps else line: (line, cells[name])
                for line, cells in rows
                if cells[name]
            }
            curves[run.removeprefix("Name: ")] = (file.name, curve)  # as charts that are grouped by name have it
    return _of_curves(curves, "Weights & Biases' chart", request)


def _mlflow(file: ResultFile, columns: list[str], rows: list[NumberedRow], request: JudgeRequest) -> Results:
    called = next((name for name in ("Name", "tags.mlflow.runName") if name in columns), None)
    status = "status" if "status" in columns else None
    metrics = [name for name in columns if name.startswith("metrics.")] or [
        name for name in columns if request.score in (name, f"metrics.{name}")
    ]
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
            runs.append(Result(*arm_and_seed, _number(cells[metric], where), where))
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
        runs.append(Result(*arm_and_seed, _number(value, where), where))
    return Results(tuple(runs), source, tuple(left_out))


def _named(name: str, request: JudgeRequest, cells: Mapping[str, str], where: str) -> tuple[str, int] | None:
    """Arm and seed of a run: from columns if the question names them, else from the run's name; None if neither."""
    if request.arm_column is not None and request.seed_column is not None and cells:
        for column in (request.arm_column, request.seed_column):
            if column not in cells:
                raise BadTable(f"There is no column {column!r}.{did_you_mean(column, cells)}")
        return cells[request.arm_column], _whole(cells[request.seed_column], where, "seed")
    for pattern in (request.pattern,) if request.pattern else PATTERNS:
        parts = re.split(r"(\{arm\}|\{seed\})", pattern)
        words = {"{arm}": r"(?P<arm>.+?)", "{seed}": r"(?P<seed>\d{1,9})"}
        match = re.fullmatch("".join(words.get(part, re.escape(part)) for part in parts), name)
        if match is not None:
            return match["arm"], int(match["seed"])
    return None


def _chosen(metrics: Sequence[str], asked: str | None, file: ResultFile) -> str:
    """The metric that is asked for, or the only one."""
    fitting = [name for name in metrics if asked in (name, name.removeprefix("metrics."))] if asked else list(metrics)
    if len(fitting) != 1:
        what = f"no metric {asked!r}" if asked else f"{len(metrics)} metrics, so say which is the score"
        raise BadTable(f"Line 1 of {file.name} has {what}. There is: {', '.join(metrics[:12]) or 'none'}.")
    return fitting[0]


# ---------------------------------------------------------------- cells


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise BadTable(f"{where}: {text[:40]!r} is no number.") from None
    if not math.isfinite(number):
        raise BadTable(f"{where}: the score is {text}. If the run diverged, give it the status diverged.")
    if abs(number) > LARGEST:
        raise BadTable(
            f"{where}: the score is {text[:40]}. Scores of up to {LARGEST:g} are judged; take a larger unit."
        )
    return number


def _whole(text: str, where: str, what: str) -> int:
    if not re.fullmatch(r"\d{1,12}(\.0)?", text):
        raise BadTable(f"{where}: {text[:40]!r} is no {what}; it is a whole number, 0 or more.")
    return int(float(text))


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
        key = cells["arm"], _whole(cells["seed"], where, "seed")
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
    seen: dict[tuple[str, int, int | None], Result] = {}
    for run in runs:
        if run.seed is not None:
            key = run.arm, run.seed, run.epoch
            if key in seen:
                raise BadTable(f"{run.where} repeats arm {run.arm!r}, seed {run.seed}, as {seen[key].where} has it.")
            seen[key] = run
        yield run
