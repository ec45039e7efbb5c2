"""Match's question and answer, as plain data: the plain network that costs as much as one with attention."""

from typing import ClassVar, Literal

from pydantic import Field

from attention.reports.writing.tables import Report
from attention.spec import Plain, Request, Variant


class Size(Plain):
    """How large a network is, for one image at its own input size."""

    name: str = Field(description="Canonical short name.")
    variant: Variant = Field(description="The same as an object.")
    parameters: int = Field(description="Trainable parameters.")
    macs: int = Field(description="Multiply-accumulates of convolutions and matrix products.")


class Match(Plain):
    """A network with attention, its plain twin, and the twin widened to its size: the control for capacity alone."""

    variant: Size = Field(description="The network with attention.")
    plain: Size = Field(description="The same backbone without attention.")
    widened: Size = Field(
        description="The plain twin whose option width brings it closest; the twin itself if no step comes closer."
    )
    gap: int = Field(description="What the widened network has more than the network with attention (less: below 0).")


class MatchReport(Report):
    """The answer of match: one widened control a variant."""

    by: Literal["parameters", "macs"] = Field(description="What was matched.")
    matches: tuple[Match, ...] = Field(description="One for each variant, in the order asked for.")


class MatchRequest(Request[MatchReport]):
    """How wide must the plain network be to cost as much as one with attention?"""

    examples: ClassVar = ({"variants": ["resnet50/se", "resnet50/cbam"], "by": "macs"},)
    counts_only: ClassVar = True

    variants: tuple[Variant, ...] = Field(
        default=(Variant.parse("resnet50/se"), Variant.parse("resnet50/cbam")),
        min_length=1,
        max_length=32,
        description="Networks with attention, as objects or short names.",
    )
    by: Literal["parameters", "macs"] = Field(
        default="parameters", description="What the plain network is to have as much of."
    )
