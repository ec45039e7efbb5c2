"""Where the gates of a network are, as plain data."""

import importlib
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from pydantic import AliasChoices, Field

from attention.errors import InvalidRequest, did_you_mean
from attention.spec import GateKind, Plain, Position

ROOT = "(model)"
"""How a model itself is written where a path is wanted."""

REPR_LINES, REPR_WIDTH = 20, 100
"""Most lines, and characters of a line, that a list of gates shows of itself; printed, it is whole."""

LEAST_PATH = 20
"""Characters of a path that are shown however wide the other columns are."""


class GateSite(Plain):
    """The place of a gate in a network, and what its weights run over."""

    path: str = Field(
        validation_alias=AliasChoices("path", "gate"), description="Path of the gate in the network; once called gate."
    )
    kind: GateKind = Field(description="What its entries run over.")
    neutral: float | None = Field(
        default=None, description="The weight that passes the input through: 1 multiplied, 0 added; null for none."
    )
    position: Position | None = Field(
        default=None, description="Where the module sits; null for a gate in the code of a network not written here."
    )
    stage: int = Field(
        description="Stage of the backbone, counted from 1; of a network not written here, a run of gates on maps of "
        "one height and width."
    )
    block: int = Field(
        description="Block within the stage, counted from 1; of a network not written here, the gate's number there."
    )


@dataclass(frozen=True)
class WatchedGate:
    """A gate that a forward pass of any model met: its name, what it is, and whose it is."""

    path: str
    """Path of the module that multiplies, with #2, #3 for its further gates and @2, @3 for its further calls."""
    kind: GateKind
    neutral: float | None
    """Weight that passes the map through: 1 when multiplied, 0 when added, None for a softmax."""
    module: str
    """Class of that module."""
    mechanism: str | None
    """Name of the mechanism, if the class is a known one."""
    activation: str | None
    """What bounds the weights; None if nothing does, or if it was not looked for."""
    axis: int
    """Axis that a shuffle permutes: channels, or rows of space."""
    shape: tuple[int, ...]
    """Of the weights, batch first, in their smallest form."""
    static: bool = False
    """Whether the weights are the same for every input."""
    separable: bool = True
    """Whether the module gates what it is given, so that all that runs in it is attention; a block that computes a gate
    beside its convolutions does not."""
    site: GateSite | None = None
    """Position, stage and block, where the network is one of ours."""
    map_shape: tuple[int, ...] = ()
    """Of the map that they multiply, batch first; empty where it was not seen."""

    @property
    def owner(self) -> str:
        """Path of the module that multiplies; empty for the model itself."""
        path = re.sub(r"[#@]\d+", "", self.path)
        return "" if path == ROOT else path

    @property
    def entries(self) -> int:
        """Weights for one image."""
        return prod(self.shape[1:])


@dataclass(frozen=True)
class UnclearGate:
    """A bounded tensor that went into an operation from which no gate can be read."""

    path: str
    operation: str
    activation: str | None
    kind: GateKind | None
    """``matrix`` for a softmax that goes into a matrix product."""
    shape: tuple[int, ...]


@dataclass(frozen=True)
class WatchedGates:
    """The gates of a model: a sequence in the order of one pass, looked up by number or by path."""

    model: str
    example: str
    gates: tuple[WatchedGate, ...]
    unclear: tuple[UnclearGate, ...] = ()
    not_visible: tuple[str, ...] = ()
    """Paths of scripted submodules, which run without Python."""
    pointed: tuple[tuple[str, GateKind], ...] = ()
    """Submodules whose outputs were said to be gates, with the kind that was said."""
    sentence: str = ""
    """Why there is none."""

    def __iter__(self) -> Iterator[WatchedGate]:
        return iter(self.gates)

    def __len__(self) -> int:
        return len(self.gates)

    def __contains__(self, path: object) -> bool:
        return any(gate.path == path for gate in self.gates)

    def __getitem__(self, key: int | str) -> WatchedGate:
        if isinstance(key, int):
            return self.gates[key]
        for gate in self.gates:
            if gate.path == key:
                return gate
        raise InvalidRequest(f"There is no gate at {key!r}.{did_you_mean(key, [gate.path for gate in self.gates])}")

    @property
    def paths(self) -> tuple[str, ...]:
        """Names of all gates."""
        return tuple(gate.path for gate in self.gates)

    def frame(self) -> Any:
        """One row a gate, as a pandas DataFrame."""
        rows = [
            {**asdict(gate), "site": gate.site and gate.site.model_dump(), "entries": gate.entries}
            for gate in self.gates
        ]
        return importlib.import_module("pandas").DataFrame(rows)

    def __str__(self) -> str:
        return self._text(len(self.gates))

    def __repr__(self) -> str:
        return self._text(REPR_LINES - 5, REPR_WIDTH)

    def _text(self, most: int, width: int | None = None) -> str:
        head = f"{_number(len(self.gates), 'gate')} in {self.model} (one pass, {self.example})"
        lines = [head]
        if self.gates:
            lines += _table([*self.gates], most, width)
            lines.append(f"{sum(gate.entries for gate in self.gates):,} entries in all. {self._rest()}")
        else:
            lines += [self.sentence, self._rest()]
        return "\n".join(lines)

    def _rest(self) -> str:
        unclear = _number(len(self.unclear), "product") if self.unclear else ""
        matrices = sum(gate.kind == "matrix" for gate in self.unclear)
        text = f"Unclear: {unclear} ({matrices} a softmax in a matrix product)." if unclear else "Nothing unclear."
        return text + (f" Not visible, being scripted: {', '.join(self.not_visible)}." if self.not_visible else "")


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _table(gates: list[WatchedGate], most: int, width: int | None) -> list[str]:
    """Lines of a table of gates; the middle ones are left out if there are more than ``most``.

    Args:
        width: most characters of a line, for which paths are cut in their middle; None cuts none.
    """
    rows = [("path", "module", "mechanism", "kind", "entries", "activation", "neutral")]
    for gate in gates:
        neutral = "-" if gate.neutral is None else f"{gate.neutral:.1f}"
        cells = (gate.path, gate.module, gate.mechanism or "-", gate.kind, f"{gate.entries:,}")
        rows.append((*cells, gate.activation or "-", neutral))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if width is not None and (excess := sum(widths) + 2 * len(widths) - width) > 0:
        widths[0] = max(widths[0] - excess, LEAST_PATH)
        rows = [(_cut_inside(row[0], widths[0]), *row[1:]) for row in rows]
    lines = [
        "  " + "  ".join(_cell(*cell) for cell in zip(row, widths, range(7), strict=True)).rstrip() for row in rows
    ]
    if len(gates) > most:
        lines = [*lines[: most - 1], "  ...", lines[-1]]
    return lines


def _cut_inside(path: str, width: int) -> str:
    """Leave out the middle of a path that is longer than so many characters."""
    begin = (width - 1) // 2
    return path if len(path) <= width else f"{path[:begin]}…{path[begin + 1 - width :]}"


def _cell(text: str, width: int, column: int) -> str:
    return text.rjust(width) if column == 4 else text.ljust(width)
