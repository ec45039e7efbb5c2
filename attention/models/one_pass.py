"""What one pass of a model on a grey photo shows: what it gives, of how many classes, and whether shapes are enough."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

from attention.errors import InvalidRequest, first_line
from attention.names import Size, height_and_width, read_size, write_size
from attention.reports.parts.network import OutputKind

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Measured:
    """What one pass of a model showed: what it gives for each image, of how many classes, at which input size."""

    outputs: OutputKind
    classes: int
    input_size: Size
    without_numbers: bool
    """Whether the model runs on the meta device, where tensors have shapes only; a detector needs numbers."""


def measure(model: nn.Module, size: Size) -> Measured:
    """What one pass of a model in eval mode on a grey photo (1, 3, H, W) shows.

    Raises:
        InvalidRequest: the model does not take it.
    """
    first = next(model.parameters(), torch.empty(0))
    photo = torch.full((1, 3, *height_and_width(size)), 0.5, dtype=first.dtype, device=first.device)
    with torch.no_grad():
        try:
            output = model(photo)
        except Exception as error:
            try:
                output = model([*photo])
            except Exception:
                raise InvalidRequest(
                    f"{type(model).__name__} does not take a photo of {write_size(size)} pixels: {first_line(error)}. "
                    "Say its input size: example=(3, 320, 320), or preprocess."
                ) from error
        kind, classes = kind_of(output)
        try:
            meta_copy(model)(photo.to("meta"))
            without_numbers = kind != "boxes"
        except Exception:
            without_numbers = False
    return Measured(kind, classes, size, without_numbers)


def stated_size(model: nn.Module) -> Size | None:
    """Height and width of the input that a model's attribute ``input_size`` states, pixels; None where it has none."""
    size = getattr(model, "input_size", None)
    if isinstance(size, int):
        return size
    if isinstance(size, tuple) and len(size) == 2 and all(isinstance(side, int) for side in size):
        sides: Size = read_size(size)
        return sides
    return None


def main_output(output: Any) -> Any:
    """The logits or the map among what a model gives; all of it where there is neither."""
    if isinstance(output, Mapping):
        return next((output[key] for key in ("out", "logits") if isinstance(output.get(key), Tensor)), output)
    if isinstance(output, tuple) and output and isinstance(output[0], Tensor):
        return output[0]
    logits = getattr(output, "logits", None)
    return logits if isinstance(logits, Tensor) else output


def kind_of(output: Any) -> tuple[OutputKind, int]:
    """What a model gives for each image, and of how many classes; 1 where it does not say."""
    output = main_output(output)
    if isinstance(output, Tensor):
        if output.dim() == 2 and output.shape[1] > 1:  # of a single number a softmax makes 100 %
            return "classes", output.shape[1]
        return ("map", output.shape[1]) if output.dim() == 4 else ("other", 1)
    listed = isinstance(output, list) and output and isinstance(output[0], Mapping)
    return ("boxes", 1) if listed and {"boxes", "scores"} <= set(output[0]) else ("other", 1)


def meta_copy(model: M) -> M:
    """A copy of a model on the meta device; its numbers are never copied."""
    kept: dict[int, Any] = {}
    for module in model.modules():
        for tensors in (module._parameters, module._buffers, module.__dict__):
            for value in tensors.values():
                if isinstance(value, Tensor):
                    kept[id(value)] = on_meta(value)
    return copy.deepcopy(model, kept)


def full_copy(model: M) -> M:
    """A copy of a model, numbers and all."""
    with torch.no_grad():  # TorchScript inside it is copied by operations, which gradients would follow
        return copy.deepcopy(model)


def on_meta(value: Any) -> Any:
    """Tensors on the meta device in the place of those in a value."""
    if isinstance(value, nn.Parameter):
        return nn.Parameter(value.detach().to("meta"), requires_grad=value.requires_grad)
    if isinstance(value, Tensor):
        return value.detach().to("meta")
    if isinstance(value, Mapping):
        return {key: on_meta(part) for key, part in value.items()}
    return type(value)(map(on_meta, value)) if isinstance(value, tuple | list) else value


class ShapesOnly(TorchFunctionMode):
    """Inside it tensors are made on the meta device, and filling them with initial values is skipped.

    ``torch.device("meta")`` does the first half; without numbers the second is half of the time it takes.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _MAKERS:
            kwargs.setdefault("device", "meta")
            if kwargs["device"] is None:
                kwargs["device"] = "meta"
        elif func in _FILLERS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


_MAKERS = frozenset(_device_constructors())
_FILLERS = frozenset(
    getattr(home, f"{name}_")
    for home, names in (
        (nn.init, ("kaiming_uniform", "kaiming_normal", "uniform", "normal", "constant")),
        (torch.Tensor, ("uniform", "normal", "fill", "zero")),
    )
    for name in names
)
