"""What the outputs of any network lose without its gates, as plain data: logits, maps of classes, or boxes."""

from typing import ClassVar, Literal

from pydantic import Field

from attention.reports.parts.network import OutputKind
from attention.reports.sweep import Family, Interventions, LabelledSite, Scope
from attention.reports.writing.tables import Bars, Report, Table, filled, table_of
from attention.spec import PhotoId, Plain, Request, Variant

BEST = 20
"""Boxes of an image that are compared, those with the best scores."""

Kind = Literal["mean", "scalar", "shuffle", "constant", "neutral"]


class ClassOverlap(Plain):
    """How much of a class's pixels stay a class's pixels."""

    index: int = Field(description="Number of the class.")
    label: str | None = Field(description="Its name, where known.")
    iou: float = Field(description="Pixels of the class in both predictions by those in either, 0..1.")


class OutputEffect(Plain):
    """What replacing the gates of one scope by one kind does to what the network gives for one photo."""

    image: str = Field(description="Image id.")
    scope: str = Field(description="Id of the scope.")
    label: str = Field(description="The scope's.")
    kind: Kind = Field(description="What replaced the gates.")
    gates: int = Field(description="How many gates were replaced.")
    change: float | None = Field(
        description="Norm of the difference of the logits, or the map, by the norm of those untouched; null for boxes."
    )
    kept: float | None = Field(
        description="Share of pixels whose class stays; of the 20 best boxes, the share that some box meets again with "
        "an overlap (IoU) of at least 0.5; for classes 1 if the first class stays, else 0. Null where there is neither."
    )
    best: float | None = Field(default=None, description="Best score of a box with the gates replaced, 0..1.")
    best_change: float | None = Field(default=None, description="Change of the best score of a box, -1..1.")
    classes: tuple[ClassOverlap, ...] = Field(
        default=(), description="For a map, every class that either prediction has, largest first."
    )


class EffectsReport(Report):
    """The answer of effects: what became of each photo's output."""

    network: str = Field(description="Canonical short name of the network.")
    variant: Variant = Field(description="The same as an object.")
    outputs: OutputKind = Field(description="What the network gives for each image.")
    caveats: tuple[str, ...] = Field(description="What to know before reading the numbers, and what was left out.")
    sites: tuple[LabelledSite, ...] = Field(description="Every gate from input to output.")
    scopes: tuple[Scope, ...] = Field(description="The sets of gates, family by family, then the sets asked for.")
    effects: tuple[OutputEffect, ...] = Field(description="Every photo with every scope and every kind.")
    device: str = Field(description="Where the network ran, in float32.")

    def tables(self) -> tuple[Table, ...]:
        """Every effect; every class of a map; every gate."""
        value = "kept" if self.outputs in ("map", "boxes") else "change"
        effects = table_of("effects", self.effects, bars=Bars(label="label", value=value, colour="kind"))
        others = [table for table in super().tables() if table.name in ("classes", "sites")]
        return filled(effects, *others)


class EffectsRequest(Interventions, Request[EffectsReport]):
    """What becomes of a network's outputs without its gates: of logits, of every pixel's class, or of the boxes?"""

    examples: ClassVar = ({"variant": "eca", "images": ["<id from POST /v1/images>"]},)

    images: tuple[PhotoId, ...] = Field(min_length=1, max_length=8, description="Ids of photos.")
    kinds: tuple[Kind, ...] = Field(
        default=("scalar",), min_length=1, max_length=5, description="What replaces the gates."
    )
    scopes: tuple[Family, ...] = Field(
        default=("gate", "all"), max_length=6, description="Which sets of gates are replaced together."
    )
