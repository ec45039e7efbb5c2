"""Makes the reports that come along: a sweep, a fold, a diagnosis, a search for disagreement, and two of latency.

    python -m benchmarks.shipped_reports [NAME ...] [--into FOLDER]

The networks are those that come along, the images the 200 photos of ``flowers-sample``. Times are of one thread, so the
machine should be idle: where the plain network's two timings differ too much, the report of latency is not written.
"""

import argparse
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from attention.errors import AttentionError
from attention.lab import Lab
from attention.progress import ProgressLine
from attention.reports.diagnose import DiagnoseRequest
from attention.reports.disagreement import DisagreementRequest
from attention.reports.fold import FoldReport, FoldRequest
from attention.reports.latency import LatencyReport, LatencyRequest
from attention.reports.overview import FAMILIAR
from attention.reports.study import StudyRequest
from attention.reports.sweep import SweepRequest
from attention.shipped_reports import FOLDER, of, write
from attention.spec import Pictures, Request, Variant
from attention.weights.load import shipped
from server.answers.provenance import Provenance
from server.engine.local import LocalEngine
from server.settings import Settings

PHOTOS = Pictures(data="flowers-sample", limit=200)
ROUNDS = 1000


def latency(networks: Iterable[Variant], size: int, classes: int) -> LatencyRequest:
    """Time networks, one image a pass on one thread, beside their plain twin."""
    variants = tuple(variant.model_copy(update={"weights": None, "classes": classes}) for variant in networks)
    return LatencyRequest(variants=variants, input_size=size, device="cpu", rounds=ROUNDS)


def photo_networks() -> Iterator[Variant]:
    """What ``latency`` times: networks with attention on the default backbone, shipped ones and the study's arms."""
    host = Variant.parse("none")
    (arms, *_) = (report.arms for stored, report in of(StudyRequest))
    for variant in dict.fromkeys([*shipped(), *(arm.variant.model_copy(update={"classes": None}) for arm in arms)]):
        if (variant.backbone, variant.backbone_options) == (host.backbone, host.backbone_options) and variant.attention:
            yield variant


QUESTIONS: Mapping[str, Request[Any]] = {
    "sweep": SweepRequest(variant=Variant.parse("eca"), images=PHOTOS),
    "fold": FoldRequest(variant=Variant.parse("eca"), images=PHOTOS, rounds=100),
    "diagnose": DiagnoseRequest(variant=Variant.parse("se"), images=PHOTOS),
    "disagreement": DisagreementRequest(images=PHOTOS, limit=24),
    "latency": latency(photo_networks(), 96, 5),
    "latency-resnet20": latency((Variant.parse(f"resnet20/{module}") for module in FAMILIAR), 32, 10),
}
"""Name of a shipped report -> its question; ``latency-resnet20`` times the networks of the study of CIFAR-10."""


def make(name: str, into: Path) -> str:
    """Answer a question and write its report; gives its headline.

    Raises:
        AttentionError: its times cannot be trusted.
    """
    question = QUESTIONS[name]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, ProgressLine() as line:
        report = Lab(folder, "cpu", line).ask(question)
        settings = Settings(data=Path(folder), device="cpu", threads=1)
        engine = LocalEngine(settings)
        try:
            conditions = Provenance(engine, settings).conditions(question)
        finally:
            engine.close()
    if isinstance(report, FoldReport):
        report = report.model_copy(update={"kept": None})  # the folded network does not come along
    withheld = report.withheld if isinstance(report, LatencyReport) else None
    if withheld or (isinstance(report, FoldReport) and report.timing and report.timing.withheld):
        raise AttentionError(f"{name} is not written, because its times cannot be trusted. {withheld or ''}")
    write(name, question, report, into, conditions)
    return str(report.headline)


def main() -> None:
    """Make the reports that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(QUESTIONS)}")
    parser.add_argument("--into", type=Path, default=FOLDER, metavar="FOLDER")
    chosen = parser.parse_args()
    for name in chosen.names or QUESTIONS:
        try:
            print(f"{name}: {make(name, chosen.into)}", flush=True)
        except AttentionError as error:
            print(error, flush=True)


if __name__ == "__main__":
    main()
