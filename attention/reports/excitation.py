"""Excitation's question and answer, as plain data: how channel gates differ from class to class."""

from typing import ClassVar

from pydantic import Field

from attention.reports.parts.subjects import ChannelGate, ClassImages, Ran
from attention.reports.writing.tables import Report
from attention.spec import Pictures, Plain, Request, Seed, Variant


class ClassCurve(Plain):
    """One class in the picture of one gate."""

    label: str = Field(description="Name of the class.")
    images: int = Field(description="Images of it so far.")
    mean: tuple[float, ...] = Field(description="Mean gate over the class's images, for each shown channel.")
    std: tuple[float, ...] | None = Field(
        description="Standard deviation over the class's images (divided by n - 1); null for one image."
    )


class ExcitedGate(ChannelGate):
    """The picture of one gate: x the shown channels, y the mean gate, one curve a class and one for all."""

    shown: tuple[int, ...] = Field(description="Which channels the curves have, counted from 0, in order.")
    mean: tuple[float, ...] = Field(description="Mean of the class means, each class counting once: the curve 'all'.")
    curves: tuple[ClassCurve, ...] = Field(description="One a class, in the order of `classes`.")
    between: float = Field(
        description="How far classes differ: standard deviation over class means (divided by their number), averaged "
        "over all channels of the gate, in units of the gate."
    )
    within: float | None = Field(
        description="How far images of one class differ: root of the mean variance within classes (divided by n), "
        "averaged over all channels; null where no class has two images."
    )
    static_share: float | None = Field(
        description="Var over channels of the mean gate / variance of all its values, 0..1: 1 is the same for every "
        "image. Null for a gate that is one constant."
    )
    class_share: float | None = Field(
        description="Variance of class means / variance over images, each averaged over channels, 0..1: 1 depends on "
        "the class alone. Null where images do not differ, or where there is one class, or one image a class."
    )
    class_share_by_chance: float | None = Field(
        description="What the class share would be on average if labels meant nothing: (classes - 1) / (images - 1)."
    )


class ExcitationReport(Report):
    """The answer of excitation: a picture for each chosen gate, from input to output."""

    main: ClassVar = "gates"

    network: Ran = Field(description="The network.")
    pictures: Pictures = Field(description="The images asked for.")
    images: int = Field(description="Images looked at so far.")
    total: int = Field(description="Images in all; while a job runs, `images` is less.")
    classes: tuple[ClassImages, ...] = Field(description="The classes, in the order of their names (photos as asked).")
    gates: tuple[ExcitedGate, ...] = Field(description="The chosen gates from input to output.")
    caveats: tuple[str, ...] = Field(description="What to know before reading it, and what could not be shown and why.")


class ExcitationRequest(Request[ExcitationReport]):
    """Which channels does attention excite for which classes, early and late in the network?

    For more than a few hundred images ask it as a job (POST /v1/jobs): its curves can be read while they settle.
    """

    examples: ClassVar = (
        {"variant": "eca", "pictures": ["<id from POST /v1/images>"], "channels": 50},
        {"variant": "se", "pictures": {"data": "flowers", "classes": ["rose", "tulip"], "limit": 100}},
    )

    variant: Variant = Field(default=Variant.parse("se"), description="The network, as an object or short name.")
    pictures: Pictures = Field(
        description="Images of a data set by class (50 a class in the SE paper), or photos, each a class of its own."
    )
    gates: tuple[str, ...] | None = Field(
        default=None,
        max_length=200,
        description="Gate paths, or a prefix of them such as 'layer3'; null is the last block of every stage.",
    )
    channels: int = Field(default=50, ge=2, le=4096, description="Channels to give curves for, of each gate.")
    seed: Seed | None = Field(
        default=None,
        description="Null takes channels evenly spaced from first to last; a number draws them, each as likely.",
    )
