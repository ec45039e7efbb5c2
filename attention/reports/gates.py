"""Where the gates of a network are, as plain data."""

from dataclasses import dataclass

from attention.spec import GateKind, Position


@dataclass(frozen=True)
class GateSite:
    """Where a gate is and what it is; ``path`` is its name in the network."""

    path: str
    kind: GateKind
    neutral: float | None
    position: Position
    stage: int
    block: int
