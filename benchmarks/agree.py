"""Whether networks answer the same on a device, in every number format and way to run, as in float32 on the CPU.

    python -m benchmarks.agree [--device cuda] [--images 40] [--networks resnet50/se resnet50/eca]

Every shipped network (or those named, untrained if no weights are) sees the same made-up images in batches of 8, and a
last one that is not full. Ways to run: ``eager``, as written; ``served``, as the service runs it; ``graphs``, the same
recorded and replayed, on CUDA only. A row has the largest difference of a probability, of a gate, and of a probability
while every gate is replaced by 0.5 (which is never replayed), each against float32 on the CPU as written. What may
differ is said in ``attention.precision``. The exit code is 1 if anything is further apart. Needs no server.

Then a small network is trained on made-up images, step by step as written and with recorded steps (CUDA only), and the
mean losses of its epochs are compared.
"""

import argparse
import copy
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from attention.backbones import Backbone
from attention.build import build
from attention.errors import InvalidRequest
from attention.gate import ablate
from attention.names import Size
from attention.precision import APART, DType
from attention.running.device import best_device, check_device, device_name
from attention.running.fused import fused_copy
from attention.running.runner import RawOutputs, Running, fetched, plain
from attention.spec import Ablation, Recipe, Variant
from attention.training.graphs import Recorder
from attention.training.train import train
from attention.weights import load as weights
from benchmarks.training import made_up

Way = Literal["eager", "served", "graphs"]

BATCH = 8
LOSSES_APART = 0.02
"""Share by which the mean loss of an epoch with recorded steps may differ from that with steps as written.

Both compute under bfloat16 autocast, whose roundings are off by 2^-8 each; a GPU adds in no fixed order.
"""

HALVED = Ablation(kind="constant", value=0.5)


@dataclass(frozen=True)
class Row:
    """How far one network, run one way in one number format, is from the CPU's float32.

    Attributes:
        same_first: share of images whose most probable class is the same.
        changed: largest distance of the two largest probabilities on the CPU among the other images; 0 without any.
    """

    network: str
    dtype: DType
    way: Way
    probability: float
    gate: float
    ablated: float
    same_first: float
    changed: float
    recorded: int

    @property
    def faults(self) -> list[str]:
        """What is further apart than it may be."""
        most = APART[self.dtype]
        found = {"probabilities": self.probability, "gates": self.gate, "ablated": self.ablated}
        said = [name for name, apart in found.items() if not apart <= most]  # so that what is no number is a fault
        if not self.changed <= most:
            said.append("first classes")
        if self.way == "graphs" and not self.recorded:
            said.append("not recorded")
        return said


def pictures(count: int, size: Size) -> Tensor:
    """Smooth noise, about as large as normalised photos are: (N, 3, H, W)."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(count, 3, 8, 8, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=size, mode="bicubic")


def compared(variant: Variant, device: str, dtypes: Iterable[DType], ways: Sequence[Way], count: int) -> Iterator[Row]:
    """A row for each number format and way to run."""
    network = build(variant)
    images = pictures(count, network.input_size)
    truth = _through(Running(build(variant), "cpu"), images)
    halved = _through(Running(build(variant), "cpu"), images, HALVED)
    for dtype in dtypes:
        for way in ways:
            running = Running(_as(way, network), device, dtype, way == "graphs")
            logits, gates = _through(running, images)
            without, _ = _through(running, images, HALVED)
            yield Row(
                network=variant.name,
                dtype=dtype,
                way=way,
                probability=_apart(logits.softmax(1), truth[0].softmax(1)),
                gate=max((_apart(gates[path], gate) for path, gate in truth[1].items()), default=0.0),
                ablated=_apart(without.softmax(1), halved[0].softmax(1)),
                same_first=float((logits.argmax(1) == truth[0].argmax(1)).float().mean()),
                changed=changed_margin(logits, truth[0]),
                recorded=running.recorded,
            )


def _as(way: Way, network: Backbone) -> Backbone:
    """The network in the form that a way runs, and the caller's to move."""
    return copy.deepcopy(network) if way == "eager" else fused_copy(network)


def _through(running: Running, images: Tensor, ablation: Ablation | None = None) -> RawOutputs:
    """Logits (N, K) and gates (N, ...) of images a few at a time."""
    parts = []
    with torch.inference_mode(), ablate(running.network, ablation):
        for some in torch.split(images, BATCH):
            there = running.images(list(some))
            parts.append(fetched(*(running(there) if ablation is None else plain(running.network, there))))
    paths = parts[0][1]
    return torch.cat([logits for logits, _ in parts]), {
        path: torch.cat([gates[path] for _, gates in parts]) for path in paths
    }


def changed_margin(logits: Tensor, truth: Tensor) -> float:
    """Find how clear the clearest class was, in probability, that did not stay the first; 0 if all did.

    Args:
        logits: of the answers that are compared, (N, K).
        truth: logits that they are compared with, (N, K).
    """
    largest = truth.softmax(1).topk(2, dim=1).values  # (N, 2)
    margins = (largest[:, 0] - largest[:, 1])[logits.argmax(1) != truth.argmax(1)]
    return float(margins.max()) if len(margins) else 0.0


def losses_apart(device: str, recorder: Recorder | None = None, images: int = 512) -> float:
    """Train with steps as written and with recorded ones; the largest relative difference of an epoch's loss."""
    variant, data = Variant.parse("resnet20(width=8)/eca"), made_up(images, images // 4)
    recipe = Recipe(epochs=2, batch_size=images // 8)
    eager = train(variant, recipe, data, device=device, graphs=False)
    recorded = train(variant, recipe, data, device=device, recorder=recorder)
    pairs = zip(recorded.curve, eager.curve, strict=True)
    return max(abs(ours.loss / theirs.loss - 1) for ours, theirs in pairs)


def _apart(found: Tensor, truth: Tensor) -> float:
    return float((found - truth).abs().max())


def possible(device: str) -> tuple[list[DType], list[Way]]:
    """Number formats and ways to run that a device has."""
    if device.startswith("cuda"):
        return list(get_args(DType)), list(get_args(Way))
    return ["float32", "bfloat16"], ["eager", "served"]


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default=best_device())
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--networks", nargs="+", help="short names; all shipped ones if none is given")
    asked = parser.parse_args()
    try:
        check_device(asked.device)
    except InvalidRequest as error:
        sys.exit(str(error))
    shipped = [one.model_copy(update={"weights": "shipped"}) for one in weights.shipped()]
    variants = [Variant.parse(name) for name in asked.networks] if asked.networks else shipped
    dtypes, ways = possible(asked.device)
    print(f"{device_name(asked.device)}, torch {torch.__version__}; {asked.images} images a network\n")
    print("| network | format | run | probability | gate | gates halved | same first class | agrees |")
    print("|---|---|---|---|---|---|---|---|")
    failed = 0
    for variant in variants:
        for row in compared(variant, asked.device, dtypes, ways, asked.images):
            failed += bool(row.faults)
            agrees = f"no: {', '.join(row.faults)}" if row.faults else f"yes, to {APART[row.dtype]:g}"
            shown = f"{row.probability:.1e} | {row.gate:.1e} | {row.ablated:.1e} | {row.same_first:.1%}"
            print(f"| {row.network} | {row.dtype} | {row.way} | {shown} | {agrees} |", flush=True)
    if asked.device.startswith("cuda"):
        apart = losses_apart(asked.device)
        failed += not apart <= LOSSES_APART
        print(f"\nLosses of recorded training steps are {apart:.2%} from those of steps as written, at most.")
    else:
        print("\nTraining steps are recorded on CUDA only: not measured.")
    print(f"\n{failed} do not agree." if failed else "\nAll agree.")
    sys.exit(int(failed > 0))


if __name__ == "__main__":
    main()
