"""What an operation costs, by name: its multiply-accumulates, and whether it writes entries, pools or only looks."""

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

from attention.models.operations import names

Shape = tuple[int, ...]


def _per_output(out: Tensor, x: Tensor, weight: Tensor, *_: Any, **__: Any) -> int:
    return out.numel() * (weight.numel() // weight.shape[0])


def _per_input(out: Tensor, x: Tensor, weight: Tensor, *_: Any, **__: Any) -> int:
    return x.numel() * (weight.numel() // weight.shape[0])


def _inner_product(out: Tensor, a: Tensor, *_: Any, **__: Any) -> int:
    return out.numel() * a.shape[-1]


def _einsum(out: Tensor, equation: Any, *operands: Any, **_: Any) -> int | None:
    """Product of the sizes of all letters; None for more than two operands, whose order decides."""
    tensors = operands[0] if len(operands) == 1 and isinstance(operands[0], tuple | list) else operands
    if not isinstance(equation, str) or len(tensors) != 2 or "." in equation:
        return None
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    sizes = {
        letter: size
        for term, tensor in zip(terms, tensors, strict=True)
        for letter, size in zip(term, tensor.shape, strict=True)
    }
    return prod(sizes.values())


def _scaled_dot_product(out: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    """Queries (..., L, E) times keys (..., S, E), and the weights (..., L, S) times values (..., S, V)."""
    pairs = prod(query.shape[:-1]) * key.shape[-2]
    return pairs * (query.shape[-1] + value.shape[-1])


def _multi_head(out: Tensor, query: Tensor, key: Tensor, value: Tensor, width: int, *_: Any, **__: Any) -> int:
    """Three projections to a width, the attention of (L, B, E) to (S, B, E), and the projection out."""
    targets, sources = query.numel() // query.shape[-1], key.numel() // key.shape[-1]
    projected = targets * query.shape[-1] + sources * (key.shape[-1] + value.shape[-1]) + targets * width
    return width * (projected + 2 * targets * key.shape[0])


MACS: dict[str, Callable[..., int | None]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _per_output),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _per_input),
    **dict.fromkeys(("linear", "matmul", "mm", "bmm"), _inner_product),
    "addmm": lambda out, _, a, *__, **___: out.numel() * a.shape[-1],
    "baddbmm": lambda out, _, a, *__, **___: out.numel() * a.shape[-1],
    "einsum": _einsum,
    "scaled_dot_product_attention": _scaled_dot_product,
    "multi_head_attention_forward": _multi_head,
}
"""Operation -> multiply-accumulates, from its output and its arguments; None if they cannot be told from these."""

ENTRYWISE = names(
    "add sub rsub mul div neg pow square sqrt rsqrt exp abs clamp relu relu6 leaky_relu gelu silu "
    "hardswish hardsigmoid hardtanh sigmoid tanh softmax batch_norm layer_norm group_norm instance_norm "
    "pad interpolate cat stack lerp where maximum minimum reciprocal log new_ones "
    "prelu elu celu selu mish softplus softsign logsigmoid log_softmax glu rms_norm local_response_norm normalize erf "
    "exp2 expm1 log2 log10 log1p sin cos tan sign floor ceil round clamp_min clamp_max clip addcmul addcdiv "
    "masked_fill eq ne gt lt ge le logical_and logical_or logical_not bitwise_and bitwise_or bitwise_not invert "
    "and or xor"
)
"""Operations that cost one for each entry they write."""

POOLING = names(
    "mean sum amax amin max min var std norm linalg_vector_norm max_pool1d max_pool2d avg_pool1d avg_pool2d "
    "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d "
    "max_pool3d avg_pool3d adaptive_avg_pool3d adaptive_max_pool3d lp_pool2d argmax argmin logsumexp prod any all"
)
"""Operations that cost one for each entry they read."""

FREE = names(
    "view reshape flatten unflatten permute transpose swapaxes t T mT unsqueeze squeeze expand expand_as chunk split "
    "unbind narrow select detach contiguous getitem movedim type to float view_as repeat_interleave unfold dropout "
    "data reshape_as roll flip tile repeat clone copy index_select gather swapdims moveaxis split_with_sizes "
    "tensor_split pixel_shuffle pixel_unshuffle channel_shuffle double half bfloat16 alias cpu cuda dropout2d "
    "alpha_dropout"
)
"""Operations that only look at the same entries another way, or copy them."""

MADE = names(
    "empty empty_like new_empty zeros ones zeros_like ones_like full full_like new_zeros new_full tensor arange "
    "linspace eye"
)
"""Operations that make a tensor out of nothing."""

IN_PLACE = names("relu relu6 leaky_relu silu hardswish hardsigmoid hardtanh elu celu selu")
"""Operations that may be told to write over their input."""

# On the meta device torch takes far longer to find these shapes (0.15-0.4 ms an operation) than it takes to say them.


def _same(input: Tensor, *_: Any, **__: Any) -> Shape | None:
    return input.shape if input.dtype is torch.float32 else None


def _broadcast(input: Any, other: Any = None, **_: Any) -> Shape | None:
    for one, two in ((input, other), (other, input)):
        if isinstance(one, Tensor) and one.dtype is torch.float32:
            if isinstance(two, int | float):
                return one.shape
            if isinstance(two, Tensor) and two.dtype is torch.float32 and one.dim() == two.dim():
                pairs = tuple(zip(one.shape, two.shape, strict=True))
                return tuple(map(max, pairs)) if all(m == n or 1 in (m, n) for m, n in pairs) else None
    return None


def _reduced(input: Tensor, dim: Any = None, keepdim: bool = False, **other: Any) -> Shape | None:
    axes = (dim,) if isinstance(dim, int) else dim
    if other or not axes or not isinstance(axes, tuple | list) or input.dtype is not torch.float32:
        return None
    gone = {axis % input.dim() for axis in axes}
    if keepdim:
        return tuple(1 if axis in gone else n for axis, n in enumerate(input.shape))
    return tuple(n for axis, n in enumerate(input.shape) if axis not in gone)


Find = Callable[..., Shape | None]

SHAPES: dict[str, Find] = {
    **dict.fromkeys(names("batch_norm relu relu6 sigmoid tanh hardsigmoid hardswish silu gelu sqrt square"), _same),
    **dict.fromkeys(names("add sub mul div"), _broadcast),
    **dict.fromkeys(names("mean sum amax amin"), _reduced),
}
"""Operation -> shape of its output, or None if torch has to be asked."""
