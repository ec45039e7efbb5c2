"""Which channels and which places does each gate of a module depend on?"""

from collections.abc import Callable

import torch
from torch import Tensor

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.gate import AttentionModule, Gate, gates
from attention.measuring.traits import SIDE, module_alone, noise, randomise
from attention.modules import modules
from attention.reports.influence import GateInfluence, InfluenceReport, InfluenceRequest

MAPS = 8
"""Maps of noise that are tried: at some of them a ReLU is shut, and what it would hand on is not seen."""
GENTLE = 0.4
"""Factor on random weights, so that a softmax over many places does not choose one of them and hide the rest."""
NOTHING = 1e-9
"""Share of the largest derivative below which one is rounding."""
CONDITIONS = (
    f"Random weights, drawn from the seed, in float64. Derivatives of the gate's entries in the middle of a map of "
    f"{SIDE} x {SIDE} places by every entry of the map; over {MAPS} maps of noise the largest counts. Training changes "
    "the values; where zeros are, and how large the rank can be, is the module's structure."
)


@analyses.register("influence")
def influence(request: InfluenceRequest, lab: AnyLab) -> InfluenceReport:
    """Which channels and which places does each gate of a module depend on?"""
    name = modules.canonical(request.module)
    module = module_alone(name, request.channels, request.options, request.seed).double()
    randomise(module, request.seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(GENTLE)
    x = noise(channels=request.channels, images=MAPS).double()  # (B, C, H, W)
    return InfluenceReport(
        module=name,
        channels=request.channels,
        side=SIDE,
        gates=tuple(_influence(path, gate, module, x) for path, gate in gates(module).items()),
        conditions=CONDITIONS,
    )


def _influence(path: str, gate: Gate, module: AttentionModule, x: Tensor) -> GateInfluence:
    slopes = torch.stack([_jacobian(middle_entries(gate, module), image[None]) for image in x])  # (B, K, C, H, W)
    size = slopes.abs().amax(0)  # (K, C, H, W)
    by_channel = _scaled(size.sum((2, 3)))  # (K, C)
    middle = by_channel.shape[0] // 2
    by_place = _scaled(size[middle].sum(0))  # (H, W)
    return GateInfluence(
        path=path,
        kind=gate.kind,
        by_channel=_rows(by_channel),
        by_place=_rows(by_place),
        channels_heard=int((by_channel[middle] > NOTHING).sum()),
        places_heard=int((by_place > NOTHING).sum()),
        rank=int(torch.linalg.matrix_rank(slopes.sum((3, 4)).flatten(0, 1))),  # of (B K, C): what any map lets through
    )


def middle_entries(gate: Gate, module: AttentionModule) -> Callable[[Tensor], Tensor]:
    """A function from a map (1, C, H, W) to the entries of a gate in its middle: one for each channel, or one."""

    def entries(x: Tensor) -> Tensor:
        matrices: list[Tensor] = []
        handle = gate.register_forward_hook(lambda _, __, weights: matrices.append(weights[0]))
        try:
            module(x)
        finally:
            handle.remove()
        weights, (row, column) = matrices[0], (x.shape[2] // 2, x.shape[3] // 2)
        match gate.kind:
            case "rows":
                return weights[:, row, 0]
            case "columns":
                return weights[:, 0, column]
            case "spatial" | "full":
                return weights[:, row, column]
            case "branch":
                return weights[-1].flatten()  # of the last branch
            case "matrix":
                return weights[len(weights) // 2].square().sum()[None]  # the row of the middle place or channel
        return weights.flatten()

    return entries


def _jacobian(entries: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Derivatives of entries (K) by a map (1, C, H, W): (K, C, H, W); zeros where they do not depend on it."""
    slopes: Tensor = torch.autograd.functional.jacobian(entries, x, vectorize=False)  # type: ignore[no-untyped-call]
    return slopes[:, 0]


def _scaled(sizes: Tensor) -> Tensor:
    return sizes / sizes.max().clamp_min(torch.finfo(sizes.dtype).tiny)


def _rows(matrix: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(value, 6) for value in row) for row in matrix.tolist())
