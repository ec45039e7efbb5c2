"""Convolutional Block Attention Module: which channels, then which places.

CBAM: Convolutional Block Attention Module. Sanghyun Woo, Jongchan Park, Joon-Young Lee, In So Kweon. ECCV 2018.
https://arxiv.org/abs/1807.06521

    x' = sigmoid(MLP(GAP x) + MLP(GMP x)) * x,   y = sigmoid(BN(conv7x7([max_c x'; mean_c x']))) * x'

2 C^2 / r + C + C/r parameters in the shared MLP, 98 + 2 in the spatial part. The released code,
https://github.com/Jongchan/attention-module, has a normalisation after the 7x7 convolution that the paper's formula
leaves out, and starts its weight at 0, so every place has the gate 0.5 at first: both as in the code here. The MLP is
spelled as 1x1 convolutions, and its bottleneck is at least 1 wide, or ``least_width``; nothing else differs.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from attention.gate import AttentionModule, Gate
from attention.modules import modules


class PooledConv(nn.Module):
    """Maximum and mean over axis 1, one convolution over the two maps, normalised: (B, D, H, W) -> (B, 1, H, W)."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=(kernel_size - 1) // 2, bias=False)
        self.bn = nn.BatchNorm2d(1, momentum=0.01)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.cat((x.amax(1, keepdim=True), x.mean(1, keepdim=True)), 1)  # (B, 2, H, W)
        return self.bn(self.conv(pooled))


@modules.register(
    "cbam",
    aliases=("CbamModule", "ConvolutionalBlockAttentionModule"),
    option_aliases={
        "r": "reduction",
        "ratio": "reduction",
        "reduction_ratio": "reduction",
        "k": "kernel_size",
        "k_size": "kernel_size",
    },
)
class ConvolutionalBlockAttention(AttentionModule):
    """CBAM: gates the channels from their mean and maximum, then the places by a 7x7 convolution."""

    def __init__(
        self,
        channels: int,
        *,
        reduction: Annotated[int, Field(ge=1, le=1024, description="Bottleneck width is C // reduction.")] = 16,
        kernel_size: Annotated[
            Literal[3, 5, 7], Field(description="Side of the convolution that gates the places.")
        ] = 7,
        least_width: Annotated[int, Field(ge=1, le=1024, description="The bottleneck has at least so many units.")] = 1,
    ) -> None:
        super().__init__(channels)
        hidden = max(channels // reduction, least_width)
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)
        self.channel_gate = Gate("channel")
        self.spatial = PooledConv(kernel_size)
        self.spatial_gate = Gate("spatial")
        nn.init.zeros_(self.reduce.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.expand.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.spatial.bn.weight)

    @property
    def bottleneck(self) -> int:
        return self.reduce.out_channels

    def mlp(self, pooled: Tensor) -> Tensor:
        """The two layers that the mean and the maximum share."""
        return self.expand(torch.relu(self.reduce(pooled)))

    def forward(self, x: Tensor) -> Tensor:
        mean, maximum = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)  # (B, C, 1, 1) each
        x = x * self.channel_gate(torch.sigmoid(self.mlp(mean) + self.mlp(maximum)))
        return x * self.spatial_gate(torch.sigmoid(self.spatial(x)))  # (B, 1, H, W)
