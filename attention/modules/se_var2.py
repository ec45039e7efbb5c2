"""SE-Var2: one weight a channel and no interaction between channels; a published control for SE and ECA.

ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks. Qilong Wang, Banggu Wu, Pengfei Zhu,
Peihua Li, Wangmeng Zuo, Qinghua Hu. CVPR 2020, Table 2 (77.07 top-1 on ResNet-50). https://arxiv.org/abs/1910.03151

    gate = sigmoid(w * GAP x),   y = gate * x

C weights: the diagonal of SE-Var3's matrix, and ECA-NS with k = 1. The paper does not say how w starts and no code
was released; here it is the usual start of a depthwise convolution, uniform between -1 and 1.
"""

import torch
from torch import Tensor, nn

from attention.gate import PooledAttention
from attention.modules import modules


@modules.register("se_var2")
class SEVar2(PooledAttention):
    """SE-Var2: each channel gated by its own mean times a learned weight, no interaction (control)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.weigh = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)

    def excite(self, squeezed: Tensor) -> Tensor:
        return torch.sigmoid(self.weigh(squeezed))
