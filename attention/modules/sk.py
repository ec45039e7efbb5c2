"""Selective Kernel: convolutions of several sizes, and each channel chooses among them.

Selective Kernel Networks. Xiang Li, Wenhai Wang, Xiaolin Hu, Jian Yang. CVPR 2019. https://arxiv.org/abs/1903.06586

    U_m = relu(BN(conv_m x)),   z = relu(BN(W GAP(sum_m U_m))),   y = sum_m softmax_m(V_m z) * U_m

conv_m is a grouped 3x3 with dilation m, so it sees 2m + 1 pixels. M (9 C^2 / G + 2 C) parameters in the branches,
C d + 2 d + M d C in the choice, d = max(C / r, 32), none with a bias. Layers and start are those of
https://github.com/implus/SKNet: small normal weights (0.01) in the choice, so that every branch starts near 1 / M.

In the paper the unit replaces the 3x3 convolution of a ResNeXt block, its normalisation and its ReLU. At the place
``spatial`` it does: the block's own convolution is the first branch, under its own name, and the unit adds the others,
alike but for their dilation, and the choice. ``resnext50/sk@spatial`` is SKNet-50, 27,479,784 parameters. At any other
place it is a layer of its own, which convolves what it gates, so its result cannot be the input whatever the
gate: compare it with a network that has one more convolution, too. In training, a normalisation of pooled
channels needs a batch of at least 2.
"""

import math
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from attention.gate import AttentionModule, Gate, Slot, UnitSlot
from attention.modules import modules
from attention.spec import Placement

LEAST_WIDTH = 32
"""L in the paper: the least width of the choice's bottleneck."""

GROUPS = 32
"""G in the paper, for a layer of its own."""


@modules.register(
    "sk",
    aliases=("SKNet", "SKConv", "SKUnit", "SelectiveKernel", "SelectiveKernelConv"),
    option_aliases={"r": "reduction", "reduction_ratio": "reduction"},
)
class SelectiveKernel(AttentionModule):
    """Selective Kernel: 3x3 convolutions of growing dilation, and each channel's choice among them.

    Args:
        channels: of the result.
        around: the place whose convolution is the first branch; None is a layer of its own.
    """

    published: ClassVar = {"": Placement(position="spatial")}

    def __init__(
        self,
        channels: int,
        around: UnitSlot | None = None,
        *,
        branches: Annotated[int, Field(ge=2, le=4, description="How many convolutions; dilations 1, 2, ...")] = 2,
        groups: Annotated[
            Literal["block"] | Annotated[int, Field(ge=1, le=1024)],
            Field(
                description="Groups of the convolutions: those of the block's own (32 for a layer of its own), or a "
                "number, of which the greatest common divisor with the channels is used."
            ),
        ] = "block",
        reduction: Annotated[
            int, Field(ge=1, le=1024, description="Width of the choice is C // reduction, at least 32.")
        ] = 16,
    ) -> None:
        super().__init__(channels)
        hidden = max(channels // reduction, LEAST_WIDTH)
        in_channels, kernel_size, stride = channels, 3, 1
        if around is not None:
            in_channels, kernel_size, stride = around.in_channels, around.kernel_size, around.stride
        if groups == "block":
            groups = around.groups if around is not None else GROUPS
        groups = math.gcd(groups, in_channels, channels)
        self.branches = nn.ModuleList()
        for dilation in range(1 if around is None else 2, branches + 1):
            padding = dilation * (kernel_size - 1) // 2
            conv = nn.Conv2d(in_channels, channels, kernel_size, stride, padding, dilation, groups, bias=False)
            nn.init.kaiming_normal_(conv.weight, mode="fan_in", nonlinearity="relu")
            self.branches.append(nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)))
        self.reduce = nn.Conv2d(channels, hidden, 1, bias=False)
        self.bn = nn.BatchNorm2d(hidden)
        self.expand = nn.Conv2d(hidden, branches * channels, 1, bias=False)
        self.gate = Gate("branch", neutral=None)
        nn.init.normal_(self.reduce.weight, std=0.01)
        nn.init.normal_(self.expand.weight, std=0.01)

    @classmethod
    def at(cls, slot: Slot, **options: Any) -> Self:
        return cls(slot.channels, slot if isinstance(slot, UnitSlot) else None, **options)

    def select(self, x: Tensor, result: Tensor) -> Tensor:
        """Choose between what the place's own convolution made of x and what the unit's make of it."""
        return self(x, result)

    def forward(self, x: Tensor, result: Tensor | None = None) -> Tensor:
        first = [] if result is None else [result]
        branches = torch.stack([*first, *(branch(x) for branch in self.branches)], 1)  # (B, M, C, H, W)
        squeezed = branches.sum(1).mean((2, 3), keepdim=True)  # (B, C, 1, 1)
        hidden = torch.relu(self.bn(self.reduce(squeezed)))  # (B, d, 1, 1)
        scores = self.expand(hidden).unflatten(1, (branches.shape[1], self.channels))  # (B, M, C, 1, 1)
        return (branches * self.gate(torch.softmax(scores, 1))).sum(1)
