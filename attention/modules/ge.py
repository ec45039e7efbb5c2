"""Gather-Excite: each channel is gathered over a neighbourhood and excited by what was found there.

Gather-Excite: Exploiting Feature Context in Convolutional Neural Networks. Jie Hu, Li Shen, Samuel Albanie, Gang Sun,
Andrea Vedaldi. NeurIPS 2018. https://arxiv.org/abs/1810.12348

    y = x * sigmoid(interpolate(gather x)),   interpolated to the map's size by the nearest neighbour

The paper's three kinds, by what is learned:

    theta_minus   gather is average pooling, windows of 2e - 1 in steps of e (the whole map if global); no parameters
    theta         gather is log2(e) depthwise 3x3 convolutions of stride 2, or one as large as the map, each normalised
    theta_plus    theta, then relu and SE's two 1x1 convolutions with biases before the sigmoid

Depthwise weights start as He et al. 2015 and the 1x1 ones normal with deviation 0.01, as in the released
definitions, https://github.com/hujie-frank/GENet, which cover the global extent. For the others we do as timm does:
a ReLU between two depthwise convolutions, and pooling windows that average over the pixels that exist.
A convolution as large as the map belongs to one size of map: ``size=network`` takes it from the place in
the network, and a map of another size is pooled to it first. The paper's place is SE's, ``standard``.
"""

from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from attention.gate import AttentionModule, Gate, Slot
from attention.modules import modules

LONE_SIZE = 7
"""The size where no network says one: the last maps of ImageNet's ResNets."""


@modules.register("ge", aliases=("GENet", "GatherExcite"))
class GatherExcite(AttentionModule):
    """Gather-Excite: each channel gated by what it gathers from a neighbourhood, or from the whole map."""

    needs_side: ClassVar = True

    def __init__(
        self,
        channels: int,
        *,
        kind: Annotated[
            Literal["theta_minus", "theta", "theta_plus"],
            Field(description="What is learned: nothing, the gathering, or the gathering and the excitation."),
        ] = "theta",
        extent: Annotated[
            Literal["global", 2, 4, 8], Field(description="Side of the neighbourhood in pixels, or the whole map.")
        ] = "global",
        size: Annotated[
            Literal["network"] | Annotated[int, Field(ge=1, le=112)],
            Field(description="Side of theta's global gathering: the map's own in a network, or a number."),
        ] = "network",
        reduction: Annotated[
            int, Field(ge=1, le=1024, description="Bottleneck width of theta_plus is C // reduction.")
        ] = 16,
    ) -> None:
        super().__init__(channels)
        self.extent = extent
        self.size = LONE_SIZE if size == "network" else int(size)
        self.convolutions = nn.Sequential() if kind == "theta_minus" else self._depthwise()
        self.excite = nn.Sequential()
        if kind == "theta_plus":
            hidden = max(channels // reduction, 1)
            reduce, expand = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)
            self.excite.extend([nn.ReLU(), reduce, nn.ReLU(), expand])
            for layer in (reduce, expand):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.constant_(layer.get_parameter("bias"), 0)
        self.gate = Gate("channel" if extent == "global" else "full")

    @classmethod
    def at(cls, slot: Slot, **options: Any) -> Self:
        if options.get("size", "network") == "network":
            options = {**options, "size": slot.side or LONE_SIZE}
        return cls(slot.channels, **options)

    def _depthwise(self) -> nn.Sequential:
        c = self.channels
        layers: list[nn.Module] = []
        if self.extent == "global":
            layers += [nn.Conv2d(c, c, self.size, groups=c, bias=False), nn.BatchNorm2d(c)]
        else:
            for _ in range(int(self.extent).bit_length() - 1):
                layers += [nn.Conv2d(c, c, 3, 2, 1, groups=c, bias=False), nn.BatchNorm2d(c), nn.ReLU()]
            layers.pop()
        for layer in layers:
            if isinstance(layer, nn.Conv2d) and not layer.weight.is_meta:
                nn.init.kaiming_normal_(layer.weight)
        return nn.Sequential(*layers)

    def gather(self, x: Tensor) -> Tensor:
        """What each neighbourhood holds: (B, C, H, W) -> (B, C, ceil(H / e), ceil(W / e)), one pixel if global."""
        if len(self.convolutions):
            if self.extent == "global" and tuple(x.shape[2:]) != (self.size, self.size):
                x = F.adaptive_avg_pool2d(x, (self.size, self.size))
            return self.convolutions(x)
        if self.extent == "global":
            return x.mean((2, 3), keepdim=True)
        e = int(self.extent)
        return F.avg_pool2d(x, 2 * e - 1, e, e - 1, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.sigmoid(self.excite(self.gather(x)))
        if self.extent != "global":
            weights = F.interpolate(weights, x.shape[2:], mode="nearest")  # (B, C, H, W)
        return x * self.gate(weights)
