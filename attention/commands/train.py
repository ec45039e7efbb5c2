"""Train networks, one after the other.

attention-lab train DATA resnet20/none resnet20/se resnet20/eca --recipe quick --out FOLDER
"""

import argparse
import hashlib
import shlex
from pathlib import Path

from attention.build import resolve
from attention.commands import data_options, training_options
from attention.data.dataset import DataSet, read
from attention.data.intake.inventory import take_inventory
from attention.measuring.traits import narrow_bottlenecks
from attention.progress import ProgressLine
from attention.reports.parts.inventory import AS_FOUND
from attention.spec import Recipe, Variant
from attention.storage.folder import FolderStore
from attention.training.cards import card_of
from attention.training.checkpointing import Epoch, write_checkpoint
from attention.training.conditions import unseen_images
from attention.training.train import train
from attention.weights.load import bare, checkpoint_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `train`: networks, data, seed, and where the result goes."""
    training_options.add_arguments(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("checkpoints"), help="where weights and cards go")


def run(chosen: argparse.Namespace) -> None:
    """Train the variants named on the command line, one after the other."""
    training_options.prepare(chosen)
    with training_options.understood(chosen):
        recipe = training_options.recipe(chosen)
        variants = [resolve(variant) for variant in training_options.variants(chosen)]
    place = chosen.data
    choices = place.choices or AS_FOUND
    with data_options.choosing(), ProgressLine() as line:
        intake = take_inventory(place.path, choices, line)
        data = read(place.path, chosen.size, chosen.data_name, chosen.validation, choices=choices, intake=intake)
    assert data.facts is not None
    warnings = [unseen_images(recipe, len(data.train)), *map(narrow_bottlenecks, variants)]
    print("\n".join([data.facts.sentence, *filter(None, warnings)]), flush=True)
    for variant in variants:
        _train_and_write(variant, recipe, data, chosen)


def _train_and_write(variant: Variant, recipe: Recipe, data: DataSet, chosen: argparse.Namespace) -> None:
    watched = "test" if data.validation is None else "validation"
    identity = bare(variant)

    def on_progress(epoch: Epoch) -> None:
        print(
            f"{identity.name}  epoch {epoch.epoch}/{recipe.epochs}  loss {epoch.loss:.3f}  "
            f"{watched} accuracy {epoch.accuracy:.4f}  {epoch.seconds:.0f} s",
            flush=True,
        )

    decided = f"{chosen.seed} {recipe.model_dump_json()} {data.facts and data.facts.fingerprint}"
    digest = hashlib.sha256(decided.encode()).hexdigest()[:12]
    resume = chosen.out / f".{checkpoint_name(identity)}-{digest}.part"
    run = train(
        variant,
        recipe,
        data,
        seed=chosen.seed,
        device=chosen.device,
        compiled=chosen.compile,
        resume=resume,
        on_epoch=on_progress,
    )
    words = [identity.name, *training_options.decisive(chosen), "--seed", str(chosen.seed)]
    command = f"attention-lab train DATA {shlex.join(words)}"
    card = card_of(identity, recipe, chosen.seed, data, run, command)
    name = checkpoint_name(card.variant)
    write_checkpoint(FolderStore(chosen.out, private=False), name, run.model, card)
    resume.unlink(missing_ok=True)
    wrote = chosen.out / f"{name}.safetensors"
    print(f"wrote {wrote}  test accuracy {card.test_accuracy:.4f}  {card.seconds:.0f} s", flush=True)
