"""ResNeXt-50 32x4d for photos of 224 pixels, with torchvision's parameter names: 25,028,904 parameters.

Aggregated Residual Transformations for Deep Neural Networks. Saining Xie, Ross Girshick, Piotr Dollár, Zhuowen Tu,
Kaiming He. CVPR 2017. https://arxiv.org/abs/1611.05431

ResNet-50 whose 3x3 convolutions have 32 groups, 4 channels wide in the first stage. The SK paper starts from it: with
SK around each 3x3, ``resnext50/sk@spatial``, it is SKNet-50. The stride is in the 3x3.
"""

from attention.backbones import backbones
from attention.backbones.resnet import Classes, ResNet, ShortcutKind, Stem, Width, bottlenecks


@backbones.register("resnext50", aliases=("resnext50_32x4d",))
def resnext50(
    *, classes: Classes = 1000, width: Width = 1.0, stem: Stem = "7x7", shortcut: ShortcutKind = "conv"
) -> ResNet:
    """ResNeXt-50 32x4d: sixteen bottleneck blocks whose 3x3 has 32 groups."""
    block = bottlenecks(width, shortcut=shortcut, groups=32, group_width=4)
    return ResNet(block, (3, 4, 6, 3), classes, width, stem)
