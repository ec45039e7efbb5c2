"""The card of a finished run: what is written beside its weights."""

from datetime import date

import torch

from attention.data.dataset import DataSet
from attention.reports.parts.checkpoints import Card
from attention.spec import Recipe, Variant
from attention.training.train import Run


def card_of(variant: Variant, recipe: Recipe, seed: int, data: DataSet, run: Run, command: str) -> Card:
    """Write down what was trained, on what, where and how, and how well it does.

    Args:
        variant: as it should be called, without weights.
        command: what makes it again.
    """
    *before, place = run.places
    return Card(
        variant=variant,
        data=data.name,
        labels=data.classes,
        recipe=recipe,
        seed=seed,
        preprocess=data.preprocess(),
        train_images=len(data.train),
        validation_images=0 if data.validation is None else len(data.validation),
        test_images=len(data.test),
        test_accuracy=run.test_accuracy,
        validation_accuracy=run.curve[-1].validation_accuracy,
        device=place,
        resumed=tuple(f"Begun or gone on with on another device or number of threads: {there}." for there in before),
        torch=str(torch.__version__),
        date=date.today().isoformat(),
        seconds=round(run.seconds, 1),
        command=command,
    )
