"""Networks: those of one process, kept in memory and run by one thread for all that ask."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from attention.analysis import Outputs
from attention.build import build
from attention.counting.cost import count
from attention.gate import sites
from attention.lab import References
from attention.names import height_and_width
from attention.precision import DType
from attention.reports.gates import GateSite
from attention.reports.parts.network import Network
from attention.running.fused import fused_copy
from attention.running.runner import EACH_PIXELS, Gates, Running, check_running
from attention.spec import Ablation, Variant
from attention.weights.find import Checkpoints
from server.engine.admission import BudgetedCache, MemoryBudget
from server.engine.batching import CancellationToken, MicroBatcher
from server.engine.cpu_slots import CpuSlots

MACS_PER_THREAD = 2e9
"""Multiply-accumulates that are worth another CPU thread.

A pass of less than half of it is over sooner without one. One of a little less is over later, by a quarter, but takes
a tenth less of the cores' time, which others use meanwhile.
"""


class Alike(NamedTuple):
    """The conditions under which images share a forward pass.

    With ``each``, one pass gives the logits untouched and under every one of ``ablations``; without it, gates are
    captured under the one there may be.
    """

    variant: Variant
    weights: str
    """The stamp of the variant's weights: a checkpoint that was replaced is another network."""
    ablations: tuple[Ablation, ...]
    shape: tuple[int, ...]
    each: bool = False


@dataclass(frozen=True)
class BatchItem:
    """An image (3, H, W) to run, and for each ablation the weights (1, ...) that it puts in, if its kind has any."""

    image: Tensor
    references: tuple[Gates, ...]


@dataclass(frozen=True)
class BatchRow:
    """Place of one image in the outputs of the batch that it ran with."""

    batch: Outputs
    index: int


class Loaded(NamedTuple):
    """A network that is ready to run: its gates, its bytes, and what it takes for each pixel of its input."""

    running: Running
    sites: tuple[GateSite, ...]
    bytes: int
    macs_per_pixel: float
    pass_bytes_per_pixel: float


class Networks:
    """The networks in memory. Only the batcher's thread touches them: it builds, runs and forgets them.

    Args:
        device: a torch device.
        checkpoints: where weights other than the shipped ones are looked for.
        memory: what networks and passes draw on; the least recently used networks leave where there is no room.
        threads: CPU threads of one forward pass, at most; a small one gets fewer.
        cpu_slots: those of the threads that bring images; None is one slot of their own.
        dtype: number format of weights and activations; what comes out is float32 all the same.
        graphs: whether passes without ablations are recorded and replayed; only on CUDA.
        on_batch: called after each forward pass: how many images it had, and how many seconds it took.

    Raises:
        InvalidRequest: the device has no such number format, or no graphs.
    """

    def __init__(
        self,
        device: str,
        checkpoints: Checkpoints,
        *,
        memory: MemoryBudget,
        threads: int,
        max_batch_size: int,
        batch_wait_timeout_s: float,
        max_queue: int,
        cpu_slots: CpuSlots | None = None,
        dtype: DType = "float32",
        graphs: bool = False,
        on_batch: Callable[[int, float], None] = lambda size, seconds: None,
    ) -> None:
        check_running(device, dtype, graphs)
        self.device = torch.device(device)
        self.dtype: DType = dtype
        self._graphs = graphs
        self._checkpoints = checkpoints
        self.max_batch_size = max_batch_size
        self._threads = threads
        self.memory = memory
        self.kept = BudgetedCache[tuple[Variant, str], Loaded](memory, "networks", lambda loaded: loaded.bytes)
        self.references: References = BudgetedCache(memory, "references", lambda gates: gates.bytes)
        """Gates of reference images, for all labs that run these networks."""
        self._cpu_slots = cpu_slots or CpuSlots(1)
        self._batcher: MicroBatcher[Alike, BatchItem, BatchRow] = MicroBatcher(
            self._run,
            max_batch_size=max_batch_size,
            batch_wait_timeout_s=batch_wait_timeout_s,
            more_to_come=self._more_to_come,
            max_queue=max_queue,
            name="networks",
            on_batch=on_batch,
        )
        self._cpu_slots.on_idle = self._batcher.look

    @property
    def alive(self) -> bool:
        """Whether images will be worked on."""
        return self._batcher.alive

    @property
    def waiting(self) -> int:
        """How many images wait for a forward pass."""
        return len(self._batcher)

    def forward(
        self,
        network: Network,
        images: Tensor,
        ablation: Ablation | None = None,
        references: Sequence[Gates] = (),
        token: CancellationToken | None = None,
    ) -> Outputs:
        """Run images (B, 3, H, W), together with images of other callers that ask for the same.

        Args:
            references: for each image, what the ablation puts in, if its kind has any.
            token: the answer that it is for; when that is cancelled, images that wait leave the queue.
        """
        ablations = (ablation,) if ablation else ()
        alike = Alike(network.variant, network.stamp, ablations, tuple(images.shape[1:]))
        references_of_images = [(reference,) for reference in references] if references else [()] * len(images)
        return self._ask(alike, [BatchItem(*pair) for pair in zip(images, references_of_images, strict=True)], token)

    def forward_each(
        self,
        network: Network,
        images: Tensor,
        ablations: Sequence[Ablation],
        references: Sequence[Sequence[Gates]],
        token: CancellationToken | None = None,
    ) -> Tensor:
        """Logits of images (B, 3, H, W) untouched, then under each ablation: (1 + A, B, K).

        Args:
            references: for each image, for each ablation, what it puts in; an empty mapping where its kind has none.
            token: the answer that it is for; when that is cancelled, images that wait leave the queue.
        """
        alike = Alike(network.variant, network.stamp, tuple(ablations), tuple(images.shape[1:]), each=True)
        work = [BatchItem(image, tuple(given)) for image, given in zip(images, references, strict=True)]
        return self._ask(alike, work, token).logits.transpose(0, 1)

    def _ask(self, alike: Alike, work: Sequence[BatchItem], token: CancellationToken | None) -> Outputs:
        rows: list[BatchRow] = []
        token = token or CancellationToken()
        for start in range(0, len(work), self.max_batch_size):  # so that one caller never fills the queue alone
            with self._cpu_slots.released():
                futures = self._batcher.submit_all(alike, work[start : start + self.max_batch_size])
                with token.on_cancel(futures):
                    rows += [future.result() for future in futures]
        return gather(rows)

    def close(self) -> None:
        """Finish what was accepted, then stop."""
        self._batcher.close()

    def _more_to_come(self) -> bool:
        """Whether a forward pass should wait for company: a GPU has nothing better to do, the cores have."""
        return self.device.type == "cpu" and self._cpu_slots.busy

    def _run(self, alike: Alike, work: Sequence[BatchItem]) -> list[BatchRow]:
        network = self.kept.get(alike[:2], lambda: self._load(alike.variant))
        pixels = math.prod(alike.shape[-2:]) * len(work) * (1 + len(alike.ablations) * alike.each)
        threads = min(self._threads, 1 + int(network.macs_per_pixel * pixels / MACS_PER_THREAD))
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)  # counts for the calling thread only
        at_once = min(pixels, EACH_PIXELS) if alike.each else pixels
        size = int(network.pass_bytes_per_pixel * at_once) if self.device.type == "cpu" else 0
        self.kept.make_room(size, spared=1)
        try:
            with self.memory.holding("passes", size):
                return self._pass(network, alike, work)
        finally:
            self.memory.trim()

    def _pass(self, network: Loaded, alike: Alike, work: Sequence[BatchItem]) -> list[BatchRow]:
        images = [item.image for item in work]
        if alike.each:
            each = network.running.forward_each(images, alike.ablations, [item.references for item in work])
            outputs = Outputs(each.transpose(0, 1), {}, ())
        else:
            ablation = alike.ablations[0] if alike.ablations else None
            references = [item.references[0] for item in work if item.references]
            outputs = Outputs(*network.running.forward(images, ablation, references), network.sites)
        return [BatchRow(outputs, index) for index in range(len(work))]

    def _load(self, variant: Variant) -> Loaded:
        bill = count(variant)
        weights = 4 * (bill.total.parameters + bill.total.buffers)  # built in float32, whatever it runs in
        self.kept.make_room(2 * weights)
        with self.memory.holding("networks", 2 * weights):
            model = fused_copy(build(variant, self._checkpoints))
            running = Running(model, self.device, self.dtype, self._graphs)
        size = sum(tensor.nbytes for tensor in (*running.network.parameters(), *running.network.buffers()))
        pixels = math.prod(height_and_width(bill.input_size))
        return Loaded(running, sites(model), size, bill.total.macs / pixels, bill.peak_activation_bytes / pixels)


def gather(rows: Sequence[BatchRow]) -> Outputs:
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
