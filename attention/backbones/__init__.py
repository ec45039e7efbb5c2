"""The shelf of backbones: one file a family, put here by ``@backbones.register("name")``.

A backbone is a function ``(*, classes, options) -> Backbone``. Its blocks hold empty slots where attention may go.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from attention.errors import BadOption, first_line
from attention.gate import OwnGates, Slot
from attention.models.one_pass import main_output
from attention.names import Size, height_and_width
from attention.registry import Registry
from attention.reports.parts.network import OutputKind

backbones: Registry[Callable[..., "Backbone"]] = Registry("backbone", __name__)


class Backbone(nn.Module):
    """A classifier: images (B, 3, H, W) -> logits (B, K).

    ``input_size`` is the height and width of its input in pixels; ``smallest_input`` the least it works on.
    ``chained`` says that blocks, and slots between them, run one after another, each seeing only what the one before
    gives: then forward passes that differ from some block on can share all before it (see
    `attention.running.many_ablations`).
    """

    input_size: Size = 224
    smallest_input: int = 1
    chained: bool = False

    @property
    def height_and_width(self) -> tuple[int, int]:
        """Height and width of its input, pixels."""
        return height_and_width(self.input_size)

    def forward(self, x: Tensor) -> Any:
        raise NotImplementedError


class Facts(NamedTuple):
    """What is known of a network before it is built for a variant."""

    classes: int
    input_size: Size
    outputs: OutputKind = "classes"
    without_numbers: bool = True
    """Whether a pass works on the meta device."""


def imported(package: str, advice: str) -> Any:
    """Import a package of networks, which makes its own tensors on the CPU whatever device is set now.

    Raises:
        BadOption: it cannot be imported.
    """
    try:
        with torch.device("cpu"):
            return import_module(package)
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        name = package.partition(".")[0]
        raise BadOption(f"{name} cannot be imported here: {first_line(error)}. {advice}") from error


class ForeignNetwork(Backbone):
    """A network that was not written here, as ``body``, whose own gates can be seen and replaced like any other.

    ``own_gates`` are set by whoever knows how to find them (see `attention.tracing.own_gates`). A function on the shelf
    that makes such networks may have an attribute ``facts``, options -> `Facts`.
    """

    outputs: OutputKind = "classes"

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body: Any = body
        self.own_gates: OwnGates | None = None

    def answer(self, x: Tensor) -> Any:
        """What the body makes of images (B, 3, H, W): logits (B, K), a map (B, K, H, W), or whatever else it gives."""
        return main_output(self.body([*x] if self.outputs == "boxes" else x))

    def forward(self, x: Tensor) -> Any:
        if self.own_gates is None or not self.own_gates.hooked:
            return self.answer(x)
        with self.own_gates.follow(self, x):
            return self.answer(x)


__all__ = ["Backbone", "Facts", "ForeignNetwork", "Slot", "backbones", "imported"]
