"""What a look at trained gates was a look at: the network as it was run, the images, the gate and its place."""

from pydantic import Field

from attention.spec import GateKind, Plain, Position, Variant


class Ran(Plain):
    """A network as it was run."""

    name: str = Field(description="Canonical short name.")
    variant: Variant = Field(description="The same as an object.")
    trained: bool = Field(description="False: some weights are random, and its gates show the start, not training.")
    warning: str | None = Field(description="What to know before reading its gates.")
    device: str = Field(description="Where it ran.")
    dtype: str = Field(default="float32", description="Number format of the forward pass.")


class ClassCount(Plain):
    """How many images of a class were looked at."""

    label: str = Field(description="Name of the class; the image's id where photos stand for themselves.")
    images: int = Field(description="Images of it.")


class GatePlace(Plain):
    """A gate that has one number for each channel, or was brought down to one, and where it sits."""

    gate: str = Field(description="Path of the gate in the network.")
    kind: GateKind = Field(description="What its entries run over.")
    neutral: float | None = Field(description="The weight that passes the input through: 1 multiplied, 0 added.")
    position: Position = Field(description="Where the module sits.")
    stage: int = Field(description="Stage of the backbone, counted from 1.")
    block: int = Field(description="Block within the stage, counted from 1.")
    channels: int = Field(description="Channels of the gate.")
    reduced: str | None = Field(description="How one number a channel was made of it; null where it has just one.")
