"""The layers that papers' formulas are made of, restated in numpy, and modules whose every number is random."""

from typing import TypeVar

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]
M = TypeVar("M", bound=nn.Module)


def maps(channels: int = 32, batch: int = 2, height: int = 6, width: int = 5, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, height, width, generator=generator, dtype=torch.float64)


def randomised(module: M) -> M:
    """The module in float64 and eval mode, with no parameter or running statistic left at its start."""
    generator = torch.Generator().manual_seed(1)
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        for name, buffer in module.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator, dtype=torch.float64))
    return module


def numbers(module: nn.Module) -> dict[str, Array]:
    """Parameters and statistics by path, without the trailing axes of 1x1 convolutions."""
    return {
        name: value.numpy()[:, :, 0, 0] if value.dim() == 4 and value.shape[2:] == (1, 1) else value.numpy()
        for name, value in module.state_dict().items()
    }


def outcome(module: nn.Module, x: Tensor) -> Array:
    with torch.no_grad():
        return module(x).numpy()


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array, axis: int) -> Array:
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def norm(x: Array, p: dict[str, Array], path: str, eps: float = 1e-5) -> Array:
    """Batch normalisation of axis 1 by its running statistics."""
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, var, weight, bias = (
        p[f"{path}.{name}"].reshape(shape) for name in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(var + eps) * weight + bias


def conv(x: Array, weight: Array, dilation: int = 1) -> Array:
    """A convolution that keeps height and width; the shape of the weight says how many groups it has."""
    per_group, side = weight.shape[1:3]
    groups = x.shape[1] // per_group
    span = dilation * (side - 1) + 1
    padded = np.pad(x, ((0, 0), (0, 0), (span // 2, span // 2), (span // 2, span // 2)))
    windows = sliding_window_view(padded, (span, span), (2, 3))[..., ::dilation, ::dilation]
    parts = [
        np.einsum("bihwyx,oiyx->bohw", seen, kernel)
        for seen, kernel in zip(np.split(windows, groups, 1), np.split(weight, groups, 0), strict=True)
    ]
    return np.concatenate(parts, 1)
