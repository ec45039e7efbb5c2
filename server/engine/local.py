"""The engine of one machine: analyses in a pool of threads, and one thread that owns the networks."""

import asyncio
import platform
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from threading import BoundedSemaphore, Event, Lock
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from attention.analysis import GateSite, Outputs, run
from attention.build import build, preprocess_of, resolve
from attention.cost import count
from attention.errors import Cancelled, Overloaded
from attention.files import Files
from attention.gate import ablate, capture, sites
from attention.images import preprocess
from attention.spec import Ablation, Plain, Request, Variant
from server.engine.batching import MicroBatcher
from server.settings import Settings

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
R = TypeVar("R", bound=Plain)
S = TypeVar("S")
T = TypeVar("T")

Gates = Mapping[str, Tensor]
"""Gate path -> weights, batch first."""

REFERENCES_KEPT = 32


class Recent(Generic[K, V]):
    """The ``size`` most recently used values by key."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = Lock()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key, made now if it is not kept; two callers at once may both make it."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)
        return value


class Alike(NamedTuple):
    """What images must have in common to share a forward pass."""

    variant: Variant
    ablation: Ablation | None
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Work:
    """One image (3, H, W), and the weights that an ablation puts in, if its kind has any."""

    image: Tensor
    reference: Gates | None


@dataclass(frozen=True)
class Row:
    """One image's place in the outputs of the batch it went with."""

    batch: Outputs
    index: int


class Networks:
    """The networks in memory. Only the batcher's thread touches them: it builds, runs and forgets them.

    Args:
        device: a torch device.
        kept: how many networks stay in memory.
        threads: CPU threads of one forward pass.
    """

    def __init__(
        self,
        device: str,
        *,
        kept: int,
        threads: int,
        max_batch_size: int,
        batch_wait_timeout_s: float,
        max_queue: int,
    ) -> None:
        self.device = torch.device(device)
        self.max_batch_size = max_batch_size
        self._threads = threads
        self._models: Recent[Variant, tuple[nn.Module, tuple[GateSite, ...]]] = Recent(kept)
        self._batcher: MicroBatcher[Alike, Work, Row] = MicroBatcher(
            self._run,
            max_batch_size=max_batch_size,
            batch_wait_timeout_s=batch_wait_timeout_s,
            max_queue=max_queue,
            name="networks",
        )

    @property
    def alive(self) -> bool:
        """Whether images will be worked on."""
        return self._batcher.alive

    def forward(
        self, variant: Variant, images: Tensor, ablation: Ablation | None = None, reference: Gates | None = None
    ) -> Outputs:
        """Run images (B, 3, H, W), in company of whoever else asks for the same. ``variant`` is a resolved one."""
        alike = Alike(variant, ablation, tuple(images.shape[1:]))
        rows: list[Row] = []
        for start in range(0, len(images), self.max_batch_size):  # so that one caller never fills the queue alone
            part = images[start : start + self.max_batch_size]
            futures = self._batcher.submit_all(alike, [Work(image, reference) for image in part])
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
        batch = torch.stack([one.image for one in work])  # (B, 3, H, W)
        batch = batch.to(self.device, memory_format=torch.channels_last)
        gates: dict[str, Tensor] = {}
        with ExitStack() as inside:
            inside.enter_context(torch.inference_mode())
            if places:
                inside.enter_context(ablate(model, alike.ablation, work[0].reference))
                gates = inside.enter_context(capture(model))
            logits = model(batch)  # (B, K)
        outputs = Outputs(logits.cpu(), {path: gate.cpu() for path, gate in gates.items()}, places)
        return [Row(outputs, index) for index in range(len(work))]

    def _load(self, variant: Variant) -> tuple[nn.Module, tuple[GateSite, ...]]:
        model = build(variant)
        return model.to(self.device, memory_format=torch.channels_last), sites(model)  # type: ignore[call-overload]


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


class WithPhotos(Files):
    """The files of the service, and photos in memory that came along with one request."""

    def __init__(self, root: Path, photos: Mapping[str, bytes]) -> None:
        super().__init__(root)
        self._photos = photos

    def image_bytes(self, name: str) -> bytes:
        """The bytes of an image by id."""
        return self._photos[name] if name in self._photos else super().image_bytes(name)


class LocalLab:
    """What an analysis may use on this machine; one for each request, so that each can be cancelled."""

    def __init__(
        self,
        files: Files,
        networks: Networks,
        device: str,
        references: "Recent[tuple[Variant, tuple[str, ...]], Gates]",
    ) -> None:
        self.files = files
        self.device = device
        self._networks = networks
        self._references = references
        self._cancelled = Event()

    def forward(self, variant: Variant, images: Tensor, ablation: Ablation | None = None) -> Outputs:
        """Run preprocessed images (B, 3, H, W) through a variant, each image as if it were alone.

        An ablation is left out where there is no gate to replace.
        """
        self.progress(0, 1)
        variant = resolve(variant)
        if ablation is None or variant.attention is None:
            return self._networks.forward(variant, images)
        return self._networks.forward(variant, images, ablation, self._reference(variant, ablation))

    def map(self, fn: Callable[[T], S], items: Sequence[T]) -> Iterator[S]:
        """Apply ``fn`` to every item, one after the other."""
        return map(fn, items)

    def progress(self, done: int, total: int, note: str = "", partial: Plain | None = None) -> None:
        """Say how far the work is; nobody watches a short request, but it can be cancelled.

        Raises:
            Cancelled: whoever asked no longer wants the answer.
        """
        if self._cancelled.is_set():
            raise Cancelled("Nobody waits for this answer any more.")

    def cancel(self) -> None:
        """Let the analysis stop at its next step."""
        self._cancelled.set()

    def _reference(self, variant: Variant, ablation: Ablation) -> Gates | None:
        """The weights that an ablation puts in: the mean gates over its reference images, each (1, ...)."""
        if ablation.kind not in ("mean", "other_image"):
            return None
        names = ablation.reference

        def mean_gates() -> Gates:
            how = preprocess_of(variant)
            totals: dict[str, Tensor] = {}
            for start in range(0, len(names), self._networks.max_batch_size):
                some = names[start : start + self._networks.max_batch_size]
                images = torch.stack([preprocess(self.files.image(name), how) for name in some])  # (B, 3, H, W)
                for path, gate in self._networks.forward(variant, images).gates.items():
                    total = gate.sum(0, keepdim=True)
                    totals[path] = totals[path] + total if path in totals else total
                self.progress(start, len(names))
            return {path: total / len(names) for path, total in totals.items()}

        return self._references.get((variant, names), mean_gates)


class LocalEngine:
    """Answers requests with the threads of this process."""

    def __init__(self, settings: Settings) -> None:
        torch_device = choose_device(settings.device)
        self.files = Files(settings.folder)
        self.device = device_name(torch_device)
        self.networks = Networks(
            torch_device,
            kept=settings.models_kept,
            threads=settings.cpu_threads,
            max_batch_size=settings.max_batch_size,
            batch_wait_timeout_s=settings.batch_wait_timeout_s,
            max_queue=max(settings.max_queue, settings.max_batch_size),
        )
        self._references: Recent[tuple[Variant, tuple[str, ...]], Gates] = Recent(REFERENCES_KEPT)
        # Photos are decoded and gates summed up on many threads at once, so each of them gets by with one core.
        self._pool = ThreadPoolExecutor(settings.workers, "analysis", initializer=torch.set_num_threads, initargs=(1,))
        self._room = BoundedSemaphore(settings.workers + settings.max_queue)
        count(Variant())  # the first count in a process imports half of torch: a second that no request should wait

    @property
    def alive(self) -> bool:
        """Whether requests would be answered."""
        return self.networks.alive

    def lab(self, photos: Mapping[str, bytes] | None = None) -> LocalLab:
        """A lab for one request, and the images that came along with it."""
        files = WithPhotos(self.files.root, photos) if photos else self.files
        return LocalLab(files, self.networks, self.device, self._references)

    async def answer(self, request: Request[R], photos: Mapping[str, bytes] | None = None) -> R:
        """The report of a request.

        Args:
            photos: images by id that came along with the request; they are there for its answer and not kept.

        Raises:
            AttentionError: whatever the caller can mend; Overloaded if too many requests wait already.
        """
        if not self._room.acquire(blocking=False):
            raise Overloaded("Too many requests are waiting already. Try again in 2 s.", retry_after_s=2.0)
        lab = self.lab(photos)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, run, request, lab)
        except asyncio.CancelledError:
            lab.cancel()
            raise
        finally:
            self._room.release()

    def close(self) -> None:
        """Finish what was accepted, then stop."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.networks.close()


def choose_device(wanted: str) -> str:
    """The torch device that a setting names; ``auto`` is CUDA where there is one."""
    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name(device: str) -> str:
    """What a person calls a torch device: the model of the GPU or CPU."""
    if device.startswith("cuda"):
        return f"{device}: {torch.cuda.get_device_name(device)}"
    if device != "cpu":
        return device
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"cpu: {models[0] if models else platform.processor() or platform.machine()}"
