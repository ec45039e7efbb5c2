"""Style-based recalibration: a channel's mean and standard deviation decide its gate, channels apart.

SRM: A Style-based Recalibration Module for Convolutional Neural Networks. HyunJae Lee, Hyo-Eun Kim, Hyeonseob Nam.
ICCV 2019. https://arxiv.org/abs/1903.10829

    gate = sigmoid(BN(w1 mean x + w2 std x)),   y = gate * x

4 C parameters: w1, w2 and the normalisation's two. w starts at 0, so every gate is exactly 0.5, as in the released
code, https://github.com/hyunjaelee410/style-based-recalibration-module. There the standard deviation divides
by HW - 1, which is not a number on a map of one pixel; here it divides by HW, so such a map has deviation 0.
The normalisation needs more than one image in a batch to train.
"""

import torch
from torch import Tensor, nn

from attention.gate import AttentionModule, Gate
from attention.modules import modules


@modules.register("srm")
class StyleRecalibration(AttentionModule):
    """Style-based recalibration: each channel gated by its own mean and standard deviation."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.cfc = nn.Conv1d(channels, channels, 2, groups=channels, bias=False)
        nn.init.zeros_(self.cfc.weight)
        self.bn = nn.BatchNorm2d(channels)
        self.gate = Gate("channel")

    def forward(self, x: Tensor) -> Tensor:
        style = torch.stack((x.mean((2, 3)), x.std((2, 3), correction=0)), 2)  # (B, C, 2)
        encoded = self.cfc(style).unsqueeze(-1)  # (B, C, 1, 1)
        return x * self.gate(torch.sigmoid(self.bn(encoded)))
