"""The counter court's question and answer, as plain data: what other counters report, and why they differ."""

from typing import ClassVar, Literal

from pydantic import Field

from attention.names import Size
from attention.reports.cost import INPUT_SIZE
from attention.reports.writing.tables import Report
from attention.spec import Plain, Request, Variant


class Reason(Plain):
    """One part of the difference between a counter and the ledger."""

    kind: Literal[
        "unit",
        "skipped",
        "repeated",
        "products",
        "bias",
        "normalisation",
        "activation",
        "pooling",
        "entrywise",
        "interpolation",
        "twice",
    ] = Field(description="What the part comes from.")
    amount: int = Field(description="What it adds to the report, in the counter's unit; less than 0 if it is missing.")
    text: str = Field(description="The reason in words.")


class Witness(Plain):
    """What one counter reports."""

    counter: str = Field(description="The tool.")
    unit: str = Field(description="What it calls its unit.")
    how: Literal["run", "restated"] = Field(
        description="Whether the tool itself was run, or its rule was restated from its source."
    )
    source: str = Field(description="Where its rule is from.")
    total: int = Field(description="What it reports for the network.")
    attention: int = Field(description="How much of that is for the attention modules.")
    difference: int = Field(description="What it reports more than the ledger has multiply-accumulates.")
    reasons: tuple[Reason, ...] = Field(description="What the difference consists of; the amounts add up to it.")


class Spelling(Plain):
    """One ECA module, written in one of the usual ways, before every counter."""

    pool: str = Field(description="How the map is averaged.")
    convolution: str = Field(description="How the convolution is called.")
    macs: int = Field(description="Multiply-accumulates in the ledger: the same for every spelling.")
    reported: dict[str, int] = Field(description="Counter -> what it reports.")


class CourtReport(Report):
    """The answer of court: what counters report, with the ledger as referee."""

    name: str = Field(description="Canonical short name.")
    variant: Variant = Field(description="The same as an object.")
    input_size: Size = Field(description="Side of the input, or height and width, pixels.")
    macs: int = Field(description="Multiply-accumulates of the network in the ledger.")
    attention_macs: int = Field(description="Multiply-accumulates of its attention modules in the ledger.")
    witnesses: tuple[Witness, ...] = Field(description="What each counter reports for the network.")
    channels: int = Field(description="Channels of the lone ECA module.")
    side: int = Field(description="Height and width of the map it gates, pixels.")
    kernel_size: int = Field(description="Its kernel size.")
    spellings: tuple[Spelling, ...] = Field(description="The lone ECA module, spelled in four ways.")


class CourtRequest(Request[CourtReport]):
    """What would other counters say this network costs, and why do they differ?"""

    examples: ClassVar = ({"variant": "resnet50/eca"},)
    counts_only: ClassVar = True

    variant: Variant = Field(
        default=Variant.parse("resnet50/eca"), description="The network in question, as an object or short name."
    )
    input_size: Size | None = Field(default=None, description=INPUT_SIZE)
