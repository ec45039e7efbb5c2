"""What a published result is, and sentences that several of them share."""

from dataclasses import dataclass

TOP1 = "top-1 accuracy on ImageNet-1k validation images, %"

SE_PAPER = "https://arxiv.org/abs/1709.01507"
ECA_PAPER = "https://arxiv.org/abs/1910.03151"

ONE_SEED = "One run each: nobody published how much another seed would change, so small differences are undecided."
FROM_ERROR = "Top-1 is 100 minus the error that the paper gives."
FROM_SE_PAPER = "The figure of the SE paper's reimplementation."
ECA_RECIPE = (
    "ECA: 100 epochs, SGD with momentum 0.9, batches of 256, rate 0.1 divided by 10 every 30 epochs, weight decay "
    "1e-4, random crops of 224 and mirrored images. The other rows: as their papers trained them."
)
VERSIONS = (
    "The plain and SE accuracies are of the SE paper's networks, whose stride is in the first 1x1 of a block (v1); the "
    "counts beside them are, as in the ECA paper, of networks whose stride is in the 3x3 (v1.5)."
)


@dataclass(frozen=True)
class Result:
    """One published figure.

    Args:
        name: what the source calls the network.
        attention: its module here, in a word; ``none`` is the plain network.
        score: in the group's metric.
        variant: short name of the same network here; None if it cannot be built here.
        cell: row and column of the table; empty where the row is called like the network.
        conditions: what of the group's recipe is not true for it.
    """

    name: str
    attention: str
    score: float
    variant: str | None
    cell: str = ""
    conditions: str = ""


@dataclass(frozen=True)
class Group:
    """Results to read beside each other, the plain network first where there is one."""

    key: str
    title: str
    source: str
    table: str
    link: str
    recipe: str
    same_recipe: bool
    warning: str
    results: tuple[Result, ...]
    column: str = "Top-1"
    metric: str = TOP1
    input_size: int = 224


def error(name: str, attention: str, percent: float, variant: str | None, cell: str = "") -> Result:
    """Return a result that its source gives as an error in percent."""
    return Result(name, attention, round(100 - percent, 2), variant, cell)
