"""SE-Var1: the pooled channels gate themselves, with no parameters; a published control for SE and ECA.

ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks. Qilong Wang, Banggu Wu, Pengfei Zhu,
Peihua Li, Wangmeng Zuo, Qinghua Hu. CVPR 2020, Table 2 (76.00 top-1 on ResNet-50). https://arxiv.org/abs/1910.03151

    gate = sigmoid(GAP x),   y = gate * x

It answers: how much comes from gating at all, before anything is learned? The same as Gather-Excite without parameters
over the whole map.
"""

import torch
from torch import Tensor

from attention.gate import AttentionModule, Gate
from attention.modules import modules


@modules.register("se_var1")
class SEVar1(AttentionModule):
    """SE-Var1: each channel gated by its own mean, nothing learned (control)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.gate = Gate("channel")

    def forward(self, x: Tensor) -> Tensor:
        squeezed = x.mean((2, 3), keepdim=True)  # (B, C, 1, 1)
        return x * self.gate(torch.sigmoid(squeezed))
