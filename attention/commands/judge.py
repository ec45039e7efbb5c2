"""Judge results of your own: is any arm really better than the baseline?

    attention-lab judge results.csv --margin 0.3 --test-images 10000
    attention-lab judge run-*.csv --pattern '{arm}-s{seed}' --margin 0.3
    attention-lab judge runs.csv --score val_accuracy --arm-column params.arm --seed-column params.seed
    attention-lab judge differences.json        # {"differences": {"eca": [0.2, -0.1, ...]}, "margin": 0.3}

A table has the columns arm, seed, score, and may have right (a 0 or 1 for each test image) and status (ok, diverged).
Exports of TensorBoard (scalars, a file a run), Weights & Biases (a chart) and MLflow (runs.csv) are read as they are.
The order of the files and their lines decides the baseline, unless --baseline names it.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from attention.analyses.judge import judged
from attention.commands import report_options
from attention.errors import BadTable, InvalidRequest, NotFound
from attention.reports.judge import MOST_BYTES, JudgeReport, JudgeRequest, ResultFile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `judge`: files of results, how they are read, and what was planned."""
    parser.add_argument("files", nargs="+", type=Path, help="tables, exports, or a question as JSON")
    parser.add_argument("--baseline", help="the arm the others are compared with; the first of the files")
    parser.add_argument("--margin", type=float, help="differences up to this matter to nobody, in the unit")
    parser.add_argument("--unit", help="what scores are counted in: points (unless said), percent, share or a word")
    parser.add_argument("--lower-is-better", action="store_true", default=None, help="scores are losses or errors")
    parser.add_argument("--test-images", type=int, help="test images that each score is of")
    parser.add_argument("--majority", type=float, help="share of the most frequent class among them, 0 to 1")
    parser.add_argument("--first-look", type=int, help="seeds at which the first verdict was planned; all there are")
    parser.add_argument("--looks", type=int, choices=(1, 2, 3), help="1: no seeds are added after the verdict; 3")
    parser.add_argument("--unpaired", action="store_true", help="runs of one seed do not belong together")
    parser.add_argument("--score", help="which metric of an export is the score")
    parser.add_argument("--step", type=int, help="the step to take of each run; the last one")
    parser.add_argument("--pattern", help="how an export's runs are called, such as {arm}-s{seed}")
    parser.add_argument("--arm-column", help="column that names the arm")
    parser.add_argument("--seed-column", help="column that holds the seed")
    report_options.add_arguments(parser)


def run(chosen: argparse.Namespace) -> None:
    """Judge the results in the named files, and print the verdicts."""
    options = {name: value for name, value in vars(chosen).items() if name in JudgeRequest.model_fields}
    fields = {name: value for name, value in options.items() if name != "files" and value is not None}
    files = _read(chosen.files)
    question_fields = _question(files[0]) if len(files) == 1 and files[0].name.endswith(".json") else {"files": files}
    try:
        request = JudgeRequest(**question_fields | fields | ({"paired": False} if chosen.unpaired else {}))
    except ValidationError as error:
        fault = error.errors()[0]
        option = "".join(f"--{str(part).replace('_', '-')}: " for part in fault["loc"][:1])
        raise InvalidRequest(f"{option}{fault['msg'].removeprefix('Value error, ')}") from None
    report = judged(request)
    if chosen.format == "text" and not chosen.table:
        report_options.give_text(_text(report), chosen)
    else:
        report_options.give(report, chosen)


def _read(paths: list[Path]) -> tuple[ResultFile, ...]:
    files, size = [], 0
    for path in paths:
        if not path.is_file():
            raise NotFound(f"There is no file {path}.")
        size += path.stat().st_size
        if size > MOST_BYTES:
            raise BadTable(f"The files have more than {MOST_BYTES // 1_000_000} MB, with {path} the last of them.")
        try:
            files.append(ResultFile(name=path.name, text=path.read_text("utf-8-sig")))
        except UnicodeDecodeError:
            raise BadTable(f"{path} is not text in UTF-8.") from None
    return tuple(files)


def _question(file: ResultFile) -> dict[str, Any]:
    """The fields of a question that a file holds as POST /v1/judge takes it.

    Raises:
        BadTable: it is no object in JSON.
    """
    try:
        fields = json.loads(file.text)
    except ValueError as error:
        raise BadTable(f"{file.name} is not JSON: {error}.") from None
    if not isinstance(fields, dict):
        raise BadTable(f"{file.name} holds no object with differences.")
    return fields


def _text(report: JudgeReport) -> str:
    verdicts = [arm.verdict for arm in report.arms if arm.verdict is not None]
    lines = [report.markdown()]
    for verdict in verdicts:
        lines += [verdict.sentence, *(f"  {note}" for note in verdict.notes)]
    return "\n".join([*lines, *report.caveats, f"=> {report.headline}"])
