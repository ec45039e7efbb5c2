"""Train networks, one after the other.

attention-lab train DATA resnet20/none resnet20/se resnet20/eca --recipe quick --out FOLDER
"""

import argparse
import hashlib
import shlex
from datetime import date
from pathlib import Path

import torch

from attention.build import resolve
from attention.commands import training_options
from attention.data.dataset import DataSet, read
from attention.reports.checkpoints import Card
from attention.running.device import device_name
from attention.spec import Recipe, Variant
from attention.storage.folder import Folder
from attention.training.checkpointing import Epoch, write_checkpoint
from attention.training.train import train
from attention.weights.load import bare, checkpoint_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is trained, on what data, with which seed, and where the result goes."""
    training_options.add_arguments(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("checkpoints"), help="where weights and cards go")


def run(chosen: argparse.Namespace) -> None:
    """Train the variants named on the command line, one after the other."""
    training_options.prepare(chosen)
    with training_options.understood(chosen):
        recipe = training_options.recipe(chosen)
        variants = [resolve(variant) for variant in training_options.variants(chosen)]
    data = read(chosen.data, chosen.size, chosen.data_name)
    for variant in variants:
        _train_and_write(variant, recipe, data, chosen)


def _train_and_write(variant: Variant, recipe: Recipe, data: DataSet, chosen: argparse.Namespace) -> None:
    def tell(epoch: Epoch) -> None:
        print(
            f"{variant.name}  epoch {epoch.epoch}/{recipe.epochs}  loss {epoch.loss:.3f}  "
            f"test accuracy {epoch.test_accuracy:.4f}  {epoch.seconds:.0f} s",
            flush=True,
        )

    identity = bare(variant)
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
        on_epoch=tell,
    )
    words = [identity.name, *training_options.decisive(chosen), "--seed", str(chosen.seed)]
    card = Card(
        variant=identity,
        data=data.name,
        labels=data.classes,
        recipe=recipe,
        seed=chosen.seed,
        preprocess=data.preprocess(),
        train_images=len(data.train),
        test_images=len(data.test),
        test_accuracy=run.curve[-1].test_accuracy,
        device=f"{device_name(chosen.device)}, {torch.get_num_threads()} threads",
        torch=str(torch.__version__),
        date=date.today().isoformat(),
        seconds=round(run.seconds, 1),
        command=f"attention-lab train DATA {shlex.join(words)}",
    )
    name = checkpoint_name(card.variant)
    write_checkpoint(Folder(chosen.out), name, run.model, card)
    resume.unlink(missing_ok=True)
    wrote = chosen.out / f"{name}.safetensors"
    print(f"wrote {wrote}  test accuracy {card.test_accuracy:.4f}  {card.seconds:.0f} s", flush=True)
