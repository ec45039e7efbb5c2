"""Gated Channel Transformation: channels compete or cooperate through the norm of their norms.

Gated Channel Transformation for Visual Recognition. Zongxin Yang, Linchao Zhu, Yu Wu, Yi Yang. CVPR 2020.
https://arxiv.org/abs/1909.11519

    s_c = alpha_c ||x_c||,   gate_c = 1 + tanh(gamma_c s_c / sqrt(mean over channels of s^2 + eps) + beta_c)
    y = gate * x

3 C parameters. alpha starts at 1, gamma and beta at 0, so the gate is exactly 1 and a fresh module is the identity;
until gamma has moved, no gradient reaches alpha. The gate lies in (0, 2). The paper puts one before every
convolution, which no single place of a block does: ``pre`` stands before its first. With ``norm=l1`` sums of absolute
values take the norms' place, as in the released code, https://github.com/z-x-yang/GCT. Norms are taken in float32 or
better: in float16 the squares of a map of 56 x 56 pass its range.
"""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from attention.gate import AttentionModule, Gate, at_least_float32
from attention.modules import modules
from attention.spec import Placement


@modules.register("gct", aliases=("GatedChannelTransformation", "GatedChannelTransform"))
class GatedChannelTransformation(AttentionModule):
    """Gated Channel Transformation: each channel's norm against all channels' norms, the identity at the start."""

    published: ClassVar = {"": Placement(position="pre")}
    undecayed: ClassVar = ("alpha", "gamma", "beta")
    """Decay would pull the gate back to passing everything through. The released training leaves out beta only:
    https://github.com/z-x-yang/GCT/blob/master/PyTorch/main.py."""

    def __init__(
        self,
        channels: int,
        *,
        norm: Annotated[Literal["l2", "l1"], Field(description="How a channel's map becomes one number.")] = "l2",
        epsilon: Annotated[
            float, Field(gt=0, le=1, description="Added under the roots, so that empty maps divide by it.")
        ] = 1e-5,
    ) -> None:
        super().__init__(channels)
        self.norm = norm
        self.epsilon = epsilon
        self.alpha = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gate = Gate("channel")

    def forward(self, x: Tensor) -> Tensor:
        precise = at_least_float32(x)
        if self.norm == "l2":
            embedding = (precise.square().sum((2, 3), keepdim=True) + self.epsilon).sqrt() * self.alpha  # (B, C, 1, 1)
            scale = (embedding.square().mean(1, keepdim=True) + self.epsilon).rsqrt()  # (B, 1, 1, 1)
        else:
            embedding = precise.abs().sum((2, 3), keepdim=True) * self.alpha
            scale = (embedding.abs().mean(1, keepdim=True) + self.epsilon).reciprocal()
        weights = torch.tanh(embedding * scale * self.gamma + self.beta) + 1  # (B, C, 1, 1)
        return x * self.gate(weights.to(x.dtype))
