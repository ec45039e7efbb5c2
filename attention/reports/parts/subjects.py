"""What a look at trained gates was a look at: the network as it was run, the images, the gate and its place."""

from pydantic import Field

from attention.reports.gates import GateSite
from attention.spec import Plain, Variant


class Ran(Plain):
    """A network as it was run."""

    name: str = Field(description="Canonical short name.")
    variant: Variant = Field(description="The same as an object.")
    trained: bool = Field(description="False: some weights are random, and its gates show the start, not training.")
    warning: str | None = Field(description="What to know before reading its gates.")
    device: str = Field(description="Where it ran.")
    dtype: str = Field(default="float32", description="Number format of the forward pass.")


class ClassImages(Plain):
    """How many images of a class were looked at."""

    label: str = Field(description="Name of the class; the image's id where photos stand for themselves.")
    images: int = Field(description="Images of it.")


class ChannelGate(GateSite):
    """A gate that has one number for each channel, or was brought down to one, and where it sits."""

    channels: int = Field(description="Channels of the gate.")
    reduced: str | None = Field(description="How one number a channel was made of it; null where it has just one.")
