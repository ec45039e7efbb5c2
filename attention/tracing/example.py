"""One forward pass of a model that is not ours: what it takes, and its state left as it was."""

import reprlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from attention.errors import InvalidRequest, first_line
from attention.models.one_pass import stated_size
from attention.names import height_and_width

GREY = 0.5
"""Every pixel of an example image."""
SIDE = 224
"""Height and width of an example image, pixels, where neither the model nor the caller says another."""

Inputs = tuple[tuple[Any, ...], dict[str, Any]]


def inputs(model: nn.Module, example: Any = None) -> Inputs:
    """Positional and named inputs of a model's call.

    Args:
        example: a tensor or a list is the one input, a tuple or dictionary all of them; a size (C, H, W), or a side, is
            a grey image of that size on the model's device; None is one of the size that timm says, else 3 x 224 x 224.
    """
    if isinstance(example, Mapping):
        return (), dict(example)
    if isinstance(example, Tensor | list):
        return (example,), {}
    if isinstance(example, tuple) and not all(isinstance(size, int) for size in example):
        return example, {}
    size = own_size(model) if example is None else (3, example, example) if isinstance(example, int) else example
    if not isinstance(size, tuple) or not size or min(size) < 1:
        raise InvalidRequest(
            f"An example is a tensor, inputs, a size such as (3, 224, 224) or a side; not {reprlib.repr(example)}."
        )
    return (grey(model, size),), {}


def own_size(model: nn.Module) -> tuple[int, ...]:
    """The size (C, H, W) that a network of timm's or of ours says of itself, else 3 x 224 x 224."""
    for settings in (getattr(model, "pretrained_cfg", None), getattr(model, "default_cfg", None)):
        if isinstance(settings, Mapping) and settings.get("input_size"):
            return tuple(settings["input_size"])
    return (3, *height_and_width(stated_size(model) or SIDE))


def grey(model: nn.Module, size: tuple[int, ...]) -> Tensor:
    """A grey image (1, C, H, W) of the model's number format, on its device."""
    first = next((tensor for tensor in model.parameters() if tensor.is_floating_point()), None)
    if first is None:
        return torch.full((1, *size), GREY)
    return torch.full((1, *size), GREY, dtype=first.dtype, device=first.device)


def written(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """The inputs of a call in a few words, such as ``1 x 3 x 224 x 224``."""
    return ", ".join(_word(value) for value in (*args, *kwargs.values()))


def _word(value: Any) -> str:
    if isinstance(value, Tensor):
        return " x ".join(map(str, value.shape)) or "a number"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_word, value))}]"
    return describe(value)


def describe(value: Any) -> str:
    """A value in a few words, such as ``a tensor (2, 197, 768)`` or ``a dictionary of 3``."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return f"a dictionary of {len(value)}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"


def refusal(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], error: Exception, how: str = "watch(model, example=...)"
) -> str:
    """A sentence for inputs that a model does not take, with torch's own words and how to give others."""
    inputs_text = ", ".join(describe(value) for value in (*args, *kwargs.values())) or "no input"
    return f"This model does not take {inputs_text}: {first_line(error)}. Give an example: {how}."


@contextmanager
def at_rest(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode, without gradients; its modes and the random state come back after the block."""
    modes = {module: module.training for module in model.modules()}
    devices = {tensor.device.index or 0 for tensor in model.parameters() if tensor.is_cuda}
    with torch.random.fork_rng(devices=sorted(devices)), torch.no_grad():
        if any(modes.values()):
            with suppress(NotImplementedError):  # of exported models, which have one mode
                model.eval()
        try:
            yield
        finally:
            for module, training in modes.items():
                module.training = training
