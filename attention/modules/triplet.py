"""Triplet Attention: three views of the map, each gated by a convolution over the two axes that it keeps.

Rotate to Attend: Convolutional Triplet Attention Module. Diganta Misra, Trikay Nalamada, Ajay Uppili Arasanipalai,
Qibin Hou. WACV 2021. https://arxiv.org/abs/2010.03045

    gate_v = sigmoid(BN(conv7x7([max_v x; mean_v x]))) for v in H, W, C,   y = (gate_H + gate_W + gate_C) / 3 * x

Pooling over H leaves a gate by channel and column, over W one by row and channel, over C one by place. 3 (98 + 2) = 300
parameters at any number of channels. As in the released networks, https://github.com/landskape-ai/triplet-attention,
the gate by place starts at exactly 0.5 (its normalisation's weight is 0, a rule inherited from CBAM) and the other
two do not. Averaging the gates and averaging the gated maps are the same sum; the first is written here.
The convolutions run along the channel axis, so this module depends on the order of channels.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from attention.gate import AttentionModule, Gate
from attention.modules import modules
from attention.modules.cbam import PooledConv


@modules.register("triplet", aliases=("TripletAttention",))
class TripletAttention(AttentionModule):
    """Triplet Attention: the mean of three gates, by channel and column, by row and channel, and by place."""

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: Annotated[Literal[3, 5, 7], Field(description="Side of the three convolutions.")] = 7,
    ) -> None:
        super().__init__(channels)
        self.over_height = PooledConv(kernel_size)
        self.over_width = PooledConv(kernel_size)
        self.over_channels = PooledConv(kernel_size)
        self.column_gate = Gate("columns")
        self.row_gate = Gate("rows")
        self.spatial_gate = Gate("spatial")
        nn.init.zeros_(self.over_channels.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        columns = self.over_height(x.transpose(1, 2)).transpose(1, 2)  # (B, H, C, W) -> (B, C, 1, W)
        rows = self.over_width(x.transpose(1, 3)).transpose(1, 3)  # (B, W, H, C) -> (B, C, H, 1)
        places = self.over_channels(x)  # (B, 1, H, W)
        total = (
            self.column_gate(torch.sigmoid(columns))
            + self.row_gate(torch.sigmoid(rows))
            + self.spatial_gate(torch.sigmoid(places))
        )
        return x * (total / 3)
