"""The question which channels and places each gate of a module depends on, and its answer, as plain data."""

from typing import ClassVar

from pydantic import Field

from attention.reports.writing.tables import Report
from attention.spec import GateKind, Options, Plain, Request, Seed


class GateInfluence(Plain):
    """What one gate of a module depends on: its entries in the middle of the map, one for each channel it has."""

    path: str = Field(description="Path of the gate in the module.")
    kind: GateKind = Field(description="What its entries run over.")
    by_channel: tuple[tuple[float, ...], ...] = Field(
        description="Row c, column j: how much entry c depends on channel j, the largest being 1; one row for gates "
        "that all channels share."
    )
    by_place: tuple[tuple[float, ...], ...] = Field(
        description="How much the middle entry depends on each place of the map, row by row, the largest being 1."
    )
    channels_heard: int = Field(description="Channels that the middle entry depends on.")
    places_heard: int = Field(description="Places that the middle entry depends on.")
    rank: int = Field(description="Rank of the derivatives by channel: through so many numbers channels are heard.")


class InfluenceReport(Report):
    """The answer of influence: what each gate of a module depends on."""

    module: str = Field(description="Name of the module.")
    channels: int = Field(description="Channels of the map.")
    side: int = Field(description="Height and width of the map.")
    gates: tuple[GateInfluence, ...] = Field(description="The module's gates, in their order.")
    conditions: str = Field(description="How it was computed.")


class InfluenceRequest(Request[InfluenceReport]):
    """Which channels and which places does each gate of a module depend on?"""

    examples: ClassVar = ({"module": "coord"},)

    module: str = Field(default="eca", max_length=200, description="Name of the module.")
    options: Options = Field(default={}, description="Its options, where they differ from the defaults.")
    channels: int = Field(default=64, ge=8, le=128, description="Channels of the map.")
    seed: Seed = Field(default=0, description="Seed of the weights and of the maps.")
