"""ECA-NS: ECA whose channels do not share their filter; the ECA paper's control for the sharing.

ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks. Qilong Wang, Banggu Wu, Pengfei Zhu,
Peihua Li, Wangmeng Zuo, Qinghua Hu. CVPR 2020, equations 6 and 7, Table 2 (77.35 top-1 on ResNet-50).
https://arxiv.org/abs/1910.03151

    gate_c = sigmoid(sum over j of w_cj (GAP x)_(c + j)),   |j| <= (k - 1) / 2,   y = gate * x

k C weights, no bias, zero padding, as in the released ``eca_ns.py``: near both ends of the channel axis some taps
only ever see padding, so (k^2 - 1) / 4 of the weights do nothing. The released code takes k by hand; here
it follows ECA's formula unless a number is given, so that the two differ in sharing alone.
"""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from attention.errors import BadOption
from attention.gate import PooledAttention
from attention.modules import modules
from attention.modules.eca import adaptive_kernel_size


@modules.register("eca_ns")
class UnsharedEfficientChannelAttention(PooledAttention):
    """ECA without sharing: every channel weighs its neighbours by a filter of its own (control)."""

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: Annotated[
            Literal["adaptive"] | Annotated[int, Field(ge=1, le=63)],
            Field(description="The paper's formula for k, or an odd number."),
        ] = "adaptive",
    ) -> None:
        super().__init__(channels)
        k = adaptive_kernel_size(channels) if kernel_size == "adaptive" else int(kernel_size)
        if k % 2 == 0:
            raise BadOption(f"'eca_ns' cannot take kernel_size={k} for {channels} channels: take an odd one.")
        self.kernel_size = k
        self.conv = nn.Conv1d(channels, channels, k, groups=channels, bias=False)

    def excite(self, squeezed: Tensor) -> Tensor:
        reach = self.kernel_size // 2
        row = F.pad(squeezed.flatten(1), (reach, reach))  # (B, C + k - 1)
        neighbours = row.unfold(1, self.kernel_size, 1)  # (B, C, k)
        return self.conv(neighbours).sigmoid().unsqueeze(-1)  # (B, C, 1, 1)
