"""Gates in the code of networks that were not written here: found in one pass, and run through Gates of ours.

So `attention.gate.capture` and `ablate`, and all that is made of them, take such a network for one of ours: its gates
have paths and places, and hooks on their Gates see and replace the weights.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

import torch
from torch import Tensor, nn

from attention.backbones import ForeignNetwork
from attention.gate import Gate, OwnGates, own_gates
from attention.reports.gates import GateSite, WatchedGate
from attention.tracing.example import at_rest
from attention.tracing.hooks import tracing
from attention.tracing.passes import Summary
from attention.tracing.paths import stored_paths

ROWS = 2
"""Images in the pass that finds gates: weights of another number of rows are not those of images."""


class _Lister:
    """Visitor that keeps what one pass met."""

    def __init__(self) -> None:
        self.gates: list[WatchedGate] = []

    def visit(self, gate: WatchedGate, weights: Tensor) -> None:
        self.gates.append(gate)

    def passed(self, summary: Summary) -> None:
        pass


def met(network: ForeignNetwork) -> tuple[WatchedGate, ...]:
    """The gates that a pass of two grey images meets, in its order: those of its own code and of modules in its slots.

    Raises:
        Exception: whatever the network raises, as one whose numbers decide its way does on the meta device.
    """
    lister = _Lister()
    first = next(network.parameters(), torch.empty(0))
    shape = (ROWS, 3, *network.height_and_width)
    grey = torch.full(shape, 0.5, dtype=first.dtype, device=first.device)
    with at_rest(network), tracing(network, lister, {}):
        network(grey)
    return tuple(gate for gate in lister.gates if gate.site or gate.shape[0] in (1, ROWS))


def install(network: ForeignNetwork, gates: Sequence[WatchedGate]) -> None:
    """Give a network Gates for those of its own code, by what `met` found in it or in its like."""
    attention_gates = [gate for gate in gates if gate.site is None]
    if not attention_gates:
        return
    stored = stored_paths(network)
    owners: dict[str, WatchedGate] = {}
    for gate in attention_gates:
        if gate.separable:
            owners.setdefault(stored[gate.owner], gate)
    network.own_gates = OwnGates(
        gates={gate.path: _gate(gate) for gate in attention_gates},
        places={site.path: site for site in _places(attention_gates)},
        met=tuple(gates),
        owners=owners,
        follow=_follow,
    )


def _gate(watched: WatchedGate) -> Gate:
    gate = Gate(watched.kind, watched.neutral)
    gate.axis = watched.axis
    return gate


def _places(gates: Sequence[WatchedGate]) -> Iterator[GateSite]:
    """Where gates are: a stage is a run of gates on maps of one height and width, a block the gate's number in it."""
    runs = groupby(gates, key=lambda gate: gate.map_shape[-2:])
    for stage, (_, together) in enumerate(runs, start=1):
        for block, gate in enumerate(together, start=1):
            yield GateSite(path=gate.path, kind=gate.kind, neutral=gate.neutral, stage=stage, block=block)


@contextmanager
def _follow(network: nn.Module, images: Tensor) -> Iterator[None]:
    own_attention = own_gates(network)
    assert own_attention is not None
    with tracing(network, _Through(own_attention.gates, len(images)), {}) as traced, traced.begun((images,)):
        yield


class _Through:
    """Visitor that sends the weights of every gate through its Gate, whose hooks see and replace them."""

    def __init__(self, gates: dict[str, Gate], rows: int) -> None:
        self._gates, self._rows = gates, rows

    def visit(self, gate: WatchedGate, weights: Tensor) -> Tensor | None:
        through = self._gates.get(gate.path)
        if through is None:
            return None
        shown = weights.clone()  # the network may write over its own
        if len(weights) != self._rows:  # the same for every image
            shown = shown.expand(self._rows, *shown.shape[1:])
        replaced: Tensor = through(shown)
        return None if replaced is shown else replaced

    def passed(self, summary: Summary) -> None:
        pass
