"""Train a variant: one loop, readable top to bottom.

    python -m attention.train DATA resnet20/none resnet20/se resnet20/eca --recipe quick --out FOLDER

Variants of one seed share their backbone's initial weights, the order of the images and every crop and flip: these
are drawn from (seed, epoch) alone. So a run that was killed resumes at its last whole epoch and ends as if it had
not been. The same seed gives the same run on one device, torch version and number of threads.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from attention.build import build, resolve
from attention.datasets import DataSet, Split, read
from attention.devices import best_device, device_name
from attention.errors import AttentionError, BadData, Diverged
from attention.files import write_whole
from attention.images import normalise
from attention.names import split_names
from attention.reports.checkpoints import Card
from attention.spec import RECIPES, Preprocess, Recipe, Variant
from attention.weights import bare, checkpoint_name


@dataclass(frozen=True)
class Epoch:
    """How far a run is, after a whole epoch."""

    epoch: int
    loss: float
    test_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Run:
    """A finished run: the network in eval mode and the curve of its training."""

    model: nn.Module
    curve: tuple[Epoch, ...]

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of all epochs."""
        return sum(epoch.seconds for epoch in self.curve)


def train(
    variant: Variant,
    recipe: Recipe,
    data: DataSet,
    *,
    seed: int = 0,
    device: str = "cpu",
    resume: Path | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Run:
    """Train a variant from its initial weights.

    Args:
        seed: of the initial weights, the order of the images and the augmentation.
        resume: a file that keeps the state after each epoch; a run that finds it goes on from there.
        on_epoch: told after every epoch; whatever it raises ends the run, which can be resumed.

    Raises:
        Diverged: the loss is not a number any more.
        BadData: there are fewer training images than one batch holds.
    """
    steps = len(data.train) // recipe.batch_size
    if steps == 0:
        raise BadData(f"{len(data.train)} training images do not fill one batch of {recipe.batch_size}.")
    fresh = variant.model_copy(update={"seed": seed, "classes": len(data.classes), "weights": None})
    model = build(fresh).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = _optimiser(model, recipe)
    average = _average(model, recipe)
    tested = average.module if average else model
    how = data.preprocess()
    curve = _load(resume, model, optimiser, average) if resume and resume.exists() else []
    images, labels = _padded(data.train.images, recipe.crop_padding).to(device), data.train.labels.to(device)

    for epoch in range(len(curve), recipe.epochs):
        started, total = time.perf_counter(), torch.zeros((), device=device)
        model.train()
        for step, (order, rows, columns) in enumerate(_batches(data, recipe, seed, epoch)):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(recipe, epoch * steps + step, recipe.epochs * steps)
            order, rows, columns = order.to(device), rows.to(device), columns.to(device)
            batch = images[order[:, None, None], rows[:, :, None], columns[:, None, :]]  # (B, S, S, 3)
            with torch.autocast("cuda", torch.bfloat16, enabled=device.startswith("cuda")):
                logits = model(normalise(batch.permute(0, 3, 1, 2), how))  # (B, K), channels last as it is
                loss = F.cross_entropy(logits, labels[order], label_smoothing=recipe.label_smoothing)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if average:
                average.update_parameters(model)
            total += loss.detach()
        mean_loss = total.item() / steps
        if not math.isfinite(mean_loss):
            raise Diverged(
                f"{variant.name} diverged in epoch {epoch + 1}: its loss is {mean_loss}. Lower the rate (lr)."
            )
        accuracy = evaluate(tested, data.test, how)
        curve.append(Epoch(epoch + 1, mean_loss, accuracy, time.perf_counter() - started))
        if resume:
            _save(resume, model, optimiser, average, curve)
        on_epoch(curve[-1])
    return Run(tested.eval(), tuple(curve))


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """One cycle: linear up to ``lr`` over the warm-up's share of all steps, then half a cosine down to zero."""
    rise = recipe.warmup * steps
    if step < rise:
        return recipe.lr * (step + 1) / rise if rise >= 1 else recipe.lr
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))


@torch.inference_mode()
def evaluate(model: nn.Module, split: Split, how: Preprocess, batch_size: int = 500) -> float:
    """Share of images whose most probable class is their label."""
    model.eval()
    device = next(model.parameters()).device
    right = 0
    for start in range(0, len(split), batch_size):
        pixels = split.images[start : start + batch_size].to(device)
        logits = model(normalise(pixels.permute(0, 3, 1, 2), how))  # (B, K)
        right += int((logits.argmax(1).cpu() == split.labels[start : start + batch_size]).sum())
    return right / len(split)


def _optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """SGD with Nesterov momentum; weight decay on convolution and linear weights, not on biases and normalisations."""
    decayed = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0)


def _average(model: nn.Module, recipe: Recipe) -> AveragedModel | None:
    """The moving average of weights and batch statistics; it starts at the weights after the first step."""
    if not recipe.ema:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)  # type: ignore[no-untyped-call]


def _padded(images: Tensor, padding: int) -> Tensor:
    """(N, S, S, 3) with ``padding`` black pixels around."""
    return F.pad(images, (0, 0, padding, padding, padding, padding)) if padding else images


def _batches(data: DataSet, recipe: Recipe, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """For each step: which images (B,), and which rows and columns of each (B, S). The same for every variant.

    A crop is a window of rows and columns of the padded image, and a flip reads the columns backwards.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    count, size = len(data.train), data.size
    order = torch.randperm(count, generator=generator)
    top, left = torch.randint(2 * recipe.crop_padding + 1, (2, count), generator=generator)
    flipped = torch.rand(count, generator=generator) < (0.5 if recipe.flip else 0.0)
    window = torch.arange(size)
    for step in range(count // recipe.batch_size):
        chosen = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        columns = torch.where(flipped[chosen, None], window.flip(0), window)
        yield chosen, top[chosen, None] + window, left[chosen, None] + columns


# ---------------------------------------------------------------- a run's state between epochs


def _save(
    path: Path, model: nn.Module, optimiser: torch.optim.SGD, average: AveragedModel | None, curve: list[Epoch]
) -> None:
    state = {f"model.{name}": value.contiguous() for name, value in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        state[f"momentum.{name}"] = optimiser.state[parameter]["momentum_buffer"].contiguous()
    if average:
        state |= {f"average.{name}": value.contiguous() for name, value in average.state_dict().items()}
    for field in ("loss", "test_accuracy", "seconds"):
        state[f"curve.{field}"] = torch.tensor([getattr(epoch, field) for epoch in curve], dtype=torch.float64)
    write_whole(path, to_safetensors(state))


def _load(path: Path, model: nn.Module, optimiser: torch.optim.SGD, average: AveragedModel | None) -> list[Epoch]:
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    model.load_state_dict(_below("model.", state))
    for name, parameter in model.named_parameters():
        optimiser.state[parameter]["momentum_buffer"] = (
            torch.empty_like(parameter).copy_(state[f"momentum.{name}"]).detach()
        )
    if average:
        average.load_state_dict(_below("average.", state))
    columns = [state[f"curve.{field}"].tolist() for field in ("loss", "test_accuracy", "seconds")]
    return [Epoch(number, *values) for number, values in enumerate(zip(*columns, strict=True), start=1)]


def _below(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


# ---------------------------------------------------------------- the command


def write_checkpoint(folder: Path, model: nn.Module, card: Card, name: str) -> Path:
    """Write a network's weights and its card side by side under a name; returns the path of the weights."""
    path = folder / f"{name}.safetensors"
    state = {key: value.cpu().contiguous() for key, value in model.state_dict().items()}
    write_whole(path, to_safetensors(state))
    write_whole(path.with_suffix(".json"), card.model_dump_json(indent=1).encode() + b"\n")
    return path


def main(arguments: list[str] | None = None) -> int:
    """Train the variants named on the command line, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m attention.train", description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder per class, zip of one, or CIFAR archive")
    parser.add_argument("variants", nargs="+", help="short names, such as resnet20/eca")
    parser.add_argument("--data-name", help="what the data set is called on the card")
    parser.add_argument("--recipe", default="quick", choices=sorted(RECIPES))
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=32, help="height and width of the images, pixels")
    parser.add_argument("--out", type=Path, default=Path("checkpoints"), help="where weights and cards go")
    parser.add_argument("--device", default=best_device())
    parser.add_argument("--threads", type=int, help="CPU threads of one run")
    chosen = parser.parse_args(arguments)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    try:
        recipe = RECIPES[chosen.recipe]
        if chosen.epochs:
            recipe = Recipe.model_validate({**recipe.model_dump(), "epochs": chosen.epochs})
        variants = [resolve(Variant.parse(name)) for text in chosen.variants for name in split_names(text)]
        data = read(chosen.data, chosen.size, chosen.data_name)
        for variant in variants:
            _train_and_write(variant, recipe, data, chosen)
    except AttentionError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _train_and_write(variant: Variant, recipe: Recipe, data: DataSet, chosen: argparse.Namespace) -> None:
    def tell(epoch: Epoch) -> None:
        print(
            f"{variant.name}  epoch {epoch.epoch}/{recipe.epochs}  loss {epoch.loss:.3f}  "
            f"test accuracy {epoch.test_accuracy:.4f}  {epoch.seconds:.0f} s",
            flush=True,
        )

    identity = bare(variant)
    resume = chosen.out / f".{checkpoint_name(identity)}-seed{chosen.seed}.part"
    run = train(variant, recipe, data, seed=chosen.seed, device=chosen.device, resume=resume, on_epoch=tell)
    command = f"python -m attention.train DATA {identity.name} --recipe {chosen.recipe}"
    command += f" --epochs {chosen.epochs}" if chosen.epochs else ""
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
        command=f"{command} --seed {chosen.seed} --size {chosen.size}",
    )
    path = write_checkpoint(chosen.out, run.model, card, checkpoint_name(card.variant))
    resume.unlink(missing_ok=True)
    print(f"wrote {path}  test accuracy {card.test_accuracy:.4f}  {card.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
