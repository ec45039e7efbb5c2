"""A copy of a network that answers the same in less time: what is constant after training is worked in once.

Normalisations become part of the convolutions before them (Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference. Benoit Jacob et al. CVPR 2018, section 3.2. https://arxiv.org/abs/1712.05877).
And in residual blocks a gate that depends on channel means alone is computed first and multiplied in while the
shortcut is added: one pass over the map instead of three. In a bottleneck its means come from the last convolution's
input, which has a quarter of the channels, for a mean over the map commutes with a 1x1 convolution.

Gates keep their paths, so looking and intervening work as before. The copy is for eval mode only.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from attention.backbones import Backbone
from attention.backbones.resnet import Block
from attention.gate import PooledAttention

PROBE = 64
"""Side of the noise image that a copy is checked with, pixels, where a network takes any size."""

TOLERANCE = 1e-4
"""By how much of the largest logit a copy may differ; rounding alone gives about 1e-6."""


def fused_copy(model: Backbone) -> Backbone:
    """A faster copy of a network in eval mode, or a plain copy where the faster one would not give the same."""
    served = copy.deepcopy(model).eval()
    probe = _noise(model)
    with torch.no_grad():
        truth = model(probe)
        if not isinstance(truth, Tensor):  # boxes, whose number may change by rounding
            return served
        for convolution, normalisation in _pairs(served, probe):
            _fold(served, convolution, normalisation)
        for block in served.modules():
            if isinstance(block, Block) and [isinstance(part, PooledAttention) for part in block.standard] == [True]:
                block.gate_first = True
        worst = (served(probe) - truth).abs().max() / truth.abs().max().clamp_min(1e-12)
    return served if worst <= TOLERANCE else copy.deepcopy(model)


def _noise(model: Backbone) -> Tensor:
    side = max(PROBE, model.smallest_input)
    sides = (side, side) if model.chained else model.height_and_width
    noise = torch.randn(1, 3, *sides, generator=torch.Generator().manual_seed(0))
    return noise.to(next(model.parameters()))


def _pairs(model: nn.Module, probe: Tensor) -> list[tuple[str, str]]:
    """Paths of the convolutions whose output goes straight into a normalisation, and of that."""
    came_from: dict[int, tuple[str, Tensor]] = {}  # the tensor is kept, so that its id is not given away
    pairs: list[tuple[str, str]] = []
    handles = []

    def remember(path: str) -> Any:
        def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            came_from[id(output)] = (path, output)

        return hook

    def match(path: str) -> Any:
        def hook(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            if id(args[0]) in came_from:
                pairs.append((came_from[id(args[0])][0], path))

        return hook

    for path, module in model.named_modules():
        if module._forward_hooks:
            continue  # what is attached there comes between, and would be lost
        if type(module) is nn.Conv2d:
            handles.append(module.register_forward_hook(remember(path)))
        elif type(module) is nn.BatchNorm2d and module.track_running_stats:
            handles.append(module.register_forward_pre_hook(match(path)))
    try:
        model(probe)
    finally:
        for handle in handles:
            handle.remove()
    once = {path for path in (name for name, _ in pairs) if sum(path == name for name, _ in pairs) == 1}
    return [(convolution, normalisation) for convolution, normalisation in pairs if convolution in once]


def _fold(model: nn.Module, convolution: str, normalisation: str) -> None:
    """Work a normalisation into the convolution before it."""
    conv, norm = model.get_submodule(convolution), model.get_submodule(normalisation)
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None and norm.running_var is not None
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    model.set_submodule(normalisation, nn.Identity())
