"""Circular ECA: ECA whose filter runs round the channel axis instead of meeting zeros at its ends.

ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks. Qilong Wang, Banggu Wu, Pengfei Zhu,
Peihua Li, Wangmeng Zuo, Qinghua Hu. CVPR 2020. https://arxiv.org/abs/1910.03151

The mechanism is ECA's; the circular padding is Chris Ha's, 2020, known as CECA from timm
(https://github.com/huggingface/pytorch-image-models). There is no paper of its own.

    gate_c = sigmoid(sum over j of w_j (GAP x)_((c + j) mod C)),   y = gate * x,   k as in ECA

k weights, no bias. Channels have no natural ends, so none of them should see zeros: shifting the channels round
shifts the gates with them. timm clamps k to at least 3; here k is ECA's formula, which gives 1 below 8 channels.
"""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from attention.errors import BadOption
from attention.gate import PooledAttention
from attention.modules import modules
from attention.modules.eca import adaptive_kernel_size


@modules.register("ceca", aliases=("CecaModule", "CircularECA"))
class CircularEfficientChannelAttention(PooledAttention):
    """Circular ECA: one short 1-D convolution that runs round the channels, first next to last."""

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: Annotated[
            Literal["adaptive"] | Annotated[int, Field(ge=1, le=63)],
            Field(description="ECA's formula for k, or an odd number."),
        ] = "adaptive",
        gamma: Annotated[float, Field(ge=0.01, le=100, description="Divisor in the formula for k.")] = 2,
        b: Annotated[float, Field(ge=-100, le=100, description="Offset in the formula for k.")] = 1,
    ) -> None:
        super().__init__(channels)
        k = adaptive_kernel_size(channels, gamma, b) if kernel_size == "adaptive" else int(kernel_size)
        if k % 2 == 0:
            raise BadOption(f"'ceca' cannot take kernel_size={k} for {channels} channels: take an odd one.")
        if k > channels:
            raise BadOption(
                f"'ceca' cannot take kernel_size={k} for {channels} channels: it would go round more than once."
            )
        self.conv = nn.Conv1d(1, 1, k, bias=False)

    def excite(self, squeezed: Tensor) -> Tensor:
        reach = self.conv.kernel_size[0] // 2
        ring = F.pad(squeezed.flatten(1).unsqueeze(1), (reach, reach), mode="circular")  # (B, 1, C + k - 1)
        weights = self.conv(ring).sigmoid()  # (B, 1, C)
        return weights.transpose(1, 2).unsqueeze(-1)  # (B, C, 1, 1)
