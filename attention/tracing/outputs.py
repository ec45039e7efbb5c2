"""What the submodules of a model give in one pass, and whether it is a map that attention can gate."""

import re
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from attention.errors import InvalidRequest
from attention.tracing.example import Inputs, at_rest, refusal
from attention.tracing.paths import named_modules


class Outline:
    """Shape, number format and device of a tensor."""

    def __init__(self, tensor: Tensor) -> None:
        self.shape, self.dtype, self.device = tuple(tensor.shape), tensor.dtype, tensor.device


def outlines(model: nn.Module, call: Inputs) -> dict[str, list[Any]]:
    """Outputs of every submodule in one forward pass, by path, call by call; tensors without their numbers."""
    outputs: dict[str, list[Any]] = {}

    def note(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            outputs.setdefault(path, []).append(_outline(output))

        return hook

    with ExitStack() as leaving, at_rest(model):
        for path, module in named_modules(model).items():
            if not isinstance(module, torch.jit.ScriptModule):
                leaving.callback(module.register_forward_hook(note(path)).remove)
        try:
            model(*call[0], **call[1])
        except Exception as error:
            raise InvalidRequest(refusal(*call, error, "attach(model, ..., example=...)")) from error
    return outputs


def _outline(output: Any) -> Any:
    if isinstance(output, Tensor):
        return Outline(output)
    if isinstance(output, dict):
        return {key: _outline(value) for key, value in output.items()}
    if isinstance(output, tuple | list):
        return [_outline(value) for value in output]
    return output


def map_shape(path: str, outputs: dict[str, list[Any]], channels_last: bool | None) -> tuple[int, int]:
    """Channels and side of the maps that a submodule gives.

    Raises:
        InvalidRequest: it gives no map, several, or one whose channels may be last.
    """
    calls = outputs.get(path, [])
    if not calls:
        raise InvalidRequest(f"{path} did not run in a pass of the example, so nothing can be put behind it.")
    if not all(isinstance(output, Outline) for output in calls):
        first_output = calls[0]
        count = "a dictionary" if isinstance(first_output, dict) else f"a {type(first_output).__name__}"
        number = f" of {len(first_output)} maps" if isinstance(first_output, dict | list) else ""
        raise InvalidRequest(f"{path} gives {count}{number}. Choose the layers that make them{_makers(path, outputs)}.")
    shapes = {output.shape for output in calls}
    for shape in shapes:
        if len(shape) == 3:
            raise InvalidRequest(
                f"{path} gives {shape}: tokens, not a map (B, C, H, W). Attention modules here gate maps; choose a "
                "layer before the tokens."
            )
        if len(shape) != 4:
            raise InvalidRequest(f"{path} gives {shape}, not a map (B, C, H, W). Choose a layer that gives one.")
        if channels_last is None and shape[1] == shape[2] != shape[3]:
            raise InvalidRequest(
                f"{path} gives {shape}, which looks like channels last. Say channels_last=True, or choose a layer that "
                "gives (B, C, H, W); if it does, say channels_last=False."
            )
    channels = {shape[3] if channels_last else shape[1] for shape in shapes}
    if len(channels) > 1:
        raise InvalidRequest(f"{path} is called for maps of {' and '.join(map(str, sorted(channels)))} channels.")
    return channels.pop(), max(shape[2] for shape in shapes)


def _makers(path: str, outputs: dict[str, list[Any]]) -> str:
    """Submodules that give the maps that came out together, as a pattern if they are numbered."""
    output = outputs[path][0]
    together = [
        part.shape
        for part in (output.values() if isinstance(output, dict) else output if isinstance(output, list) else ())
        if isinstance(part, Outline)
    ]
    below = [
        other
        for other, calls in outputs.items()
        if other.startswith(f"{path}." if path else "")
        and any(isinstance(call, Outline) and call.shape in together for call in calls)
    ]
    names = [re.sub(r"(?<=\.)\d+$", "*", other) for other in below]
    patterns, latest = Counter(names), {name: number for number, name in enumerate(names)}
    return f": {max(patterns, key=lambda pattern: (patterns[pattern], latest[pattern]))}" if patterns else ""
