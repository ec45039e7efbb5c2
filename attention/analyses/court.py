"""What would other counters say this network costs, and why do they differ?"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.build import resolve, skeleton, usual_size
from attention.counting.cost import count, rows_of
from attention.counting.counters import COUNTERS, Counter
from attention.counting.ledger import CountedOperation, walk
from attention.gate import slots
from attention.names import Size, height_and_width
from attention.reports.court import CourtReport, CourtRequest, Reason, Spelling, Witness
from attention.spec import Variant

TORCH = "torch's FlopCounterMode"
CHANNELS, SIDE, KERNEL_SIZE = 256, 56, 5
"""The lone ECA module: the first of ResNet-50, with the paper's adaptive kernel size."""


@analyses.register("court")
def court(request: CourtRequest, lab: AnyLab) -> CourtReport:
    """What would other counters say this network costs, and why do they differ?"""
    variant = resolve(request.variant)
    size = request.input_size or usual_size(variant)
    bill, rows = count(variant, size), rows_of(variant, size)
    witnesses = (torch_itself(variant, size, bill.total.macs), *(hear(counter, rows) for counter in COUNTERS))
    return CourtReport(
        name=variant.name,
        variant=variant,
        input_size=size,
        macs=bill.total.macs,
        attention_macs=bill.attention.macs,
        witnesses=witnesses,
        channels=CHANNELS,
        side=SIDE,
        kernel_size=KERNEL_SIZE,
        spellings=spellings(),
    )


def hear(counter: Counter, rows: tuple[CountedOperation, ...]) -> Witness:
    """Apply a counter's restated rule to rows of a ledger: its number, and the reasons why it differs from theirs."""
    added, counted = counter.sums(rows), counter.reported_rows(rows)
    macs, total = sum(row.macs for row in rows), sum(added.values())
    missed = counter.misses(counted)
    unseen, repeated = sum(row.macs for row in missed), macs - sum(row.macs for row in counted)
    counted_macs = macs - unseen - repeated
    reasons = []
    if counter.product != 1:
        text = f"{counter.product} for each multiply-accumulate."
        reasons.append(Reason(kind="unit", amount=(counter.product - 1) * counted_macs, text=text))
    if unseen:
        text = f"Not seen: {', '.join(sorted({row.operation for row in missed}))}. {counter.blind}"
        reasons.append(Reason(kind="skipped", amount=-unseen, text=text))
    if repeated:
        text = "A module that runs more than once is counted by its last run."
        reasons.append(Reason(kind="repeated", amount=-repeated, text=text))
    more = added.pop("products", 0) - counter.product * counted_macs
    if more:
        text = counter.notes.get("products", counter.blind)
        reasons.append(Reason(kind="products", amount=more, text=text))
    for kind, amount in added.items():
        if amount:
            reasons.append(Reason(kind=kind, amount=amount, text=counter.notes[kind]))
    return Witness(
        counter=counter.name,
        unit=counter.unit,
        how="restated",
        source=counter.source,
        total=total,
        attention=counter.reports([row for row in rows if row.attention]),
        difference=total - macs,
        reasons=tuple(reasons),
    )


def torch_itself(variant: Variant, size: Size, macs: int) -> Witness:
    """Run torch's own FlopCounterMode on a network, and report its number beside the ledger's."""
    model = skeleton(variant)
    first = next(model.parameters(), torch.empty(0, device="meta"))  # a CPU where its numbers decide its way
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, *height_and_width(size), device=first.device))
    by_module = counter.get_flop_counts()
    inside = (by_module.get(f"{type(model).__name__}.{path}", {}) for path, slot in slots(model).items() if len(slot))
    total = counter.get_total_flops()
    reasons = [Reason(kind="unit", amount=macs, text="2 for each multiply-accumulate.")]
    if total != 2 * macs:
        text = "It counts convolutions and matrix products by the kernels that run them, and knows other kernels."
        reasons.append(Reason(kind="products", amount=total - 2 * macs, text=text))
    return Witness(
        counter=TORCH,
        unit="FLOPs",
        how="run",
        source=f"torch.utils.flop_counter of torch {torch.__version__}",
        total=total,
        attention=sum(sum(operations.values()) for operations in inside),
        difference=total - macs,
        reasons=tuple(reasons),
    )


# ---------------------------------------------------------------- one module, four spellings


class SpelledEca(nn.Module):
    """ECA with its pooling and its convolution written as modules or as functions."""

    def __init__(self, pool_module: bool, conv_module: bool) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1) if pool_module else None
        self.conv = nn.Conv1d(1, 1, KERNEL_SIZE, padding=KERNEL_SIZE // 2, bias=False)
        self.conv_module = conv_module

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.pool(x)[:, :, 0, 0] if self.pool else x.mean((2, 3))  # (B, C)
        z = squeezed.unsqueeze(1)  # (B, 1, C)
        scores = self.conv(z) if self.conv_module else F.conv1d(z, self.conv.weight, padding=KERNEL_SIZE // 2)
        return x * torch.sigmoid(scores).transpose(1, 2).unsqueeze(-1)


def spellings() -> tuple[Spelling, ...]:
    """The lone ECA module in four spellings before every counter."""
    entries = []
    for pool_module, pool in ((True, "nn.AdaptiveAvgPool2d"), (False, "x.mean")):
        for conv_module, convolution in ((True, "nn.Conv1d"), (False, "F.conv1d")):
            with torch.device("meta"):
                model = SpelledEca(pool_module, conv_module)
            with FlopCounterMode(display=False) as torchs, torch.no_grad():
                model(torch.empty(1, CHANNELS, SIDE, SIDE, device="meta"))
            rows = walk(model, CHANNELS, SIDE, SIDE).rows
            reported = {counter.name: counter.reports(rows) for counter in COUNTERS}
            entries.append(
                Spelling(
                    pool=pool,
                    convolution=convolution,
                    macs=sum(row.macs for row in rows),
                    reported={TORCH: torchs.get_total_flops(), **reported},
                )
            )
    return tuple(entries)
