"""Network: a variant with all that is known of it, as plain data."""

from typing import Literal

from pydantic import Field

from attention.reports.parts.checkpoints import Card, LoadReport, WeightsState
from attention.spec import Plain, Preprocess, Variant

OutputKind = Literal["classes", "map", "boxes", "other"]
"""What a network gives for each image: a logit a class, one for each class and place, boxes with scores, or neither."""


class Network(Plain):
    """A variant with all that is known of it: its weights, its inputs and outputs, and what it costs."""

    name: str = Field(description="Canonical short name.")
    variant: Variant = Field(description="The same as an object, said in full.")
    trained: bool = Field(description="False: the weights are random, and predictions mean nothing.")
    warning: str | None = Field(description="What to know before reading the predictions.")
    card: Card | None = Field(description="Where the weights come from.")
    state: WeightsState = Field(
        default="untrained", description="Trained as a whole, not at all, or untrained attention in a trained backbone."
    )
    stamp: str = Field(default="", description="Another one when the files of its weights are others.")
    load: LoadReport | None = Field(default=None, description="What was loaded from the checkpoint, and what was not.")
    labels: tuple[str, ...] = Field(default=(), description="Class names in the order of the logits, where known.")
    preprocess: Preprocess = Field(description="How a photo becomes the input.")
    parameters: int = Field(description="Trainable parameters.")
    macs: int = Field(description="Multiply-accumulates of convolutions and matrix products, one image.")
    attention_parameters: int = Field(description="Parameters of the attention modules alone.")
    attention_macs: int = Field(description="Multiply-accumulates of the attention modules alone, one image.")
    gates: int = Field(default=0, description="How many gates it has, in its modules of attention or its own code.")
    outputs: OutputKind = Field(default="classes", description="What it gives for each image.")
