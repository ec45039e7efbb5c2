"""Dual Attention: every position looks at every position, every channel at every channel.

Dual Attention Network for Scene Segmentation. Jun Fu, Jing Liu, Haijie Tian, Yong Li, Yongjun Bao, Zhiwei Fang,
Hanqing Lu. CVPR 2019. https://arxiv.org/abs/1809.02983

    position: P = softmax_j(q_i . k_j),                    adds gamma_p * sum_j P_ij v_j
    channel:  E = X X^T, A = softmax(rowmax(E) - E),       adds gamma_c * A X
    y = x + gamma_p * V P^T + gamma_c * A X

The paper's network is a segmentation head: two parallel convolutions to C / 4 channels, the position part on one
and the channel part on the other, a convolution after each, and the sum. ``form=head`` is that; where the paper's last
convolution gives classes, ours gives the channels that came, so that it stands at a ``tail``. The drop-in, our
default, leaves the convolutions out: both parts see x itself and x is counted once, so that with both gammas at 0,
where they start, the module is exactly the identity.

The parts are those of https://github.com/junfu1115/DANet, with a query width of at least 1, and with scores in full
precision under autocast: they are sums over a whole map, which half precision rounds away or overflows. "Rowmax
minus" matters: it turns the sign, so that a channel gathers from those that are least like it; many ports lose it.

The position map has (H W)^2 entries: at 56 x 56 that is 39 MB an image. Late stages are the place for it, and the
``tail`` is where the paper's head stands.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from attention.gate import AttentionModule, Gate, at_least_float32
from attention.modules import modules
from attention.spec import Placement


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Inside it autocast is off, on a device that has autocast (the meta device has none)."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def scores(a: Tensor, b: Tensor) -> Tensor:
    """a @ b in float32, or better where the input is."""
    with full_precision(a.device):
        return torch.matmul(at_least_float32(a), at_least_float32(b))


class PositionAttention(nn.Module):
    """What the position part adds to a map: at each place, gamma times a mixture of values from all places."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.query = nn.Conv2d(channels, hidden, 1)
        self.key = nn.Conv2d(channels, hidden, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.gate = Gate("matrix", neutral=0.0)

    def forward(self, x: Tensor) -> Tensor:
        queries = self.query(x).flatten(2).transpose(1, 2)  # (B, HW, C / r)
        keys = self.key(x).flatten(2)  # (B, C / r, HW)
        weights = torch.softmax(scores(queries, keys), 2).to(x.dtype)  # (B, HW, HW), rows sum to 1
        values = self.value(x).flatten(2)  # (B, C, HW)
        return self.gamma * torch.matmul(values, self.gate(weights).transpose(1, 2)).view_as(x)


class ChannelAttention(nn.Module):
    """What the channel part adds to a map: to each channel, gamma times a mixture of all channels."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
        self.gate = Gate("matrix", neutral=0.0)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)  # (B, C, HW)
        likeness = scores(flat, flat.transpose(1, 2))  # (B, C, C)
        unlikeness = likeness.amax(2, keepdim=True) - likeness
        weights = torch.softmax(unlikeness, 2).to(x.dtype)  # (B, C, C), rows sum to 1
        return self.gamma * torch.matmul(self.gate(weights), flat).view_as(x)


def convolution(in_channels: int, out_channels: int) -> nn.Sequential:
    """A 3x3 convolution, normalised and rectified."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU()
    )


class Head(nn.Module):
    """The paper's head: a narrow branch for each part, their sum, and a 1x1 convolution back to the channels."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.before_position = convolution(channels, width)
        self.before_channel = convolution(channels, width)
        self.after_position = convolution(width, width)
        self.after_channel = convolution(width, width)
        self.project = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor, position: nn.Module, channel: nn.Module) -> Tensor:
        places, kinds = self.before_position(x), self.before_channel(x)  # (B, C / 4, H, W) each
        places, kinds = places + position(places), kinds + channel(kinds)
        return self.project(self.after_position(places) + self.after_channel(kinds))  # (B, C, H, W)


@modules.register(
    "danet",
    aliases=("DANetHead", "DAHead", "DualAttention", "DualAttentionNetwork"),
    option_aliases={"r": "reduction", "reduction_ratio": "reduction"},
)
class DualAttention(AttentionModule):
    """Dual Attention: adds mixtures of all positions and of all channels, for late stages."""

    published: ClassVar = {"": Placement(position="tail")}

    def __init__(
        self,
        channels: int,
        *,
        form: Annotated[
            Literal["residual", "head"],
            Field(description="Both parts added to the map as it is, or the paper's head of convolutions around them."),
        ] = "residual",
        reduction: Annotated[int, Field(ge=1, le=1024, description="Queries and keys are C // reduction wide.")] = 8,
    ) -> None:
        super().__init__(channels)
        width = channels if form == "residual" else max(channels // 4, 1)
        self.position = PositionAttention(width, reduction)
        self.channel = ChannelAttention()
        self.head = None if form == "residual" else Head(channels, width)

    def forward(self, x: Tensor) -> Tensor:
        if self.head is not None:
            return self.head(x, self.position, self.channel)
        return x + self.position(x) + self.channel(x)
