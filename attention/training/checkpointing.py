"""What a run leaves on disk: its state after each epoch, from which it goes on; at the end, weights with their card."""

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from attention.reports.parts.checkpoints import Card
from attention.storage.base import FileStore, write_whole


@dataclass(frozen=True)
class Epoch:
    """How far a run is, after a whole epoch."""

    epoch: int
    loss: float
    validation_accuracy: float | None
    test_accuracy: float | None
    seconds: float

    @property
    def accuracy(self) -> float:
        """Accuracy on the images that are watched: validation images, or the test images where there are none."""
        accuracy = self.test_accuracy if self.validation_accuracy is None else self.validation_accuracy
        assert accuracy is not None
        return accuracy


COLUMNS = tuple(field.name for field in fields(Epoch) if field.name != "epoch")


def save_state(
    path: Path,
    model: nn.Module,
    optimiser: torch.optim.SGD,
    average: AveragedModel | None,
    curve: list[Epoch],
    places: list[str],
) -> None:
    """Keep all that the next epoch depends on, and the curve so far.

    Args:
        places: device and threads of the epochs, each once, in the order they came.
    """
    state = {f"model.{name}": value.contiguous() for name, value in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        state[f"momentum.{name}"] = optimiser.state[parameter]["momentum_buffer"].contiguous()
    if average:
        state |= {f"average.{name}": value.contiguous() for name, value in average.state_dict().items()}
    for column in COLUMNS:
        values = [getattr(epoch, column) for epoch in curve]
        state[f"curve.{column}"] = torch.tensor(
            [math.nan if value is None else value for value in values], dtype=torch.float64
        )
    write_whole(path, to_safetensors(state, {"places": json.dumps(places)}), private=True)


def load_state(
    path: Path, model: nn.Module, optimiser: torch.optim.SGD, average: AveragedModel | None
) -> tuple[list[Epoch], list[str]]:
    """Put a kept state into a network, its optimiser and its average; returns the epochs that are done, and where."""
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        places = json.loads((file.metadata() or {}).get("places", "[]"))
    model.load_state_dict(_below("model.", state))
    for name, parameter in model.named_parameters():
        optimiser.state[parameter]["momentum_buffer"] = (
            torch.empty_like(parameter).copy_(state[f"momentum.{name}"]).detach()
        )
    if average:
        average.load_state_dict(_below("average.", state))
    columns = [[None if math.isnan(value) else value for value in state[f"curve.{name}"].tolist()] for name in COLUMNS]
    return [Epoch(number, *values) for number, values in enumerate(zip(*columns, strict=True), start=1)], places


def _below(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def write_checkpoint(file_store: FileStore, place: str, model: nn.Module, card: Card) -> None:
    """Keep a network's weights and its card side by side: ``place`` and what each is."""
    state = {key: value.cpu().contiguous() for key, value in model.state_dict().items()}
    file_store.write(f"{place}.json", card.model_dump_json(indent=1).encode() + b"\n")
    # The weights come last, for the network is there as soon as they are.
    file_store.write(f"{place}.safetensors", to_safetensors(state))
