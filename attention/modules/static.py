"""A learned gate that does not look at the input: the control for attention's dependence on the image.

No paper of its own. It asks what the "stripe observation" suggests, that trained channel gates are nearly the same for
every image (Zhongzhan Huang, Shanshan Zhong, Wushao Wen, Jinghui Qin, Liang Lin: Stripe Observation Guided Inference
Cost-free Attention Mechanism, ECCV 2024, https://arxiv.org/abs/2304.06345): is a gate that is the same just as good?

    gate = sigmoid(w),   y = gate * x

C parameters. w starts at 0, so the gate starts at exactly 0.5, as SE's does on average. After a
normalisation such a gate is a rescaling that training could have found without it.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from attention.gate import AttentionModule, Gate
from attention.modules import modules


@modules.register("static")
class StaticGate(AttentionModule):
    """Control: one learned gate a channel that does not look at the image."""

    undecayed: ClassVar = ("weight",)
    """A scale of a channel, as a normalisation's weight is; decay would pull every gate to 0.5."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.weight = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gate = Gate("channel")

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.sigmoid(self.weight)  # (1, C, 1, 1)
        return x * self.gate(weights.expand(x.shape[0], -1, -1, -1))  # (B, C, 1, 1)
