"""Coordinate Attention: one gate by row and one by column, so that a channel's weight knows where it is.

Coordinate Attention for Efficient Mobile Network Design. Qibin Hou, Daquan Zhou, Jiashi Feng. CVPR 2021.
https://arxiv.org/abs/2103.02907

    f = hswish(BN(conv1x1([mean_W x; mean_H x]))),   y = sigmoid(conv_h f_h) * sigmoid(conv_w f_w) * x

(C m + m) + 2 m + 2 (m C + C) parameters with m = max(8, C / r), and 2 C m (H + W) multiply-accumulates. Layers and
start are those of https://github.com/houqb/CoordAttention; the paper writes a plain non-linearity where the code has
hswish, which is used here. Two sigmoids multiply, so a fresh module passes about a quarter of its input.
"""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from attention.gate import AttentionModule, Gate
from attention.modules import modules
from attention.spec import Placement

LEAST_WIDTH = 8
"""The released code's smallest bottleneck."""


@modules.register(
    "coord",
    aliases=("CA", "CoordAtt", "CoordAttention", "CoordinateAttention"),
    option_aliases={"r": "reduction", "reduction_ratio": "reduction"},
)
class CoordinateAttention(AttentionModule):
    """Coordinate Attention: gates each channel by row and by column, from means along the other axis."""

    published: ClassVar = {"mobilenetv2": Placement(position="inner", stages=(2, 3, 4, 5, 6, 7))}
    """On the hidden width of MobileNetV2, and not in its first stage, which does not expand."""

    def __init__(
        self,
        channels: int,
        *,
        reduction: Annotated[
            int, Field(ge=1, le=1024, description="Bottleneck width is C // reduction, at least 8.")
        ] = 32,
    ) -> None:
        super().__init__(channels)
        hidden = max(channels // reduction, LEAST_WIDTH)
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.bn = nn.BatchNorm2d(hidden)
        self.expand_rows = nn.Conv2d(hidden, channels, 1)
        self.expand_columns = nn.Conv2d(hidden, channels, 1)
        self.row_gate = Gate("rows")
        self.column_gate = Gate("columns")
        for conv in (self.reduce, self.expand_rows, self.expand_columns):
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        height = x.shape[2]
        by_row = x.mean(3, keepdim=True)  # (B, C, H, 1)
        by_column = x.mean(2, keepdim=True).transpose(2, 3)  # (B, C, W, 1)
        joined = torch.cat((by_row, by_column), 2)  # (B, C, H + W, 1)
        hidden = F.hardswish(self.bn(self.reduce(joined)))  # (B, m, H + W, 1)
        rows = self.expand_rows(hidden[:, :, :height])  # (B, C, H, 1)
        columns = self.expand_columns(hidden[:, :, height:].transpose(2, 3))  # (B, C, 1, W)
        return x * self.row_gate(torch.sigmoid(rows)) * self.column_gate(torch.sigmoid(columns))
