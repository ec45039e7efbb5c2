"""Coupling's question and answer, as plain data: the interaction matrix of a network's gate on a photo."""

from typing import ClassVar

from pydantic import Field

from attention.reports.parts.subjects import ChannelGate, Ran
from attention.reports.writing.tables import Report, Table, named
from attention.spec import Request, Variant


class CouplingReport(ChannelGate, Report):
    """The answer of coupling: a matrix with one row for each shown channel's gate, one column for each shown mean."""

    network: Ran = Field(description="The network.")
    image: str = Field(description="Id of the photo.")
    module: str = Field(description="Name of the module.")
    shown: tuple[int, ...] = Field(description="The channels of rows and columns, counted from 0.")
    matrix: tuple[tuple[float, ...], ...] = Field(
        description="Row c, column j: change of channel c's gate per change of channel j's mean, all pixels of j "
        "moving alike."
    )
    values: tuple[float, ...] = Field(description="The gate itself on this photo, for each shown channel.")
    means: tuple[float, ...] = Field(description="The mean of the map that arrives, for each shown channel.")
    largest: float = Field(description="Largest |entry| of the whole matrix.")
    rank: int | None = Field(
        description="Rank of the whole matrix (all channels, float64); null beyond 1,024 channels, where it takes long."
    )
    reach: int = Field(description="Largest |c - j| of an entry of the whole matrix that is not 0.")
    share: float = Field(description="Share of the entries of the whole matrix that are not 0.")
    means_only: bool = Field(
        description="Whether the gate is a function of channel means alone: then this is all it listens to."
    )
    conditions: str = Field(description="How it was computed, and what to know before reading it.")

    def tables(self) -> tuple[Table, ...]:
        """The matrix, rows and columns named by their channels."""
        rows = tuple((channel, *row) for channel, row in zip(self.shown, self.matrix, strict=True))
        columns = named("gate \\ mean", *map(str, self.shown))
        return (Table(name="matrix", caption=self.conditions, columns=columns, rows=rows),)


class CouplingRequest(Request[CouplingReport]):
    """Which channels does a gate of this network listen to, on this photo?"""

    examples: ClassVar = ({"variant": "eca", "image": "<id from POST /v1/images>"},)

    variant: Variant = Field(default=Variant.parse("eca"), description="The network, as an object or short name.")
    image: str = Field(max_length=200, description="Id of the photo.")
    gate: str | None = Field(default=None, max_length=200, description="Path of the gate; null is the last one.")
    shown: int = Field(default=128, ge=2, le=512, description="Channels of the matrix to give, evenly spaced.")
