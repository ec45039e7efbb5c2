"""ResNet-18, 34, 50, 101 and 152 for photos of 224 pixels, with torchvision's parameter names.

Deep Residual Learning for Image Recognition. Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun. CVPR 2016.
https://arxiv.org/abs/1512.03385

Version 1.5 puts a bottleneck's stride in its 3x3 convolution (torchvision, timm, the ECA paper); the paper itself, v1,
puts it in the first 1x1 (the SE and CBAM papers: 3.858 GMACs for ResNet-50). The deep and tiered stems and the pooled
shortcut are the D and T variants of: Bag of Tricks for Image Classification with Convolutional Neural Networks. Tong
He, Zhi Zhang, Hang Zhang, Zhongyue Zhang, Junyuan Xie, Mu Li. CVPR 2019. https://arxiv.org/abs/1812.01187. They have
timm's names: ``stem=deep, shortcut=pool`` is its resnet50d, ``stem=tiered, shortcut=pool`` its resnet50t. A wide
ResNet (Sergey Zagoruyko, Nikos Komodakis. BMVC 2016. https://arxiv.org/abs/1605.07146) is a bottleneck with a wider
3x3: ``inner_width=2`` is torchvision's wide_resnet50_2.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Protocol

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor, nn

from attention.backbones import Backbone, Slot, backbones
from attention.gate import UnitSlot


def _version(value: Any) -> Any:
    """``version=1`` and ``version=1.5`` are understood too."""
    return f"v{value}" if str(value) in ("1", "1.5") else value


Classes = Annotated[int, Field(ge=1)]
Width = Annotated[float, Field(gt=0, le=4, description="Factor on every number of channels.")]
InnerWidth = Annotated[
    float, Field(gt=0, le=4, description="Factor on the width of the 3x3 alone; 2 is a wide ResNet.")
]
Version = Annotated[
    Literal["v1.5", "v1"],
    BeforeValidator(_version),
    Field(description="Where a bottleneck's stride is: in its 3x3 (v1.5) or in its first 1x1 (v1, the paper)."),
]
Stem = Annotated[
    Literal["7x7", "deep", "tiered"],
    Field(description="The first layers: one 7x7, three 3x3 (D), or three 3x3 that widen step by step (T)."),
]
ShortcutKind = Annotated[
    Literal["conv", "pool"],
    Field(description="How a shortcut halves the map: a 1x1 of stride 2, or average pooling before the 1x1 (D, T)."),
]


class Block(nn.Module):
    """A residual block with its slots; its forward reads like the placement figure of the SE paper.

    ``pre`` on the branch's input, ``spatial`` around its spatial convolution with normalisation and ReLU, ``inner``
    after that, ``standard`` after the last normalisation, ``identity`` on the shortcut, ``post`` after the sum.

    Args:
        in_channels, out_channels: of the block.
        spatial: the place around the spatial convolution, which says the stage, the block and the inner width.
    """

    gate_first = False
    """Whether a pooled gate is computed before what it scales; the same in eval mode (`attention.running.fused`)."""

    def __init__(self, in_channels: int, out_channels: int, spatial: UnitSlot) -> None:
        super().__init__()
        stage, block = spatial.stage, spatial.block
        self.out_channels = out_channels
        self.relu = nn.ReLU(inplace=True)
        self.pre = Slot("pre", stage, block, in_channels)
        self.spatial = spatial
        self.inner = Slot("inner", stage, block, spatial.channels)
        self.standard = Slot("standard", stage, block, out_channels)
        self.identity = Slot("identity", stage, block, out_channels)
        self.post = Slot("post", stage, block, out_channels)
        self.downsample: nn.Module | None = None

    def hidden(self, x: Tensor) -> Tensor:
        """Run the branch up to the input of its last convolution."""
        raise NotImplementedError

    def last(self, hidden: Tensor) -> Tensor:
        """Run the branch's last convolution and normalisation."""
        raise NotImplementedError

    def squeezed(self, hidden: Tensor, branch: Tensor) -> Tensor:
        """The means of the branch's channels: (B, C, 1, 1)."""
        return branch.mean((2, 3), keepdim=True)

    def combine(self, shortcut: Tensor, branch: Tensor, weights: Tensor) -> Tensor:
        """Shortcut plus the branch times its weights, in one pass over the map."""
        return torch.addcmul(shortcut, branch, weights)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        hidden = self.hidden(self.pre(x))
        branch = self.last(hidden)
        if self.gate_first:
            (attention,) = self.standard
            weights = attention.gate(attention.excite(self.squeezed(hidden, branch)))  # type: ignore[operator]
            return self.post(self.relu(self.combine(self.identity(shortcut), branch, weights)))
        return self.post(self.relu(self.identity(shortcut) + self.standard(branch)))


class Shortcut(Protocol):
    """Protocol of a function that makes a block's shortcut where the shape changes."""

    def __call__(self, in_channels: int, out_channels: int, stride: int) -> nn.Module: ...


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The shortcut where the shape changes: a 1x1 convolution and its normalisation."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def pooled_projection(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """A shortcut that looks at every pixel: average pooling, then a 1x1 convolution and its normalisation."""
    pool = nn.AvgPool2d(2, stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
    return nn.Sequential(pool, *projection(in_channels, out_channels, 1).children())


SHORTCUTS: dict[str, Shortcut] = {"conv": projection, "pool": pooled_projection}


class BasicBlock(Block):
    """Two 3x3 convolutions (ResNet-18 and 34, and the ResNets for small images).

    ``spatial`` and ``inner`` belong to the first, the one that a ReLU follows.
    """

    def __init__(
        self, stage: int, block: int, in_channels: int, width: int, stride: int, shortcut: Shortcut = projection
    ) -> None:
        unit = UnitSlot(stage, block, width, in_channels=in_channels, kernel_size=3, stride=stride, groups=1)
        super().__init__(in_channels, width, unit)
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        if stride != 1 or in_channels != width:
            self.downsample = shortcut(in_channels, width, stride)

    def hidden(self, x: Tensor) -> Tensor:
        return self.inner(self.spatial(x, self.relu(self.bn1(self.conv1(x)))))

    def last(self, hidden: Tensor) -> Tensor:
        return self.bn2(self.conv2(hidden))


class Bottleneck(Block):
    """A 1x1, a 3x3 and a 1x1 convolution (ResNet-50, 101 and 152, and ResNeXt).

    Args:
        inner: width of the 3x3.
        groups: of the 3x3.
        version: ``v1`` puts the stride in the first 1x1, ``v1.5`` in the 3x3.
    """

    def __init__(
        self,
        stage: int,
        block: int,
        in_channels: int,
        inner: int,
        out_channels: int,
        stride: int,
        shortcut: Shortcut = projection,
        groups: int = 1,
        version: Version = "v1.5",
    ) -> None:
        first, second = (stride, 1) if version == "v1" else (1, stride)
        unit = UnitSlot(stage, block, inner, in_channels=inner, kernel_size=3, stride=second, groups=groups)
        super().__init__(in_channels, out_channels, unit)
        self.conv1 = nn.Conv2d(in_channels, inner, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, second, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        if stride != 1 or in_channels != out_channels:
            self.downsample = shortcut(in_channels, out_channels, stride)

    def hidden(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        return self.inner(self.spatial(x, self.relu(self.bn2(self.conv2(x)))))

    def last(self, hidden: Tensor) -> Tensor:
        return self.bn3(self.conv3(hidden))

    def squeezed(self, hidden: Tensor, branch: Tensor) -> Tensor:
        """The means of the branch's channels, computed before its last 1x1: a mean over the map commutes with that."""
        return self.last(hidden.mean((2, 3), keepdim=True))


MakeBlock = Callable[[int, int, int, int], Block]
"""Makes the block of (stage, number, in_channels, stride)."""


def initialise(model: nn.Module) -> None:
    """Convolutions as He et al. 2015 on the fan out, as torchvision does; normalisations start at 1 and 0."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class ResidualNet(Backbone):
    """A stem ``conv1``, ``bn1``; stages ``layer1``, ``layer2``, ... of blocks; global average pooling; a classifier."""

    chained = True

    def __init__(self, stem: nn.Module, channels: int) -> None:
        super().__init__()
        self.conv1 = stem
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool: nn.Module = nn.Identity()

    def complete(self, depths: tuple[int, ...], classes: int, block: MakeBlock) -> None:
        """Add the stages, the tail and the classifier.

        Args:
            depths: blocks in each stage.
        """
        channels = self.bn1.num_features
        self.channels: list[int] = []
        for stage, depth in enumerate(depths, start=1):
            blocks = []
            for number in range(1, depth + 1):
                blocks.append(block(stage, number, channels, 2 if number == 1 and stage > 1 else 1))
                channels = blocks[-1].out_channels
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
            self.add_module(f"after{stage}", Slot("stage", stage, depth, channels))
            self.channels.append(channels)
        self.depths = depths
        self.tail = Slot("tail", len(depths), depths[-1], channels)
        self.fc = nn.Linear(channels, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.tail(self.levels(x)[-1]).mean((2, 3))  # (B, C)
        return self.fc(x)

    def levels(self, x: Tensor) -> list[Tensor]:
        """What each stage gives: (B, C, H, W), twice the channels and half the side of the one before."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        maps = []
        for stage in range(1, len(self.depths) + 1):
            x = self.get_submodule(f"after{stage}")(self.get_submodule(f"layer{stage}")(x))
            maps.append(x)
        return maps


def scaled(channels: float, width: float) -> int:
    """A number of channels times a factor, rounded, at least 1."""
    return max(round(channels * width), 1)


def stem_layers(kind: Stem, width: float) -> nn.Module:
    """The convolutions before the first normalisation: from 3 channels to 64, half the side."""
    if kind == "7x7":
        return nn.Conv2d(3, scaled(64, width), 7, 2, 3, bias=False)
    first, second, third = (scaled(c, width) for c in ((24, 32, 64) if kind == "tiered" else (32, 32, 64)))
    return nn.Sequential(
        nn.Conv2d(3, first, 3, 2, 1, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(inplace=True),
        nn.Conv2d(first, second, 3, 1, 1, bias=False),
        nn.BatchNorm2d(second),
        nn.ReLU(inplace=True),
        nn.Conv2d(second, third, 3, 1, 1, bias=False),
    )


class ResNet(ResidualNet):
    """A stem with a maximum over 3x3, and four stages."""

    def __init__(
        self, block: MakeBlock, depths: tuple[int, ...], classes: int, width: float = 1.0, stem: Stem = "7x7"
    ) -> None:
        super().__init__(stem_layers(stem, width), scaled(64, width))
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.complete(depths, classes, block)


def basic_blocks(width: float = 1.0, shortcut: ShortcutKind = "conv") -> MakeBlock:
    """Blocks of ResNet-18 and 34: 64 channels in the first stage, twice as many in each next one."""

    def make(stage: int, number: int, in_channels: int, stride: int) -> Block:
        channels = scaled(64 * 2 ** (stage - 1), width)
        return BasicBlock(stage, number, in_channels, channels, stride, SHORTCUTS[shortcut])

    return make


def bottlenecks(
    width: float = 1.0,
    inner_width: float = 1.0,
    version: Version = "v1.5",
    shortcut: ShortcutKind = "conv",
    groups: int = 1,
    group_width: int = 64,
) -> MakeBlock:
    """Blocks of ResNet-50 and deeper: 256 channels in the first stage, twice as many in each next one.

    Args:
        groups, group_width: of the 3x3, the width in the first stage.
    """

    def make(stage: int, number: int, in_channels: int, stride: int) -> Block:
        inner = groups * scaled(group_width * 2 ** (stage - 1), width * inner_width)
        out_channels = 4 * scaled(64 * 2 ** (stage - 1), width)
        how = SHORTCUTS[shortcut]
        return Bottleneck(stage, number, in_channels, inner, out_channels, stride, how, groups, version)

    return make


@backbones.register("resnet18")
def resnet18(
    *, classes: Classes = 1000, width: Width = 1.0, stem: Stem = "7x7", shortcut: ShortcutKind = "conv"
) -> ResNet:
    """ResNet-18: eight blocks of two 3x3 convolutions."""
    return ResNet(basic_blocks(width, shortcut), (2, 2, 2, 2), classes, width, stem)


@backbones.register("resnet34")
def resnet34(
    *, classes: Classes = 1000, width: Width = 1.0, stem: Stem = "7x7", shortcut: ShortcutKind = "conv"
) -> ResNet:
    """ResNet-34: sixteen blocks of two 3x3 convolutions."""
    return ResNet(basic_blocks(width, shortcut), (3, 4, 6, 3), classes, width, stem)


@backbones.register("resnet50")
def resnet50(
    *,
    classes: Classes = 1000,
    version: Version = "v1.5",
    width: Width = 1.0,
    inner_width: InnerWidth = 1.0,
    stem: Stem = "7x7",
    shortcut: ShortcutKind = "conv",
) -> ResNet:
    """ResNet-50: sixteen bottleneck blocks."""
    return ResNet(bottlenecks(width, inner_width, version, shortcut), (3, 4, 6, 3), classes, width, stem)


@backbones.register("resnet101")
def resnet101(
    *,
    classes: Classes = 1000,
    version: Version = "v1.5",
    width: Width = 1.0,
    inner_width: InnerWidth = 1.0,
    stem: Stem = "7x7",
    shortcut: ShortcutKind = "conv",
) -> ResNet:
    """ResNet-101: thirty-three bottleneck blocks."""
    return ResNet(bottlenecks(width, inner_width, version, shortcut), (3, 4, 23, 3), classes, width, stem)


@backbones.register("resnet152")
def resnet152(
    *,
    classes: Classes = 1000,
    version: Version = "v1.5",
    width: Width = 1.0,
    inner_width: InnerWidth = 1.0,
    stem: Stem = "7x7",
    shortcut: ShortcutKind = "conv",
) -> ResNet:
    """ResNet-152: fifty bottleneck blocks."""
    return ResNet(bottlenecks(width, inner_width, version, shortcut), (3, 8, 36, 3), classes, width, stem)
