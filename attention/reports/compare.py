"""Compare's question and answer, as plain data: the same photos through several networks, side by side."""

from typing import ClassVar, Literal

from pydantic import Field

from attention.names import Size
from attention.reports.cost import INPUT_SIZE
from attention.reports.gates import GateSite
from attention.reports.parts.checkpoints import Card, LoadReport, WeightsState
from attention.reports.writing.tables import Bars, Printed, Report, Table, listed, named
from attention.spec import Ablation, Plain, Preprocess, Request, Variant

PhotoFit = Literal["crop", "pad", "stretch"]


class PhotoInput(Plain):
    """How the photos of a question become the input of its networks, where that is not the networks' own way."""

    input_size: Size | None = Field(default=None, description=INPUT_SIZE)
    fit: PhotoFit | None = Field(
        default=None,
        description="What is done with a photo of another shape: its ends are cut off, it is padded with the mean "
        "colour, or stretched; null is as the network's publisher does.",
    )


class ClassScore(Plain):
    """A class with its softmax probability."""

    index: int = Field(description="Position among the logits.")
    label: str | None = Field(description="Class name where the checkpoint has one.")
    probability: float = Field(description="Softmax probability, 0..1.")


class GateSummary(GateSite):
    """Statistics of one gate over all its entries, during one forward pass of one image."""

    shape: tuple[int, ...] = Field(description="Shape of the gate for one image.")
    mean: float = Field(description="Mean of the entries.")
    std: float = Field(description="Standard deviation of the entries (divided by n).")
    min: float = Field(description="Smallest entry.")
    max: float = Field(description="Largest entry.")
    share_low: float = Field(description="Share of entries below 0.1.")
    share_high: float = Field(description="Share of entries above 0.9.")


class Prediction(Plain):
    """What one network says of one image: most probable classes, and statistics of its gates."""

    image: str = Field(description="Image id.")
    variant: str = Field(description="Short name of the variant.")
    top: tuple[ClassScore, ...] = Field(description="Most probable classes first.")
    gates: tuple[GateSummary, ...] = Field(description="Every gate from input to output.")
    left_out: tuple[str, ...] = Field(
        default=(), description="Gates whose values were asked for and are left out: weights between pairs."
    )
    values: tuple[tuple[float, ...], ...] | None = Field(
        default=None,
        description="Entries of each gate in the order of `gates`, each flattened row by row; empty if left out.",
    )
    values_base64: str | None = Field(
        default=None,
        description="The same numbers, concatenated, as base64 of little-endian float16; split them by `shape`.",
    )


class VariantSummary(Plain):
    """A variant as it was run."""

    name: str = Field(description="Canonical short name.")
    variant: Variant = Field(description="The same as an object.")
    trained: bool = Field(description="False: the weights are random, and predictions mean nothing.")
    warning: str | None = Field(description="What to know before reading the predictions.")
    card: Card | None = Field(description="Where the weights come from.")
    state: WeightsState = Field(
        default="untrained", description="Trained as a whole, not at all, or untrained attention in a trained backbone."
    )
    load: LoadReport | None = Field(default=None, description="What was loaded from the checkpoint, and what was not.")
    preprocess: Preprocess = Field(description="How the photo became the input.")
    parameters: int = Field(description="Trainable parameters.")
    macs: int = Field(description="Multiply-accumulates of convolutions and matrix products, one image.")
    attention_parameters: int = Field(description="Parameters of the attention modules alone.")
    attention_macs: int = Field(description="Multiply-accumulates of the attention modules alone, one image.")


class Comparison(Report):
    """The answer of compare: who was run, and what each said about each image."""

    variants: tuple[VariantSummary, ...] = Field(description="The variants in the order asked for.")
    predictions: tuple[Prediction, ...] = Field(description="Every image (slow index) with every variant (fast index).")
    ablation: Ablation | None = Field(description="What was replaced, if anything.")
    device: str = Field(description="Where the networks ran.")
    dtype: str = Field(description="Number format of the forward pass.")
    caveats: tuple[str, ...] = Field(
        default=(), description="What the networks differ in beside their attention, where that is known."
    )

    def tables(self) -> tuple[Table, ...]:
        """The most probable classes, the statistics of every gate, and the networks."""
        classes = [
            (prediction.image, prediction.variant, rank, score.label or f"class {score.index}", score.probability)
            for prediction in self.predictions
            for rank, score in enumerate(prediction.top, 1)
        ]
        several = len({prediction.image for prediction in self.predictions}) > 1
        texts = tuple(
            (*((image[:12],) if several else ()), variant, str(rank), label, f"{probability:.1%}")
            for image, variant, rank, label, probability in classes
        )
        head = (*(("photo",) if several else ()), "network", "rank", "class", "probability")
        top = Table(
            name="classes",
            caption="The most probable classes of each network.",
            columns=named("image", "variant", "rank", "class", "probability"),
            rows=tuple(classes),
            printed=Printed(head=head, rows=texts),
            bars=Bars(label="class", value="probability", colour="variant"),
        )
        _, *nested = listed("predictions", self.predictions)
        none = Table(name="gates", caption="No network has gates.", columns=named("image", "variant", "gate"), rows=())
        gates = next((table for table in nested if table.name == "gates"), none)
        shown = ("name", "trained", "warning", "parameters", "macs", "attention_parameters", "attention_macs")
        rows = tuple(tuple(getattr(network, name) for name in shown) for network in self.variants)
        networks = Table(name="networks", caption="The networks.", columns=named(*shown), rows=rows)
        return top, gates, networks


class CompareRequest(PhotoInput, Request[Comparison]):
    """What do these networks see in these photos, and what does their attention do?"""

    examples: ClassVar = ({"images": ["<id from POST /v1/images>"], "variants": ["none", "se", "eca"], "top_k": 3},)

    images: tuple[str, ...] = Field(min_length=1, max_length=32, description="Image ids.")
    variants: tuple[Variant, ...] = Field(
        default=(Variant.parse("none"), Variant.parse("se"), Variant.parse("eca")),
        min_length=1,
        max_length=12,
        description="Networks to compare, as objects or short names; a module's name alone is a trained network.",
    )
    top_k: int = Field(default=5, ge=1, le=100, description="How many classes to name, most probable first.")
    gates: Literal["none", "json", "base64"] = Field(
        default="none",
        description="The gate values themselves: not at all, as numbers, or as base64 of little-endian float16.",
    )
    matrices: bool = Field(
        default=False,
        description="Whether `gates` also gives weights between all pairs of places or channels, which are megabytes a "
        "photo; POST /v1/maps gives those of one place.",
    )
    ablation: Ablation | None = Field(default=None, description="Gates to replace, in every variant that has gates.")
