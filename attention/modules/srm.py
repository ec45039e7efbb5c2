"""Style-based recalibration: a channel's mean and standard deviation decide its gate, channels apart.

SRM: A Style-based Recalibration Module for Convolutional Neural Networks. HyunJae Lee, Hyo-Eun Kim, Hyeonseob Nam.
ICCV 2019. https://arxiv.org/abs/1903.10829

    gate = sigmoid(BN(w1 mean x + w2 std x)),   y = gate * x

4 C parameters: w1, w2 and the normalisation's two. w starts at 0, so every gate is exactly 0.5, as in the released
code, https://github.com/hyunjaelee410/style-based-recalibration-module. As there, the deviation is
sqrt(variance + 1e-5) with the variance divided by HW - 1; on a map of one pixel, where that is not a number, the
variance is 0 here. The normalisation needs more than one image in a batch to train.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from attention.gate import AttentionModule, Gate
from attention.modules import modules

EPSILON = 1e-5
"""Added to the variance under the root, as in the released code."""


@modules.register("srm", aliases=("SRMLayer", "StyleRecalibration", "StyleBasedRecalibrationModule"))
class StyleRecalibration(AttentionModule):
    """Style-based recalibration: each channel gated by its own mean and standard deviation."""

    undecayed: ClassVar = ("cfc.weight",)
    """Two weights a channel, which the released training leaves out beside the normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.cfc = nn.Conv1d(channels, channels, 2, groups=channels, bias=False)
        nn.init.zeros_(self.cfc.weight)
        self.bn = nn.BatchNorm2d(channels)
        self.gate = Gate("channel")

    def forward(self, x: Tensor) -> Tensor:
        variance = x.var((2, 3), correction=min(1, x.shape[2] * x.shape[3] - 1))  # (B, C)
        style = torch.stack((x.mean((2, 3)), (variance + EPSILON).sqrt()), 2)  # (B, C, 2)
        encoded = self.cfc(style).unsqueeze(-1)  # (B, C, 1, 1)
        return x * self.gate(torch.sigmoid(self.bn(encoded)))
