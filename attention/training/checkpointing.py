"""What a run leaves on disk: its state after each epoch, from which it goes on; at the end, weights with their card."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from attention.reports.checkpoints import Card
from attention.storage.base import Depot, write_whole


@dataclass(frozen=True)
class Epoch:
    """How far a run is, after a whole epoch."""

    epoch: int
    loss: float
    test_accuracy: float
    seconds: float


def save_state(
    path: Path, model: nn.Module, optimiser: torch.optim.SGD, average: AveragedModel | None, curve: list[Epoch]
) -> None:
    """Keep all that the next epoch depends on, and the curve so far."""
    state = {f"model.{name}": value.contiguous() for name, value in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        state[f"momentum.{name}"] = optimiser.state[parameter]["momentum_buffer"].contiguous()
    if average:
        state |= {f"average.{name}": value.contiguous() for name, value in average.state_dict().items()}
    for field in ("loss", "test_accuracy", "seconds"):
        state[f"curve.{field}"] = torch.tensor([getattr(epoch, field) for epoch in curve], dtype=torch.float64)
    write_whole(path, to_safetensors(state))


def load_state(path: Path, model: nn.Module, optimiser: torch.optim.SGD, average: AveragedModel | None) -> list[Epoch]:
    """Put a kept state into a network, its optimiser and its average; returns the epochs that are done."""
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


def write_checkpoint(depot: Depot, place: str, model: nn.Module, card: Card) -> None:
    """Keep a network's weights and its card side by side: ``place`` and what each is."""
    state = {key: value.cpu().contiguous() for key, value in model.state_dict().items()}
    depot.write(f"{place}.json", card.model_dump_json(indent=1).encode() + b"\n")
    depot.write(f"{place}.safetensors", to_safetensors(state))  # last, for the network is there as soon as they are
