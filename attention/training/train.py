"""Train a variant: one loop, readable top to bottom.

Variants of one seed share their backbone's initial weights, the order of the images and every crop and flip: these
are drawn from (seed, epoch) alone. So a run that was killed resumes at its last whole epoch and ends as if it had
not been. The same seed gives the same run on one device, torch version and number of threads; compiled steps round
differently from eager ones.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from attention.build import build
from attention.data.dataset import DataSet, Split
from attention.data.preprocessing import normaliser
from attention.errors import BadData, Diverged, InvalidRequest, TooLarge, first_line
from attention.running.device import device_name
from attention.spec import Preprocess, Recipe, Variant
from attention.training.augmentation import Draw, augmented, draws, padded
from attention.training.checkpointing import Epoch, load_state, save_state
from attention.training.graphs import CudaRecorder, Recorded, Recorder, sent
from attention.training.optimiser import sgd


@dataclass(frozen=True)
class Run:
    """A finished run: the network in eval mode, the curve of its training, and what it says of the test images.

    Attributes:
        predicted: first class of each test image, (N,).
        places: device and threads of its epochs, each once, in the order they came.
    """

    model: nn.Module
    curve: tuple[Epoch, ...]
    predicted: Tensor
    test_accuracy: float
    places: tuple[str, ...]

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
    compiled: bool = False,
    graphs: bool = True,
    recorder: Recorder | None = None,
    resume: Path | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Run:
    """Train a variant from its initial weights, and test it once, after the last epoch.

    Args:
        data: accuracies during training are of its validation images, if it has any.
        seed: of the initial weights, the order of the images and the augmentation.
        compiled: whether torch.compile makes one program of a step before the first: tens of seconds for each
            network, which a long run on a GPU may win back. On two CPU cores a compiled step took as long as an eager
            one (docs/benchmarks.md).
        graphs: whether steps are recorded where that can be done: on CUDA, unless they are compiled.
        recorder: what records them; by default `CudaRecorder`.
        resume: a file that keeps the state after each epoch; a run that finds it goes on from there.
        on_epoch: told after every epoch; whatever it raises ends the run, which can be resumed.

    Raises:
        Diverged: the loss or a weight is not a number any more.
        BadData: there are fewer training images than one batch holds.
        TooLarge: the device has too little memory.
        InvalidRequest: steps cannot be compiled here.
    """
    steps = len(data.train) // recipe.batch_size
    if steps == 0:
        raise BadData(f"{len(data.train)} training images do not fill one batch of {recipe.batch_size}. Lower it.")
    fresh = variant.model_copy(update={"seed": seed, "classes": len(data.classes), "weights": None})
    with _sentences_for(device, recipe):
        model = build(fresh).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if graphs and not compiled and device.startswith("cuda"):
            recorder = recorder or CudaRecorder(device)
        optimiser, rate = (
            sgd(model, recipe, fused=recorder is not None or device.startswith("cuda")),
            torch.zeros((), device=device),
        )
        for group in optimiser.param_groups:
            group["lr"] = rate
        average = _average(model, recipe)
        tested = average.module if average else model
        how = data.preprocess()
        normalise = normaliser(how, device)
        curve, places = load_state(resume, model, optimiser, average) if resume and resume.exists() else ([], [])
        if len(curve) < recipe.epochs and place_of(device) not in places[-1:]:
            places.append(place_of(device))
        images, labels = padded(data.train.images, recipe).to(device), data.train.labels.to(device)
        total = torch.zeros((), device=device)

        def loss_of(pixels: Tensor, truth: Tensor) -> Tensor:
            with torch.autocast("cuda", torch.bfloat16, enabled=device.startswith("cuda")):
                logits = model(normalise(pixels.permute(0, 3, 1, 2)))  # (B, K), channels last as it is
                return F.cross_entropy(logits, truth, label_smoothing=recipe.label_smoothing)

        forward = _compiled(loss_of) if compiled else loss_of

        def update(order: Tensor, rows: Tensor, columns: Tensor, colours: Tensor | None) -> Tensor:
            optimiser.zero_grad(set_to_none=True)
            loss = forward(augmented(images, Draw(order, rows, columns, colours)), labels[order])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if average:
                average.update_parameters(model)
            return total.add_(loss.detach())

        step = Recorded(update, recorder)
        classes_of = Recorded(lambda pixels: tested(normalise(pixels.permute(0, 3, 1, 2))).argmax(1), recorder)
        for epoch in range(len(curve), recipe.epochs):
            started = time.perf_counter()
            total.zero_()
            model.train()
            for number, draw in enumerate(sent(draws(len(data.train), data.size, recipe, seed, epoch), device)):
                rate.fill_(learning_rate(recipe, epoch * steps + number, recipe.epochs * steps))
                step(*draw)
            if average:
                average.n_averaged.fill_((epoch + 1) * steps)  # it is counted on the CPU, which replays pass by
            mean_loss = total.item() / steps
            if not math.isfinite(mean_loss):
                raise Diverged(
                    f"{variant.name} diverged in epoch {epoch + 1}: its loss is {mean_loss}. Lower the rate (lr)."
                )
            accuracy = evaluate(tested, data.watched, how, classes_of)
            validation, test = (None, accuracy) if data.validation is None else (accuracy, None)
            curve.append(Epoch(epoch + 1, mean_loss, validation, test, time.perf_counter() - started))
            if resume:
                save_state(resume, model, optimiser, average, curve, places)
            on_epoch(curve[-1])
        if not all(value.isfinite().all() for value in tested.state_dict().values()):
            raise Diverged(f"{variant.name} diverged in its last epoch: a weight is not a number. Lower the rate (lr).")
        predicted = predict(tested, data.test, how, classes_of)
    return Run(tested.eval(), tuple(curve), predicted, _right(predicted, data.test), tuple(places))


def place_of(device: str) -> str:
    """Say what else a run's rounding depends on: the device and, on a CPU, the number of threads."""
    threads = torch.get_num_threads()
    plural = "" if threads == 1 else "s"
    return device_name(device) + ("" if device.startswith("cuda") else f", {threads} thread{plural}")


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of a step: linear up to ``lr`` over the warm-up, then half a cosine down to zero."""
    rise = recipe.warmup * steps
    if step < rise:
        return recipe.lr * (step + 1) / rise if rise >= 1 else recipe.lr
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))


def evaluate(
    model: nn.Module, split: Split, how: Preprocess, classes_of: Callable[[Tensor], Tensor] | None = None
) -> float:
    """Share of images whose most probable class is their label; arguments as of `predict`."""
    return _right(predict(model, split, how, classes_of), split)


def _right(predicted: Tensor, split: Split) -> float:
    return int((predicted == split.labels).sum()) / len(split)


@torch.inference_mode()
def predict(
    model: nn.Module,
    split: Split,
    how: Preprocess,
    classes_of: Callable[[Tensor], Tensor] | None = None,
    batch_size: int = 500,
) -> Tensor:
    """Find the most probable class of each image, (N,) on the CPU; the network is in eval mode afterwards.

    Args:
        classes_of: gives the classes (B,) of pixels (B, S, S, 3) on the device by the same network; a result may hold
            until the next call only.
    """
    model.eval()
    device = next(model.parameters()).device
    normalise = normaliser(how, device)
    classes_of = classes_of or (lambda pixels: model(normalise(pixels.permute(0, 3, 1, 2))).argmax(1))
    classes = torch.empty(len(split), dtype=torch.int64, device=device)
    for start in range(0, len(split), batch_size):
        pixels = split.images[start : start + batch_size].to(device)
        classes[start : start + batch_size] = classes_of(pixels)
    return classes.cpu()


def _average(model: nn.Module, recipe: Recipe) -> AveragedModel | None:
    """The moving average of weights and batch statistics; it starts at the weights after the first step."""
    if not recipe.ema:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)  # type: ignore[no-untyped-call]


def _compiled(loss_of: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A network compiled into one program at its first call; it keeps its class and its tensors' names."""
    torch.compiler.reset()  # torch stops compiling a function, without a word, that came with many networks before
    return torch.compile(loss_of)


@contextmanager
def _sentences_for(device: str, recipe: Recipe) -> Iterator[None]:
    """What ends a run because of the machine it runs on becomes a sentence."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
            raise TooLarge(
                f"{device} has too little memory for batches of {recipe.batch_size}. Halve batch_size."
            ) from error
        if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise InvalidRequest(
                f"Steps cannot be compiled here ({first_line(error)}). Train without compiling."
            ) from error
        raise
