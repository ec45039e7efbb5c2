"""The question how one photo's way through one gate is computed, and its answer: every number on the way."""

from typing import Annotated, ClassVar

from pydantic import Field

from attention.reports.maps import ChannelMap
from attention.reports.writing.tables import Report
from attention.spec import PhotoId, Plain, Request, Variant


class TraceStep(Plain):
    """One layer between the means and the gate."""

    name: str = Field(description="What the module calls the layer.")
    kind: str = Field(description="Class of the layer, such as Conv1d.")
    shape: tuple[int, ...] = Field(description="Shape of its weight: outputs, inputs, then the kernel.")
    weight: tuple[float, ...] = Field(description="The weight, flattened row by row.")
    bias: tuple[float, ...] | None = Field(description="Its bias; None without one.")
    output: tuple[float, ...] = Field(description="What it gives for this photo, before any activation.")


class TraceReport(Report):
    """The answer of trace: the maps, their means, what each layer makes of them, and the gate."""

    network: str = Field(description="Short name of the network.")
    image: str = Field(description="Id of the photo.")
    gate: str = Field(description="Path of the gate.")
    stage: int = Field(description="Stage of the backbone, counted from 1.")
    block: int = Field(description="Block within the stage, counted from 1.")
    height: int = Field(description="Rows of the maps as they are sent.")
    width: int = Field(description="Columns of the maps as they are sent.")
    maps: tuple[ChannelMap, ...] = Field(description="Every channel of the map that arrives, in order.")
    pooled: tuple[float, ...] = Field(description="Mean of each channel: the squeeze.")
    steps: tuple[TraceStep, ...] = Field(description="The layers, in the order in which they run.")
    weights: tuple[float, ...] = Field(description="The gate: each channel's weight.")


class TraceRequest(Request[TraceReport]):
    """How does a gate come from the map that arrives at it: squeeze, layers, weight, scale, in numbers?"""

    examples: ClassVar = ({"image": "<id from POST /v1/images>", "variant": "eca", "gate": "layer1.0.standard.0.gate"},)

    image: PhotoId = Field(description="Id of a photo.")
    variant: Variant = Field(
        description="A network whose gates depend on the channels' means alone, such as SE or ECA."
    )
    gate: Annotated[str, Field(max_length=300)] | None = Field(
        default=None, description="Path of the gate, as compare names it; null is the first."
    )
