"""A feature pyramid over ResNet-18 or 50, with a classifier on its levels: attention in multi-scale branches.

Feature Pyramid Networks for Object Detection. Tsung-Yi Lin, Piotr Dollár, Ross Girshick, Kaiming He, Bharath
Hariharan, Serge Belongie. CVPR 2017. https://arxiv.org/abs/1612.03144

The stages' maps C2 to C5 become four levels P2 to P5 of 256 channels: a 1x1 convolution on each, the level above,
enlarged, added from the top down, and a 3x3 convolution. The paper's levels feed a detector; here each is pooled, and
one linear layer sees all four, so that the network classifies as the others do. The ``branch`` places are P2 to P5, or,
with ``branches=backbone``, C3 to C5 on their way into the neck. Names are torchvision's: those of its ResNet, and
``fpn.inner_blocks`` and ``fpn.layer_blocks`` of its detectors.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from attention.backbones import Slot, backbones
from attention.backbones.resnet import Classes, MakeBlock, ResNet, Width, basic_blocks, bottlenecks, scaled

NECK = 256
"""Channels of every level."""

Branches = Annotated[
    Literal["pyramid", "backbone"],
    Field(description="Which maps are the branches: P2 to P5 after the neck, or C3 to C5 before it."),
]


class Pyramid(nn.Module):
    """The neck: maps of any widths, each half the side of the one before -> as many maps of one width."""

    def __init__(self, in_channels: list[int], channels: int) -> None:
        super().__init__()
        self.inner_blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(c, channels, 1)) for c in in_channels)
        self.layer_blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1)) for _ in in_channels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        summed = [lateral(map_) for lateral, map_ in zip(self.inner_blocks, maps, strict=True)]
        for level in reversed(range(len(maps) - 1)):
            above = F.interpolate(summed[level + 1], summed[level].shape[2:], mode="nearest")
            summed[level] = summed[level] + above
        return [smooth(map_) for smooth, map_ in zip(self.layer_blocks, summed, strict=True)]


class FeaturePyramidNet(ResNet):
    """A ResNet whose four stages feed a pyramid; the classifier sees the pooled levels, side by side.

    A branch has the stage of its level, P2 and C2 being stage 1, and the block that the level comes from.
    """

    chained = False

    def __init__(
        self, block: MakeBlock, depths: tuple[int, ...], classes: int, width: float, branches: Branches
    ) -> None:
        super().__init__(block, depths, classes, width)
        channels = scaled(NECK, width)
        self.fpn = Pyramid(self.channels, channels)
        self.branches = branches
        for stage, depth in enumerate(depths, start=1):
            if branches == "pyramid":
                self.add_module(f"branch{stage}", Slot("branch", stage, depth, channels))
            elif stage > 1:
                self.add_module(f"branch{stage}", Slot("branch", stage, depth, self.channels[stage - 1]))
        self.fc = nn.Linear(channels * len(depths), classes)

    def _branched(self, maps: list[Tensor]) -> list[Tensor]:
        return [getattr(self, f"branch{stage}", nn.Identity())(map_) for stage, map_ in enumerate(maps, start=1)]

    def forward(self, x: Tensor) -> Tensor:
        maps = self.levels(x)  # C2 to C5
        maps[-1] = self.tail(maps[-1])
        if self.branches == "backbone":
            maps = self._branched(maps)
        levels = self.fpn(maps)  # P2 to P5
        if self.branches == "pyramid":
            levels = self._branched(levels)
        pooled = torch.cat([level.mean((2, 3)) for level in levels], 1)  # (B, 4 C)
        return self.fc(pooled)


@backbones.register("fpn_resnet18", aliases=("resnet18_fpn",))
def fpn_resnet18(*, classes: Classes = 1000, width: Width = 1.0, branches: Branches = "pyramid") -> FeaturePyramidNet:
    """ResNet-18 with a feature pyramid, and a classifier on its four levels."""
    return FeaturePyramidNet(basic_blocks(width), (2, 2, 2, 2), classes, width, branches)


@backbones.register("fpn_resnet50", aliases=("resnet50_fpn",))
def fpn_resnet50(*, classes: Classes = 1000, width: Width = 1.0, branches: Branches = "pyramid") -> FeaturePyramidNet:
    """ResNet-50 with a feature pyramid, and a classifier on its four levels."""
    return FeaturePyramidNet(bottlenecks(width), (3, 4, 6, 3), classes, width, branches)
