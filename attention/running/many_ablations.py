"""Many ablations of the same images in one pass that shares what they have in common.

Replacing a gate leaves everything before it as it was. So where blocks run one after another, the rows of an ablation
join the batch only at the first block that holds one of its gates, as copies of the untouched rows; and where the gate
is at the end of a block's branch, only there. Leaving out each of L gates in turn then costs a triangle of rows
instead of L + 1 whole passes, and gives the same numbers: every row is computed as if it were alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attention.backbones import Backbone
from attention.backbones.resnet import Block
from attention.gate import PooledAttention, Slot, chosen, gates, replacement
from attention.spec import Ablation
from attention.tracing.attached import AttachedModules


def forward_each(
    model: nn.Module, images: Tensor, ablations: Sequence[Ablation], references: Sequence[Mapping[str, Tensor]] = ()
) -> Tensor:
    """Logits of the same images untouched, and under each ablation: (1 + A, B, K).

    Args:
        images: (B, 3, H, W).
        references: for each ablation, gate path -> (1, ...) or (B, ...), what kinds ``mean`` and ``other_image`` put
            in; may be left out if there is none of these kinds.

    Raises:
        InvalidRequest: see `attention.gate.ablate`.
    """
    plan = _plan(model, ablations)
    rows = len(images)
    with ExitStack() as leaving:
        leaving.enter_context(_RowsTogether())
        for path, joining in plan.joins.items():
            if (block := _early(model, path)) is not None:
                leaving.enter_context(_joining_weights(block, rows))
                continue
            copies = _Copies(rows, len(joining))
            leaving.callback(model.get_submodule(path).register_forward_pre_hook(copies.before).remove)
            if (shortcut := _shortcut(model, path)) is not None:
                leaving.callback(shortcut.register_forward_hook(copies.after).remove)
        for path, gate in gates(model).items():
            changes = [
                (place, replacement(path, gate, ablations[number], references[number] if references else {}))
                for number, place in plan.places.items()
                if path in plan.touched[number]
            ]
            if changes:
                leaving.callback(gate.register_forward_hook(_replace(rows, changes)).remove)
        logits: Tensor = model(images.repeat(1 + plan.whole, 1, 1, 1))  # ((1 + A) B, K)
    order = [0, *(plan.places[number] for number in range(len(ablations)))]
    return logits.reshape(1 + len(ablations), rows, -1)[order]


class _RowsTogether(TorchFunctionMode):
    """Lets a 1x1 convolution on one CPU thread take all rows at once, by oneDNN.

    Torch takes fewer than 16 rows one after another there, and reads the convolution's weights for each anew
    (``use_mkldnn`` in https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/Convolution.cpp): right for a
    lone row, and slower than together for 2 to 15, which is what most of a triangle has (`benchmarks.sweep`).
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.conv2d and len(args) == 7 and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            x, weight, bias, stride, padding, dilation, groups = args
            alone = len(x) == 1 or x.device.type != "cpu" or x.dtype != torch.float32
            if not alone and (*weight.shape[2:], *stride, groups) == (1, 1, 1, 1, 1) and padding in ((0, 0), "valid"):
                return torch.mkldnn_convolution(x, weight, bias, (0, 0), stride, dilation, groups)
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class _Plan:
    """Where ablations join the batch; ``places`` says in which order their rows follow the untouched ones, from 1."""

    touched: list[set[str]]
    joins: dict[str, list[int]]
    places: dict[int, int]
    whole: int


def _plan(model: nn.Module, ablations: Sequence[Ablation]) -> _Plan:
    touched = [set(chosen(model, ablation)) for ablation in ablations]
    doors = {path: _door(model, path) for path in gates(model)}
    order = list(dict.fromkeys(doors.values()))  # as the network runs, which is the order of its gates
    first = [min((order.index(doors[path]) for path in paths), default=len(order)) for paths in touched]
    joins: dict[str, list[int]] = {}
    whole: list[int] = []  # whose rows run from the beginning
    for position, door in enumerate(order):
        joining = [number for number, start in enumerate(first) if start == position]
        if door is None:
            whole += joining
        elif joining:
            joins[door] = joining
    whole += [number for number, start in enumerate(first) if start == len(order)]
    sequence = [*whole, *(number for joining in joins.values() for number in joining)]
    return _Plan(touched, joins, {number: place for place, number in enumerate(sequence, start=1)}, len(whole))


def _door(model: nn.Module, path: str) -> str | None:
    """Where rows that differ in a gate join: its block, its slot if that ends the block's branch or is between blocks.

    None where the network is not a chain of blocks, or the gate is attached: such rows run from the beginning.
    """
    if not (isinstance(model, Backbone) and model.chained):
        return None
    names = path.split(".")
    if isinstance(model.get_submodule(names[0]), AttachedModules):
        return None
    for depth in range(1, len(names)):
        block = ".".join(names[:depth])
        module = model.get_submodule(block)
        if isinstance(module, Slot) or type(module) is not nn.Sequential:
            return f"{block}.standard" if names[depth] == "standard" else block
    return None


def _shortcut(model: nn.Module, door: str) -> nn.Module | None:
    """What carries a block's shortcut, whose rows must join where those of its branch do; None if there is none."""
    block, _, slot = door.rpartition(".")
    return getattr(model.get_submodule(block), "identity", None) if slot == "standard" else None


@dataclass(frozen=True)
class _Copies:
    """Hooks that append copies of the untouched rows to what goes into a module, or comes out of it."""

    rows: int
    copies: int

    def before(self, module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (self._with_copies(args[0]),)

    def after(self, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return self._with_copies(output)

    def _with_copies(self, x: Tensor) -> Tensor:
        return torch.cat([x, *[x[: self.rows]] * self.copies])


def _early(model: nn.Module, door: str) -> Block | None:
    """The block of a door whose gate can be computed before what it scales, so that only its weights need to join."""
    name, _, slot = door.rpartition(".")
    block = model.get_submodule(name) if slot == "standard" else None
    if isinstance(block, Block) and [isinstance(part, PooledAttention) for part in block.standard] == [True]:
        return block
    return None


@contextmanager
def _joining_weights(block: Block, rows: int) -> Iterator[None]:
    """Let rows join a block's sum: there are more rows of weights than of maps, and those are of the untouched maps."""

    def combine(shortcut: Tensor, branch: Tensor, weights: Tensor) -> Tensor:
        form = (
            torch.channels_last if branch.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
        )
        shape = (len(weights), *branch.shape[1:])
        total = torch.empty(shape, dtype=branch.dtype, device=branch.device, memory_format=form)
        there = len(branch)
        torch.addcmul(shortcut, branch, weights[:there], out=total[:there])
        for start in range(there, len(weights), rows):
            part = slice(start, start + rows)
            torch.addcmul(shortcut[:rows], branch[:rows], weights[part], out=total[part])
        return total

    before, block.gate_first = block.gate_first, True
    block.combine = combine  # type: ignore[method-assign]
    try:
        yield
    finally:
        del block.combine
        block.gate_first = before


def _replace(rows: int, changes: list[tuple[int, Any]]) -> Any:
    """A hook that replaces the weights of rows that are there, and appends those of rows that join right here."""
    changes = sorted(changes, key=lambda change: change[0])

    def hook(module: nn.Module, args: tuple[Any, ...], weights: Tensor) -> Tensor:
        joining = [replace(weights[:rows]) for place, replace in changes if place * rows >= len(weights)]
        weights = torch.cat([weights, *joining])  # a new tensor in any case
        for place, replace in changes[: len(changes) - len(joining)]:
            part = slice(place * rows, (place + 1) * rows)
            weights[part] = replace(weights[part])
        return weights

    return hook
