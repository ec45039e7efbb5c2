"""The shelf of backbones: one file a family, put here by ``@backbones.register("name")``.

A backbone is a function ``(*, classes, options) -> Backbone``. Its blocks hold empty slots where attention may go.
"""

from collections.abc import Callable

from torch import Tensor, nn

from attention.gate import Slot
from attention.registry import Registry

backbones: Registry[Callable[..., "Backbone"]] = Registry("backbone", __name__)


class Backbone(nn.Module):
    """A classifier: images (B, 3, H, W) -> logits (B, K).

    ``input_size`` is the height and width it is meant for, in pixels; ``smallest_input`` the least it works on.
    ``chained`` says that blocks, and slots between them, run one after another, each seeing only what the one before
    gives: then forward passes that differ from some block on can share all before it (see
    `attention.running.many_ablations`).
    """

    input_size: int = 224
    smallest_input: int = 1
    chained: bool = False

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError


__all__ = ["Backbone", "Slot", "backbones"]
