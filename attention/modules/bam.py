"""Bottleneck Attention Module: a channel part and a dilated spatial part, added before one sigmoid.

BAM: Bottleneck Attention Module. Jongchan Park, Sanghyun Woo, Joon-Young Lee, In So Kweon. BMVC 2018.
https://arxiv.org/abs/1807.06514

    y = (1 + sigmoid(M_c + M_s)) * x
    M_c = W2 relu(BN(W1 GAP x)),   M_s = conv1x1(f3 f2 f1 x)

f1 is a 1x1 convolution to C / r channels, f2 and f3 are 3x3 convolutions with dilation d, each followed by a
normalisation and a ReLU. The paper puts BAM where the network halves the map: in ResNet-50 at the ends of stages 1
to 3, and nowhere else. Layers and start are those of https://github.com/Jongchan/attention-module: the normalisation
stands inside the MLP, while the paper's formulas have one at the end of both parts; the counts here are the code's.
That code multiplies M_c by M_s (``combine=product``); the paper adds them, compares both and prefers the sum. The
bottleneck is at least 4 wide here: ReLUs in a row on one or two channels die easily, and then a part no longer sees
the image. In training, a normalisation of pooled channels needs a batch of at least 2.
"""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from attention.gate import AttentionModule, Gate
from attention.modules import modules
from attention.spec import Placement

LEAST_WIDTH = 4
"""Narrower than this, a part may start with no live ReLU at all."""


@modules.register(
    "bam",
    aliases=("BottleneckAttention", "BottleneckAttentionModule"),
    option_aliases={"r": "reduction", "reduction_ratio": "reduction"},
)
class BottleneckAttention(AttentionModule):
    """BAM: one gate for every entry, between 1 and 2, from a channel part and a dilated spatial part."""

    published: ClassVar = {
        "": Placement(position="stage", stages=(1, 2, 3)),
        **dict.fromkeys(("resnet20", "resnet32", "resnet56"), Placement(position="stage", stages=(1, 2))),
        "mobilenetv2": Placement(position="stage", stages=(1, 2, 3, 5)),
        "vgg11": Placement(position="stage", stages=(1, 2, 3, 4)),
    }
    """Wherever the next stage halves the map: "placed at every bottleneck of the network"."""

    def __init__(
        self,
        channels: int,
        *,
        reduction: Annotated[
            int, Field(ge=1, le=1024, description="Width of both parts is C // reduction, at least 4.")
        ] = 16,
        dilation: Annotated[int, Field(ge=1, le=16, description="Dilation of the spatial part's 3x3.")] = 4,
        combine: Annotated[
            Literal["sum", "product"],
            Field(description="How the two parts are joined: added, as in the paper, or multiplied, as released."),
        ] = "sum",
    ) -> None:
        super().__init__(channels)
        hidden = max(channels // reduction, LEAST_WIDTH)
        self.combine = combine
        self.channel = nn.Sequential(
            nn.Linear(channels, hidden), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels)
        )
        layers: list[nn.Module] = [nn.Conv2d(channels, hidden, 1), nn.BatchNorm2d(hidden), nn.ReLU(inplace=True)]
        for _ in range(2):
            layers.append(nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation))
            layers += [nn.BatchNorm2d(hidden), nn.ReLU(inplace=True)]
        self.spatial = nn.Sequential(*layers, nn.Conv2d(hidden, 1, 1))
        self.gate = Gate("full")
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        by_channel = self.channel(x.mean((2, 3)))[:, :, None, None]  # (B, C, 1, 1)
        by_place = self.spatial(x)  # (B, 1, H, W)
        joined = by_channel + by_place if self.combine == "sum" else by_channel * by_place  # (B, C, H, W)
        return x * self.gate(1 + torch.sigmoid(joined))
