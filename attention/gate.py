"""The gate: an identity module that every attention weight passes through, so that it can be seen and replaced.

A module computes its weights, sends them through a Gate and multiplies (or adds) what comes out::

    weights = torch.sigmoid(self.conv(squeezed))  # (B, C, 1, 1)
    return x * self.gate(weights)

Then looking (`capture`) and intervening (`ablate`) are two context managers that know nothing of any module, and
whose hooks leave with the block.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Self, get_args

import torch
from torch import Tensor, nn

from attention.errors import InvalidRequest
from attention.models.compiled import eager, own_path
from attention.reports.gates import GateSite, WatchedGate
from attention.spec import Ablation, GateKind, Placement, Position

MIXED_AXIS: dict[GateKind, int] = {"spatial": 2, "branch": 2}
"""The axis a shuffle permutes where it is not axis 1: space is permuted by row, branch weights by channel."""

MAP_SIZED: tuple[GateKind, ...] = ("spatial", "full", "rows", "columns", "matrix")
"""Kinds whose gates are as large as the image makes the map."""


class Gate(nn.Module):
    """The identity that attention weights pass through.

    Args:
        kind: what the entries run over: channel (B,C,1,1), spatial (B,1,H,W), rows (B,C,H,1), columns (B,C,1,W),
            full (B,C,H,W), branch (B,M,C,1,1), matrix (B,N,N).
        neutral: the weight that passes the input through: 1 when multiplied, 0 when added, None for a softmax
            choice, which has no such weight.
    """

    def __init__(self, kind: GateKind, neutral: float | None = 1.0) -> None:
        super().__init__()
        if kind not in get_args(GateKind):
            raise ValueError(f"{kind!r} is not a kind of gate; there is {', '.join(get_args(GateKind))}.")
        self.kind: GateKind = kind
        self.neutral = neutral
        self.axis = MIXED_AXIS.get(kind, 1)

    def forward(self, weights: Tensor) -> Tensor:
        return weights

    def extra_repr(self) -> str:
        return f"{self.kind}, neutral={self.neutral}"


def at_least_float32(x: Tensor) -> Tensor:
    """The tensor in float32, or as it is where that is better: sums over a map overflow or are rounded away in half."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class AttentionModule(nn.Module):
    """An attention mechanism: (B, C, H, W) -> (B, C, H, W).

    A subclass takes ``channels`` first, then keyword-only options; the options' annotations and defaults are the
    form users fill in.
    """

    published: ClassVar[Mapping[str, Placement]] = {}
    """Where the module's paper puts it, by the beginning of the backbone's name; ``standard`` where nothing is said."""

    undecayed: ClassVar[tuple[str, ...]] = ()
    """Names of parameters that weight decay does not reach, beside biases, normalisations and vectors."""

    needs_side: ClassVar[bool] = False
    """Whether `at` asks for the side of the slot's map, which takes a pass of shapes through the backbone to find."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    @property
    def bottleneck(self) -> int | None:
        """Units of the layer that `reduction` makes narrow without a floor of the paper's own; None without one."""
        return None

    @classmethod
    def at(cls, slot: "Slot", **options: Any) -> Self:
        """The module for one slot. Override it where an option means something only in its network."""
        return cls(slot.channels, **options)


class PooledAttention(AttentionModule):
    """Attention whose channel weights depend on the channels' means alone: y = gate(excite(GAP x)) * x.

    A subclass says what `excite` is. That the means suffice is what lets a serving copy compute them more cheaply (see
    `attention.running.fused`).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.gate = Gate("channel")

    def excite(self, squeezed: Tensor) -> Tensor:
        """Compute the weights of the channels (B, C, 1, 1) from the means of the channels (B, C, 1, 1)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        squeezed = x.mean((2, 3), keepdim=True)  # (B, C, 1, 1)
        return x * self.gate(self.excite(squeezed))


class Slot(nn.Sequential):
    """A place in a backbone where attention may go: an empty sequence, so the identity, until something is put in.

    It owns no parameters while empty, so a backbone's state-dict keys are those of the plain network.

    Args:
        position, stage, block: where it is; stages and blocks count from 1.
        channels: of the map that arrives.

    When it is filled, ``backbone`` is the network's name, and ``side`` the height and width of the map that arrives
    at the network's own input size, for a module that needs it.
    """

    def __init__(self, position: Position, stage: int, block: int, channels: int) -> None:
        super().__init__()
        self.position: Position = position
        self.stage = stage
        self.block = block
        self.channels = channels
        self.backbone = ""
        self.side = 0


class UnitSlot(Slot):
    """A place around a convolution, where a unit may choose between that convolution and its own.

    Called with the convolution's input and its result; empty, it gives the result. What it is filled with has a
    method ``select(x, result)``, and finds here what its own convolutions must be like.
    """

    def __init__(
        self, stage: int, block: int, channels: int, *, in_channels: int, kernel_size: int, stride: int, groups: int
    ) -> None:
        super().__init__("spatial", stage, block, channels)
        self.in_channels = in_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.groups = groups

    def forward(self, x: Tensor, result: Tensor) -> Tensor:  # type: ignore[override]
        for unit in self:
            result = unit.select(x, result)  # type: ignore[operator]
        return result


@dataclass
class OwnGates:
    """Gates in the code of a network that was not written here, which have no modules: one pass has found them.

    Each has a Gate beside the network all the same. While something is hooked to these, the network's passes run inside
    ``follow``, which sends every gate's weights through its Gate; else nothing is followed.

    Args:
        gates: by path.
        places: by path.
        met: all gates of the network in the order of a pass, those of modules in slots, too.
        owners: path in the network of each module that does nothing but attention -> its first gate.
        follow: the network and its images (B, 3, H, W) -> the context in which a pass runs.
    """

    gates: dict[str, Gate]
    places: dict[str, GateSite]
    met: tuple[WatchedGate, ...]
    owners: dict[str, WatchedGate]
    follow: Callable[[nn.Module, Tensor], AbstractContextManager[None]]

    @property
    def order(self) -> tuple[str, ...]:
        """Paths of all gates; a Gate of a module in a slot that runs several times in a pass is one."""
        return tuple(gate.path for gate in self.met if gate.site is None or gate.site.path == gate.path)

    @property
    def hooked(self) -> bool:
        """Whether something looks at one of them, or replaces it."""
        return any(gate._forward_hooks for gate in self.gates.values())


def own_gates(model: nn.Module) -> OwnGates | None:
    """The gates in a network's own code; None where there is none."""
    own_attention: OwnGates | None = getattr(model, "own_gates", None)
    return own_attention


def slots(model: nn.Module) -> dict[str, Slot]:
    """Every slot by its path, in the order of the network."""
    return {own_path(path): module for path, module in model.named_modules() if isinstance(module, Slot)}


def gates(model: nn.Module) -> dict[str, Gate]:
    """Every gate by its path, in the order of the network."""
    by_path = {own_path(path): module for path, module in model.named_modules() if isinstance(module, Gate)}
    own_attention = own_gates(model)
    if own_attention is None:
        return by_path
    by_path |= own_attention.gates
    return {path: by_path[path] for path in own_attention.order}


def sites(model: nn.Module) -> tuple[GateSite, ...]:
    """Where each gate of a network sits."""
    gate_sites = []
    for slot_path, slot in slots(model).items():
        for path, gate in gates(slot).items():
            gate_sites.append(
                GateSite(
                    path=f"{slot_path}.{path}",
                    kind=gate.kind,
                    neutral=gate.neutral,
                    position=slot.position,
                    stage=slot.stage,
                    block=slot.block,
                )
            )
    own_attention = own_gates(model)
    if own_attention is None:
        return tuple(gate_sites)
    places = {site.path: site for site in gate_sites} | own_attention.places
    return tuple(places[path] for path in own_attention.order)


@contextmanager
def capture(model: nn.Module, gate_modules: Mapping[str, Gate] | None = None) -> Iterator[dict[str, Tensor]]:
    """Collect every gate's weights, as they leave it, during the forward passes inside the block.

    Enter it inside `ablate` to see the replaced weights. A second forward pass overwrites the first. A compiled
    network runs as it is written meanwhile.

    Args:
        gate_modules: the `gates` of a model that is not compiled, where they are known: to look for them takes
            longer than to collect.
    """
    weights: dict[str, Tensor] = {}

    def keep(path: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
            weights[path] = output.detach()

        return hook

    with ExitStack() as leaving:
        if gate_modules is None:
            leaving.enter_context(eager(model))
        for path, gate in (gates(model) if gate_modules is None else gate_modules).items():
            leaving.callback(gate.register_forward_hook(keep(path)).remove)
        yield weights


@contextmanager
def ablate(
    model: nn.Module, ablation: Ablation | None, reference: Mapping[str, Tensor] | None = None
) -> Iterator[None]:
    """Replace gates during the forward passes inside the block, each image as if it were alone.

    Args:
        ablation: which gates, and by what; None replaces nothing.
        reference: gate path -> (1, ...) or (B, ...), the weights that kinds ``mean`` and ``other_image`` put in.

    Raises:
        InvalidRequest: a gate is not there, has no neutral weight, or has no fitting reference.
    """
    if ablation is None:
        yield
        return
    with ExitStack() as leaving:
        leaving.enter_context(eager(model))
        for path, gate in chosen(model, ablation).items():
            replace = replacement(path, gate, ablation, reference or {})
            leaving.callback(gate.register_forward_hook(lambda _, __, weights, by=replace: by(weights)).remove)
        yield


def chosen(model: nn.Module, ablation: Ablation) -> dict[str, Gate]:
    """The gates that an ablation replaces, by path.

    Raises:
        InvalidRequest: it names one that is not there.
    """
    by_path = gates(model)
    if ablation.gates is None:
        return by_path
    named: dict[str, Gate] = {}
    for prefix in ablation.gates:
        matches = {path: gate for path, gate in by_path.items() if path == prefix or path.startswith(prefix + ".")}
        if not matches:
            examples = ", ".join(list(by_path)[:4]) or "none, for it has no attention"
            raise InvalidRequest(f"There is no gate at {prefix!r} in this network. Its gates: {examples}.")
        named |= matches
    return named


def replacement(
    path: str, gate: Gate, ablation: Ablation, reference: Mapping[str, Tensor]
) -> Callable[[Tensor], Tensor]:
    """What an ablation makes of one gate's weights (B, ...).

    Raises:
        InvalidRequest: the gate has no neutral weight, or no fitting reference.
    """
    kind = ablation.kind
    if kind == "neutral" and gate.neutral is None:
        raise InvalidRequest(f"The gate at {path!r} chooses among branches or places: it has no neutral weight.")
    if kind in ("mean", "other_image") and path not in reference:
        raise InvalidRequest(f"Ablation {kind!r} has no reference weights for the gate at {path!r}.")

    def replace(weights: Tensor) -> Tensor:
        if kind == "neutral":
            return torch.full_like(weights, float(gate.neutral or 0.0))
        if kind == "constant":
            return torch.full_like(weights, ablation.value)
        if kind == "scalar":
            return _scalar(weights, gate.kind)
        if kind == "shuffle":
            return _shuffle(weights, gate.axis, ablation.seed, path)
        put = reference[path].to(weights)
        if put.shape[1:] != weights.shape[1:]:
            raise InvalidRequest(
                f"The reference for the gate at {path!r} has shape {tuple(put.shape[1:])}, "
                f"but this image's gate has {tuple(weights.shape[1:])}."
                + (" Gates of this kind change with the image's size." if gate.kind in MAP_SIZED else "")
            )
        return put.expand_as(weights)

    return replace


def _scalar(weights: Tensor, kind: GateKind) -> Tensor:
    """Replace a gate's weights by their mean; for branches by one mean a branch, so that they still sum to 1."""
    first = 2 if kind == "branch" else 1
    return weights.mean(tuple(range(first, weights.dim())), keepdim=True).expand_as(weights)


def _shuffle(weights: Tensor, axis: int, seed: int, path: str) -> Tensor:
    """Permute a gate's weights over its channels, or rows of space: for all images in one order, by seed and path."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + sum(path.encode())) % 2**63)
    order = torch.randperm(weights.shape[axis], generator=generator).to(weights.device)
    return weights.index_select(axis, order)
