"""Multi-spectral channel attention (FcaNet): SE that squeezes by 2-D cosine waves instead of the mean alone.

FcaNet: Frequency Channel Attention Networks. Zequn Qin, Pengyi Zhang, Fei Wu, Xi Li. ICCV 2021.
https://arxiv.org/abs/2012.11879

    squeezed_c = sum over h, w of x_chw b_u(h, H) b_v(w, W),   b_u(h, H) = a_u cos(pi u (h + 1/2) / 7) / sqrt(H)
    gate = sigmoid(W2 relu(W1 squeezed)),   y = gate * x,   a_0 = 1, otherwise sqrt(2)

2 C^2 / r weights and no biases; the waves are fixed. The channels are split into as many groups as there are
components (u, v), 16 in the paper, and each group is squeezed by its own; the components are numbered on a 7 x 7 map,
and ordered by the accuracy that each reached alone ("top16"). The component (0, 0) is sqrt(HW) times the mean.

The released code, https://github.com/cfzd/FcaNet, fixes the map's side by stage (56, 28, 14, 7) and pools other
maps to it. Here any multiple of 7 up to 56 is taken as it is, and another side is pooled to the nearest such multiple
below it, or to 7: at 224 pixels this is the released layer. The buffer of waves is not saved with the weights.
"""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from attention.errors import BadOption
from attention.gate import AttentionModule, Gate
from attention.modules import modules

# fmt: off
TOP = (
    (0, 0), (0, 1), (6, 0), (0, 5), (0, 2), (1, 0), (1, 2), (4, 0), (5, 0), (1, 6), (3, 0), (0, 4), (0, 6), (0, 3),
    (3, 5), (2, 2), (4, 6), (6, 3), (3, 3), (5, 3), (5, 5), (2, 1), (6, 1), (5, 2), (5, 4), (3, 2), (3, 1), (4, 1),
    (2, 3), (2, 0), (6, 5), (1, 3),
)
# fmt: on
"""Frequencies (u down, v across) on a 7 x 7 map, the most accurate alone first: the released ``top32``."""

LONGEST = 56
"""The longest side that is not pooled: that of the first stage at 224 pixels."""


def waves(frequencies: list[int], length: int) -> Tensor:
    """Cosine waves, a row each, whose frequencies are counted on 7 points: (K, length)."""
    rows = [
        [(math.sqrt(2) if u else 1) * math.cos(math.pi * u * (place + 0.5) / 7) for place in range(length)]
        for u in frequencies
    ]
    return torch.tensor(rows)


def grid(side: int) -> int:
    """The side that a map is squeezed at: a multiple of 7."""
    return min(max(side // 7 * 7, 7), LONGEST)


@modules.register(
    "fca",
    aliases=("FcaNet", "FcaLayer", "FrequencyChannelAttention", "MultiSpectralAttentionLayer"),
    option_aliases={"r": "reduction", "reduction_ratio": "reduction"},
)
class FrequencyChannelAttention(AttentionModule):
    """Frequency channel attention (FcaNet): Squeeze-and-Excitation on cosine components of the map."""

    down: Tensor
    across: Tensor

    def __init__(
        self,
        channels: int,
        *,
        components: Annotated[
            Literal[1, 2, 4, 8, 16, 32], Field(description="How many of the best frequencies share the channels.")
        ] = 16,
        reduction: Annotated[int, Field(ge=1, le=1024, description="Bottleneck width is C // reduction.")] = 16,
    ) -> None:
        super().__init__(channels)
        if channels % components:
            raise BadOption(
                f"'fca' cannot share {channels} channels among {components} components: the number must divide them."
            )
        frequencies = TOP[:components]
        self.register_buffer("down", waves([u for u, _ in frequencies], LONGEST), persistent=False)
        self.register_buffer("across", waves([v for _, v in frequencies], LONGEST), persistent=False)
        hidden = max(channels // reduction, 1)
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.expand = nn.Linear(hidden, channels, bias=False)
        self.gate = Gate("channel")

    @property
    def bottleneck(self) -> int:
        return self.reduce.out_features

    def squeeze(self, x: Tensor) -> Tensor:
        """Each channel's component: (B, C, H, W) -> (B, C)."""
        height, width = grid(x.shape[2]), grid(x.shape[3])
        if (height, width) != tuple(x.shape[2:]):
            x = F.adaptive_avg_pool2d(x, (height, width))
        down = self.down[:, :height, None] / math.sqrt(height)  # (K, H, 1)
        across = self.across[:, None, :width] / math.sqrt(width)  # (K, 1, W)
        shared = x.reshape(x.shape[0], len(down), -1, height, width)  # (B, K, C // K, H, W)
        return (shared * (down * across).unsqueeze(1)).sum((3, 4)).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.reduce(self.squeeze(x)))  # (B, C // r)
        weights = torch.sigmoid(self.expand(hidden))  # (B, C)
        return x * self.gate(weights[:, :, None, None])
