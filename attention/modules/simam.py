"""SimAM: no parameters; an entry weighs more, the more it differs from the rest of its channel.

SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural Networks. Lingxiao Yang, Ru-Yuan Zhang,
Lida Li, Xiaohua Xie. ICML 2021. https://proceedings.mlr.press/v139/yang21o.html

    gate = sigmoid(d / (4 (sum d / n + lambda)) + 1/2),   d = (x - mean x)^2,   n = H W - 1

Mean and sum run over the channel's map, so the gate lies in [0.622459, 1): it damps what is ordinary, never below
sigmoid(1/2), and passes what stands out. As in https://github.com/ZjjConan/SimAM, except that a map of a single pixel,
whose variance is 0/0 there, has d = 0 and the least gate here. The released networks have it between a block's last
3x3 convolution and the normalisation that follows; the nearest place here is after that normalisation.
"""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from attention.gate import AttentionModule, Gate, at_least_float32
from attention.modules import modules
from attention.spec import Placement


@modules.register("simam", aliases=("SimAMModule",))
class SimAM(AttentionModule):
    """SimAM: weighs every entry by how far it stands out from its channel, with no parameters."""

    published: ClassVar = {
        "": Placement(position="inner"),
        **dict.fromkeys(
            ("resnet18", "resnet34", "resnet20", "resnet32", "resnet56", "fpn_resnet18", "vgg"), Placement()
        ),
    }
    """After the last 3x3 of a block, which in blocks of two is the second: ``standard``."""

    def __init__(
        self,
        channels: int,
        *,
        e_lambda: Annotated[float, Field(gt=0, le=1, description="Added to the variance; lambda in the paper.")] = 1e-4,
    ) -> None:
        super().__init__(channels)
        self.e_lambda = e_lambda
        self.gate = Gate("full")

    def forward(self, x: Tensor) -> Tensor:
        n = max(x.shape[2] * x.shape[3] - 1, 1)
        precise = at_least_float32(x)
        d = (precise - precise.mean((2, 3), keepdim=True)).square()  # (B, C, H, W)
        variance = d.sum((2, 3), keepdim=True) / n  # (B, C, 1, 1)
        weights = torch.sigmoid(d / (4 * (variance + self.e_lambda)) + 0.5)  # (B, C, H, W)
        return x * self.gate(weights.to(x.dtype))
