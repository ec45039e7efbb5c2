"""Efficient Channel Attention: one short 1-D convolution across neighbouring channels.

ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks. Qilong Wang, Banggu Wu, Pengfei Zhu,
Peihua Li, Wangmeng Zuo, Qinghua Hu. CVPR 2020. https://arxiv.org/abs/1910.03151

    gate = sigmoid(conv1d_k(GAP x)),   y = gate * x,   k = odd(|log2(C) + b| / gamma)

k weights, no bias, zero padding of (k - 1) / 2. The same filter runs over all channels, so ECA depends on their order.
The paper's printed code has no sigmoid and builds its convolution inside forward; both are slips that the
released code does not have. The released code takes k by hand, and its published networks do not use the formula's
values: ``kernel_size=released`` gives theirs, by network and width.
"""

import math
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from attention.errors import BadOption
from attention.gate import PooledAttention, Slot
from attention.modules import modules
from attention.spec import Placement

RELEASED: dict[str, dict[int, int]] = {
    "resnet18": {64: 3, 128: 5, 256: 7, 512: 7},
    "resnet34": {64: 3, 128: 3, 256: 5, 512: 7},
    "resnet50": {256: 3, 512: 5, 1024: 5, 2048: 7},
    "resnet101": {256: 3, 512: 3, 1024: 5, 2048: 7},
    "resnet152": {256: 3, 512: 3, 1024: 5, 2048: 7},
    "mobilenetv2": {16: 1, 24: 1, 32: 1, 64: 1, 96: 3, 160: 3, 320: 3},
}
"""Network -> channels -> kernel size of the weights released at https://github.com/BangguWu/ECANet.

Of MobileNetV2 the repository has had two versions, which give 96 channels a kernel of 3 and of 1.
"""


def adaptive_kernel_size(channels: int, gamma: float = 2, b: float = 1) -> int:
    """The paper's k for a number of channels: |log2(C) + b| / gamma cut to an integer, then up to the next odd one."""
    t = int(abs((math.log2(channels) + b) / gamma))
    return t if t % 2 else t + 1


@modules.register(
    "eca",
    aliases=("ECANet", "ECALayer", "EcaModule", "EfficientChannelAttention"),
    option_aliases={"k": "kernel_size", "k_size": "kernel_size"},
)
class EfficientChannelAttention(PooledAttention):
    """Efficient Channel Attention: one short 1-D convolution across neighbouring channels."""

    published: ClassVar = {"resnet33ts": Placement(position="inner")}
    """Of timm's eca_resnet33ts; the paper says ``standard``."""

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: Annotated[
            Literal["adaptive", "released"] | Annotated[int, Field(ge=1, le=63)],
            Field(description="The paper's formula, the released networks' values, or an odd number."),
        ] = "adaptive",
        gamma: Annotated[float, Field(ge=0.01, le=100, description="Divisor in the formula for k.")] = 2,
        b: Annotated[float, Field(ge=-100, le=100, description="Offset in the formula for k.")] = 1,
    ) -> None:
        super().__init__(channels)
        if kernel_size == "released":
            raise BadOption(
                "kernel_size=released is known for whole networks only. Choose adaptive or a number for a lone module."
            )
        k = adaptive_kernel_size(channels, gamma, b) if kernel_size == "adaptive" else int(kernel_size)
        if k % 2 == 0:
            raise BadOption(f"'eca' cannot take kernel_size={k}: an even kernel gives C - 1 gates. Take an odd one.")
        self.conv = nn.Conv1d(1, 1, k, padding=(k - 1) // 2, bias=False)

    @classmethod
    def at(cls, slot: Slot, **options: Any) -> Self:
        if options.get("kernel_size") == "released":
            kernel_sizes = RELEASED.get(slot.backbone, {})
            if slot.channels not in kernel_sizes:
                raise BadOption(
                    f"No released ECA network has {slot.channels} channels at {slot.position!r} of {slot.backbone!r}. "
                    f"Choose adaptive or a number; released are {', '.join(RELEASED)} at 'standard'."
                )
            options = {**options, "kernel_size": kernel_sizes[slot.channels]}
        return cls(slot.channels, **options)

    def excite(self, squeezed: Tensor) -> Tensor:
        weights = torch.sigmoid(self.conv(squeezed.flatten(1).unsqueeze(1)))  # (B, 1, C)
        return weights.transpose(1, 2).unsqueeze(-1)  # (B, C, 1, 1)
