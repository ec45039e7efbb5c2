"""Global Context: one attention pooling for all positions, a bottleneck, and a sum.

GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond. Yue Cao, Jiarui Xu, Stephen Lin, Fangyun Wei,
Han Hu. ICCV Workshops 2019. https://arxiv.org/abs/1904.11492

    context = sum_j softmax(w x)_j x_j,   y = x + W2 relu(LN(W1 context))

(C + 1) + (C p + p) + 2 p + (p C + C) parameters with p = C / r. W2 starts at 0, so a fresh module is exactly the
identity. Both weights are gates: where the context is gathered (a softmax over positions, so it has no neutral
value; their common mean makes it global average pooling), and what is added to each channel (neutral 0).
Layers and start as in https://github.com/xvjiarui/GCNet, except that p is at least 4: the layer normalisation of
a single number is always 0, and of two only their order, so a narrower bottleneck would forget the image.
The released networks place it where ``standard`` is here, after the last normalisation of a block.
"""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from attention.gate import AttentionModule, Gate
from attention.modules import modules
from attention.spec import Placement

LEAST_WIDTH = 4
"""Fewer numbers than this do not survive a layer normalisation."""


@modules.register(
    "gc",
    aliases=("GCNet", "GCBlock", "GlobalContext", "ContextBlock"),
    option_aliases={"r": "reduction", "reduction_ratio": "reduction"},
)
class GlobalContext(AttentionModule):
    """Global Context: adds to each channel what a bottleneck makes of one attention-pooled vector."""

    published: ClassVar = {"resnet33ts": Placement(position="inner")}
    """Of timm's gcresnet33ts; the released networks have it at ``standard``."""

    def __init__(
        self,
        channels: int,
        *,
        reduction: Annotated[
            int, Field(ge=1, le=1024, description="Bottleneck width is C // reduction, at least 4.")
        ] = 16,
    ) -> None:
        super().__init__(channels)
        hidden = max(channels // reduction, LEAST_WIDTH)
        self.attend = nn.Conv2d(channels, 1, 1)
        self.spatial_gate = Gate("spatial", neutral=None)
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.norm = nn.LayerNorm([hidden, 1, 1])
        self.expand = nn.Conv2d(hidden, channels, 1)
        self.channel_gate = Gate("channel", neutral=0.0)
        nn.init.kaiming_normal_(self.attend.weight, mode="fan_in", nonlinearity="relu")
        nn.init.zeros_(self.attend.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        scores = self.attend(x)  # (B, 1, H, W)
        places = self.spatial_gate(torch.softmax(scores.flatten(1), 1).view_as(scores))  # (B, 1, H, W), sums to 1
        context = torch.matmul(x.flatten(2), places.flatten(2).transpose(1, 2))  # (B, C, 1)
        hidden = torch.relu(self.norm(self.reduce(context.unsqueeze(-1))))  # (B, p, 1, 1)
        return x + self.channel_gate(self.expand(hidden))  # (B, C, 1, 1)
