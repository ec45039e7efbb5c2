"""Our training loop beside the plain one that most people write: the same network, recipe and data, in one run.

    python -m benchmarks.training [FOLDER] [--device cuda] [--compile] [--study] [--without-plain]

The plain loop is a torch Dataset, a DataLoader, PIL transforms (random crop, flip, to tensor, normalise) and an
eager network in float32. It gets decoded images from memory, which is kinder to it than reading files, and its
DataLoader is tried with 0 and with 2 workers. On CUDA our loop also runs without
recorded steps. Each turn trains every alternative from nothing: building, the epochs,
a test after each. ``--study`` also times none, SE and ECA with six seeds each, from nothing to the verdicts.

``--without-plain`` leaves the plain loop out. FOLDER is read twice: decoded, and with its decoded images known.
Without FOLDER the data is made up: noise whose average colour depends on the class.
"""

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from attention import commands
from attention.build import build
from attention.data.dataset import DataSet, Split, read
from attention.data.pixel_cache import PixelCache
from attention.running.device import best_device, device_name
from attention.spec import Preprocess, Recipe, Variant
from attention.training.train import learning_rate, train
from benchmarks.measure import line, paired_ratio

WORKERS = (0, 2)


@dataclass(frozen=True)
class Outcome:
    """What a whole training run ended with, and took: seconds by the clock, and of CPU with all child processes."""

    loss: float
    test_accuracy: float
    wall_s: float
    cpu_s: float


class Photos(Dataset[tuple[Tensor, int]]):
    """Images as a plain torch Dataset gives them: one at a time, through PIL."""

    def __init__(self, split: Split, how: Preprocess, recipe: Recipe | None) -> None:
        self.pixels, self.labels = split.images.numpy(), split.labels.tolist()
        self.recipe, self.size = recipe, how.size
        self.mean = torch.tensor(how.mean).view(3, 1, 1)
        self.std = torch.tensor(how.std).view(3, 1, 1)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self.pixels[index])
        if self.recipe is not None:
            padding = self.recipe.crop_padding
            left, top = random.randint(0, 2 * padding), random.randint(0, 2 * padding)
            image = ImageOps.expand(image, padding).crop((left, top, left + self.size, top + self.size))
            if self.recipe.flip and random.random() < 0.5:
                image = ImageOps.mirror(image)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255  # (3, S, S)
        return (pixels - self.mean) / self.std, self.labels[index]


def plain(variant: Variant, recipe: Recipe, data: DataSet, device: str, workers: int) -> tuple[float, float]:
    """The loop most people write; last epoch's mean loss, and accuracy."""
    random.seed(0)
    torch.manual_seed(0)
    model = build(variant).to(device)
    decayed = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=True)
    how = data.preprocess()
    pinned = device.startswith("cuda")
    batches = DataLoader(
        Photos(data.train, how, recipe), recipe.batch_size, True, num_workers=workers, drop_last=True, pin_memory=pinned
    )
    tests = DataLoader(Photos(data.test, how, None), 500, num_workers=workers, pin_memory=pinned)
    steps = recipe.epochs * len(batches)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: learning_rate(recipe, min(step, steps - 1), steps) / recipe.lr
    )
    total, right = 0.0, 0
    for _ in range(recipe.epochs):
        model.train()
        total = 0.0
        for images, labels in batches:
            loss = F.cross_entropy(model(images.to(device)), labels.to(device), label_smoothing=recipe.label_smoothing)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            right = sum(int((model(x.to(device)).argmax(1).cpu() == y).sum()) for x, y in tests)
    return total / len(batches), right / len(data.test)


def ours(
    variant: Variant, recipe: Recipe, data: DataSet, device: str, compiled: bool = False, graphs: bool = True
) -> tuple[float, float]:
    """`attention.training.train.train`; last epoch's mean loss, and accuracy."""
    run = train(variant, recipe, data, device=device, compiled=compiled, graphs=graphs)
    return run.curve[-1].loss, run.test_accuracy


def timed(run: Callable[[], tuple[float, float]]) -> Outcome:
    """A run with what it took."""
    wall, cpu = time.perf_counter(), _cpu_s()
    loss, accuracy = run()
    return Outcome(loss, accuracy, time.perf_counter() - wall, _cpu_s() - cpu)


def _cpu_s() -> float:
    """CPU seconds of this process and of its children that have ended, such as a DataLoader's workers."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def made_up(train_images: int, test_images: int, size: int = 32, classes: int = 10) -> DataSet:
    """Noise whose average colour depends on the class, so that there is something to learn."""
    colours = np.random.default_rng(0).integers(40, 216, (classes, 3))

    def split(count: int, seed: int) -> Split:
        labels = np.arange(count) % classes
        noise = np.random.default_rng(seed).normal(0, 60, (count, size, size, 3))
        images = np.clip(colours[labels][:, None, None] + noise, 0, 255).astype(np.uint8)
        return Split(torch.from_numpy(images), torch.from_numpy(labels))

    names = tuple(f"colour{number}" for number in range(classes))
    return DataSet("made-up", names, split(train_images, 1), split(test_images, 2))


def read_twice(source: Path, size: int) -> DataSet:
    """Read a data set, and read it again with its decoded images known; prints the seconds of both."""
    with tempfile.TemporaryDirectory() as folder:
        for which in ("decoded", "known"):
            started = time.perf_counter()
            data = read(source, size, validation=0, cache=PixelCache(Path(folder)))
            print(f"reading {source.name}, {which}: {time.perf_counter() - started:.2f} s", flush=True)
    return data


def write_folder(data: DataSet, folder: Path) -> Path:
    """A data set as a folder per class of PNG files."""
    for name, split in (("train", data.train), ("test", data.test)):
        for number, (pixels, label) in enumerate(zip(split.images, split.labels.tolist(), strict=True)):
            path = folder / name / data.classes[label] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.numpy()).save(path)
    return folder


def whole_study(source: Path, chosen: argparse.Namespace) -> None:
    """Time none, SE and ECA with six seeds each from nothing to the verdicts, which are printed."""
    with tempfile.TemporaryDirectory() as keep:
        arms = [f"{chosen.backbone}/{name}" for name in ("none", "se", "eca")]
        options = ["--seeds", "6", "--epochs", str(chosen.epochs), "--batch-size", str(chosen.batch_size)]
        options += ["--size", str(chosen.size), "--device", chosen.device, "--keep", keep]
        started = time.perf_counter()
        code = commands.main(["study", str(source), *arms, *options, *(["--compile"] if chosen.compile else [])])
        taken = time.perf_counter() - started
    if code == 0:
        print(f"from nothing to {len(arms)} x 6 runs: {taken:.1f} s, {18 / taken * 60:.1f} runs a minute")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "data", type=Path, nargs="?", help="folder per class, zip or CIFAR archive; made up if left out"
    )
    parser.add_argument("--images", type=int, default=1024, help="training images that are made up")
    parser.add_argument("--size", type=int, default=32, help="height and width of the images, pixels")
    parser.add_argument("--backbone", default="resnet20")
    parser.add_argument("--attention", default="eca")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--device", default=best_device())
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true", help="also our loop with compiled steps")
    parser.add_argument("--study", action="store_true", help="also the time of a whole study")
    parser.add_argument("--without-plain", action="store_true", help="only our loop")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    data = (
        read_twice(chosen.data, chosen.size) if chosen.data else made_up(chosen.images, chosen.images // 4, chosen.size)
    )
    recipe = Recipe(epochs=chosen.epochs, batch_size=chosen.batch_size)
    variant = Variant.parse(f"{chosen.backbone}/{chosen.attention}").model_copy(update={"classes": len(data.classes)})
    alternatives: dict[str, Callable[[], tuple[float, float]]] = {
        "ours": lambda: ours(variant, recipe, data, chosen.device)
    }
    if chosen.compile:
        alternatives["ours, compiled"] = lambda: ours(variant, recipe, data, chosen.device, compiled=True)
    if chosen.device.startswith("cuda"):
        alternatives["ours, steps not recorded"] = lambda: ours(variant, recipe, data, chosen.device, graphs=False)
    for workers in () if chosen.without_plain else WORKERS:
        alternatives[f"plain loop, {workers} workers"] = lambda workers=workers: plain(  # type: ignore[misc]
            variant, recipe, data, chosen.device, workers
        )
    print(
        f"{variant.name}, {len(data.train):,} + {len(data.test):,} images of {data.size} px ({data.name}), "
        f"{recipe.epochs} epochs, batch {recipe.batch_size}, {device_name(chosen.device)}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    outcomes: dict[str, list[Outcome]] = {name: [] for name in alternatives}
    for turn in range(chosen.turns + 1 if chosen.turns else 0):
        for name, run in alternatives.items():
            outcome = timed(run)
            if turn > 0:  # the first turn warms up
                outcomes[name].append(outcome)
    if chosen.turns:
        report(outcomes, recipe.epochs, len(data.train))
    if chosen.study:
        with tempfile.TemporaryDirectory() as folder:
            whole_study(chosen.data or write_folder(data, Path(folder) / "made-up"), chosen)


def report(outcomes: dict[str, list[Outcome]], epochs: int, images: int) -> None:
    """Print speeds, and ours as a ratio to the plain loop with the number of workers that is better for it."""
    for name, found in outcomes.items():
        print(line(name, [60 * epochs / one.wall_s for one in found], "epochs a minute"))
        print(line("", [images * epochs / one.wall_s for one in found], "images a second, tests included"))
        print(line("", [one.cpu_s * 1e3 / (images * epochs) for one in found], "ms CPU an image"))
        loss, accuracy = (np.mean([getattr(one, field) for one in found]) for field in ("loss", "test_accuracy"))
        print(f"{'':<42} last epoch's loss {loss:.3f}, test accuracy {100 * accuracy:.1f} %")

    def median_wall(name: str) -> float:
        return float(np.median([one.wall_s for one in outcomes[name]]))

    if not any(name.startswith("plain") for name in outcomes):
        return
    best = min((f"plain loop, {workers} workers" for workers in WORKERS), key=median_wall)
    for name in outcomes:
        if name.startswith("ours"):
            for what in ("wall_s", "cpu_s"):
                over, under = ([getattr(one, what) for one in outcomes[which]] for which in (best, name))
                print(paired_ratio(f"{what.removesuffix('_s')} time, {best} / {name}", over, under))


if __name__ == "__main__":
    main()
