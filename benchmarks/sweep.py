"""What leaving out every gate in turn costs: the 16 gates of ECA-ResNet-50, on one photo of 224 pixels.

    OMP_NUM_THREADS=1 python -m benchmarks.sweep [--served]

One shared pass (`attention.running.many_ablations.forward_each`) against one plain forward pass, and against the
naive loop of 17 passes, all with the same network and the same answers. ``--served`` takes the network as the service
runs it. Memory is used as the service uses it.
"""

import argparse

import torch
from torch import Tensor

from attention.build import build
from attention.gate import ablate, gates
from attention.running.fused import fused_copy
from attention.running.many_ablations import forward_each
from attention.spec import Ablation, Variant
from benchmarks.measure import line, paired_ratio, side_by_side
from server.process import keep_freed_memory

NAME = "resnet50/eca"
TURNS = 11


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--served", action="store_true", help="the serving copy instead of the network as written")
    chosen = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    network = build(Variant.parse(NAME))
    model = (fused_copy(network) if chosen.served else network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    photo = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    photo = photo.contiguous(memory_format=torch.channels_last)
    ablations = [Ablation(kind="neutral", gates=(path,)) for path in gates(model)]

    @torch.inference_mode()
    def plain() -> Tensor:
        found: Tensor = model(photo)
        return found

    @torch.inference_mode()
    def naive() -> Tensor:
        found = [plain()]
        for ablation in ablations:
            with ablate(model, ablation):
                found.append(model(photo))
        return torch.stack(found)

    @torch.inference_mode()
    def shared() -> Tensor:
        return forward_each(model, photo, ablations)

    one, other = naive(), shared()
    print(
        f"{NAME}: {len(ablations)} gates, {len(other)} answers of {other.shape[-1]} logits, torch {torch.__version__}"
    )
    apart, changed = (one - other).abs().max(), (one[1:] - one[0]).abs().amax((1, 2)).min()
    print(f"largest difference from the naive loop     {apart:.1e}, of logits up to {one.abs().max():.2f}")
    print(f"smallest change that a gate makes          {changed:.1e}")
    times = side_by_side({"one pass": plain, "leave-one-out, shared": shared, "leave-one-out, naive": naive}, TURNS)
    for name, taken in times.items():
        print(line(name, taken))
    print(paired_ratio("shared / one pass", times["leave-one-out, shared"], times["one pass"]))
    print(paired_ratio("naive / one pass", times["leave-one-out, naive"], times["one pass"]))
    print(paired_ratio("shared / naive", times["leave-one-out, shared"], times["leave-one-out, naive"]))


if __name__ == "__main__":
    main()
