"""What gates a network has, as plain data: found by following one forward pass, with what is unclear."""

from typing import Annotated, ClassVar

from pydantic import Field

from attention.reports.writing.tables import Report, Table, filled, table_of
from attention.spec import GateKind, Plain, Request, Variant

PathPattern = Annotated[str, Field(min_length=1, max_length=200)]


class FoundGate(Plain):
    """A gate that the pass met."""

    path: str = Field(description="Path of the module that multiplies; #2 for its second gate, @2 for its second call.")
    stage: int | None = Field(description="Its stage, as compare and sweep count them; null where it is pointed at.")
    block: int | None = Field(description="Its block there.")
    module: str = Field(description="Class of that module.")
    mechanism: str | None = Field(description="What the field calls it, where that is known.")
    kind: GateKind = Field(description="What its entries run over.")
    entries: int = Field(description="Weights of one image.")
    activation: str | None = Field(description="What bounds it; null if nothing does.")
    neutral: float | None = Field(description="The weight that passes the input through; null for a softmax.")
    static: bool = Field(description="Whether it is the same for every image.")


class FoundUnclear(Plain):
    """A bounded tensor that went into an operation from which no gate can be read."""

    path: str = Field(description="Path of the module that ran the operation.")
    operation: str = Field(description="The operation.")
    activation: str | None = Field(description="What bounds the tensor.")
    kind: GateKind | None = Field(description="'matrix' for a softmax in a matrix product; null where it is not known.")
    shape: str = Field(description="Its shape, with the batch first.")


class GatesReport(Report):
    """Every gate of a network in the order of one pass, and what could not be read."""

    headline: str = Field(description="How many there are.")
    network: str = Field(description="Short name of the network, or class of the model.")
    example: str = Field(description="What the pass was given.")
    gates: tuple[FoundGate, ...] = Field(description="Every gate in the order of the pass.")
    unclear: tuple[FoundUnclear, ...] = Field(description="What may hide a gate; left alone unless it is pointed at.")
    not_visible: tuple[str, ...] = Field(description="Paths of scripted submodules, which run without Python.")
    caveats: tuple[str, ...] = Field(description="Why there is none, what is unclear, and how to point at it.")

    def tables(self) -> tuple[Table, ...]:
        """The gates, and what is unclear."""
        return (
            filled(table_of("gates", self.gates, self.headline), table_of("unclear", self.unclear)) or super().tables()
        )


class GatesRequest(Request[GatesReport]):
    """Where are the gates of this network, of which kind is each, and what is unclear?"""

    examples: ClassVar = ({"variant": "resnet50/cbam"},)

    variant: Variant = Field(
        description="The network, as an object or a short name; it need not have attention of ours."
    )
    gates: dict[PathPattern, GateKind] = Field(
        default={},
        max_length=64,
        description="Submodules, by path or pattern (`*` within a part of a path, `**` across), whose outputs are "
        "gates of this kind, whatever else is found: what to do where a gate is missing or unclear.",
    )
