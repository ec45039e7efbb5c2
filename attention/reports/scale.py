"""Scale's question and answer, as plain data: does the choice between kernels follow the size of the object?"""

from typing import Annotated, ClassVar

from pydantic import Field

from attention.reports.parts.evidence import Interval
from attention.reports.parts.subjects import ChannelGate, Ran
from attention.reports.writing.tables import Report
from attention.spec import Pictures, Plain, Request, Variant


class ScalePoint(Plain):
    """One gate at one factor: a point of its curve."""

    factor: float = Field(description="How much larger the middle was made.")
    preference: float = Field(
        description="Mean over channels and images of the last branch's weight minus the first's, -1..1: more is a "
        "larger kernel (5x5 against 3x3 with two branches)."
    )
    std: float | None = Field(description="Standard deviation over images (divided by n - 1); null for one image.")
    change: Interval | None = Field(
        description="Preference minus that of the same image at the smallest factor; null there and for one image."
    )


class ScaleGate(ChannelGate):
    """One gate's choice as the object grows."""

    branches: int = Field(description="Branches it chooses among.")
    points: tuple[ScalePoint, ...] = Field(description="In the order of the factors, smallest first.")


class ScaleReport(Report):
    """The answer of scale: a curve for each gate that chooses among branches."""

    network: Ran = Field(description="The network.")
    pictures: Pictures = Field(description="The images asked for.")
    images: int = Field(description="Images looked at so far.")
    total: int = Field(description="Images in all; while a job runs, `images` is less.")
    gates: tuple[ScaleGate, ...] = Field(description="From input to output.")
    caveats: tuple[str, ...] = Field(description="What to know before reading it.")


class ScaleRequest(Request[ScaleReport]):
    """Does a selective kernel choose its larger branch when the object in the middle grows?

    For more than a few hundred images ask it as a job (POST /v1/jobs).
    """

    examples: ClassVar = ({"variant": "resnet20/sk@spatial", "pictures": ["<id from POST /v1/images>"]},)

    variant: Variant = Field(
        default=Variant.parse("resnet20/sk@spatial"), description="A network whose gates choose among branches."
    )
    pictures: Pictures = Field(description="Photos or images of a data set, with their object in the middle.")
    factors: tuple[Annotated[float, Field(ge=1, le=8, allow_inf_nan=False)], ...] = Field(
        default=(1.0, 1.5, 2.0),
        min_length=2,
        max_length=8,
        description="How much larger the middle becomes: the middle 1 / factor of each side, at the whole's size.",
    )
