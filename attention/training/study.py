"""One run of a study, kept so that nothing is ever trained twice.

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

from attention.backbones import backbones
from attention.data.dataset import DataSet, read
from attention.data.files import owned_name
from attention.data.folder import DataFolder
from attention.data.pixel_cache import PixelCache
from attention.errors import AttentionError, Cancelled, Diverged, InvalidRequest, NotFound, StorageFailed, TooLarge
from attention.measuring.classification import balanced_accuracy, confusion, macro_f1
from attention.modules import modules
from attention.registry.aliases import former_spellings
from attention.reports.parts.predictions import PackedClasses
from attention.reports.study import CurvePoint, RunReport
from attention.spec import Plain, Recipe, Variant
from attention.storage.base import FileStore
from attention.training.cards import card_of
from attention.training.checkpointing import Epoch, write_checkpoint
from attention.training.train import Run, train

MOST_CONFUSED = 100
"""Confusion matrices of more classes than this are not kept in reports: a thousand classes have a million entries."""


class Task(Plain):
    """A training run of a study: network, seed, data and recipe."""

    variant: Variant
    recipe: Recipe
    seed: int
    data: str
    size: int
    validation: float
    fingerprint: str
    owner: str = ""

    @property
    def name(self) -> str:
        """Name of the run's files, which says all that decides its result.

        What has its default value is left out, so that a new field, whose default is what was done before it was there,
        renames no run that is kept. A default is therefore never changed.
        """
        key = self.model_dump_json(exclude={"data", "owner"}, exclude_defaults=True)
        return owned_name(f"run-{hashlib.sha256(key.encode()).hexdigest()[:20]}", self.owner)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of the run's files now, and names from before its module, backbone or options were renamed."""
        before = former_spellings(self.variant, backbones.names, modules.names)
        return (self.name, *(self.model_copy(update={"variant": variant}).name for variant in before))


@dataclass(frozen=True)
class RunStore:
    """Where runs are done and kept.

    Args:
        file_store: what holds ``datasets``, ``runs`` and ``checkpoints``.
        device: a torch device.
        compiled: whether steps are compiled before the first.
        made_by: the command that the cards of its runs name.
        owner: id of the API key whose runs these are: those of other keys are neither found nor gone on with.
        on_progress: called after each epoch; what it raises ends the run, which can be resumed.
    """

    file_store: FileStore
    device: str
    compiled: bool = False
    made_by: str = "POST /v1/study"
    owner: str = ""
    on_progress: Callable[[Task, RunReport], None] = lambda task, report: None

    def data(self, name: str, size: int, validation: float) -> DataSet:
        """A data set of the data folder, with a share of its training images for validation.

        Raises:
            NotFound: there is none of that name.
            BadData: it cannot be trained on.
        """
        folder = DataFolder(self.file_store)
        path = folder.path(name)
        if path is None:
            entries = ", ".join(entry.last for entry in folder.entries()) or "none yet"
            more = "" if self.owner else f" In the data folder there is: {entries}."
            raise NotFound(f"There is no data set {name!r}.{more}")
        cache = PixelCache(self.file_store.root / "pixels")
        return _read(folder, path, size, validation, path.stat().st_mtime_ns, cache)

    def record(self, task: Task) -> RunReport | None:
        """The record of a run, finished or not; None if it was never started."""
        for name in task.names:
            with suppress(FileNotFoundError):
                report = RunReport.model_validate_json(self.file_store.read(f"runs/{name}.json"))
                if name == task.name or report.done:
                    return report.model_copy(update={"arm": task.variant.name})
        return None

    def run(self, task: Task) -> RunReport:
        """Do a run, or give back what it gave before. One that ends with a sentence is a report too.

        Raises:
            Cancelled: ``on_progress`` said so.
        """
        record = self.record(task)
        if record is not None and record.done:
            return record
        data = self.data(task.data, task.size, task.validation)
        curve: list[Epoch] = []
        state = f"runs/{task.name}.part"
        resume = self.file_store.root / state

        def on_epoch(epoch: Epoch) -> None:
            curve.append(epoch)
            report = _report(task, curve, done=False)
            self.file_store.send(state)
            self.file_store.write(_record(task), report.model_dump_json().encode())
            self.on_progress(task, report)

        try:
            resume.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                self.file_store.path(state)
            if record is not None and resume.exists():
                curve += [Epoch(**point.model_dump()) for point in record.curve]
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
            write_checkpoint(self.file_store, f"checkpoints/{task.name}", run.model, card)
            report = _finished(task, run, data)
        except Cancelled:
            raise
        except (TooLarge, InvalidRequest, StorageFailed) as error:  # not of the run: the next time it goes on
            return _report(task, curve, done=True, failed=str(error))
        except AttentionError as error:
            diverged = isinstance(error, Diverged)
            report = _report(task, curve, done=True, failed=str(error)).model_copy(update={"diverged": diverged})
        self.file_store.write(_record(task), report.model_dump_json().encode())
        self.file_store.remove(state)
        return report

    def lost(self, task: Task, sentence: str) -> RunReport:
        """The report of a run whose machine went away; what is kept of it stays, so the next time it goes on."""
        record = self.record(task)
        curve = [Epoch(**point.model_dump()) for point in record.curve] if record else []
        return _report(task, curve, done=True, failed=sentence)


def _record(task: Task) -> str:
    """Where what is known of a run is kept."""
    return f"runs/{task.name}.json"


@lru_cache(maxsize=1)
def _read(folder: DataFolder, path: Path, size: int, validation: float, changed: int, cache: PixelCache) -> DataSet:
    return read(path, size, validation=validation, intake=folder.intake(path.name), cache=cache)


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
