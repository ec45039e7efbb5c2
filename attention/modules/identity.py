"""The identity as a control: a gate that is always 1.

No paper. It has no parameters and changes no output, bit for bit, but its gate is there to be seen and replaced,
and it pays for the multiplication: what a variant with this costs more than the plain backbone is the cost of
having any channel gate at all.

    gate = 1,   y = gate * x
"""

from torch import Tensor

from attention.gate import AttentionModule, Gate
from attention.modules import modules


@modules.register("identity")
class Identity(AttentionModule):
    """Control: a gate that is always 1, so the network computes what the plain one does."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.gate = Gate("channel")

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x.new_ones(x.shape[0], self.channels, 1, 1))
