"""MobileNetV2 for photos of 224 pixels, with torchvision's parameter names.

MobileNetV2: Inverted Residuals and Linear Bottlenecks. Mark Sandler, Andrew Howard, Menglong Zhu, Andrey Zhmoginov,
Liang-Chieh Chen. CVPR 2018. https://arxiv.org/abs/1801.04381

3,504,872 parameters and 300,774,272 multiply-accumulates. Stages are the rows of the paper's table: seven, of 1, 2, 3,
4, 3, 3 and 1 blocks, the first without expansion. The ECA paper gates what a block gives, before the addition
(``standard``); the CA paper the hidden width, after the depthwise convolution (``inner``), and not in the first stage.
There is no dropout before the classifier, which torchvision has in training: all networks here train alike.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from attention.backbones import Backbone, Slot, backbones
from attention.backbones.resnet import Classes, initialise
from attention.gate import UnitSlot

ROWS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""A row a stage: expansion, channels, blocks, stride of the first block. Table 2 of the paper."""

FIRST, LAST = 32, 1280
"""Channels of the stem and of the last convolution."""

Width = Annotated[
    float,
    Field(gt=0, le=4, description="Factor on every number of channels, to the nearest 8; the last never shrinks."),
]


def rounded(channels: float) -> int:
    """A number of channels as a multiple of 8 that is not less than nine tenths of it, as in the released code."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near if near >= 0.9 * channels else near + 8


def convolution(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1) -> nn.Module:
    """A convolution with normalisation and ReLU6."""
    padding = (kernel_size - 1) // 2
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Expand with a 1x1, convolve each channel by itself, project back with a 1x1; add the input if the shape allows.

    ``pre`` on the branch's input, ``spatial`` around the depthwise convolution, ``inner`` after it, ``standard`` after
    the last normalisation; where there is an addition, ``identity`` on the shortcut and ``post`` after the sum.
    """

    def __init__(
        self, stage: int, block: int, in_channels: int, out_channels: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.adds = stride == 1 and in_channels == out_channels
        expand = [convolution(in_channels, hidden, 1)] if expansion != 1 else []
        self.conv = nn.Sequential(
            *expand,
            convolution(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.pre = Slot("pre", stage, block, in_channels)
        self.spatial = UnitSlot(stage, block, hidden, in_channels=hidden, kernel_size=3, stride=stride, groups=hidden)
        self.inner = Slot("inner", stage, block, hidden)
        self.standard = Slot("standard", stage, block, out_channels)
        if self.adds:
            self.identity = Slot("identity", stage, block, out_channels)
            self.post = Slot("post", stage, block, out_channels)

    def residual(self, x: Tensor) -> Tensor:
        """The branch from input to its last normalisation."""
        *expand, depthwise, project, norm = self.conv
        for layer in expand:
            x = layer(x)  # (B, t C, H, W)
        x = self.inner(self.spatial(x, depthwise(x)))
        return norm(project(x))

    def forward(self, x: Tensor) -> Tensor:
        branch = self.standard(self.residual(self.pre(x)))
        return self.post(self.identity(x) + branch) if self.adds else branch


class MobileNetV2(Backbone):
    """A 3x3 stem, seven stages of inverted residuals, a 1x1 convolution to 1280 channels, and a classifier."""

    chained = True

    def __init__(self, classes: int, width: float) -> None:
        super().__init__()
        channels = rounded(FIRST * width)
        self.features = nn.Sequential(convolution(3, channels, 3, 2))
        index = 1  # layers are numbered as in torchvision; the places after stages are not layers
        for stage, (expansion, planes, blocks, stride) in enumerate(ROWS, start=1):
            for block in range(1, blocks + 1):
                wider = rounded(planes * width)
                layer = InvertedResidual(stage, block, channels, wider, stride if block == 1 else 1, expansion)
                self.features.add_module(str(index), layer)
                channels, index = wider, index + 1
            self.features.add_module(f"after{stage}", Slot("stage", stage, blocks, channels))
        last = rounded(LAST * max(1.0, width))
        self.features.add_module(str(index), convolution(channels, last, 1))
        self.tail = Slot("tail", len(ROWS), ROWS[-1][2], last)
        linear = nn.Linear(last, classes)
        self.classifier = nn.Sequential(nn.Identity(), linear)
        initialise(self)
        nn.init.normal_(linear.weight, std=0.01)
        nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.tail(self.features(x)).mean((2, 3))  # (B, C)
        return self.classifier(x)


@backbones.register("mobilenetv2", aliases=("mobilenetv2_100",))
def mobilenetv2(*, classes: Classes = 1000, width: Width = 1.0) -> MobileNetV2:
    """MobileNetV2: seventeen blocks with depthwise 3x3 convolutions."""
    return MobileNetV2(classes, width)
