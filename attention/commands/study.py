"""Train networks on the same data with the same seeds, and say what their differences allow to say.

    attention-lab study DATA resnet20/none resnet20/se resnet20/eca --seeds 8 --recipe quick --keep FOLDER

The first network is the baseline. Every run is kept in FOLDER under a name made of what decides its result, so the
command goes on where it was stopped, and with more networks or more seeds it trains only what is new. Several
processes may share a FOLDER if each has seeds of its own (``--first-seed``); the same command over all the seeds
then trains nothing and reports on all of them. ``--by-arm`` does all seeds of a network before the next network, so
that some arms are whole where time runs out. The report is written into FOLDER as ``report.json``, ``report.csv``
and ``report.tex``. ``--ship`` puts it, with one seed's checkpoints, where the service shows what comes with it.
"""

import argparse
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import get_args

from safetensors.torch import load_file, save
from torch import Tensor

from attention import shipped_reports
from attention.commands import data_options, training_options
from attention.data.folder import DataFolder, data_set_name
from attention.data.intake.inventory import check
from attention.errors import InvalidRequest, NotFound
from attention.measuring.traits import narrow_bottlenecks
from attention.names import split_names
from attention.progress import ProgressLine
from attention.reports.parts.checkpoints import Card
from attention.reports.parts.recipes import RECIPES
from attention.reports.parts.study_plan import Score
from attention.reports.study import RunReport, StudyReport, StudyRequest
from attention.spec import Plain, Variant
from attention.storage.base import write_whole
from attention.storage.folder import FolderStore
from attention.training.conditions import unseen_images
from attention.training.run_study import prepare, run_study
from attention.training.study import RunStore
from attention.training.summary import test_set
from attention.weights.load import SHIPPED, bare, checkpoint_name, shipped


def ship(
    name: str,
    request: StudyRequest,
    report: StudyReport,
    study_folder: Path,
    folder: Path,
    reports: Path,
    command: str,
    data: str,
) -> None:
    """Write a study for the service to show: its report, and the networks of its first seed.

    Args:
        name: of the report's file; its id is ``shipped-NAME``.
        study_folder: the folder whose ``checkpoints`` the runs lie in.
        folder: where the service looks for networks that come along.
        reports: where it looks for reports that do.
        command: what a reader types to get this study; the checkpoints' cards name it.
        data: what the data set is called where the study is shown; the name of its folder may have fewer letters.
    """
    runs = ship_networks(report.runs, study_folder, folder, command, data)
    facts = report.data.model_copy(update={"name": data})
    shown = report.model_copy(update={"runs": runs, "data": facts})
    shipped_reports.write(name, request, shown, reports)


def ship_networks(
    runs: Sequence[RunReport], study_folder: Path, folder: Path, command: str, data: str
) -> tuple[RunReport, ...]:
    """Write the networks of the first seed for the service to load, as float16 with statistics in float32.

    Returns:
        The runs, naming the weights that come along and no others.
    """
    first = min(run.seed for run in runs)
    shown: list[RunReport] = []
    for report in runs:
        weights = None
        if report.seed == first and report.weights is not None:
            source = study_folder / "checkpoints" / report.weights.removeprefix("file:")
            if source.with_suffix(".safetensors").exists():
                _ship_network(source, folder, command, data)
                weights = "shipped"
            elif _comes_along(report):
                weights = "shipped"
        shown.append(report.model_copy(update={"weights": weights}))
    return tuple(shown)


def _ship_network(source: Path, folder: Path, command: str, data: str) -> None:
    """Write one network, whose weights and card lie at a path without its ending."""
    card = Card.model_validate_json(source.with_suffix(".json").read_bytes())
    card = card.model_copy(update={"command": command, "data": data})
    name = checkpoint_name(card.variant)
    state = {key: _half(key, tensor) for key, tensor in load_file(source.with_suffix(".safetensors")).items()}
    write_whole(folder / f"{name}.safetensors", save(state))
    write_whole(folder / f"{name}.json", card.model_dump_json(indent=1).encode() + b"\n")


def _comes_along(run: RunReport) -> bool:
    """Whether the network of a run comes with the project already: its runs may be kept without their checkpoints."""
    card = shipped().get(bare(Variant.parse(run.arm)))
    return card is not None and (card.seed, card.test_accuracy) == (run.seed, run.test_accuracy)


def _half(key: str, tensor: Tensor) -> Tensor:
    """Return weights in float16; means and variances of BatchNorm may be beyond its range and stay as they are."""
    return tensor if key.rpartition(".")[2] in ("running_mean", "running_var") else tensor.half()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `study`: networks, data, number of seeds, and where the result goes."""
    training_options.add_arguments(parser)
    parser.add_argument("--seeds", type=int, default=8, help="runs of each network")
    parser.add_argument("--first-look", type=int, help="seeds at which the first verdict is given; those of --seeds")
    parser.add_argument(
        "--looks", type=int, choices=(1, 2, 3), default=3, help="1: no seeds are added after the verdict"
    )
    parser.add_argument("--choose", action="store_true", help="choose among all networks by validation; no verdicts")
    parser.add_argument(
        "--recipes",
        type=split_names,
        default=(),
        help=f"recipes to choose among as well, instead of --recipe, by comma: {', '.join(RECIPES)}",
    )
    parser.add_argument("--first-seed", type=int, default=0, help="the others follow it")
    parser.add_argument("--score", choices=get_args(Score), default="accuracy", help="what networks are compared by")
    parser.add_argument("--margin", type=float, default=0.5, help="differences up to so many points are called none")
    parser.add_argument(
        "--keep", type=Path, default=Path("studies"), help="where runs, checkpoints and report are kept"
    )
    parser.add_argument(
        "--by-arm",
        action="store_true",
        help="all seeds of a network before the next network; by default all networks of a seed before the next seed",
    )
    parser.add_argument("--plan-only", action="store_true", help="keep the plan, and train nothing yet")
    parser.add_argument(
        "--ship-networks",
        metavar="TITLE",
        help="train nothing, but write the networks of the first seed that are there into "
        f"{SHIPPED.parent.name}/{SHIPPED.name}; TITLE is what their data are called",
    )
    parser.add_argument(
        "--ship",
        nargs=2,
        metavar=("NAME", "TITLE"),
        help=f"write the networks into {SHIPPED.parent.name}/{SHIPPED.name}, the report as NAME into "
        f"{shipped_reports.FOLDER.name}; TITLE is what their data are called",
    )


def run(chosen: argparse.Namespace) -> None:
    """Run the study that the command line describes; print its table and its verdicts."""
    training_options.prepare(chosen)
    name = data_set_name(chosen.data_name or chosen.data.path.absolute().name.partition(".")[0])
    with training_options.understood(chosen):
        request = StudyRequest(
            data=name,
            size=chosen.size,
            validation=chosen.validation,
            choose=chosen.choose or bool(chosen.recipes),
            recipes=training_options.recipes(chosen),
            variants=training_options.variants(chosen),
            seeds=chosen.seeds,
            first_seed=chosen.first_seed,
            recipe=training_options.recipe(chosen),
            margin=chosen.margin,
            score=chosen.score,
            first_look=chosen.first_look,
            looks=chosen.looks,
        )
    _link(chosen.data.path, chosen.keep / "datasets", name)
    file_store = FolderStore(chosen.keep, private=False)
    command = _command(chosen, request)
    run_store = RunStore(file_store, chosen.device, compiled=chosen.compile, made_by=command)
    with data_options.choosing(), ProgressLine() as line:  # what is read through here is remembered
        inventory = DataFolder(file_store).intake(name, line, chosen.data.choices).inventory
        check(inventory, name)
    if chosen.plan_only:
        study = prepare(request, run_store)
        plan, facts = study.plan, study.facts
        notes = [plan.sentence if plan else "Choosing by validation accuracy needs no plan.", *test_set(request, facts)]
        warnings = [unseen_images(request.recipe, facts.train_images), *map(narrow_bottlenecks, study.arms)]
        notes += filter(None, warnings)
        print("\n".join(notes), flush=True)
        return
    if chosen.ship_networks:
        ended = [record for record in prepare(request, run_store).records.values() if record.done]
        ship_networks(ended, chosen.keep, SHIPPED, command, chosen.ship_networks)
        return
    report = run_study(request, run_store, _tell, by_arm=chosen.by_arm)
    write_whole(chosen.keep / "report.json", report.model_dump_json(indent=1).encode() + b"\n")
    write_whole(chosen.keep / "report.csv", report.csv().encode())
    write_whole(chosen.keep / "report.tex", report.latex().encode())
    for name in ("classes", "confusion"):
        write_whole(chosen.keep / f"{name}.csv", report.csv(name).encode())
    write_whole(chosen.keep / "classes.tex", report.latex("recall").encode())
    if chosen.ship:
        report_name, title = chosen.ship
        ship(report_name, request, report, chosen.keep, SHIPPED, shipped_reports.FOLDER, command, title)
    print("\n".join(_told(report)))
    files = "report.json, report.csv, report.tex, classes.csv, classes.tex and confusion.csv"
    print(f"Written: {files} in {chosen.keep}", flush=True)


def _tell(done: int, total: int, note: str = "", partial: Plain | None = None) -> None:
    """Print how far the study is."""
    print(f"{time.strftime('%H:%M:%S')}  {done}/{total} epochs  {note}", flush=True)


def _command(chosen: argparse.Namespace, request: StudyRequest) -> str:
    """The line that gives this study again, wherever the data lies."""
    words = [*(arm.name for arm in request.arms()), "--data-name", request.data, *training_options.decisive(chosen)]
    words += ["--seeds", str(request.seeds), "--first-seed", str(request.first_seed)]
    if request.first_look is not None:
        words += ["--first-look", str(request.first_look)]
    words += ["--score", request.score] if request.score != "accuracy" else []
    words += ["--recipes", ",".join(chosen.recipes)] if chosen.recipes else []
    words += ["--choose"] if request.choose else ["--looks", str(request.looks)]
    return f"attention-lab study DATA {shlex.join(words)} --margin {request.margin:g}"


def _link(data: Path, folder: Path, name: str) -> None:
    """Make a data set known by name in the folder that a study reads from.

    Raises:
        NotFound: there is no data set there.
        InvalidRequest: the name stands for other data in this folder.
    """
    if not data.exists():
        raise NotFound(f"There is no data set at {data}.")
    folder.mkdir(parents=True, exist_ok=True)
    links = [path for path in folder.iterdir() if path.name.partition(".")[0] == name]
    for path in links:
        if path.exists() and not path.samefile(data):
            raise InvalidRequest(
                f"{name!r} is {path.resolve()} in this folder of runs. Give other data another name: --data-name."
            )
        if not path.exists():
            path.unlink()  # a link to what was moved away
    link = folder / (name if data.is_dir() else name + "".join(data.suffixes))
    with suppress(FileExistsError):  # it is there, or another process that shares the folder was quicker
        link.symlink_to(data.resolve())


def _told(report: StudyReport) -> Iterator[str]:
    """The table, the caveats and the verdicts, a line each."""
    for arm in report.arms:
        accuracy = report.mean_accuracy(arm)
        mean = "no result" if accuracy is None else f"{accuracy:.2f} %"
        spread = f" ± {arm.spread:.2f} (standard deviation over seeds)" if arm.spread is not None else ""
        yield f"{arm.name}: {mean}{spread}, n = {arm.n}, {arm.parameters:,} parameters"
    if report.choice is not None:
        for name, points in sorted(report.choice.validation_accuracy.items(), key=lambda named: -named[1]):
            yield f"{name}: {points:.2f} % on {report.data.validation_images:,} validation images"
    verdicts = [arm.verdict for arm in report.arms if arm.verdict]
    below = {verdict.sentence for verdict in verdicts}
    yield from (sentence for sentence in (*report.caveats, *report.test_set) if sentence not in below)
    for verdict in verdicts:
        yield verdict.sentence
        yield from (f"  {note}" for note in verdict.notes)
    yield f"=> {report.headline}"
