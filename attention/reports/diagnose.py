"""Why does a module not help: the question, and statements that each have number, threshold, source and verdict."""

from typing import ClassVar, Literal, get_args

from pydantic import Field

from attention.reports.parts.evidence import Interval
from attention.reports.parts.subjects import Ran
from attention.reports.writing.tables import Printed, Report, Table
from attention.spec import GateKind, Pictures, Plain, Request, Variant

Topic = Literal[
    "mean", "scalar", "neutral", "constant", "saturated", "dead", "start", "bottleneck", "place", "seeds", "images"
]
TOPICS: tuple[Topic, ...] = get_args(Topic)
"""What is checked, in the order of the report: what replacing gates by their mean, by one number for all channels and
by the neutral weight changes; constant and saturated gates; dead hidden units; activations at the start; width of the
bottleneck; place; seeds and test images that a gain takes.
"""

Finding = Literal["ok", "notice", "trouble"]


class Units(Plain):
    """Units of one gate or layer that a statement is about."""

    path: str = Field(description="Path of the gate, layer or place in the network.")
    of: int = Field(description="How many units it has.")
    units: tuple[int, ...] = Field(description="Their numbers, counted from 0: channels, or places of a spatial gate.")


class Statement(Plain):
    """A statement of a diagnosis: what was checked, its number, threshold and source."""

    topic: Topic = Field(description="What was checked.")
    finding: Finding = Field(description="ok, notice (worth knowing, or not decided), or trouble (a likely reason).")
    sentence: str = Field(description="The statement in words, with its numbers.")
    number: float | None = Field(description="The number it rests on; null where it is about words.")
    unit: str = Field(default="", description="Unit of the number, the interval and the threshold.")
    interval: Interval | None = Field(default=None, description="Interval of the number, where there is one.")
    threshold: float | None = Field(default=None, description="Where the verdict changes; null where it has none.")
    source: str = Field(description="Where number and threshold come from.")
    where: tuple[Units, ...] = Field(default=(), description="Gates, layers or places it is about, with their units.")


class GateHealth(Plain):
    """One gate over all images."""

    gate: str = Field(description="Path of the gate.")
    kind: GateKind = Field(description="What its entries run over.")
    units: int = Field(description="Channels, or places of a gate that has no number for each channel.")
    mean: float = Field(description="Mean of all entries.")
    std_over_images: float = Field(
        description="Standard deviation of a unit over images at one place, mean over units."
    )
    share_low: float = Field(description="Share of entries below 0.1.")
    share_high: float = Field(description="Share of entries above 0.9.")
    constant: tuple[int, ...] = Field(description="Units that are the same for every image, as far as it matters.")
    saturated: tuple[int, ...] = Field(description="Units below 0.1 or above 0.9 for every image; of bounded gates.")


class LayerHealth(Plain):
    """The hidden units of one layer of an attention module that is followed by a ReLU."""

    layer: str = Field(description="Path of the layer whose result the ReLU takes.")
    units: int = Field(description="How many units it has.")
    dead: tuple[int, ...] = Field(description="Units that the ReLU shut for every image.")


class DiagnoseReport(Report):
    """The answer of diagnose: statements, and the gates and hidden units that they rest on."""

    headline: str = Field(description="What was found, in words.")
    network: Ran = Field(description="The network as it ran.")
    images: str = Field(description="The images it was tried on, in words.")
    calibration: str = Field(description="The images whose mean gates were put in, in words.")
    n: int = Field(description="Images tried so far.")
    accuracy: float | None = Field(description="Top-1 accuracy of the network as it is, points; null without labels.")
    statements: tuple[Statement, ...] = Field(description="What was checked, in the order of the topics.")
    gates: tuple[GateHealth, ...] = Field(description="Every gate from input to output.")
    layers: tuple[LayerHealth, ...] = Field(description="Every hidden layer with ReLUs in attention modules.")
    caveats: tuple[str, ...] = Field(description="What to know before reading the statements.")
    complete: bool = Field(description="Whether all images were tried.")

    def tables(self) -> tuple[Table, ...]:
        """The table of statements, then the tables of gates and hidden units that they rest on."""
        statements, *others = super().tables()
        rows = tuple((one.topic, one.finding, one.sentence) for one in self.statements)
        printed = Printed(head=("topic", "finding", "what is said"), rows=rows)
        return statements.model_copy(update={"printed": printed}), *others


class DiagnoseRequest(Request[DiagnoseReport]):
    """Why does the attention of this network not help: what is wrong with its gates, its place, or the comparison?"""

    examples: ClassVar = ({"variant": "se", "images": {"data": "flowers", "limit": 500}},)
    slow: ClassVar = True

    variant: Variant = Field(description="The trained network, as an object or a short name; it must have attention.")
    images: Pictures = Field(description="The images that it is tried on: of a data set, or photos by id.")
    calibration: Pictures | None = Field(
        default=None,
        description="Images whose mean gates are put in; if not said, those of the same data set to train on.",
    )
    margin: float = Field(
        default=0.5, gt=0, le=100, description="Changes of top-1 accuracy up to so many points are called none."
    )
    gain: float | None = Field(
        default=None, gt=0, le=100, description="Gain to plan for, points of accuracy; if not said, the published one."
    )
    seed_sd: float | None = Field(
        default=None,
        gt=0,
        le=100,
        description="Standard deviation over seeds of the difference to the plain network, points; if not said, that "
        "of earlier runs here, or of the study that comes along.",
    )
