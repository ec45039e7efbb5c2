"""ResNet-18, 34, 50, 101 and 152 for photos of 224 pixels, version 1.5, with torchvision's parameter names.

Deep Residual Learning for Image Recognition. Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun. CVPR 2016.
https://arxiv.org/abs/1512.03385

Version 1.5 puts a bottleneck's stride in its 3x3 convolution (torchvision, timm, the ECA paper); the paper
itself, "v1", puts it in the first 1x1.
"""

from collections.abc import Callable
from typing import Annotated, Protocol

from pydantic import Field
from torch import Tensor, nn

from attention.backbones import Backbone, Slot, backbones

Classes = Annotated[int, Field(ge=1)]


class Block(nn.Module):
    """A residual block with its slots; its forward reads like the placement figure of the SE paper.

    ``pre`` on the branch's input, ``inner`` after its 3x3, ``standard`` after its last normalisation, ``identity`` on
    the shortcut, ``post`` after the sum.
    """

    def __init__(self, stage: int, block: int, in_channels: int, inner: int, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.relu = nn.ReLU(inplace=True)
        self.pre = Slot("pre", stage, block, in_channels)
        self.inner = Slot("inner", stage, block, inner)
        self.standard = Slot("standard", stage, block, out_channels)
        self.identity = Slot("identity", stage, block, out_channels)
        self.post = Slot("post", stage, block, out_channels)
        self.downsample: nn.Module | None = None

    def residual(self, x: Tensor) -> Tensor:
        """The branch from input to its last normalisation."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        branch = self.standard(self.residual(self.pre(x)))
        return self.post(self.relu(self.identity(shortcut) + branch))


class Shortcut(Protocol):
    """What makes a shortcut where the shape changes."""

    def __call__(self, in_channels: int, out_channels: int, stride: int) -> nn.Module: ...


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The shortcut where the shape changes: a 1x1 convolution and its normalisation."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class BasicBlock(Block):
    """Two 3x3 convolutions (ResNet-18 and 34, and the ResNets for small images)."""

    expansion = 1

    def __init__(
        self, stage: int, block: int, in_channels: int, width: int, stride: int, shortcut: Shortcut = projection
    ) -> None:
        super().__init__(stage, block, in_channels, width, width)
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        if stride != 1 or in_channels != width:
            self.downsample = shortcut(in_channels, width, stride)

    def residual(self, x: Tensor) -> Tensor:
        x = self.inner(self.relu(self.bn1(self.conv1(x))))
        return self.bn2(self.conv2(x))


class Bottleneck(Block):
    """A 1x1, a 3x3 and a 1x1 convolution (ResNet-50, 101 and 152)."""

    expansion = 4

    def __init__(self, stage: int, block: int, in_channels: int, width: int, stride: int) -> None:
        out_channels = width * self.expansion
        super().__init__(stage, block, in_channels, width, out_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        if stride != 1 or in_channels != out_channels:
            self.downsample = projection(in_channels, out_channels, stride)

    def residual(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.inner(self.relu(self.bn2(self.conv2(x))))
        return self.bn3(self.conv3(x))


class ResidualNet(Backbone):
    """A stem ``conv1``, ``bn1``; stages ``layer1``, ``layer2``, ... of blocks; global average pooling; a classifier."""

    def __init__(self, stem: nn.Conv2d) -> None:
        super().__init__()
        self.conv1 = stem
        self.bn1 = nn.BatchNorm2d(stem.out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool: nn.Module = nn.Identity()

    def complete(self, depths: tuple[int, ...], classes: int, block: Callable[[int, int, int, int], Block]) -> None:
        """Add the stages, the tail and the classifier.

        Args:
            depths: blocks in each stage.
            block: makes the block of (stage, number, in_channels, stride).
        """
        channels = self.conv1.out_channels
        for stage, depth in enumerate(depths, start=1):
            blocks = []
            for number in range(1, depth + 1):
                blocks.append(block(stage, number, channels, 2 if number == 1 and stage > 1 else 1))
                channels = blocks[-1].out_channels
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
            self.add_module(f"after{stage}", Slot("stage", stage, depth, channels))
        self.stages = range(1, len(depths) + 1)
        self.tail = Slot("tail", len(depths), depths[-1], channels)
        self.fc = nn.Linear(channels, classes)
        for module in self.modules():
            # He et al. 2015 on the fan out, as torchvision does; normalisations start at 1 and 0.
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.tail(self.levels(x)[-1]).mean((2, 3))  # (B, C)
        return self.fc(x)

    def levels(self, x: Tensor) -> list[Tensor]:
        """What each stage gives: (B, C, H, W), twice the channels and half the side of the one before."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        maps = []
        for stage in self.stages:
            x = self.get_submodule(f"after{stage}")(self.get_submodule(f"layer{stage}")(x))
            maps.append(x)
        return maps


class ResNet(ResidualNet):
    """A 7x7 stem and four stages that start with 64 channels."""

    def __init__(self, block: type[BasicBlock] | type[Bottleneck], depths: tuple[int, ...], classes: int) -> None:
        super().__init__(nn.Conv2d(3, 64, 7, 2, 3, bias=False))
        self.maxpool = nn.MaxPool2d(3, 2, 1)

        def make(stage: int, number: int, in_channels: int, stride: int) -> Block:
            return block(stage, number, in_channels, 64 * 2 ** (stage - 1), stride)

        self.complete(depths, classes, make)


@backbones.register("resnet18")
def resnet18(*, classes: Classes = 1000) -> ResNet:
    """ResNet-18: eight blocks of two 3x3 convolutions."""
    return ResNet(BasicBlock, (2, 2, 2, 2), classes)


@backbones.register("resnet34")
def resnet34(*, classes: Classes = 1000) -> ResNet:
    """ResNet-34: sixteen blocks of two 3x3 convolutions."""
    return ResNet(BasicBlock, (3, 4, 6, 3), classes)


@backbones.register("resnet50")
def resnet50(*, classes: Classes = 1000) -> ResNet:
    """ResNet-50 v1.5: sixteen bottleneck blocks, stride in the 3x3."""
    return ResNet(Bottleneck, (3, 4, 6, 3), classes)


@backbones.register("resnet101")
def resnet101(*, classes: Classes = 1000) -> ResNet:
    """ResNet-101 v1.5: thirty-three bottleneck blocks, stride in the 3x3."""
    return ResNet(Bottleneck, (3, 4, 23, 3), classes)


@backbones.register("resnet152")
def resnet152(*, classes: Classes = 1000) -> ResNet:
    """ResNet-152 v1.5: fifty bottleneck blocks, stride in the 3x3."""
    return ResNet(Bottleneck, (3, 8, 36, 3), classes)
