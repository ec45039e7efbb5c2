"""The static fold's question and answer, as plain data: attention replaced by its mean, and worked into the network."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from attention.names import Size
from attention.reports.parts.evidence import Interval
from attention.reports.parts.subjects import Ran
from attention.reports.writing.captions import p_text, percent
from attention.reports.writing.tables import Bars, Printed, Report, Table, filled, table_of
from attention.spec import Pass, Pictures, Plain, Request, Variant

ArmKind = Literal["trained", "mean", "folded"]
ARMS: dict[ArmKind, str] = {
    "trained": "as trained, each image with gates of its own",
    "mean": "each gate replaced by its mean over the calibration images",
    "folded": "those means worked into normalisations; attention is gone",
}

LEAST_ROUNDS = 6
"""Fewer have no interval of 95 % for their median."""


class FoldedGate(Plain):
    """A gate that was folded, and what was left out with it."""

    gate: str = Field(description="Path of the gate in the network.")
    normalisation: str = Field(description="Path of the batch normalisation, or of the convolution, that took it up.")
    stage: int = Field(description="Stage of the backbone, counted from 1.")
    block: int = Field(description="Block within the stage, counted from 1.")
    channels: int = Field(description="Channels of both.")
    mean: float = Field(description="Mean over channels of the mean gate.")
    low: float = Field(description="Smallest mean gate of a channel.")
    high: float = Field(description="Largest mean gate of a channel.")
    over_channels: float = Field(description="Standard deviation over channels of the mean gate: what is kept.")
    over_images: float | None = Field(
        description="Root mean square over channels of each channel's standard deviation over the calibration images: "
        "what is left out; null for a single image."
    )


class FoldArm(Plain):
    """The network in one of its three states."""

    kind: ArmKind = Field(description="'trained', 'mean' (gates replaced) or 'folded'.")
    said: str = Field(description="The same in words.")
    accuracy: float | None = Field(description="Top-1 accuracy, points; null without labels.")
    change: Interval | None = Field(
        description="Change of accuracy against the trained network, points, with its interval over paired images; "
        "null for itself and without labels."
    )
    p: float | None = Field(description="Exact McNemar test of no change; null for itself and without labels.")
    agreement: float = Field(description="Share of images with the same first class as the trained network, 0..1.")
    kl: float = Field(description="Mean over images of KL(trained || this) between the predictions, nats.")
    parameters: int = Field(description="Trainable parameters.")
    macs: int = Field(description="Multiply-accumulates of convolutions and matrix products, one image.")
    elementwise: int = Field(
        description="Entries written by activations, normalisations, products and sums, one image."
    )
    pooling: int = Field(description="Entries read by pooling, one image.")


class FoldTiming(Plain):
    """How long the network takes with its attention and without, side by side."""

    before_ms: float | None = Field(description="Median of a pass of the trained network, ms; null if withheld.")
    after_ms: float | None = Field(description="Median of a pass of the folded network, ms; null if withheld.")
    ratio: Interval | None = Field(
        description="Median over rounds of folded by trained in the same round, below 1 for a gain, with an interval "
        "from order statistics; null if withheld."
    )
    control: Interval = Field(description="A/A: the trained network's second timing by its first, in the same way.")
    withheld: str | None = Field(description="Why no time is given; null if it is.")
    clock: Literal["CPU time", "wall-clock time"] = Field(
        description="What was measured: CPU time of all threads, or on a GPU wall-clock time until it is done."
    )
    rounds: int = Field(description="Timed rounds.")
    passes: int = Field(description="Passes of each network a round; more than one for quick networks.")
    batch: int = Field(description="Images a pass.")
    input_size: Size = Field(description="Side of the input, or height and width, pixels.")
    threads: int = Field(description="CPU threads of a pass.")


class KeptNetwork(Plain):
    """The folded network as it is kept, ready to be used."""

    variant: Variant = Field(description="The network, to be asked about like any other.")
    name: str = Field(description="Its short name.")
    checkpoint: str = Field(description="What its checkpoint is called; GET /v1/checkpoints/{checkpoint} gives it.")
    bytes: int = Field(description="Size of the checkpoint.")
    card: bool = Field(description="Whether class names, preprocessing and origin are kept beside it.")


class FoldReport(Report):
    """The answer of fold: what it changes, that it is exact, what it saves, and the plain network itself."""

    headline: str = Field(description="The main finding, in words.")
    network: Ran = Field(description="The network as it was run.")
    caveats: tuple[str, ...] = Field(description="What to know before reading the numbers.")
    images: str = Field(description="The images it was tried on, in words.")
    calibration: str = Field(description="The images over which the means were taken, in words.")
    n: int = Field(description="Images tried so far.")
    arms: tuple[FoldArm, ...] = Field(description="Trained, with mean gates, folded.")
    gates: tuple[FoldedGate, ...] = Field(description="Every gate, from input to output.")
    error: float = Field(
        description="Largest difference of a logit between mean gates and folded, over all images, by the largest "
        "logit of the image it is in: rounding alone."
    )
    error_allowed: float = Field(
        description="Beyond so much, on noise and in double precision, the fold would have been refused."
    )
    timing: FoldTiming | None = Field(description="Measured time; null if it was not asked for, or not yet measured.")
    kept: KeptNetwork | None = Field(description="The folded network; null as long as the job is not done.")
    methods: str = Field(description="How intervals and tests were computed, with their sources.")
    complete: bool = Field(description="Whether all images were tried.")

    def tables(self) -> tuple[Table, ...]:
        """Every state, then every gate."""
        bars = Bars(label="kind", value="kl" if self.arms and self.arms[0].accuracy is None else "accuracy")
        caption = f"{self.headline} {self.methods}".strip()
        arms = table_of("arms", self.arms, caption, bars, network=self.network.name, n=self.n)
        return filled(arms.model_copy(update={"printed": self._printed()}), table_of("gates", self.gates))

    def _printed(self) -> Printed:
        rows = []
        for arm in self.arms:
            change = arm.change.text() if arm.change else "--"
            same = (f"{100 * arm.agreement:.1f}", f"{arm.kl:.4f}")
            work = (f"{arm.parameters:,}", f"{arm.macs:,}", f"{arm.elementwise:,}")
            rows.append((arm.kind, percent(arm.accuracy), change, p_text(arm.p), *same, *work))
        scores = ("top-1 (%)", "change (points)", "p", "same class (%)", "KL (nats)")
        return Printed(head=("state", *scores, "parameters", "MACs", "elementwise"), rows=tuple(rows))


class FoldRequest(Request[FoldReport]):
    """Can this network do without its attention: what becomes of it with mean gates worked into its normalisations?"""

    examples: ClassVar = ({"variant": "se", "images": {"data": "flowers", "limit": 2000}},)
    slow: ClassVar = True

    variant: Variant = Field(description="The network, as an object or a short name; it must have attention.")
    images: Pictures = Field(description="The images it is tried on: of a data set, or photos by id.")
    calibration: Pictures | None = Field(
        default=None,
        description="Images over which the gates' means are taken. If not said: those of the same data set to train "
        "on, or the sample photos where the question is about photos.",
    )
    rounds: int = Field(
        default=30,
        ge=0,
        le=1000,
        description="Timed rounds, in each of which every network runs once; 0 for no timing.",
    )
    batch: int = Field(default=1, ge=1, le=256, description="Images of a timed forward pass.")
    tolerance: float = Field(
        default=0.03,
        gt=0,
        le=0.5,
        description="By what share two timings of the trained network may differ; beyond it no time is given.",
    )

    @property
    def largest_pass(self) -> Pass:
        """Timed passes may have a larger batch than the service's own."""
        return Pass(images=self.batch) if self.rounds and self.batch > 1 else Pass()

    @model_validator(mode="after")
    def _has_an_interval(self) -> Self:
        if 0 < self.rounds < LEAST_ROUNDS:
            raise ValueError(f"rounds is {self.rounds}; at least {LEAST_ROUNDS} make an interval, and 0 is no timing.")
        return self
