"""Stripe's question and answer, as plain data: how much of a channel gate depends on the image at all."""

from typing import ClassVar

from pydantic import Field

from attention.reports.parts.subjects import ChannelGate, ClassImages, Ran
from attention.reports.writing.tables import Report
from attention.spec import Pictures, Plain, Request, Variant


class StripeGate(ChannelGate):
    """One gate of one network, over all images."""

    variant: str = Field(description="Short name of the network.")
    images: int = Field(description="Images.")
    static_share: float | None = Field(
        description="Var over channels of the mean gate / variance of all its values, 0..1: 1 is the same for every "
        "image, stripes without breaks. Null for a gate that is one constant."
    )
    class_share: float | None = Field(
        description="Variance of class means / variance over images, each averaged over channels, 0..1: 1 depends on "
        "the class alone. Null without classes, with one class, and where images do not differ."
    )
    class_share_by_chance: float | None = Field(
        description="What the class share would be on average if labels meant nothing: (classes - 1) / (images - 1)."
    )
    mean: float = Field(description="Mean of all entries, as the gate has them.")
    std: float = Field(description="Standard deviation of all entries (divided by n).")
    min: float = Field(description="Smallest entry.")
    max: float = Field(description="Largest entry.")
    share_low: float = Field(description="Share of entries below 0.1.")
    share_high: float = Field(description="Share of entries above 0.9.")
    order_between_images: float | None = Field(
        description="Spearman's rank correlation of the channels' order between two images, mean over all pairs, "
        "-1..1. Null where fewer than two images have an order."
    )
    images_without_order: int = Field(
        description="Images whose gate is the same for every channel (a bottleneck whose ReLUs are shut): left out of "
        "the order."
    )
    effective_rank: float | None = Field(
        description="exp(entropy of the normalised singular values) of the matrix images x channels (Roy & Vetterli "
        "2007): 1 is one pattern, scaled. Null for all zeros."
    )
    effective_rank_centred: float | None = Field(
        description="The same after each channel's mean is taken off: in how many directions images move the gate. "
        "Null where they do not move it."
    )
    rank_limit: int = Field(description="The largest either could be: the smaller of images and channels.")


class StripeMap(Plain):
    """A heat map of one gate: images down, sorted by class, channels across."""

    variant: str = Field(description="Short name of the network.")
    gate: str = Field(description="Path of the gate.")
    shown: tuple[int, ...] = Field(description="The channels of the columns, counted from 0.")
    images: tuple[str, ...] = Field(description="The image of each row: a photo's id, or its place in the data set.")
    labels: tuple[str | None, ...] = Field(description="The class of each row.")
    values: tuple[tuple[float, ...], ...] = Field(description="Row by row, to four decimals.")
    centre: float = Field(description="Mean of all values of this gate: draw deviations around it.")
    span: float = Field(description="Largest distance of a shown value from the centre: the ends of the colour scale.")


class OrderBetween(Plain):
    """Whether the same place of two networks puts the channels in the same order."""

    first: str = Field(description="Short name of the one network.")
    second: str = Field(description="Short name of the other.")
    first_gate: str = Field(description="Path of the one's gate.")
    second_gate: str = Field(description="Path of the other's.")
    stage: int = Field(description="Stage, counted from 1.")
    block: int = Field(description="Block, counted from 1.")
    channels: int = Field(description="Channels, the same for both.")
    of_means: float | None = Field(
        description="Spearman's rank correlation of the mean gates over images, -1..1; null where one is constant."
    )
    of_images: float | None = Field(
        description="The same for the gates of each image, mean over images where neither is constant; null if none."
    )


class StripeReport(Report):
    """The answer of stripe: a heat map for each network, and a table of all gates with a number a channel."""

    main: ClassVar = "gates"

    networks: tuple[Ran, ...] = Field(description="The networks in the order asked for.")
    pictures: Pictures = Field(description="The images asked for.")
    images: int = Field(description="Images looked at.")
    classes: tuple[ClassImages, ...] = Field(description="The classes in the order of the rows; none for photos.")
    maps: tuple[StripeMap, ...] = Field(description="One for each network that has the gate.")
    gates: tuple[StripeGate, ...] = Field(description="Network by network, from input to output.")
    between: tuple[OrderBetween, ...] = Field(description="Every pair of networks at every place that both have.")
    caveats: tuple[str, ...] = Field(description="What to know before reading it, and what could not be shown and why.")


class StripeRequest(Request[StripeReport]):
    """Are the gates the same whatever the image: stripes in a map of images by channels?

    For more than a few hundred images ask it as a job (POST /v1/jobs).
    """

    examples: ClassVar = (
        {"variants": ["se", "eca"], "pictures": ["<id from POST /v1/images>", "<another>"]},
        {"variants": ["eca"], "pictures": {"data": "flowers", "limit": 200}, "gate": "layer3.2.standard.0.gate"},
    )

    variants: tuple[Variant, ...] = Field(
        default=(Variant.parse("se"), Variant.parse("eca")),
        min_length=1,
        max_length=6,
        description="Networks, as objects or short names.",
    )
    pictures: Pictures = Field(description="Images of a data set, or photos; two at least, 2,048 at most.")
    gate: str | None = Field(
        default=None,
        max_length=200,
        description="Path of the gate to draw, in the networks that have it; null is the last of each network.",
    )
    rows: int = Field(default=96, ge=1, le=512, description="Images drawn at most, evenly spaced once sorted by class.")
    columns: int = Field(default=256, ge=2, le=1024, description="Channels drawn at most, evenly spaced.")
