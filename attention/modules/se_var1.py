"""SE-Var1: the pooled channels gate themselves, with no parameters; a published control for SE and ECA.

ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks. Qilong Wang, Banggu Wu, Pengfei Zhu,
Peihua Li, Wangmeng Zuo, Qinghua Hu. CVPR 2020, Table 2 (76.00 top-1 on ResNet-50). https://arxiv.org/abs/1910.03151

    gate = sigmoid(GAP x),   y = gate * x

It answers: how much comes from gating at all, before anything is learned? The same as Gather-Excite without parameters
over the whole map.
"""

import torch
from torch import Tensor

from attention.gate import PooledAttention
from attention.modules import modules


@modules.register("se_var1")
class SEVar1(PooledAttention):
    """SE-Var1: each channel gated by its own mean, nothing learned (control)."""

    def excite(self, squeezed: Tensor) -> Tensor:
        return torch.sigmoid(squeezed)
