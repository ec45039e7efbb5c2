"""Questions about the modules themselves, with their answers: what each is like, which channels it listens to, where
it sits, what was published of it, and what it would cost.

Numbers carry their units and conditions in the field descriptions, which are also the API's documentation.
"""

from typing import ClassVar

from pydantic import Field

from attention.names import Size
from attention.reports.cost import INPUT_SIZE, CostReport
from attention.reports.writing.tables import Report
from attention.spec import Options, Placement, Plain, Position, Request, Seed, Variant

# ---------------------------------------------------------------- traits


class Traits(Plain):
    """What a module is like, found out by trying a fresh one with its default options on noise."""

    parameters: int = Field(description="Trainable parameters at 64 channels.")
    neutral: tuple[float | None, ...] = Field(
        description="For each gate the weight that passes the input through: 1 multiplied, 0 added, null for none."
    )
    std_ratio: float = Field(description="Standard deviation of what leaves a fresh module by that of what arrives.")
    correlation: float = Field(description="Correlation of what leaves a fresh module with what arrives, -1..1.")
    identity: bool = Field(description="Whether a fresh module passes its input through bit for bit.")
    depends_on_input: bool = Field(description="Whether its weights depend on the image.")
    least_batch: int = Field(description="Fewest images a batch that it can be trained with.")
    pairs: bool = Field(description="Whether its weights grow with the square of the pixels of the map.")
    replaces: str | None = Field(description="What it takes the place of, if it is more than a layer put in between.")
    needs: tuple[str, ...] = Field(description="What it must be given, as sentences.")
    start: str = Field(description="What putting a fresh one into a trained network does, as a sentence.")
    warnings: tuple[str, ...] = Field(description="What to know before comparing it, as sentences.")


# ---------------------------------------------------------------- kernel


class KernelStep(Plain):
    """Widths that share one kernel size."""

    first: int = Field(description="Fewest channels.")
    last: int = Field(description="Most channels.")
    kernel_size: int = Field(description="Channels that the filter spans.")


class ReleasedKernel(Plain):
    """A kernel size of a network that the authors released, beside the formula's."""

    backbone: str = Field(description="The network.")
    channels: int = Field(description="Channels where the module sits.")
    released: int = Field(description="Kernel size of the released weights.")
    formula: int = Field(description="What the formula gives with this gamma and b.")


class KernelTotal(Plain):
    """All parameters that ECA adds to a network."""

    backbone: str = Field(description="The network.")
    released: int = Field(description="With the kernel sizes of the released weights.")
    formula: int = Field(description="With the formula's.")


class KernelReport(Report):
    """The answer of kernel: the staircase of the formula, and the sizes that were released."""

    gamma: float = Field(description="Divisor in the formula.")
    b: float = Field(description="Offset in the formula.")
    steps: tuple[KernelStep, ...] = Field(description="Kernel size for 1 to 4096 channels, as ranges without gaps.")
    released: tuple[ReleasedKernel, ...] = Field(description="Every width of every released network.")
    totals: tuple[KernelTotal, ...] = Field(description="The parameters of whole networks.")
    source: str = Field(description="Where the released sizes come from.")


class KernelRequest(Request[KernelReport]):
    """How many neighbouring channels does ECA's filter span?"""

    examples: ClassVar = ({"gamma": 2, "b": 1},)
    counts_only: ClassVar = True

    gamma: float = Field(default=2, ge=0.01, le=100, description="Divisor in the formula.")
    b: float = Field(default=1, ge=-100, le=100, description="Offset in the formula.")


# ---------------------------------------------------------------- interaction


class Interaction(Plain):
    """How one module's gates depend on the pooled features, at one point."""

    module: str = Field(description="Name of the module.")
    options: Options = Field(description="Its options, where they differ from the defaults.")
    parameters: int = Field(description="Trainable parameters.")
    matrix: tuple[tuple[float, ...], ...] = Field(
        description="Row c, column j: change of channel c's gate per change of channel j's mean."
    )
    rank: int = Field(description="Rank of the matrix.")
    narrowest: int = Field(description="Fewest numbers between pooled features and gates: the rank cannot be larger.")
    reach: int = Field(description="Largest |c - j| of an entry that is not 0.")
    share: float = Field(description="Share of the entries that are not 0.")


class InteractionReport(Report):
    """The answer of interaction: one matrix a module, all at the same pooled features."""

    channels: int = Field(description="Channels of the map.")
    interactions: tuple[Interaction, ...] = Field(description="One for each module, in the order asked for.")
    conditions: str = Field(description="How it was computed.")


class InteractionRequest(Request[InteractionReport]):
    """Which channels does each channel's gate listen to?"""

    examples: ClassVar = ({"modules": ["eca", "se"], "channels": 64, "reduction": 16},)

    modules: tuple[str, ...] = Field(
        default=("eca", "se"),
        min_length=1,
        max_length=8,
        description="Modules with one gate a channel that see nothing but channel means.",
    )
    channels: int = Field(default=64, ge=2, le=128, description="Channels of the map.")
    reduction: int = Field(default=16, ge=1, le=1024, description="For modules that have this option.")
    kernel_size: int | None = Field(
        default=None, ge=1, le=63, description="For modules that have this option; null is ECA's formula."
    )
    seed: Seed = Field(default=0, description="Seed of the weights and of the pooled features.")


# ---------------------------------------------------------------- places


class Place(Plain):
    """A slot of a network, where attention can sit, and whether it does."""

    path: str = Field(description="Path of the place in the network.")
    position: Position = Field(description="Where in the block or network it is.")
    stage: int = Field(description="Stage of the backbone, counted from 1.")
    block: int = Field(description="Block within the stage, counted from 1.")
    channels: int = Field(description="Channels of the map that arrives.")
    side: int = Field(description="Height and width of that map at the network's own input size, pixels.")
    filled: bool = Field(description="Whether the variant has a module there.")
    parameters: int = Field(description="Parameters of that module.")


class Places(Plain):
    """All places of a variant's network."""

    name: str = Field(description="Canonical short name.")
    variant: Variant = Field(description="The same as an object.")
    input_size: Size = Field(description="Side of the input, or height and width, pixels.")
    places: tuple[Place, ...] = Field(description="From input to output.")


class PlacesReport(Report):
    """The answer of places: the places of each variant."""

    variants: tuple[Places, ...] = Field(description="The variants in the order asked for.")


class PlacesRequest(Request[PlacesReport]):
    """Where in a network can attention sit, and where does it in these variants?"""

    examples: ClassVar = ({"variants": ["resnet50/eca", "resnet50/eca@tail"]},)
    counts_only: ClassVar = True

    variants: tuple[Variant, ...] = Field(
        default=(
            Variant.parse("resnet50/eca"),
            Variant.parse("resnet50/eca@tail"),
            Variant.parse("fpn_resnet50/eca@branch"),
        ),
        min_length=1,
        max_length=8,
        description="Networks, as objects or short names.",
    )


# ---------------------------------------------------------------- published


class PublishedResult(Plain):
    """A published figure of one network, and what the network costs."""

    name: str = Field(description="What the source calls the network.")
    attention: str = Field(description="Its attention, in a word; 'none' is the plain network.")
    score: float = Field(description="The figure, in the group's metric.")
    cell: str = Field(description="Row and column of the source's table.")
    conditions: str = Field(description="What of the group's recipe is not true for it; empty if all of it is.")
    variant: Variant | None = Field(description="The same network here; null if it cannot be built here.")
    parameters: int | None = Field(description="Trainable parameters, counted here.")
    macs: int | None = Field(description="Multiply-accumulates for one image of the group's size, counted here.")
    added_parameters: int | None = Field(description="Parameters that attention adds to the plain twin.")
    added_macs: int | None = Field(description="MACs that attention adds to the plain twin.")


class PublishedGroup(Plain):
    """Results that belong beside each other, with what is known of how they were made."""

    key: str = Field(description="Short name of the group.")
    title: str = Field(description="What is compared.")
    source: str = Field(description="Who published it.")
    table: str = Field(description="Table of the source.")
    link: str = Field(description="Where.")
    metric: str = Field(description="What the figures are.")
    recipe: str = Field(description="How the networks were trained.")
    same_recipe: bool = Field(description="Whether all of them were trained in the same way, so that they compare.")
    warning: str | None = Field(description="What to know before reading differences off it.")
    input_size: int = Field(description="Height and width of the images, pixels.")
    results: tuple[PublishedResult, ...] = Field(description="The plain network first, where there is one.")


class PublishedReport(Report):
    """The answer of published: figures as their sources give them, costs as counted here."""

    groups: tuple[PublishedGroup, ...] = Field(description="Figures compare only within a group of one recipe.")
    titles: dict[str, str] = Field(description="Key -> title of every group there is.")
    convention: str = Field(description="What counts as one in the costs.")


class PublishedRequest(Request[PublishedReport]):
    """What was published for these modules, and what do they cost?"""

    counts_only: ClassVar = True

    groups: tuple[str, ...] = Field(
        default=(), max_length=32, description="Keys of the groups to give; none means all of them."
    )


# ---------------------------------------------------------------- fit


class Refusal(Plain):
    """A network that cannot be, and why."""

    name: str = Field(description="Short name of the variant.")
    attention: str = Field(description="Its module.")
    why: str = Field(description="What is wrong, and what would work, as a sentence.")


class FitReport(Report):
    """The answer of fit: a bill for each module that fits, and a sentence for each that does not."""

    costs: CostReport = Field(description="The plain network first, then one bill a module.")
    refused: tuple[Refusal, ...] = Field(description="Modules that do not fit this backbone at this place.")


class FitRequest(Request[FitReport]):
    """What would these modules cost on this backbone, and which of them do not fit?"""

    examples: ClassVar = ({"backbone": "resnet50", "placement": "published"},)
    counts_only: ClassVar = True

    backbone: str = Field(default="resnet50", min_length=1, max_length=200, description="A backbone's name.")
    backbone_options: Options = Field(default={}, description="Options of the backbone that differ from its defaults.")
    modules: tuple[str, ...] | None = Field(
        default=None, max_length=64, description="Names of modules, each with its default options; null is all of them."
    )
    placement: Placement = Field(default=Placement(), description="Which slots each module fills.")
    input_size: Size | None = Field(default=None, description=INPUT_SIZE)
