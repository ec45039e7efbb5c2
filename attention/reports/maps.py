"""The question what a gate weighs on a photo, and its answer: maps of its input, and whom a place listens to."""

from typing import Annotated, ClassVar

from pydantic import Field

from attention.reports.compare import PhotoInput
from attention.reports.writing.tables import Report
from attention.spec import GateKind, PhotoId, Plain, Request, Variant

SIDE = 64
"""Height and width of a map at most; larger ones are averaged down."""


class ChannelMap(Plain):
    """One channel of the map that arrives at a gate."""

    channel: int = Field(description="Number of the channel, from 0.")
    weight: float | None = Field(description="Its weight; None if the gate has no single weight a channel.")
    low: float = Field(description="Smallest value, drawn as 0.")
    high: float = Field(description="Largest value, drawn as 255.")
    mean: float = Field(description="Mean over all places: what a squeeze makes of it.")
    png_base64: str = Field(description="The map as a grey PNG of 8 bits, height x width, in base64.")


class Listening(Plain):
    """Whom one place listens to: a row of a gate between places."""

    row: int = Field(description="Row of the place, from 0.")
    column: int = Field(description="Column of the place, from 0.")
    height: int = Field(description="Rows of the places listened to.")
    width: int = Field(description="Columns of the places listened to.")
    shares: tuple[float, ...] = Field(description="Share of each place, row by row; they sum to 1.")


class MapsReport(Report):
    """The answer of maps: channels of the gate's input with their weights."""

    network: str = Field(description="Short name of the network.")
    image: str = Field(description="Id of the photo.")
    gate: str = Field(description="Path of the gate.")
    kind: GateKind = Field(description="What its entries run over.")
    channels: int = Field(description="Channels of the map that arrives.")
    height: int = Field(description="Rows of the maps as they are sent.")
    width: int = Field(description="Columns of the maps as they are sent.")
    maps: tuple[ChannelMap, ...] = Field(description="The channels asked for, or from most open to most closed.")
    listening: Listening | None = Field(default=None, description="Whom the asked place listens to, for a matrix gate.")


class MapsRequest(PhotoInput, Request[MapsReport]):
    """What arrives at a gate on this photo, channel by channel, and how is each channel weighed?"""

    examples: ClassVar = ({"image": "<id from POST /v1/images>", "variant": "eca", "gate": "layer1.0.standard.0.gate"},)

    image: PhotoId = Field(description="Id of a photo.")
    variant: Variant = Field(description="The network.")
    gate: Annotated[str, Field(max_length=300)] = Field(description="Path of the gate, as compare names it.")
    channels: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(
        default=None, max_length=256, description="Channels to show; null is the eight most open and most closed ones."
    )
    place: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] | None = Field(
        default=None,
        description="Row and column of a place of the map: for a gate between places, whom that place listens to.",
    )
