"""A frozen random gate: the control for what scaling channels does, whatever the scales are.

No paper. Each channel's gate is drawn once, uniform in (0, 1), from the seed that the network is made with, and
never changes: it is a buffer, saved with the weights, not a parameter. Its mean is 0.5, where SE's gate starts.

    gate ~ U(0, 1),   y = gate * x
"""

import torch
from torch import Tensor

from attention.gate import AttentionModule, Gate
from attention.modules import modules


@modules.register("random")
class RandomGate(AttentionModule):
    """Control: one frozen random gate a channel, drawn from the seed, never learned."""

    weights: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        # From the smallest positive number on: uniform_ includes its lower end, and a gate of 0 cuts a channel off.
        drawn = torch.empty(1, channels, 1, 1).uniform_(torch.finfo(torch.float32).tiny, 1)
        self.register_buffer("weights", drawn)
        self.gate = Gate("channel")

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.weights.expand(x.shape[0], -1, -1, -1))  # (B, C, 1, 1)
