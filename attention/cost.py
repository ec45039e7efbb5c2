"""The ledger: what a network costs, counted by formula and shape, so the spelling of the maths does not matter.

A throw-away copy of the network is made on the meta device, which has shapes and no numbers, and one image's shape
is sent through it. Every operation it runs is met by a rule that says what it costs; operations without a rule are
named in the report. Counters that hook modules instead see ``nn.Conv1d`` and not ``F.conv1d``, and disagree a
thousandfold on one ECA module.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attention.build import input_size as own_input_size
from attention.build import resolve, skeleton
from attention.errors import InvalidRequest
from attention.gate import slots
from attention.reports import Cost, LayerCost, VariantCost
from attention.spec import Variant

CONVENTION = (
    "One image. MACs: multiply-accumulates of convolutions and matrix products; a bias adds none. Elementwise: one for "
    "each entry written by activations, normalisations, products and sums, and one for each entry read by pooling. "
    "Bytes: float32, every operation reads its inputs and weights and writes its output, nothing fused. Parameters: "
    "trainable numbers; running statistics are buffers."
)
FLOAT_BYTES = 4


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


MACS: dict[str, Callable[..., int]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), lambda out, x, weight, *_, **__: out.numel() * weight[0].numel()),
    **dict.fromkeys(
        ("conv_transpose1d", "conv_transpose2d"), lambda out, x, weight, *_, **__: x.numel() * weight[0].numel()
    ),
    "linear": lambda out, x, weight, *_, **__: out.numel() * x.shape[-1],
    **dict.fromkeys(("matmul", "__matmul__", "mm", "bmm"), lambda out, a, b: out.numel() * a.shape[-1]),
}
"""Operation -> multiply-accumulates, from its output and its arguments."""

ENTRYWISE = _names(
    "add sub rsub mul div neg pow square sqrt rsqrt exp abs clamp relu relu6 leaky_relu gelu silu "
    "hardswish hardsigmoid hardtanh sigmoid tanh softmax batch_norm layer_norm group_norm instance_norm "
    "pad interpolate cat stack lerp where maximum minimum reciprocal log new_ones"
)
"""Operations that cost one for each entry they write."""

POOLING = _names(
    "mean sum amax amin max var std norm linalg_vector_norm max_pool1d max_pool2d avg_pool2d "
    "adaptive_avg_pool2d adaptive_max_pool2d"
)
"""Operations that cost one for each entry they read."""

FREE = _names(
    "view reshape flatten unflatten permute transpose swapaxes t mT unsqueeze squeeze expand expand_as "
    "chunk split unbind narrow select detach contiguous getitem movedim size dim numel shape stride type "
    "to float view_as to_memory_format repeat_interleave unfold"
)
"""Operations that only look at the same entries another way, or ask for a shape."""

SAME_SHAPE = _names("batch_norm relu relu6 sigmoid tanh hardsigmoid hardswish silu gelu")
"""Operations whose output has their input's shape. On the meta device that is all there is to say, and torch takes far
longer to find it out, so the input itself is handed on."""


def count(variant: Variant, input_size: int | None = None, layers: bool = False) -> VariantCost:
    """The bill of a variant for one image.

    Args:
        input_size: height and width in pixels; the backbone's own if None.
        layers: whether to list every operation.

    Raises:
        AttentionError: the variant cannot be built, or cannot take so small an image.
    """
    full = resolve(variant)
    size = input_size or own_input_size(full.backbone)
    bill = _count(full.model_copy(update={"weights": None, "seed": 0}), size)
    return bill.model_copy(update={"name": full.name, "variant": full, "layers": bill.layers if layers else None})


@lru_cache(maxsize=1024)
def _count(variant: Variant, size: int) -> VariantCost:
    model = skeleton(variant)
    try:
        ledger = walk(model, size)
    except (RuntimeError, ValueError) as error:
        raise InvalidRequest(f"{variant.name} cannot take an image of {size} x {size} pixels: {error}") from error
    total, attention = _sum(ledger.rows), _sum([row for row in ledger.rows if row.attention])
    return VariantCost(
        name=variant.name,
        variant=variant,
        input_size=size,
        buffers=sum(buffer.numel() for buffer in model.buffers() if buffer.is_floating_point()),
        total=total,
        attention=attention,
        # An unfilled slot is the identity, so what runs outside the slots is the plain twin.
        delta=attention,
        modules=sum(len(slot) for slot in slots(model).values()),
        not_counted=tuple(sorted(ledger.not_counted)),
        layers=tuple(ledger.rows),
    )


def _sum(rows: list[LayerCost]) -> Cost:
    return Cost(**{field: sum(getattr(row, field) for row in rows) for field in Cost.model_fields})


def walk(model: nn.Module, size: int) -> "Ledger":
    """Send one image's shape through a network on the meta device, and return the filled ledger.

    Raises:
        RuntimeError, ValueError: what torch says of a shape that does not fit.
    """
    with torch.no_grad(), _running(model) as running:
        ledger = Ledger(running)
        with ledger:
            model(torch.empty(1, 3, size, size, device="meta"))
    return ledger


@contextmanager
def _running(model: nn.Module) -> Iterator[list[tuple[str, bool]]]:
    """A stack: its last entry is the path of the module that is running, and whether that is inside a slot."""
    stack = [("", False)]
    inside = tuple(f"{path}." for path in slots(model))
    with ExitStack() as leaving:
        for path, module in model.named_modules():
            entry = (path, path.startswith(inside) if inside else False)
            leaving.callback(module.register_forward_pre_hook(lambda *_, entry=entry: stack.append(entry)).remove)
            leaving.callback(module.register_forward_hook(lambda *_: stack.pop() and None).remove)
        yield stack


class Ledger(TorchFunctionMode):
    """While it is entered, writes a row for every torch operation that costs something.

    Args:
        running: its last entry says which module is running, and whether that is attention.
    """

    def __init__(self, running: list[tuple[str, bool]]) -> None:
        super().__init__()
        self.rows: list[LayerCost] = []
        self.not_counted: set[str] = set()
        self._running = running
        self._paid: set[int] = set()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.__name__.strip("_")
        out = args[0] if name in SAME_SHAPE else func(*args, **(kwargs or {}))
        result = out[0] if isinstance(out, tuple) and out and isinstance(out[0], Tensor) else out
        if isinstance(result, Tensor) and name not in FREE and not name.startswith("empty"):
            self._write(name, func.__name__, result, args, kwargs or {})
        return out

    def _write(self, name: str, spelling: str, out: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        name = name.removeprefix("i") if name.removeprefix("i") in ("add", "mul", "sub") else name
        inputs = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        if args and isinstance(args[0], list | tuple):
            inputs += [value for value in args[0] if isinstance(value, Tensor)]
        macs = MACS[spelling](out, *args, **kwargs) if spelling in MACS else 0
        elementwise = out.numel() if name in ENTRYWISE else inputs[0].numel() if name in POOLING else 0
        if spelling not in MACS and name not in ENTRYWISE and name not in POOLING:
            self.not_counted.add(name)
        fresh = [value for value in inputs if isinstance(value, nn.Parameter) and id(value) not in self._paid]
        self._paid.update(id(value) for value in fresh)
        layer, attention = self._running[-1]
        self.rows.append(
            LayerCost(
                layer=layer,
                operation=name,
                attention=attention,
                shape=tuple(out.shape),
                parameters=sum(value.numel() for value in fresh),
                macs=macs,
                elementwise=elementwise,
                bytes=FLOAT_BYTES * (out.numel() + sum(value.numel() for value in inputs)),
            )
        )
