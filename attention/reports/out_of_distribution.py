"""Out of distribution, as plain data: how sure networks are that photos are of any of their classes."""

from typing import ClassVar

from pydantic import Field, model_validator

from attention.reports.parts.subjects import Ran
from attention.reports.writing.tables import Report
from attention.spec import Pictures, Plain, Request, Variant


class Surety(Plain):
    """One image through one network: two scores, and where among its own images they lie."""

    image: str = Field(description="Id of the photo, or its place in the data set.")
    variant: str = Field(description="Short name of the network.")
    label: str | None = Field(description="The most probable class.")
    maximum_softmax: float = Field(description="Largest softmax probability, 0..1.")
    negative_energy: float = Field(description="Logarithm of the sum of exponentials of the logits.")
    softmax_quantile: float = Field(description="Share of the own images with a smaller maximum, 0..1.")
    energy_quantile: float = Field(description="Share of the own images with a smaller negative energy, 0..1.")
    probably_none: bool = Field(description="Whether both quantiles are below the level.")


class Separation(Plain):
    """How well a network's scores tell its own images from the photos, taken all together."""

    network: Ran = Field(description="The network as it ran.")
    own: int = Field(description="Own images.")
    photos: int = Field(description="Photos.")
    softmax_area: float = Field(description="Area under the curve of the maximum softmax; 0.5 tells nothing apart.")
    energy_area: float = Field(description="The same of the negative energy.")


class OutOfDistributionReport(Report):
    """The answer: every photo with every network, and how well each network tells its own from the photos."""

    photos: tuple[Surety, ...] = Field(description="Every photo (slow index) with every network (fast index).")
    networks: tuple[Separation, ...] = Field(description="The networks in the order asked for.")
    caveats: tuple[str, ...] = Field(description="What the numbers do not say.")


class OutOfDistributionRequest(Request[OutOfDistributionReport]):
    """How sure are networks that photos are of any of their classes, beside the images that they were tested on?

    For more than a few hundred images ask it as a job (POST /v1/jobs).
    """

    examples: ClassVar = ({"variants": ["eca"], "photos": ["<id from POST /v1/images>"], "own": {"data": "cifar10"}},)

    variants: tuple[Variant, ...] = Field(
        default=(Variant.parse("none"), Variant.parse("se"), Variant.parse("eca")),
        min_length=1,
        max_length=6,
        description="Networks, as objects or short names.",
    )
    photos: Pictures = Field(description="Images that may or may not be of the networks' classes.")
    own: Pictures = Field(description="Images of the networks' classes that they were not trained on; 20 at least.")
    level: float = Field(
        default=0.05,
        gt=0,
        lt=0.5,
        description="A photo below this share of the own images in both scores is probably of none of the classes.",
    )

    @model_validator(mode="after")
    def _is_of_a_data_set(self) -> "OutOfDistributionRequest":
        if self.own.data is None and len(self.own.images) < 20:
            raise ValueError("Quantiles need 20 own images at least: name a data set, or more photos.")
        return self
