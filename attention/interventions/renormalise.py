"""Batch normalisation estimated anew while gates are replaced, so that a change of scale is taken out again.

A network's running statistics belong to the gates it was trained with. Where a replacement doubles every gated branch,
what comes after is normalised by statistics of something else, and much of what is lost may be lost to that. Running
reference images once more, with the gates replaced and nothing else changed, gives the statistics that belong to it
(as after averaging weights: P. Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization",
UAI 2018, section 3.2, https://arxiv.org/abs/1803.05407).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from attention.gate import ablate
from attention.spec import Ablation

LEAST = 2
"""Images a batch must have to say anything of their variance."""


class Renormalised:
    """A network with running statistics of its own for each of some ablations, which need no reference gates.

    Args:
        model: a network of the caller's own, in eval mode; its running statistics change.
    """

    def __init__(self, model: nn.Module, ablations: Sequence[Ablation]) -> None:
        self._model = model
        self._ablations = ablations
        self._norms = [part for part in model.modules() if isinstance(part, _BatchNorm) and part.track_running_stats]
        self._kept = [[tensor.clone() for tensor in self._statistics()] for _ in ablations]
        self.seen = 0

    @torch.no_grad()
    def see(self, images: Tensor) -> None:
        """Take more reference images (B, 3, H, W) into the means and variances; a lone image is passed over."""
        if len(images) < LEAST:
            return
        self.seen += len(images)
        for norm in self._norms:
            norm.momentum = len(images) / self.seen  # so that every image counts alike
        for number, ablation in enumerate(self._ablations):
            with self._as_kept(number), ablate(self._model, ablation):
                for norm in self._norms:
                    norm.train()
                try:
                    self._model(images.to(self._device))
                finally:
                    self._model.eval()

    @torch.no_grad()
    def logits(self, images: Tensor) -> Iterator[Tensor]:
        """Logits (B, K) of images (B, 3, H, W) under each ablation, with its own statistics."""
        for number, ablation in enumerate(self._ablations):
            with self._as_kept(number), ablate(self._model, ablation):
                yield self._model(images.to(self._device)).cpu()

    @property
    def _device(self) -> torch.device:
        return next(self._model.parameters()).device

    def _statistics(self) -> list[Tensor]:
        pairs = ((norm.running_mean, norm.running_var) for norm in self._norms)
        return [tensor for pair in pairs for tensor in pair if tensor is not None]

    @contextmanager
    def _as_kept(self, number: int) -> Iterator[None]:
        """Inside, the network has an ablation's statistics, and what becomes of them is kept."""
        copies = self._kept[number]
        for statistic, tensor in zip(self._statistics(), copies, strict=True):
            statistic.copy_(tensor)
        yield
        for statistic, tensor in zip(self._statistics(), copies, strict=True):
            tensor.copy_(statistic)
