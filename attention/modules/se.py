"""Squeeze-and-Excitation: two fully connected layers on the pooled channels.

Squeeze-and-Excitation Networks. Jie Hu, Li Shen, Gang Sun. CVPR 2018.
https://arxiv.org/abs/1709.01507

    gate = sigmoid(W2 relu(W1 GAP x)),   y = gate * x

2 C^2 / r weights, and C + C/r biases if there are biases. The released model has biases; the paper's
ablation prefers none, and so do the counts most papers quote, so ``bias`` is False here unless asked for.
The bottleneck is floor(C / r) wide, at least 1, or ``least_width``; the paper has no floor, for its networks begin at
256 channels. timm's networks round it to a multiple of 8: ``divisor=8``.
"""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from attention.gate import PooledAttention
from attention.modules import modules
from attention.spec import Placement


@modules.register(
    "se",
    aliases=("SENet", "SELayer", "SEModule", "SEBlock", "SqueezeExcite", "SqueezeExcitation", "SqueezeAndExcitation"),
    option_aliases={"r": "reduction", "reduction_ratio": "reduction"},
)
class SqueezeExcitation(PooledAttention):
    """Squeeze-and-Excitation: two fully connected layers on the pooled channels."""

    published: ClassVar = {"resnet33ts": Placement(position="inner")}
    """Of timm's seresnet33ts; the paper says ``standard``."""

    def __init__(
        self,
        channels: int,
        *,
        reduction: Annotated[int, Field(ge=1, le=1024, description="Bottleneck width is C // reduction.")] = 16,
        bias: Annotated[bool, Field(description="Whether the two layers have biases.")] = False,
        divisor: Annotated[
            int, Field(ge=1, le=1024, description="The bottleneck's width is rounded to a multiple of this; timm: 8.")
        ] = 1,
        least_width: Annotated[int, Field(ge=1, le=1024, description="The bottleneck has at least so many units.")] = 1,
    ) -> None:
        super().__init__(channels)
        rounded = (channels // reduction + divisor // 2) // divisor * divisor
        hidden = max(rounded, divisor, least_width)
        self.reduce = nn.Conv2d(channels, hidden, 1, bias=bias)
        self.expand = nn.Conv2d(hidden, channels, 1, bias=bias)

    @property
    def bottleneck(self) -> int:
        return self.reduce.out_channels

    def excite(self, squeezed: Tensor) -> Tensor:
        hidden = torch.relu(self.reduce(squeezed))  # (B, C // r, 1, 1)
        return torch.sigmoid(self.expand(hidden))
