"""How many neighbouring channels does ECA's filter span?"""

from functools import cache
from itertools import groupby

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.build import skeleton
from attention.gate import slots
from attention.modules.eca import RELEASED, adaptive_kernel_size
from attention.reports.modules import KernelReport, KernelRequest, KernelStep, KernelTotal, ReleasedKernel
from attention.spec import Variant

MOST_CHANNELS = 4096
SOURCE = "https://github.com/BangguWu/ECANet"


@analyses.register("kernel")
def kernel(request: KernelRequest, lab: AnyLab) -> KernelReport:
    """How many neighbouring channels does ECA's filter span?"""

    def size(channels: int) -> int:
        return adaptive_kernel_size(channels, request.gamma, request.b)

    steps = []
    for kernel_size, run in groupby(range(1, MOST_CHANNELS + 1), key=size):
        channels = list(run)
        steps.append(KernelStep(first=channels[0], last=channels[-1], kernel_size=kernel_size))
    released = tuple(
        ReleasedKernel(backbone=backbone, channels=channels, released=k, formula=size(channels))
        for backbone, sizes in RELEASED.items()
        for channels, k in sizes.items()
    )
    totals = tuple(
        KernelTotal(
            backbone=backbone,
            released=sum(sizes[channels] for channels in widths(backbone)),
            formula=sum(map(size, widths(backbone))),
        )
        for backbone, sizes in RELEASED.items()
    )
    return KernelReport(
        gamma=request.gamma, b=request.b, steps=tuple(steps), released=released, totals=totals, source=SOURCE
    )


@cache
def widths(backbone: str) -> tuple[int, ...]:
    """Channels at every block's output: an ECA there has as many parameters as its kernel is long."""
    every = slots(skeleton(Variant(backbone=backbone))).values()
    return tuple(slot.channels for slot in every if slot.position == "standard")
