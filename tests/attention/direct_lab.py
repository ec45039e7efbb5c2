"""A Lab without an engine: builds, runs, forgets. The truth that engines are compared with."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from attention.analysis import Outputs, Step, in_order
from attention.build import build
from attention.data.files import Files
from attention.gate import ablate, capture, sites
from attention.network import describe
from attention.reports.parts.network import Network
from attention.spec import Ablation, Plain, Variant

S = TypeVar("S")
T = TypeVar("T")


class DirectLab:
    device = "cpu"
    dtype = "float32"

    def __init__(self, root: Path) -> None:
        self.files = Files(root)
        self.told: list[tuple[int, int]] = []

    def describe(self, variant: Variant) -> Network:
        return describe(variant, self.files.checkpoints)

    def forward(self, variant: Variant, images: Tensor, ablation: Ablation | None = None) -> Outputs:
        model = build(variant, self.files.checkpoints)
        with torch.inference_mode(), ablate(model, ablation), capture(model) as gates:
            logits = model(images)
        return Outputs(logits, gates, sites(model))

    def forward_each(self, variant: Variant, images: Tensor, ablations: Sequence[Ablation]) -> Tensor:
        return torch.stack([self.forward(variant, images, one).logits for one in (None, *ablations)])

    def network(self, variant: Variant) -> nn.Module:
        return build(variant, self.files.checkpoints)

    def map(
        self, fn: Step[T, S], items: Sequence[T], on_progress: Callable[[T, S], None], lost: Callable[[T, str], S]
    ) -> Iterator[S]:
        return in_order(fn, items, on_progress, lost)

    def progress(self, done: int, total: int, note: str = "", partial: Plain | None = None) -> None:
        self.told.append((done, total))
