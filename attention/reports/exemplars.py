"""The question which images open and close each channel of a gate most, and its answer, as plain data."""

from typing import ClassVar

from pydantic import Field

from attention.reports.parts.subjects import ChannelGate, Ran
from attention.reports.writing.tables import Report, Table, filled, named
from attention.spec import Pictures, Plain, Request, Variant


class Exemplar(Plain):
    """One image at one end of a channel."""

    image: str = Field(description="Name of the image, as in `images`.")
    weight: float = Field(description="The channel's weight on that image.")


class ChannelExemplars(Plain):
    """The images at both ends of one channel."""

    channel: int = Field(description="Number of the channel, from 0.")
    open: tuple[Exemplar, ...] = Field(description="The images with the largest weights, largest first.")
    closed: tuple[Exemplar, ...] = Field(description="The images with the smallest weights, smallest first.")


class ExemplarGate(ChannelGate):
    """One gate, channel by channel."""

    ends: tuple[ChannelExemplars, ...] = Field(description="Every channel, in order.")


class ExemplarImage(Plain):
    """An image that stands at an end of any channel."""

    name: str = Field(description="A photo's id, or the image's place in the data set.")
    label: str | None = Field(description="Its class; null for photos.")
    thumbnail: str | None = Field(description="The image as a small JPEG, base64; null if none was asked for.")


class ExemplarsReport(Report):
    """The answer of exemplars: for each channel of each gate the images with its largest and smallest weights."""

    network: Ran = Field(description="The network.")
    pictures: Pictures = Field(description="The images asked for.")
    images: tuple[ExemplarImage, ...] = Field(description="The images that are named below, each once.")
    seen: int = Field(description="Images looked at so far.")
    total: int = Field(description="Images in all; while a job runs, `seen` is less.")
    gates: tuple[ExemplarGate, ...] = Field(description="The gates from input to output.")
    caveats: tuple[str, ...] = Field(description="What to know before reading it, and what could not be shown and why.")

    def tables(self) -> tuple[Table, ...]:
        """A row for each image at an end of a channel."""
        labels = {image.name: image.label for image in self.images}
        rows = [
            (gate.path, ends.channel, end, rank, exemplar.image, labels[exemplar.image], exemplar.weight)
            for gate in self.gates
            for ends in gate.ends
            for end, exemplars in (("open", ends.open), ("closed", ends.closed))
            for rank, exemplar in enumerate(exemplars, 1)
        ]
        columns = named("gate", "channel", "end", "rank", "image", "class", "weight")
        caption = f"Images that open and close each channel of {self.network.name} most, of {self.seen:,} images"
        return filled(Table(name="exemplars", caption=caption, columns=columns, rows=tuple(rows)))


class ExemplarsRequest(Request[ExemplarsReport]):
    """Which images of a data set open each channel of a gate most, and which close it most?

    The images are read once for all gates. For more than a few hundred ask it as a job (POST /v1/jobs).
    """

    examples: ClassVar = ({"variant": "eca", "pictures": {"data": "flowers", "limit": 200}, "gates": ["layer4"]},)

    variant: Variant = Field(default=Variant.parse("se"), description="The network, as an object or short name.")
    pictures: Pictures = Field(description="The images that are compared: of a data set, or photos by id.")
    gates: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Gate paths, or a prefix of them such as 'layer3'; null is every gate.",
    )
    count: int = Field(default=4, ge=1, le=16, description="Images of either end of each channel.")
    thumbnail: int = Field(
        default=64, ge=0, le=256, description="Longest side of the thumbnails, pixels; 0 for none. Never enlarged."
    )
