"""Run a study from the command line, and ship what came out of it.

    python -m attention.run_study DATA resnet20/none resnet20/se resnet20/eca --seeds 6 --recipe quick --keep FOLDER

Runs are kept in FOLDER by what decides their result, so the command goes on where it was stopped, and the same
command with more arms or more seeds trains only what is new. Several processes may share a FOLDER if each has seeds
of its own (``--first-seed``). ``--ship`` writes the report and one seed's checkpoints for the service to show.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import ValidationError

from attention.analysis import Lab, Outputs, run
from attention.devices import best_device
from attention.errors import AttentionError, InvalidRequest
from attention.files import Files, write_whole
from attention.names import split_names
from attention.reports.checkpoints import Card
from attention.reports.study import RunReport, StudyReport, StudyRequest
from attention.spec import RECIPES, Ablation, Plain, Recipe, Variant
from attention.weights import SHIPPED, checkpoint_name

S = TypeVar("S")
T = TypeVar("T")


class CommandLab:
    """What an analysis may use that was started from a command line: it trains here and tells on the terminal."""

    def __init__(self, folder: Path, device: str) -> None:
        self.files = Files(folder)
        self.device = device

    def forward(self, variant: Variant, images: torch.Tensor, ablation: Ablation | None = None) -> Outputs:
        """Not for a study: it trains its own networks."""
        raise InvalidRequest("The command line trains; ask the service to look at networks.")

    def map(self, fn: Callable[[T], S], items: Sequence[T]) -> Iterator[S]:
        """Apply ``fn`` to every item, one after the other."""
        return map(fn, items)

    def progress(self, done: int, total: int, note: str = "", partial: Plain | None = None) -> None:
        """Print how far the study is."""
        print(f"{time.strftime('%H:%M:%S')}  {done}/{total} epochs  {note}", flush=True)


def ship(report: StudyReport, kept: Path, folder: Path) -> None:
    """Write a study for the service to show: its report, and for each arm the checkpoint of the first seed.

    Args:
        kept: the folder whose ``checkpoints`` the runs lie in.
        folder: where the service looks for what is shipped.
    """
    first = min(run.seed for run in report.runs)
    runs: list[RunReport] = []
    for one in report.runs:
        if one.seed == first and one.weights is not None:
            source = kept / "checkpoints" / one.weights.removeprefix("file:")
            card = Card.model_validate_json(source.with_suffix(".json").read_bytes())
            name = checkpoint_name(card.variant)
            write_whole(folder / f"{name}.safetensors", source.with_suffix(".safetensors").read_bytes())
            write_whole(folder / f"{name}.json", card.model_dump_json(indent=1).encode() + b"\n")
            runs.append(one.model_copy(update={"weights": "shipped"}))
        else:
            runs.append(one.model_copy(update={"weights": None}))
    shown = report.model_copy(update={"runs": tuple(runs)})
    write_whole(folder / "study.json", shown.model_dump_json(indent=1).encode() + b"\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the study that the command line describes; print its table and its verdicts."""
    parser = argparse.ArgumentParser(prog="python -m attention.run_study", description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder per class, zip of one, or CIFAR archive")
    parser.add_argument("arms", nargs="+", help="short names, the baseline first")
    parser.add_argument("--data-name", help="what the data set is called in the report")
    parser.add_argument("--recipe", default="quick", choices=sorted(RECIPES))
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--seeds", type=int, default=6, help="runs of each arm")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=32, help="height and width of the images, pixels")
    parser.add_argument("--margin", type=float, default=0.3, help="differences up to so many points are called none")
    parser.add_argument("--keep", type=Path, default=Path("studies"), help="where runs and checkpoints are kept")
    parser.add_argument("--device", default=best_device())
    parser.add_argument("--threads", type=int, help="CPU threads")
    parser.add_argument("--ship", action="store_true", help=f"write the result into {SHIPPED.parent.name}/shipped")
    chosen = parser.parse_args(arguments)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    try:
        lab: Lab = CommandLab(chosen.keep, chosen.device)
        report = run(_request(chosen, _link(chosen.data, chosen.keep, chosen.data_name)), lab)
    except ValidationError as error:
        print(error.errors()[0]["msg"].removeprefix("Value error, "), file=sys.stderr)
        return 2
    except AttentionError as error:
        print(error, file=sys.stderr)
        return 2
    (chosen.keep / "report.json").write_text(report.model_dump_json(indent=1))
    (chosen.keep / "report.csv").write_text(report.csv())
    (chosen.keep / "report.tex").write_text(report.latex())
    if chosen.ship:
        ship(report, chosen.keep, SHIPPED)
    print("\n".join(_told(report)))
    return 0


def _request(chosen: argparse.Namespace, data: str) -> StudyRequest:
    recipe = RECIPES[chosen.recipe]
    if chosen.epochs:
        recipe = Recipe.model_validate({**recipe.model_dump(), "epochs": chosen.epochs})
    return StudyRequest(
        data=data,
        size=chosen.size,
        variants=tuple(Variant.parse(name) for text in chosen.arms for name in split_names(text)),
        seeds=chosen.seeds,
        first_seed=chosen.first_seed,
        recipe=recipe,
        margin=chosen.margin,
    )


def _link(data: Path, keep: Path, name: str | None) -> str:
    """Make a data set known by name in the folder that a study reads from."""
    named = (name or data.name.partition(".")[0]) + "".join(data.suffixes)
    link = keep / "datasets" / named
    link.parent.mkdir(parents=True, exist_ok=True)
    if not data.exists():
        raise InvalidRequest(f"There is no file or folder {str(data)!r}.")
    if not link.exists():
        link.symlink_to(data.resolve())
    return named.partition(".")[0]


def _told(report: StudyReport) -> Iterator[str]:
    for arm in report.arms:
        mean = f"{arm.accuracy.estimate:.2f} % ± {arm.spread:.2f}" if arm.accuracy else "no interval"
        yield f"{arm.name}: {mean}, n = {arm.n}, {arm.parameters:,} parameters"
    yield from (arm.verdict.sentence for arm in report.arms if arm.verdict)
    yield f"=> {report.headline}"


if __name__ == "__main__":
    sys.exit(main())
