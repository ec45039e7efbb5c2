"""Effective Squeeze-and-Excitation: one fully connected layer that keeps all channels, and a hard sigmoid.

CenterMask: Real-Time Anchor-Free Instance Segmentation. Youngwan Lee, Jongyoul Park. CVPR 2020.
https://arxiv.org/abs/1911.06667

    gate = hardsigmoid(W GAP x + b),   hardsigmoid(z) = min(max(z + 3, 0), 6) / 6,   y = gate * x

C^2 weights and C biases. As in the released code, https://github.com/youngwanLEE/vovnet-detectron2, the sigmoid is the
hard one, so a gate may be exactly 0 or 1, and W starts as He et al. 2015 (normal, on the fan in), b as a convolution's
bias does. VoVNetV2 puts one after each aggregation block.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from attention.gate import PooledAttention
from attention.modules import modules


@modules.register("ese", aliases=("EffectiveSE", "EffectiveSEModule", "EffectiveSqueezeExcitation"))
class EffectiveSqueezeExcitation(PooledAttention):
    """Effective Squeeze-and-Excitation: one fully connected layer without bottleneck, and a hard sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.fc = nn.Conv2d(channels, channels, 1)
        if not self.fc.weight.is_meta:
            nn.init.kaiming_normal_(self.fc.weight)

    def excite(self, squeezed: Tensor) -> Tensor:
        return F.hardsigmoid(self.fc(squeezed))
