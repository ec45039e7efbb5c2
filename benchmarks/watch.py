"""What following a model's gates costs: a pass under capture and under ablation beside the bare pass, in one run.

    python -m benchmarks.watch [--batch 8] [--side 224] [--turns 15]

The model is ResNet-50 with squeeze-and-excitation written as other libraries write it, so nothing is known of its gates
before the pass. Time is CPU time of the process, the alternatives taking turns; memory is the most that tensors take
beyond the weights during one pass, as torch's profiler sees it allocated.
"""

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from attention.build import build
from attention.gate import slots
from attention.spec import Variant
from attention.watch import ablate, capture
from benchmarks.measure import line, paired_ratio, side_by_side


class SqueezeExcitation(nn.Module):
    """Channel attention without a gate of ours."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, channels // 16, 1), nn.Conv2d(channels // 16, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True)))))


def foreign() -> nn.Module:
    """ResNet-50 with that module at the end of every block."""
    model = build(Variant.parse("resnet50/none"))
    for slot in slots(model).values():
        if slot.position == "standard":
            slot.append(SqueezeExcitation(slot.channels))
    return model.eval()


def peak_bytes(run: Callable[[], object]) -> int:
    """Most bytes of tensors alive at a time during a call, beyond those alive before it."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        run()
    results = recorded.profiler.kineto_results
    alive = peak = 0
    for event in sorted(results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            alive += event.nbytes()
            peak = max(peak, alive)
    return peak


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--turns", type=int, default=15)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model, images = foreign(), torch.randn(given.batch, 3, given.side, given.side)

    def bare() -> None:
        with torch.no_grad():
            model(images)

    def captured() -> None:
        with torch.no_grad(), capture(model) as gates:
            model(images)
        assert len(gates) == 16

    def ablated() -> None:
        with torch.no_grad(), ablate(model, "scalar"):
            model(images)

    alternatives = {"bare": bare, "capture": captured, "ablate (scalar)": ablated}
    times = side_by_side(alternatives, n=given.turns)
    for name, taken in times.items():
        print(line(f"batch {given.batch}, {given.side} px, {name}", taken))
    print(paired_ratio("capture / bare", times["capture"], times["bare"]))
    print(paired_ratio("ablate / bare", times["ablate (scalar)"], times["bare"]))
    peaks = {name: peak_bytes(run) for name, run in alternatives.items()}
    for name, peak in peaks.items():
        print(f"peak of tensors, {name:<24} {peak / 2**20:9.2f} MiB, {peak / peaks['bare']:.4f} of bare")


if __name__ == "__main__":
    main()
