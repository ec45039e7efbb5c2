"""Each question with its answer, as plain data: the request first, then the report it gets.

Numbers carry their units and conditions in the field descriptions, which are also the API's documentation.
"""

from typing import ClassVar, Literal

from pydantic import Field

from attention.spec import Ablation, GateKind, Plain, Position, Preprocess, Recipe, Request, Variant

# ---------------------------------------------------------------- what a trained network says of itself


class Card(Plain):
    """Where a trained checkpoint comes from: what was trained, on what, how, and how well it does."""

    variant: Variant = Field(description="The network, without its weights.")
    data: str = Field(description="The data set as it should be called, with what was done to it.")
    labels: tuple[str, ...] = Field(description="Class names in the order of the logits.")
    recipe: Recipe = Field(description="How it was trained.")
    seed: int = Field(description="Seed of initial weights, data order and augmentation.")
    preprocess: Preprocess = Field(description="What its input must look like.")
    train_images: int = Field(description="Images trained on.")
    test_images: int = Field(description="Images the accuracy was measured on.")
    test_accuracy: float = Field(description="Share of test images whose first class is right, 0..1, last epoch.")
    device: str = Field(description="What it was trained on.")
    torch: str = Field(description="Version of torch.")
    date: str = Field(description="Day the run finished, ISO 8601.")
    seconds: float = Field(description="Wall-clock seconds of training, without loading data.")
    command: str = Field(description="The command that made it.")


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


# ---------------------------------------------------------------- compare


class CompareRequest(Request["Comparison"]):
    """What do these networks see in these photos, and what does their attention do?"""

    model_config = {
        "json_schema_extra": {
            "examples": [{"images": ["<id from POST /v1/images>"], "variants": ["none", "se", "eca"], "top_k": 3}]
        }
    }
    analysis: ClassVar = "compare"

    images: tuple[str, ...] = Field(min_length=1, max_length=32, description="Image ids.")
    variants: tuple[Variant, ...] = Field(
        default=(Variant.parse("none"), Variant.parse("se"), Variant.parse("eca")),
        min_length=1,
        max_length=12,
        description="Networks to compare, as objects or short names; a bare module name is a shipped network.",
    )
    top_k: int = Field(default=5, ge=1, le=100, description="How many classes to name, most probable first.")
    gates: Literal["none", "json", "base64"] = Field(
        default="none",
        description="The gate values themselves: not at all, as numbers, or as base64 of little-endian float16.",
    )
    ablation: Ablation | None = Field(default=None, description="Gates to replace, in every variant that has gates.")


class ClassScore(Plain):
    """One class with its softmax probability."""

    index: int = Field(description="Position among the logits.")
    label: str | None = Field(description="Class name where the checkpoint has one.")
    probability: float = Field(description="Softmax probability, 0..1.")


class GateSummary(Plain):
    """One gate during one forward pass, over all its entries."""

    gate: str = Field(description="Path of the gate in the network.")
    kind: GateKind = Field(description="What the entries run over.")
    neutral: float | None = Field(
        default=None, description="The weight that passes the input through: 1 multiplied, 0 added; null for none."
    )
    position: Position = Field(description="Where the module sits.")
    stage: int = Field(description="Stage of the backbone, counted from 1.")
    block: int = Field(description="Block within the stage, counted from 1.")
    shape: tuple[int, ...] = Field(description="Shape of the gate for one image.")
    mean: float = Field(description="Mean of the entries.")
    std: float = Field(description="Standard deviation of the entries (divided by n).")
    min: float = Field(description="Smallest entry.")
    max: float = Field(description="Largest entry.")
    share_low: float = Field(description="Share of entries below 0.1.")
    share_high: float = Field(description="Share of entries above 0.9.")


class Prediction(Plain):
    """One image through one variant."""

    image: str = Field(description="Image id.")
    variant: str = Field(description="Short name of the variant.")
    top: tuple[ClassScore, ...] = Field(description="Most probable classes first.")
    gates: tuple[GateSummary, ...] = Field(description="Every gate from input to output.")
    values: tuple[tuple[float, ...], ...] | None = Field(
        default=None, description="Entries of each gate in the order of `gates`, each flattened row by row."
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


class Comparison(Plain):
    """The answer of compare: who was run, and what each said about each image."""

    variants: tuple[VariantSummary, ...] = Field(description="The variants in the order asked for.")
    predictions: tuple[Prediction, ...] = Field(description="Every image (slow index) with every variant (fast index).")
    ablation: Ablation | None = Field(description="What was replaced, if anything.")
    device: str = Field(description="Where the networks ran.")
    dtype: str = Field(description="Number format of the forward pass.")


CompareRequest.report = Comparison

# ---------------------------------------------------------------- cost


class CostRequest(Request["CostReport"]):
    """What do these networks cost, and how much of it is the attention?"""

    model_config = {"json_schema_extra": {"examples": [{"variants": ["resnet50/none", "resnet50/se", "resnet50/eca"]}]}}
    analysis: ClassVar = "cost"

    variants: tuple[Variant, ...] = Field(
        default=(Variant.parse("resnet50/none"), Variant.parse("resnet50/se"), Variant.parse("resnet50/eca")),
        min_length=1,
        max_length=64,
        description="Networks to count, as objects or short names.",
    )
    input_size: int | None = Field(
        default=None, ge=1, le=2048, description="Height and width of the input, pixels; None is the network's own."
    )
    layers: bool = Field(default=False, description="Whether to list every layer.")


class LayerCost(Plain):
    """What one operation of the network costs, for one image."""

    layer: str = Field(description="Path of the module that ran the operation.")
    operation: str = Field(description="The operation; 'unused' for parameters that none has read.")
    attention: bool = Field(description="Whether it belongs to an attention module.")
    shape: tuple[int, ...] = Field(description="Shape of its output, batch of one.")
    parameters: int = Field(description="Trainable parameters it uses for the first time.")
    buffers: int = Field(default=0, description="Numbers kept but not trained that it uses for the first time.")
    macs: int = Field(description="Multiply-accumulates, if it is a convolution or matrix product.")
    elementwise: int = Field(description="Entries written by work that is neither multiply-accumulates nor pooling.")
    pooling: int = Field(default=0, description="Entries read, if it is pooling.")
    bytes: int = Field(description="Bytes read and written in float32, weights included, if nothing is fused.")
    activation_bytes: int = Field(default=0, description="Bytes of its output in float32; 0 if it is not new memory.")


class Cost(Plain):
    """Totals of one part of a network, for one image."""

    parameters: int = Field(default=0, description="Trainable parameters.")
    buffers: int = Field(default=0, description="Numbers kept but not trained (running statistics).")
    macs: int = Field(default=0, description="Multiply-accumulates of convolutions and matrix products.")
    elementwise: int = Field(
        default=0, description="Entries written by activations, normalisations, products and sums."
    )
    pooling: int = Field(default=0, description="Entries read by pooling.")
    bytes: int = Field(
        default=0, description="Bytes read and written in float32, weights included, if nothing is fused."
    )
    activation_bytes: int = Field(
        default=0, description="Bytes of all outputs in float32: what training keeps at most for one image."
    )


class GateShape(Plain):
    """A gate and how many weights it holds."""

    path: str = Field(description="Path of the gate in the network.")
    kind: GateKind = Field(description="What its entries run over.")
    shape: tuple[int, ...] = Field(description="Shape of its weights, batch of one; empty if it has not run.")


class ModuleCost(Plain):
    """What the attention in one place of the network costs, for one image."""

    path: str = Field(description="Path of the place.")
    position: Position = Field(description="Where in the block or network it is.")
    stage: int = Field(description="Stage of the backbone, counted from 1.")
    block: int = Field(description="Block within the stage, counted from 1.")
    channels: int = Field(description="Channels of the map that arrives.")
    gates: tuple[GateShape, ...] = Field(description="Its gates.")
    cost: Cost = Field(description="The module alone.")


class ConventionRule(Plain):
    """A way to count parameters and work, in words."""

    name: str = Field(description="Short name of the convention.")
    rule: str = Field(description="What counts as one.")
    source: str = Field(description="Who counts so.")


class ConventionCount(Plain):
    """A network's parameters, or its work for one image, in one convention."""

    name: str = Field(description="Short name of the convention.")
    quantity: Literal["parameters", "work"] = Field(description="What was counted.")
    unit: str = Field(description="What the numbers are in.")
    source: str = Field(description="Who counts so.")
    total: float = Field(description="The whole network.")
    attention: float = Field(description="The attention modules alone.")
    delta: float = Field(description="The whole network minus its plain twin.")


class VariantCost(Plain):
    """One variant's bill."""

    name: str = Field(description="Canonical short name.")
    variant: Variant = Field(description="The same as an object.")
    input_size: int = Field(description="Height and width of the input, pixels.")
    buffers: int = Field(description="Numbers kept but not trained (running statistics).")
    total: Cost = Field(description="The whole network.")
    attention: Cost = Field(description="The attention modules alone.")
    delta: Cost = Field(description="The whole network minus its plain twin.")
    peak_activation_bytes: int = Field(
        default=0,
        description="Most bytes of activations alive at one time in inference, as the network is written: float32, "
        "input included, weights and the workspace of operations not.",
    )
    modules: int = Field(description="How many attention modules it has.")
    attention_modules: tuple[ModuleCost, ...] = Field(default=(), description="Each of them, from input to output.")
    conventions: tuple[ConventionCount, ...] = Field(
        default=(), description="Parameters and work as papers and tools count them."
    )
    not_counted: tuple[str, ...] = Field(description="Operations that were run and have no rule, by name.")
    layers: tuple[LayerCost, ...] | None = Field(default=None, description="Every operation in order, if asked for.")


class CostReport(Plain):
    """The answer of cost: one bill a variant, under one convention and in the units of others."""

    variants: tuple[VariantCost, ...] = Field(description="The variants in the order asked for.")
    convention: str = Field(description="What counts as one in the bills themselves.")
    conventions: tuple[ConventionRule, ...] = Field(
        default=(), description="The other ways to count that the bills are given in."
    )


CostRequest.report = CostReport

# ---------------------------------------------------------------- differences that may be noise


class Interval(Plain):
    """An estimate with its confidence interval."""

    estimate: float = Field(description="The estimate itself.")
    low: float = Field(description="Lower end of the interval.")
    high: float = Field(description="Upper end of the interval.")
    confidence: float = Field(description="Share of such intervals that hold the truth, 0..1.")
    n: int = Field(description="Independent observations: seeds, or images.")
    method: str = Field(description="How it was computed.")


class Verdict(Plain):
    """Whether one arm of a study is better than another, or the difference is noise."""

    kind: Literal["better", "worse", "equivalent", "undecided", "too few seeds", "withheld"] = Field(
        description="The verdict; only 'better' and 'worse' are claims of a difference."
    )
    sentence: str = Field(description="The verdict in words, with its numbers.")
    difference: Interval | None = Field(description="Paired difference over seeds; None if there are fewer than two.")
    sign_flip_p: float | None = Field(description="Exact two-sided sign-flip test of no difference.")
    p: float | None = Field(description="Two-sided paired t-test of no difference.")
    p_holm: float | None = Field(description="The same, corrected by Holm for all arms that were compared.")
    equivalence_p: float | None = Field(description="Both one-sided t-tests of a difference beyond the margin.")
    margin: float = Field(description="Differences up to this are called none, in the units of the difference.")
    more_seeds: int | None = Field(
        description="About how many more seeds would detect a difference of the margin with a power of 0.8."
    )


class DataFacts(Plain):
    """What a data set holds, and what in it could spoil a comparison."""

    name: str = Field(description="The data set as it should be called.")
    classes: tuple[str, ...] = Field(description="Class names in the order of the labels.")
    train_images: int = Field(description="Images to train on.")
    test_images: int = Field(description="Images to test on.")
    size: int = Field(description="Height and width the images were brought to, pixels.")
    split_by_hash: bool = Field(description="Whether the split was made here, by the hash of each file.")
    duplicates: int = Field(description="Files that repeat another one, byte for byte.")
    duplicates_across_splits: int = Field(description="Images that stand in both splits: the test has seen them.")
    label_conflicts: int = Field(description="Images that stand there with more than one label.")
    fingerprint: str = Field(description="SHA-256 of all images, labels, the split and the size.")


# ---------------------------------------------------------------- match


class MatchRequest(Request["MatchReport"]):
    """How wide must the plain network be to cost as much as one with attention?"""

    model_config = {"json_schema_extra": {"examples": [{"variants": ["resnet50/se", "resnet50/cbam"], "by": "macs"}]}}
    analysis: ClassVar = "match"

    variants: tuple[Variant, ...] = Field(
        default=(Variant.parse("resnet50/se"), Variant.parse("resnet50/cbam")),
        min_length=1,
        max_length=32,
        description="Networks with attention, as objects or short names.",
    )
    by: Literal["parameters", "macs"] = Field(
        default="parameters", description="What the plain network is to have as much of."
    )


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


class MatchReport(Plain):
    """The answer of match: one widened control a variant."""

    by: Literal["parameters", "macs"] = Field(description="What was matched.")
    matches: tuple[Match, ...] = Field(description="One for each variant, in the order asked for.")


MatchRequest.report = MatchReport
