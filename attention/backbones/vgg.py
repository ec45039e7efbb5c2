"""A small VGG for images of 32 pixels: the eleven-layer plan without shortcuts, a quarter as wide.

Very Deep Convolutional Networks for Large-Scale Image Recognition. Karen Simonyan, Andrew Zisserman. ICLR 2015.
https://arxiv.org/abs/1409.1556

Configuration A's eight 3x3 convolutions in five stages with pooling between them, 16 to 128 channels instead of 64 to
512, each with a normalisation, and one linear layer on the pooled last map instead of three: 579,098 parameters with
ten classes. It shows what attention does where no shortcut carries the input past it: a gate here scales the whole
signal. The SE paper puts its block "after the non-linearity following each convolution" of such networks, so that is
``standard`` here. Odd maps are pooled with their last row and column, so images of any size work.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from attention.backbones import Backbone, Slot, backbones
from attention.backbones.resnet import Classes, initialise, scaled
from attention.gate import UnitSlot

STAGES = ((16,), (32,), (64, 64), (128, 128), (128, 128))
"""Channels of each convolution, a tuple a stage: configuration A, divided by four."""

Width = Annotated[float, Field(gt=0, le=16, description="Factor on every number of channels; 4 is VGG-11's own width.")]


class Convolution(nn.Module):
    """A 3x3 convolution, normalised, with ReLU.

    ``pre`` before the convolution, ``spatial`` around it with its normalisation and ReLU, ``standard`` after the ReLU.
    """

    def __init__(self, stage: int, block: int, in_channels: int, channels: int) -> None:
        super().__init__()
        self.pre = Slot("pre", stage, block, in_channels)
        self.conv = nn.Conv2d(in_channels, channels, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.spatial = UnitSlot(stage, block, channels, in_channels=in_channels, kernel_size=3, stride=1, groups=1)
        self.standard = Slot("standard", stage, block, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pre(x)
        return self.standard(self.spatial(x, self.relu(self.bn(self.conv(x)))))


class Vgg(Backbone):
    """Stages of convolutions with pooling between them, global average pooling, and a classifier."""

    chained = True
    input_size = 32

    def __init__(self, stages: tuple[tuple[int, ...], ...], width: float, classes: int) -> None:
        super().__init__()
        self.depth = len(stages)
        channels = 3
        for stage, plan in enumerate(stages, start=1):
            layers = []
            for number, planes in enumerate(plan, start=1):
                layers.append(Convolution(stage, number, channels, scaled(planes, width)))
                channels = scaled(planes, width)
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
            self.add_module(f"after{stage}", Slot("stage", stage, len(plan), channels))
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.tail = Slot("tail", self.depth, len(stages[-1]), channels)
        self.fc = nn.Linear(channels, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        for stage in range(1, self.depth + 1):
            x = self.pool(x) if stage > 1 else x
            x = self.get_submodule(f"after{stage}")(self.get_submodule(f"layer{stage}")(x))
        x = self.tail(x).mean((2, 3))  # (B, C)
        return self.fc(x)


@backbones.register("vgg11_small")
def vgg11_small(*, classes: Classes = 10, width: Width = 1.0) -> Vgg:
    """A small VGG-11 for 32-pixel images: eight 3x3 convolutions, no shortcuts."""
    return Vgg(STAGES, width, classes)
