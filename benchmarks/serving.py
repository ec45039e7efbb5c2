"""What attention adds to ResNet-50 at batch 16, as modules are written and as they are served.

    python -m benchmarks.serving [--device cuda] [--batch 16] [--rounds 15] [--graphs]

The tax is the time of SE- or ECA-ResNet-50 minus that of plain ResNet-50, all with normalisations worked in, so that
only the gates differ. Module form: pool, weigh, scale, add, as in every implementation. Served form: the gate from the
last convolution's input, its scale worked into the addition. The plain network runs twice in each round: the difference
of the two is the noise. CPU: process time of one thread; CUDA: wall-clock time, synchronised. ``--graphs`` records and
replays every pass, as the service can on CUDA.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from attention.backbones.resnet import Block
from attention.build import build
from attention.running.device import device_name
from attention.running.fused import fused_copy
from attention.running.runner import Running
from attention.running.timing import median_interval, synchroniser
from attention.spec import Variant


def module_form(served: nn.Module) -> nn.Module:
    """The same network with its gates where the papers put them."""
    plain = copy.deepcopy(served)
    for block in plain.modules():
        if isinstance(block, Block):
            block.gate_first = False
    return plain


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--size", type=int, default=224, help="height and width of the images, pixels")
    parser.add_argument("--graphs", action="store_true", help="record and replay all of them; CUDA only")
    parser.add_argument("--compile", action="store_true", help="run all of them through torch.compile")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    images = torch.randn(chosen.batch, 3, chosen.size, chosen.size).to(chosen.device, memory_format=torch.channels_last)
    networks: dict[str, nn.Module] = {}
    for name in ("none", "se", "eca"):
        written = build(Variant.parse(f"{chosen.backbone}/{name}"))
        served = fused_copy(written)
        with torch.inference_mode():
            off = (served(images[:2].cpu()) - written(images[:2].cpu())).abs().max().item()
        print(f"{chosen.backbone}/{name}: served and written form differ by at most {off:.1e} in logits")
        networks[name] = served
        if name != "none":
            networks[f"{name}, module form"] = module_form(served)
    networks["none again"] = networks["none"]
    ready = {name: one.to(chosen.device, memory_format=torch.channels_last) for name, one in networks.items()}  # type: ignore[call-overload]
    passes: dict[str, Callable[..., object]] = {
        name: (torch.compile(one) if chosen.compile else one) for name, one in ready.items()
    }
    if chosen.graphs:
        passes = {name: Running(network, chosen.device, graphs=True) for name, network in ready.items()}
    times = measure(passes, images, chosen.rounds, chosen.device)
    plain = [(a + b) / 2 for a, b in zip(times["none"], times["none again"], strict=True)]
    print(f"{device_name(chosen.device)}, batch {chosen.batch}, {chosen.rounds} rounds, torch {torch.__version__}")
    print(f"plain: median {statistics.median(plain) * 1e3:.1f} ms; A/A {share(times['none again'], times['none'])}")
    for name in ("se", "eca"):
        taxes = {
            form: [a - b for a, b in zip(times[key], plain, strict=True)]
            for form, key in (("module form", f"{name}, module form"), ("served form", name))
        }
        for form, tax in taxes.items():
            key = f"{name}, module form" if form == "module form" else name
            print(
                f"{name}, {form}: tax {statistics.median(tax) * 1e3:.1f} ms; with / without {share(times[key], plain)}"
            )
        ratio = statistics.median(taxes["served form"]) / statistics.median(taxes["module form"])
        print(f"{name}: served tax / module tax = {ratio:.2f}")


def measure(
    passes: "dict[str, Callable[..., object]]", images: torch.Tensor, rounds: int, device: str
) -> dict[str, list[float]]:
    """Seconds of each pass in each round."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    wait = synchroniser(device)
    times: dict[str, list[float]] = {name: [] for name in passes}
    with torch.inference_mode():
        for turn in range(rounds + 2):
            for name, run in passes.items():
                wait()
                started = clock()
                run(images)
                wait()
                if turn >= 2:
                    times[name].append(clock() - started)
    return times


def share(over: list[float], under: list[float]) -> str:
    """The median ratio with its interval."""
    found = median_interval([a / b for a, b in zip(over, under, strict=True)])
    return f"{found.estimate:.4f} [{found.low:.4f}, {found.high:.4f}], n = {found.n}"


if __name__ == "__main__":
    main()
