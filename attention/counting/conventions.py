"""What papers and tools call parameters and FLOPs: each convention in one place, with its source.

A convention is two sums over the rows of a ledger. The ledger itself counts parameters that are trained and
multiply-accumulates; a paper's figure can be compared with it only after it is known which of these was used.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from attention.counting.counters import bias_of_thop_2019
from attention.counting.ledger import CountedOperation
from attention.reports.cost import ConventionCount, ConventionRule

Sum = Callable[[Sequence[CountedOperation]], int]
Unit = tuple[str, int]
"""Name of a unit, and how many of what was counted make one."""


@dataclass(frozen=True)
class Convention:
    """A way to count, as pure functions of rows.

    ``work_units`` go from large to small; the first that a whole network fills is used.
    """

    name: str
    rule: str
    source: str
    parameters: Sum
    work: Sum
    parameter_units: tuple[Unit, ...] = (("parameters", 1),)
    work_units: tuple[Unit, ...] = (("MACs", 1),)


def trained(rows: Sequence[CountedOperation]) -> int:
    """Trainable numbers."""
    return sum(row.parameters for row in rows)


def with_running_statistics(rows: Sequence[CountedOperation]) -> int:
    """Trainable numbers, and the running mean and variance of batch normalisations."""
    return sum(row.parameters + (row.buffers if row.operation == "batch_norm" else 0) for row in rows)


def macs(rows: Sequence[CountedOperation]) -> int:
    """Multiply-accumulates of convolutions and matrix products."""
    return sum(row.macs for row in rows)


def flops(rows: Sequence[CountedOperation]) -> int:
    """Two for each multiply-accumulate."""
    return 2 * macs(rows)


def thop_of_2019(rows: Sequence[CountedOperation]) -> int:
    """What an early thop makes of the published spelling: a module that runs twice is counted once, by its last run."""
    last = {(row.layer, row.operation): row for row in rows}
    return sum(_thop_of_2019(row) for row in last.values())


def _thop_of_2019(row: CountedOperation) -> int:
    match row.operation:
        case "conv2d" if row.attention and prod(row.seen[2:]) == prod(row.shape[2:]) == 1:
            # On a pooled map the published modules spell a 1x1 convolution nn.Linear.
            return 2 * row.macs - row.entries
        case "conv1d" | "conv2d" | "conv3d":
            return row.macs + bias_of_thop_2019(row)
        case "linear":
            return 2 * row.macs - row.entries
        case "batch_norm":
            return 4 * row.entries
        case "relu" | "relu6" | "hardtanh" | "leaky_relu":
            return row.entries
        case "mean" | "adaptive_avg_pool2d" if row.seen[:2] == row.shape[:2]:
            return row.pooling + row.entries  # (HW + 1) C; a mean over channels is no module there
        case _:
            return 0


CONVENTIONS: dict[str, Convention] = {
    convention.name: convention
    for convention in (
        Convention(
            "macs",
            "Trainable parameters, in decimal units. Work: multiply-accumulates of convolutions and matrix products; "
            "biases, normalisations, activations and pooling are free.",
            "The 'FLOPs' of the SE (arXiv 1709.01507), CBAM (1807.06521) and CA (2103.02907) papers; timm's GMACs.",
            trained,
            macs,
        ),
        Convention(
            "flops",
            "Trainable parameters. Work: two operations, a multiplication and an addition, for each "
            "multiply-accumulate of convolutions and matrix products.",
            "torch.utils.flop_counter.FlopCounterMode.",
            trained,
            flops,
            work_units=(("FLOPs", 1),),
        ),
        Convention(
            "eca_paper",
            "Parameters / 2^20. Work / 2^30 (2^20 for small networks): multiply-accumulates of convolutions, C_in more "
            "an output if biased; 4 for each entry of a batch normalisation; 1 for each entry of the last call of each "
            "ReLU; 2 in - 1 for each output of a linear layer, which SE's are; (HW + 1) C for each global average "
            "pooling; nothing else.",
            "Tables of the ECA paper (arXiv 1910.03151), by the thop of 17 July to 2 August 2019 "
            "(https://github.com/Lyken17/pytorch-OpCounter), whose M is 1024^2 and whose G is 1024^3.",
            trained,
            thop_of_2019,
            parameter_units=(("Mi parameters", 2**20),),
            work_units=(("Gi FLOPs", 2**30), ("Mi FLOPs", 2**20)),
        ),
        Convention(
            "se_paper",
            "Parameters with the running mean and variance of batch normalisations. Work: multiply-accumulates.",
            "Tables of the SE paper (arXiv 1709.01507), whose Caffe models keep running statistics as parameters.",
            with_running_statistics,
            macs,
        ),
    )
}


def rules() -> tuple[ConventionRule, ...]:
    """Every convention in words."""
    return tuple(ConventionRule(name=c.name, rule=c.rule, source=c.source) for c in CONVENTIONS.values())


def counts(rows: Sequence[CountedOperation]) -> tuple[ConventionCount, ...]:
    """A network's parameters and work in every convention: all of it, its attention, and what its plain twin lacks."""
    attention = [row for row in rows if row.attention]
    entries = []
    for convention in CONVENTIONS.values():
        halves: tuple[tuple[Literal["parameters", "work"], Sum, tuple[Unit, ...]], ...] = (
            ("parameters", convention.parameters, convention.parameter_units),
            ("work", convention.work, convention.work_units),
        )
        for quantity, add_up, units in halves:
            total, part = add_up(rows), add_up(attention)
            unit, size = next((unit for unit in units if total >= unit[1]), units[-1])
            entries.append(
                ConventionCount(
                    name=convention.name,
                    quantity=quantity,
                    unit=unit,
                    source=convention.source,
                    total=total / size,
                    attention=part / size,
                    # An unfilled slot is the identity, so what runs outside the slots is the plain twin.
                    delta=part / size,
                )
            )
    return tuple(entries)
