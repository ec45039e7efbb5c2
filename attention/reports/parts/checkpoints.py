"""What a trained network says of itself, and what became of a checkpoint's tensors."""

from typing import Literal

from pydantic import Field

from attention.spec import Plain, Preprocess, Recipe, Variant


class Card(Plain):
    """Where a trained checkpoint comes from: what was trained, on what, how, and how well it does."""

    variant: Variant = Field(description="The network, without its weights.")
    data: str = Field(description="The data set as it should be called, with what was done to it.")
    labels: tuple[str, ...] = Field(description="Class names in the order of the logits.")
    recipe: Recipe = Field(description="How it was trained.")
    seed: int = Field(description="Seed of initial weights, data order and augmentation.")
    preprocess: Preprocess = Field(description="What its input must look like.")
    train_images: int = Field(description="Images trained on.")
    validation_images: int = Field(default=0, description="Images that the curve was of; 0: it was of the test images.")
    test_images: int = Field(description="Images the accuracy was measured on.")
    test_accuracy: float = Field(description="Share of test images whose first class is right, 0..1, last epoch.")
    validation_accuracy: float | None = Field(default=None, description="The same of validation images.")
    device: str = Field(description="What it was trained on, at the end.")
    resumed: tuple[str, ...] = Field(
        default=(),
        description="Where it was trained before, if on another device or number of threads, as a sentence each: such "
        "a run rounds differently from one that was never moved.",
    )
    torch: str = Field(description="Version of torch.")
    date: str = Field(description="Day the run finished, ISO 8601.")
    seconds: float = Field(description="Wall-clock seconds of training, without loading data.")
    command: str = Field(description="The command that made it.")


class Conversion(Plain):
    """What a checkpoint of other code was converted from, and what became of what was in it."""

    converted_from: str = Field(description="Name of the file that was converted.")
    sha256: str = Field(description="Of that file's bytes, in hex.")
    key: str = Field(description="Where in the file the weights were, such as state_dict; empty for the whole file.")
    others: tuple[str, ...] = Field(description="Other sets of weights in the file, which were not taken.")
    prefix: str = Field(description="What stood before all names and was left out.")
    renamed: tuple[tuple[str, str], ...] = Field(default=(), description="Parts of names that were replaced: old, new.")
    tensors: int = Field(description="Tensors in the new file.")
    parameters: int = Field(description="Numbers in them.")
    left_out: tuple[str, ...] = Field(description="Entries that are no tensors of floats, and are not in the new file.")
    variant: Variant | None = Field(default=None, description="The network that it fits here; None if there is none.")
    labels: tuple[str, ...] = Field(default=(), description="Class names in the order of the logits.")
    preprocess: Preprocess | None = Field(default=None, description="What its input must look like.")
    torch: str = Field(description="Version of torch that read it.")
    date: str = Field(description="Day it was converted, ISO 8601.")


class Renamed(Plain):
    """Tensors of a checkpoint that have another name here."""

    found: str = Field(description="Name in the file; numbers of stages and blocks are written *.")
    ours: str = Field(description="Name in the network.")
    count: int = Field(description="How many tensors.")


class FreshModule(Plain):
    """An untrained attention module in a trained network, and what it does to the activations on the spot."""

    slot: str = Field(description="Where in the network it stands.")
    kept: float | None = Field(
        description="Standard deviation of what leaves it by that of what arrives, measured on two images of noise; "
        "None where nothing that varies arrives."
    )
    identity: bool = Field(description="Whether what leaves it is exactly what arrives.")


WeightsState = Literal["trained", "untrained", "fresh attention"]


class LoadReport(Plain):
    """What became of a checkpoint's tensors: nothing is left out, or left as it was, without being named here."""

    weights: str = Field(description="The checkpoint as it was asked for.")
    file: str = Field(description="Name of the file.")
    revision: str | None = Field(description="The hub's commit, for a published checkpoint.")
    architecture: str | None = Field(description="What the publisher calls the network.")
    loaded: int = Field(description="Tensors of the network that came from the file.")
    renamed: tuple[Renamed, ...] = Field(description="Tensors that have another name there.")
    missing: tuple[str, ...] = Field(description="Tensors of the network that are not in the file, and start fresh.")
    unexpected: tuple[str, ...] = Field(
        description="Tensors of the file that the network has no place for: counters, on which no result depends."
    )
    fresh: tuple[FreshModule, ...] = Field(description="Attention modules that the file knows nothing of.")
    notes: tuple[str, ...] = Field(description="What cannot be read off the tensors, and is taken on trust.")
