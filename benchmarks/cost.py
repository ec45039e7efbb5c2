"""How long the bill of ResNet-50 + ECA takes, cold and warm, beside torch's own counter on the same network.

    python -m benchmarks.cost

Cold: nothing about the network is remembered, as for the first request about it in a running service.
"""

import torch
from torch.utils.flop_counter import FlopCounterMode

from attention.build import resolve, skeleton
from attention.counting import cost
from attention.spec import Variant
from benchmarks.measure import line, paired_ratio, side_by_side

NAME = "resnet50/eca"


def cold() -> None:
    """Count as if the variant had never been asked for."""
    resolve.cache_clear()
    cost._count.cache_clear()
    warm()


def warm() -> None:
    """Count a variant that was asked for before, from its short name on."""
    cost.count(Variant.parse(NAME))


def torchs_counter() -> None:
    """What one would write with torch alone: build on the meta device and count a forward pass."""
    model = skeleton(Variant.parse(NAME))
    with FlopCounterMode(display=False), torch.no_grad():
        model(torch.empty(1, 3, 224, 224, device="meta"))


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    times = side_by_side({"cold": cold, "warm": warm, "FlopCounterMode on meta": torchs_counter}, n=15)
    for name, taken in times.items():
        print(line(f"{NAME}, {name}", taken))
    print(paired_ratio("cold / FlopCounterMode", times["cold"], times["FlopCounterMode on meta"]))


if __name__ == "__main__":
    main()
