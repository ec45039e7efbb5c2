"""Selective Kernel: convolutions of several sizes, and each channel chooses among them.

Selective Kernel Networks. Xiang Li, Wenhai Wang, Xiaolin Hu, Jian Yang. CVPR 2019. https://arxiv.org/abs/1903.06586

    U_m = relu(BN(conv_m x)),   z = relu(BN(W GAP(sum_m U_m))),   y = sum_m softmax_m(V_m z) * U_m

conv_m is a grouped 3x3 with dilation m, so it sees 2m + 1 pixels. M (9 C^2 / G + 2 C) parameters in the branches,
C d + 2 d + M d C in the choice, d = max(C / r, 32), none with a bias. Layers and start are those of
https://github.com/implus/SKNet: small normal weights (0.01) in the choice, so that every branch starts near 1 / M.

In the paper the unit replaces the 3x3 convolution of a ResNeXt block, its normalisation and its ReLU: ``stride`` is
for that. Put into a slot it is a layer of its own, which convolves what it gates, so its result cannot be the
input whatever the gate: compare it with a network that has one more convolution, too. In training, a normalisation
of pooled channels needs a batch of at least 2.
"""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from attention.gate import AttentionModule, Gate
from attention.modules import modules

LEAST_WIDTH = 32
"""L in the paper: the least width of the choice's bottleneck."""


@modules.register("sk")
class SelectiveKernel(AttentionModule):
    """Selective Kernel: 3x3 convolutions of growing dilation, and each channel's choice among them.

    Args:
        channels: of input and output.
        stride: of the branches, where the unit stands in for a convolution that has one.
    """

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        *,
        branches: Annotated[int, Field(ge=2, le=4, description="How many convolutions; dilations 1, 2, ...")] = 2,
        groups: Annotated[
            int,
            Field(
                ge=1,
                le=1024,
                description="Groups of the convolutions; their greatest common divisor with the channels is used.",
            ),
        ] = 32,
        reduction: Annotated[
            int, Field(ge=1, le=1024, description="Width of the choice is C // reduction, at least 32.")
        ] = 16,
    ) -> None:
        super().__init__(channels)
        hidden = max(channels // reduction, LEAST_WIDTH)
        groups = math.gcd(groups, channels)
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, stride, dilation, dilation, groups, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            )
            for dilation in range(1, branches + 1)
        )
        self.reduce = nn.Conv2d(channels, hidden, 1, bias=False)
        self.bn = nn.BatchNorm2d(hidden)
        self.expand = nn.Conv2d(hidden, branches * channels, 1, bias=False)
        self.gate = Gate("branch", neutral=None)
        for branch in self.branches:
            nn.init.kaiming_normal_(branch[0].weight, mode="fan_in", nonlinearity="relu")  # type: ignore[index]
        nn.init.normal_(self.reduce.weight, std=0.01)
        nn.init.normal_(self.expand.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        seen = torch.stack([branch(x) for branch in self.branches], 1)  # (B, M, C, H, W)
        squeezed = seen.sum(1).mean((2, 3), keepdim=True)  # (B, C, 1, 1)
        hidden = torch.relu(self.bn(self.reduce(squeezed)))  # (B, d, 1, 1)
        scores = self.expand(hidden).unflatten(1, (len(self.branches), self.channels))  # (B, M, C, 1, 1)
        return (seen * self.gate(torch.softmax(scores, 1))).sum(1)
