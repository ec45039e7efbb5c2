"""A network on its device and in its number format: images in from the CPU, numbers back there in float32.

On a GPU images go through page-locked memory, so that the copy runs beside the work before it, and all that comes back
comes in one copy: a network has dozens of gates, and each copy of its own would wait for the device.

With ``graphs`` a forward pass on a GPU is recorded once for each shape, gates included, and then replayed with one
call instead of hundreds of launches (CUDA graphs, https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs).
A recording has one batch size, so batches are filled up to the next power of two; batch mates do not matter.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import torch
from cachetools import LRUCache
from torch import Tensor, nn

from attention.errors import InvalidRequest, first_line
from attention.gate import Gate, ablate, capture, gates
from attention.precision import DType, check_precision
from attention.running.device import check_device
from attention.running.many_ablations import forward_each
from attention.spec import Ablation

log = logging.getLogger(__name__)

GRAPHS_KEPT = 16
"""Recorded shapes of a network, the least recently used leaves first: each holds the memory of its pass."""

WARM_UPS = 3
"""Passes before one is recorded, in which libraries choose their algorithms and take their memory."""

EACH_PIXELS = 4_000_000
"""Pixels of input that one pass of many ablations takes at most, counted once for every row it may grow to."""

Gates = Mapping[str, Tensor]
"""Gate path -> weights, batch first."""

RawOutputs = tuple[Tensor, Mapping[str, Tensor]]
"""Logits (B, K), and gate path -> weights (B, ...)."""

Replay = Callable[[Tensor], RawOutputs]
"""A forward pass of one shape; what it gives holds until the next call."""

Record = Callable[[nn.Module, Tensor], Replay]
"""Makes such a pass out of a network and images (B, 3, H, W) like those it will get."""


class Running:
    """A network ready to run. One thread at a time may use it.

    Args:
        network: in eval mode; it is moved.
        graphs: whether forward passes are recorded and replayed; only on CUDA.
        record: how.

    Raises:
        InvalidRequest: the device has no such number format, or no graphs.
    """

    def __init__(
        self,
        network: nn.Module,
        device: torch.device | str,
        dtype: DType = "float32",
        graphs: bool = False,
        record: Record | None = None,
    ) -> None:
        self.device = torch.device(device)
        check_running(str(self.device), dtype, graphs and record is None)
        self.dtype: torch.dtype = getattr(torch, dtype)
        self.network: nn.Module = network.to(self.device, self.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._gates = gates(self.network)
        self._record = (record or Recorder(self.device)) if graphs else None
        self._replays: LRUCache[tuple[int, ...], Replay | None] = LRUCache(GRAPHS_KEPT)

    @property
    def recorded(self) -> int:
        """Number of input shapes that are replayed from a recording; those that could not be recorded do not count."""
        return sum(replay is not None for replay in self._replays.values())

    def images(self, images: Sequence[Tensor]) -> Tensor:
        """Images (3, H, W) as a batch (B, 3, H, W) on the device."""
        if self.device.type != "cuda":
            return torch.stack(list(images)).to(self.device, self.dtype, memory_format=torch.channels_last)
        locked = torch.empty((len(images), *images[0].shape), pin_memory=True)
        torch.stack(list(images), out=locked)
        there = locked.to(self.device, non_blocking=True)  # as it lies: any other form would be made on the CPU first
        return there.to(dtype=self.dtype, memory_format=torch.channels_last)

    def __call__(self, images: Tensor) -> RawOutputs:
        """Logits and gates of a batch on the device, both there; they hold until the next call."""
        with torch.inference_mode():
            if self._record is not None and (replay := self._replay(images)) is not None:
                rows = len(images)
                logits, gate_weights = replay(_filled(images))
                return logits[:rows], {path: gate[:rows] for path, gate in gate_weights.items()}
            return plain(self.network, images, self._gates)

    def eager(self, images: Tensor) -> RawOutputs:
        """Run a batch without a recording, as gates that are replaced may be others each time."""
        with torch.inference_mode():
            return plain(self.network, images, self._gates)

    def forward(
        self, images: Sequence[Tensor], ablation: Ablation | None = None, references: Sequence[Gates] = ()
    ) -> RawOutputs:
        """Logits (B, K) and gates (B, ...) of images (3, H, W), on the CPU in float32.

        Args:
            references: for each image, the weights (1, ...) that the ablation puts in, if its kind has any.
        """
        with torch.inference_mode(), ExitStack() as inside:
            if ablation is not None and self._gates:
                inside.enter_context(ablate(self.network, ablation, stacked(references)))
            ask = self if ablation is None else self.eager
            return fetched(*ask(self.images(images)))

    def forward_each(
        self, images: Sequence[Tensor], ablations: Sequence[Ablation], references: Sequence[Sequence[Gates]]
    ) -> Tensor:
        """Logits of images (3, H, W) untouched, then under each ablation, on the CPU in float32: (1 + A, B, K).

        Args:
            references: for each image, for each ablation, what it puts in; an empty mapping where its kind has none.
        """
        parts, at_once = [], images_together(len(ablations), images[0].shape)
        with torch.inference_mode():
            for start in range(0, len(images), at_once):
                replacements = zip(*references[start : start + at_once], strict=True)
                batch = self.images(images[start : start + at_once])
                logits = forward_each(self.network, batch, ablations, [stacked(gates) for gates in replacements])
                parts.append(fetched(logits, {})[0])
        return torch.cat(parts, 1)

    def _replay(self, images: Tensor) -> Replay | None:
        """The recording for these images' shape; None if it cannot be recorded."""
        assert self._record is not None
        shape = (filled_size(len(images)), *images.shape[1:])
        if shape not in self._replays:
            try:
                self._replays[shape] = self._record(self.network, _filled(images))
            except RuntimeError as error:  # it waits for the device inside, or does not fit into its memory
                log.warning("A pass of shape %s is not recorded, and runs as it is: %s", shape, first_line(error))
                self._replays[shape] = None
        return self._replays[shape]


def images_together(ablations: int, shape: Sequence[int]) -> int:
    """How many images (3, H, W) share a pass of many ablations."""
    return max(EACH_PIXELS // ((1 + ablations) * math.prod(shape[-2:])), 1)


def stacked(references: Sequence[Gates]) -> Gates:
    """What an ablation puts into a batch: (1, ...) if that is the same for all its images, else (B, ...)."""
    if not references:
        return {}
    first = references[0]
    if all(gates is first for gates in references):
        return first
    return {path: torch.cat([gates[path] for gates in references]) for path in first}


def check_running(device: str, dtype: DType, graphs: bool) -> None:
    """Raise InvalidRequest unless networks can be run with these settings on a device.

    Raises:
        InvalidRequest: they do not.
    """
    check_device(device)
    check_precision(dtype, device)
    if graphs and not device.startswith("cuda"):
        raise InvalidRequest(f"Graphs are recorded on CUDA only, and this is {device!r}. Turn them off.")


def plain(network: nn.Module, images: Tensor, gate_modules: Mapping[str, Gate] | None = None) -> RawOutputs:
    """A forward pass as it is; ``gate_modules`` are the network's `gates`, where they are known."""
    with capture(network, gate_modules) as gate_weights:
        logits: Tensor = network(images)  # (B, K)
    return logits, gate_weights


def filled_size(rows: int) -> int:
    """The batch size that so many rows are filled up to: the next power of two."""
    return 1 << (rows - 1).bit_length()


def _filled(images: Tensor) -> Tensor:
    missing = filled_size(len(images)) - len(images)
    return torch.cat([images, images[:1].expand(missing, -1, -1, -1)]) if missing else images


class Recorder:
    """Records passes on a GPU; those of one network share their memory, for only one of them runs at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        with torch.cuda.device(device):
            self._pool = torch.cuda.graph_pool_handle()
            self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, network: nn.Module, like: Tensor) -> Replay:
        with torch.cuda.device(self._device), torch.inference_mode():
            images = like.clone(memory_format=torch.channels_last)
            graph, before = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
            self._stream.wait_stream(before)
            with torch.cuda.stream(self._stream):  # also left where recording fails, which leaves its own not
                for _ in range(WARM_UPS):
                    plain(network, images)
                # Other threads may use the device meanwhile: what they do is no error of this recording.
                with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                    logits, gate_weights = plain(network, images)
            before.wait_stream(self._stream)

        def replay(others: Tensor) -> RawOutputs:
            with torch.cuda.device(self._device):
                images.copy_(others)
                graph.replay()
            return logits, gate_weights

        return replay


def fetched(logits: Tensor, gates: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Outputs brought to the CPU in float32, whatever they were computed in: with one copy from a GPU."""
    if logits.device.type != "cuda":
        return logits.float().cpu(), {path: gate.float().cpu() for path, gate in gates.items()}
    tensors = [logits, *gates.values()]
    flat = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
    locked = torch.empty(flat.shape, pin_memory=True)
    locked.copy_(flat, non_blocking=True)
    torch.cuda.current_stream(flat.device).synchronize()
    flat = locked.clone()  # page-locked memory is scarce: it is given back
    parts: tuple[Tensor, ...] = torch.split(flat, [tensor.numel() for tensor in tensors])
    shaped = [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]
    return shaped[0], dict(zip(gates, shaped[1:], strict=True))


def check_finite(logits: Tensor, network: str) -> None:
    """Raise InvalidRequest unless all of a network's outputs are finite numbers.

    Raises:
        InvalidRequest: they are infinite or none, as its weights are, or because gates were replaced by large ones.
    """
    if not logits.isfinite().all():
        raise InvalidRequest(
            f"What {network} gives is beyond the numbers of its format. If gates were replaced, take values closer to "
            "1, or fewer gates; if not, its weights are no numbers, or grow what they see without end."
        )
