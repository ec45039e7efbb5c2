"""ResNet-33-TS for photos of 256 pixels, with timm's parameter names: 19,676,256 parameters.

timm's resnet33ts. Ross Wightman. 2021. https://github.com/huggingface/pytorch-image-models (timm/models/byobnet.py)

A ResNet of ten bottlenecks in stages of 2, 3, 3 and 2: a tiered stem of three 3x3 convolutions whose last has stride 2
in place of a pooling, SiLU, a third stage of the width of the fourth, and a 1x1 convolution to 1280 channels before
the classifier. It is worth having because timm published it and three networks that differ from it in attention only,
all trained alike. Their attention is inside the block, after the 3x3 with its normalisation and SiLU (``inner``):

    eca_resnet33ts   resnet33ts/eca@inner                     19,676,302
    seresnet33ts     resnet33ts/se(bias=true,divisor=8)@inner 19,779,200
    gcresnet33ts     resnet33ts/gc(reduction=8)@inner         19,880,698

timm's layer normalisation in gcresnet33ts adds 1e-6 to the variance, ours 1e-5. A fresh network of timm's starts with
every branch at zero; here branches start alive, as in our other backbones, so that attention in them matters at once.
"""

from collections import OrderedDict

from torch import Tensor, nn

from attention.backbones import Backbone, Slot, backbones
from attention.backbones.resnet import Classes, Width, initialise, scaled
from attention.gate import UnitSlot

STEM = ((24, 2), (32, 1), (64, 2))
"""A 3x3 convolution each: channels, stride."""

STAGES = ((2, 64, 1), (3, 128, 2), (3, 384, 2), (2, 384, 2))
"""Blocks, width of their 3x3, stride of the first; a block gives four times as many channels."""

LAST = 1280
"""Channels of the last convolution."""


def convolution(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, act: bool = True) -> nn.Module:
    """A convolution ``conv`` with its normalisation ``bn`` and, unless a sum follows, SiLU."""
    padding = (kernel_size - 1) // 2
    layers: dict[str, nn.Module] = {
        "conv": nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False),
        "bn": nn.BatchNorm2d(out_channels),
    }
    if act:
        layers["act"] = nn.SiLU(inplace=True)
    return nn.Sequential(OrderedDict(layers))


class Bottleneck(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution, each with normalisation, the first two with SiLU; SiLU after the addition.

    ``pre`` on the branch's input, ``spatial`` around the 3x3 with normalisation and SiLU, ``inner`` after that,
    ``standard`` after the last normalisation, ``identity`` on the shortcut, ``post`` after the sum's SiLU.
    """

    def __init__(self, stage: int, block: int, in_channels: int, inner: int, stride: int) -> None:
        super().__init__()
        out_channels = 4 * inner
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = convolution(in_channels, out_channels, 1, stride, act=False)
        self.conv1_1x1 = convolution(in_channels, inner, 1)
        self.conv2_kxk = convolution(inner, inner, 3, stride)
        self.conv3_1x1 = convolution(inner, out_channels, 1, act=False)
        self.act = nn.SiLU(inplace=True)
        self.pre = Slot("pre", stage, block, in_channels)
        self.spatial = UnitSlot(stage, block, inner, in_channels=inner, kernel_size=3, stride=stride, groups=1)
        self.inner = Slot("inner", stage, block, inner)
        self.standard = Slot("standard", stage, block, out_channels)
        self.identity = Slot("identity", stage, block, out_channels)
        self.post = Slot("post", stage, block, out_channels)

    def residual(self, x: Tensor) -> Tensor:
        """The branch from input to its last normalisation."""
        x = self.conv1_1x1(x)
        x = self.spatial(x, self.conv2_kxk(x))
        return self.conv3_1x1(self.inner(x))

    def forward(self, x: Tensor) -> Tensor:
        branch = self.standard(self.residual(self.pre(x)))
        return self.post(self.act(self.identity(self.shortcut(x)) + branch))


class ResNet33TS(Backbone):
    """A tiered stem, four stages, a 1x1 convolution to 1280 channels, and a classifier."""

    chained = True
    input_size = 256

    def __init__(self, classes: int, width: float) -> None:
        super().__init__()
        self.stem = nn.Sequential()
        channels = 3
        for number, (planes, stride) in enumerate(STEM, start=1):
            self.stem.add_module(f"conv{number}", convolution(channels, scaled(planes, width), 3, stride))
            channels = scaled(planes, width)
        self.stages = nn.Sequential()
        for stage, (blocks, planes, stride) in enumerate(STAGES, start=1):
            inner, layers = scaled(planes, width), []
            for block in range(1, blocks + 1):
                layers.append(Bottleneck(stage, block, channels, inner, stride if block == 1 else 1))
                channels = 4 * inner
            self.stages.add_module(str(stage - 1), nn.Sequential(*layers))
            self.stages.add_module(f"after{stage}", Slot("stage", stage, blocks, channels))
        last = scaled(LAST, width)
        self.final_conv = convolution(channels, last, 1)
        self.tail = Slot("tail", len(STAGES), STAGES[-1][0], last)
        linear = nn.Linear(last, classes)
        self.head = nn.Sequential(OrderedDict(fc=linear))
        initialise(self)
        nn.init.normal_(linear.weight, std=0.01)
        nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.tail(self.final_conv(self.stages(self.stem(x)))).mean((2, 3))  # (B, C)
        return self.head(x)


@backbones.register("resnet33ts")
def resnet33ts(*, classes: Classes = 1000, width: Width = 1.0) -> ResNet33TS:
    """timm's ResNet-33-TS: ten bottleneck blocks with SiLU, the base of a quartet trained alike."""
    return ResNet33TS(classes, width)
