"""SE-Var3: one full matrix between the channels, without SE's bottleneck; a published control for SE and ECA.

ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks. Qilong Wang, Banggu Wu, Pengfei Zhu,
Peihua Li, Wangmeng Zuo, Qinghua Hu. CVPR 2020, Table 2 (77.42 top-1 on ResNet-50). https://arxiv.org/abs/1910.03151

    gate = sigmoid(W GAP x),   y = gate * x

C^2 weights, no bias: 20 million more on ResNet-50. It answers: what does the bottleneck of SE cost? The paper does not
say how W starts and no code was released; here it is the usual start of a linear layer.
"""

import torch
from torch import Tensor, nn

from attention.gate import PooledAttention
from attention.modules import modules


@modules.register("se_var3")
class SEVar3(PooledAttention):
    """SE-Var3: one fully connected layer on the pooled channels, no bottleneck (control)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.mix = nn.Conv2d(channels, channels, 1, bias=False)

    def excite(self, squeezed: Tensor) -> Tensor:
        return torch.sigmoid(self.mix(squeezed))
