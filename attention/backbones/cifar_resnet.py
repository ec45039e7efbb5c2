"""ResNet-20, 32 and 56 for images of 32 pixels, as in section 4.2 of the ResNet paper.

Deep Residual Learning for Image Recognition. Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun. CVPR 2016.
https://arxiv.org/abs/1512.03385

Three stages of 16, 32 and 64 channels. Where the shape changes the shortcut is the input, subsampled and
padded with zero channels (the paper's option A), so it has no parameters: ResNet-20 has 269,722 with ten classes.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from attention.backbones import backbones
from attention.backbones.resnet import BasicBlock, Block, Classes, ResidualNet, scaled

Width = Annotated[
    Annotated[int, Field(ge=1, le=1024)] | Annotated[float, Field(ge=1, le=1024)],
    Field(description="Channels of the first stage; later ones have 2 and 4 times as many, rounded."),
]


class PaddedShortcut(nn.Module):
    """The shortcut without parameters: every second pixel, and zeros for the new channels."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = (out_channels - in_channels) // 2
        self.after = out_channels - in_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after))


class CifarResNet(ResidualNet):
    """A 3x3 stem and three stages of (depth - 2) / 6 blocks."""

    input_size = 32

    def __init__(self, depth: int, width: float, classes: int) -> None:
        super().__init__(nn.Conv2d(3, scaled(1, width), 3, 1, 1, bias=False), scaled(1, width))

        def make(stage: int, number: int, in_channels: int, stride: int) -> Block:
            return BasicBlock(stage, number, in_channels, scaled(2 ** (stage - 1), width), stride, PaddedShortcut)

        self.complete(((depth - 2) // 6,) * 3, classes, make)


@backbones.register("resnet20", aliases=("cifar_resnet20", "cifar10_resnet20"))
def resnet20(*, classes: Classes = 10, width: Width = 16) -> CifarResNet:
    """ResNet-20 for 32-pixel images: nine blocks of two 3x3 convolutions."""
    return CifarResNet(20, width, classes)


@backbones.register("resnet32", aliases=("cifar_resnet32", "cifar10_resnet32"))
def resnet32(*, classes: Classes = 10, width: Width = 16) -> CifarResNet:
    """ResNet-32 for 32-pixel images: fifteen blocks of two 3x3 convolutions."""
    return CifarResNet(32, width, classes)


@backbones.register("resnet56", aliases=("cifar_resnet56", "cifar10_resnet56"))
def resnet56(*, classes: Classes = 10, width: Width = 16) -> CifarResNet:
    """ResNet-56 for 32-pixel images: twenty-seven blocks of two 3x3 convolutions."""
    return CifarResNet(56, width, classes)
