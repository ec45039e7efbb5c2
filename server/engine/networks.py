"""The networks of one process: kept in memory, and run by one thread for whoever asks."""

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from threading import Lock
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from attention.analysis import GateSite, Outputs
from attention.build import build
from attention.checkpoints import Checkpoints
from attention.gate import ablate, capture, sites
from attention.serving import serving_copy
from attention.shared import forward_each
from attention.spec import Ablation, Variant
from server.engine.batching import MicroBatcher

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Gates = Mapping[str, Tensor]
"""Gate path -> weights, batch first."""

EACH_PIXELS = 4_000_000
"""Pixels of input that one pass of many ablations takes at most, counted once for every row it may grow to."""


class Recent(Generic[K, V]):
    """The ``size`` most recently used values by key."""

    def __init__(self, size: int) -> None:
        self.hits = self.misses = 0
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = Lock()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key, made now if it is not kept; two callers at once may both make it."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                self.hits += 1
                return self._values[key]
            self.misses += 1
        value = make()
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)
        return value


class Alike(NamedTuple):
    """What images must have in common to share a forward pass.

    With ``each``, one pass gives the logits untouched and under every one of ``ablations``; without it, gates are
    captured under the one there may be.
    """

    variant: Variant
    ablations: tuple[Ablation, ...]
    shape: tuple[int, ...]
    each: bool = False


@dataclass(frozen=True)
class Work:
    """One image (3, H, W), and for each ablation the weights (1, ...) that it puts in, if its kind has any."""

    image: Tensor
    references: tuple[Gates, ...]


@dataclass(frozen=True)
class Row:
    """One image's place in the outputs of the batch it went with."""

    batch: Outputs
    index: int


class Networks:
    """The networks in memory. Only the batcher's thread touches them: it builds, runs and forgets them.

    Args:
        device: a torch device.
        checkpoints: where weights other than the shipped ones are looked for.
        kept: how many networks stay in memory.
        threads: CPU threads of one forward pass.
        seen: told of each forward pass: how many images it had, and how many seconds it took.
    """

    def __init__(
        self,
        device: str,
        checkpoints: Checkpoints,
        *,
        kept: int,
        threads: int,
        max_batch_size: int,
        batch_wait_timeout_s: float,
        max_queue: int,
        seen: Callable[[int, float], None] = lambda size, seconds: None,
    ) -> None:
        self.device = torch.device(device)
        self._checkpoints = checkpoints
        self.max_batch_size = max_batch_size
        self._threads = threads
        self._models: Recent[Variant, tuple[nn.Module, tuple[GateSite, ...]]] = Recent(kept)
        self._batcher: MicroBatcher[Alike, Work, Row] = MicroBatcher(
            self._run,
            max_batch_size=max_batch_size,
            batch_wait_timeout_s=batch_wait_timeout_s,
            max_queue=max_queue,
            name="networks",
            seen=seen,
        )

    @property
    def alive(self) -> bool:
        """Whether images will be worked on."""
        return self._batcher.alive

    @property
    def waiting(self) -> int:
        """How many images wait for a forward pass."""
        return len(self._batcher)

    @property
    def kept(self) -> Recent[Variant, Any]:
        """The networks in memory, which only the batcher's thread may touch, and how often one was there already."""
        return self._models

    def forward(
        self, variant: Variant, images: Tensor, ablation: Ablation | None = None, references: Sequence[Gates] = ()
    ) -> Outputs:
        """Run images (B, 3, H, W), in company of whoever else asks for the same.

        Args:
            variant: a resolved one.
            references: for each image, what the ablation puts in, if its kind has any.
        """
        ablations = (ablation,) if ablation else ()
        alike = Alike(variant, ablations, tuple(images.shape[1:]))
        given = [(reference,) for reference in references] if references else [()] * len(images)
        return self._ask(alike, [Work(*one) for one in zip(images, given, strict=True)], self.max_batch_size)

    def forward_each(
        self,
        variant: Variant,
        images: Tensor,
        ablations: Sequence[Ablation],
        references: Sequence[Sequence[Gates]],
    ) -> Tensor:
        """Logits of images (B, 3, H, W) untouched, then under each ablation: (1 + A, B, K).

        Args:
            references: for each image, for each ablation, what it puts in; an empty mapping where its kind has none.
        """
        alike = Alike(variant, tuple(ablations), tuple(images.shape[1:]), each=True)
        work = [Work(image, tuple(given)) for image, given in zip(images, references, strict=True)]
        return self._ask(alike, work, _together(alike)).logits.transpose(0, 1)

    def _ask(self, alike: Alike, work: Sequence[Work], at_once: int) -> Outputs:
        rows: list[Row] = []
        for start in range(0, len(work), at_once):  # so that one caller never fills the queue alone
            futures = self._batcher.submit_all(alike, work[start : start + at_once])
            try:
                rows += [future.result() for future in futures]
            finally:
                for future in futures:
                    future.cancel()  # does nothing to those that are done
        return gather(rows)

    def close(self) -> None:
        """Finish what was accepted, then stop."""
        self._batcher.close()

    def _run(self, alike: Alike, work: Sequence[Work]) -> list[Row]:
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)  # counts for the calling thread only
        model, places = self._models.get(alike.variant, lambda: self._load(alike.variant))
        if alike.each:
            outputs = self._run_each(model, alike, work)
        else:
            gates: dict[str, Tensor] = {}
            with ExitStack() as inside:
                inside.enter_context(torch.inference_mode())
                if places:
                    for ablation, reference in zip(alike.ablations, _references(work), strict=False):
                        inside.enter_context(ablate(model, ablation, reference))
                    gates = inside.enter_context(capture(model))
                logits = model(self._batch(work))  # (B, K)
            outputs = Outputs(logits.cpu(), {path: gate.cpu() for path, gate in gates.items()}, places)
        return [Row(outputs, index) for index in range(len(work))]

    def _run_each(self, model: nn.Module, alike: Alike, work: Sequence[Work]) -> Outputs:
        """Logits (B, 1 + A, K), a few images at a time: rows multiply with the ablations."""
        parts, at_once = [], _together(alike)
        with torch.inference_mode():
            for start in range(0, len(work), at_once):
                some = work[start : start + at_once]
                parts.append(forward_each(model, self._batch(some), alike.ablations, _references(some)).cpu())
        return Outputs(torch.cat(parts, 1).transpose(0, 1), {}, ())

    def _batch(self, work: Sequence[Work]) -> Tensor:
        images = torch.stack([one.image for one in work])  # (B, 3, H, W)
        return images.to(self.device, memory_format=torch.channels_last)

    def _load(self, variant: Variant) -> tuple[nn.Module, tuple[GateSite, ...]]:
        model = serving_copy(build(variant, self._checkpoints))
        return model.to(self.device, memory_format=torch.channels_last), sites(model)  # type: ignore[call-overload]


def _together(alike: Alike) -> int:
    """How many images share a pass of many ablations."""
    return max(EACH_PIXELS // ((1 + len(alike.ablations)) * math.prod(alike.shape[-2:])), 1)


def _references(work: Sequence[Work]) -> list[Gates]:
    """What each ablation puts into a batch: (1, ...) if it is the same for all images, else (B, ...)."""
    found: list[Gates] = []
    for given in zip(*(one.references for one in work), strict=True):
        alike = all(reference is given[0] for reference in given)
        paths = given[0]
        found.append(paths if alike else {path: torch.cat([one[path] for one in given]) for path in paths})
    return found


def gather(rows: Sequence[Row]) -> Outputs:
    """The outputs of some images, in their order, out of the batches they went with."""
    parts: list[tuple[Outputs, slice]] = []
    for _, together in groupby(enumerate(rows), lambda place: (id(place[1].batch), place[1].index - place[0])):
        run_of = [row for _, row in together]  # neighbours here that were neighbours there
        parts.append((run_of[0].batch, slice(run_of[0].index, run_of[-1].index + 1)))
    first = parts[0][0]
    if len(parts) == 1:
        rows_of = parts[0][1]
        return Outputs(first.logits[rows_of], {path: gate[rows_of] for path, gate in first.gates.items()}, first.sites)
    return Outputs(
        torch.cat([batch.logits[rows_of] for batch, rows_of in parts]),
        {path: torch.cat([batch.gates[path][rows_of] for batch, rows_of in parts]) for path in first.gates},
        first.sites,
    )
