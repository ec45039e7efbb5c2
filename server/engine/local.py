"""The engine of one machine: requests in threads, and one thread that owns the networks."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from attention.analyses import run
from attention.analysis import Outputs, Step, in_order
from attention.build import build
from attention.counting.cost import count
from attention.data.files import Files
from attention.data.sampling import batches, stamp
from attention.errors import Overloaded
from attention.network import describe
from attention.reports.network import Network
from attention.running.device import best_device, device_name
from attention.running.reference_gates import NO_REFERENCES, ReferenceGates
from attention.spec import REFERRING, Ablation, Pictures, Plain, Request, Variant
from server.engine.admission import Admission
from server.engine.batching import CancellationToken
from server.engine.cpu_slots import CpuSlots
from server.engine.metrics import EngineMetrics
from server.engine.networks import LRU, Gates, Networks
from server.settings import Settings, cores

S = TypeVar("S")
T = TypeVar("T")

References = LRU[tuple[Variant, str, Pictures, str, bool], ReferenceGates]
"""Gates of reference images by variant, state of its weights, images, state of those, and whether they are averaged."""

REFERENCES_KEPT = 32


class WithPhotos(Files):
    """The files of the service, and photos in memory that came along with one request."""

    def __init__(self, files: Files, photos: Mapping[str, bytes]) -> None:
        self.root, self.url, self.file_store = files.root, files.url, files.file_store  # not opened a second time
        self._photos = photos

    def let_go(self) -> None:
        """Forget the photos that came along."""
        self._photos = {}

    def image_bytes(self, name: str) -> bytes:
        """The bytes of an image by id."""
        return self._photos[name] if name in self._photos else super().image_bytes(name)


class LocalLab:
    """What an analysis may use on this machine; one for each request, so that each can be cancelled."""

    def __init__(
        self,
        files: Files,
        networks: Networks,
        references: "References | None" = None,
    ) -> None:
        self.files = files
        self.device = str(networks.device)
        self.dtype = networks.dtype
        self._networks = networks
        self._references = references or LRU(REFERENCES_KEPT)
        self._described: dict[Variant, Network] = {}
        self._token = CancellationToken()

    def describe(self, variant: Variant) -> Network:
        """All that is known of a network, looked up once for all that the analysis asks."""
        if variant not in self._described:
            network = describe(variant, self.files.checkpoints)
            self._described |= {variant: network, network.variant: network}
        return self._described[variant]

    def forward(self, variant: Variant, images: Tensor, ablation: Ablation | None = None) -> Outputs:
        """Run preprocessed images (B, 3, H, W) through a variant, each image as if it were alone.

        An ablation is left out where there is no gate to replace.
        """
        self.check()
        network = self.describe(variant)
        if ablation is None or network.variant.attention is None:
            return self._networks.forward(network, images, token=self._token)
        given = [put for (put,) in self._put_in(network, images, (ablation,))]
        return self._networks.forward(network, images, ablation, given, self._token)

    def forward_each(self, variant: Variant, images: Tensor, ablations: Sequence[Ablation]) -> Tensor:
        """Logits of images (B, 3, H, W) untouched, then under each ablation: (1 + A, B, K)."""
        self.check()
        network = self.describe(variant)
        put_in = self._put_in(network, images, ablations)
        return self._networks.forward_each(network, images, ablations, put_in, self._token)

    def network(self, variant: Variant) -> nn.Module:
        """A network of the caller's own, in eval mode on `device`; it is built anew each time."""
        self.check()
        return build(variant, self.files.checkpoints).to(self.device)

    def map(
        self, fn: Step[T, S], items: Sequence[T], on_progress: Callable[[T, S], None], lost: Callable[[T, str], S]
    ) -> Iterator[S]:
        """Apply ``fn`` to every item, one after the other."""
        return in_order(fn, items, on_progress, lost)

    def progress(self, done: int, total: int, note: str = "", partial: Plain | None = None) -> None:
        """Say how far the work is; a short request is not watched, but can be cancelled.

        Raises:
            Cancelled: the client no longer wants the answer.
        """
        self.check()

    def check(self) -> None:
        """Return if the answer is still wanted.

        Raises:
            Cancelled: it is not.
        """
        self._token.check()

    def cancel(self) -> None:
        """Let the analysis stop at its next step, its images leave the queue, and its photos be forgotten."""
        self._token.cancel()
        if isinstance(self.files, WithPhotos):
            self.files.let_go()

    def _put_in(self, network: Network, images: Tensor, ablations: Sequence[Ablation]) -> list[list[Gates]]:
        """For each image, for each ablation, the weights (1, ...) that it puts in; none where its kind has none."""
        references = [self._reference_gates(network, ablation) for ablation in ablations]
        return [
            [gates.gates_for(image, ablation.seed) for gates, ablation in zip(references, ablations, strict=True)]
            for image in images
        ]

    def _reference_gates(self, network: Network, ablation: Ablation) -> ReferenceGates:
        """The gates of an ablation's reference images, computed once for every variant and choice of images."""
        if ablation.reference is None or ablation.kind not in REFERRING:
            return NO_REFERENCES
        pictures, average = ablation.reference, ablation.kind == "mean"
        key = (network.variant, network.stamp, pictures, stamp(pictures, self.files), average)
        return self._references.get(key, lambda: self._computed(network, pictures, average))

    def _computed(self, network: Network, pictures: Pictures, average: bool) -> ReferenceGates:
        references = ReferenceGates()
        for _, images in batches(pictures, network.preprocess, self.files):
            references.add(images, self._networks.forward(network, images, token=self._token).gates, average)
            self.check()
        return references.averaged() if average else references


class LocalEngine:
    """Answers requests with the threads of this process."""

    def __init__(self, settings: Settings) -> None:
        torch_device = choose_device(settings.device)
        self.files = Files(settings.folder, settings.files)
        self.device = device_name(torch_device)
        self.metrics = EngineMetrics(self)
        self._cpu_slots = CpuSlots(max(1, cores() - 1))
        self.networks = Networks(
            torch_device,
            self.files.checkpoints,
            kept=settings.models_kept,
            threads=settings.cpu_threads,
            max_batch_size=settings.max_batch_size,
            batch_wait_timeout_s=settings.batch_wait_timeout_s,
            max_queue=settings.workers
            * settings.max_batch_size,  # so a question that was let in is never refused half-way
            cpu_slots=self._cpu_slots,
            dtype=settings.dtype,
            graphs=settings.records(str(torch_device)),
            seen=self.metrics.batch,
        )
        self._references: References = LRU(REFERENCES_KEPT)
        # Photos are decoded and gates summed up on many threads at once, so each of them gets by with one core.
        self._pool = ThreadPoolExecutor(settings.workers, "analysis", initializer=torch.set_num_threads, initargs=(1,))
        self.admission = Admission(settings.workers + settings.max_queue)
        self.accepted = 0
        """Questions accepted and not yet answered; only the event loop's thread counts."""
        count(Variant())  # the first count in a process imports half of torch: a second that no request should wait

    @property
    def alive(self) -> bool:
        """Whether requests would be answered."""
        return self.networks.alive

    def lab(self, photos: Mapping[str, bytes] | None = None) -> LocalLab:
        """A lab for one request, and the images that came along with it."""
        files = WithPhotos(self.files, photos) if photos else self.files
        return LocalLab(files, self.networks, self._references)

    async def answer(self, request: Request[Any], photos: Mapping[str, bytes] | None = None) -> bytes:
        """The report of a request, as JSON.

        Args:
            photos: images by id that came along with the request; they are there for its answer and not kept.

        Raises:
            AttentionError: whatever the caller can mend; Overloaded if too many requests wait already.
        """
        self.admission.enter()
        lab = self.lab(photos)
        try:
            working = self._pool.submit(self._run, request, lab)
        except RuntimeError:
            self.admission.leave(answered=False)
            raise Overloaded("The service is shutting down and takes no new work.", retry_after_s=5.0) from None
        working.add_done_callback(self._left)  # and not before: a thread may still work when no client waits any more
        self.accepted += 1
        try:
            return await asyncio.wrap_future(working)
        except asyncio.CancelledError:
            lab.cancel()
            raise
        finally:
            self.accepted -= 1

    def check_room(self) -> None:
        """Return if there is room for one more question; there may be none any more when it comes.

        Raises:
            Overloaded: there is none.
        """
        self.admission.check()

    def _left(self, working: "Future[bytes]") -> None:
        self.admission.leave(answered=not working.cancelled() and working.exception() is None)

    def _run(self, request: Request[Any], lab: LocalLab) -> bytes:
        with self.metrics.analysis(request.analysis), self._cpu_slots.slot():
            return run(request, lab).model_dump_json().encode()

    @property
    def caches(self) -> Mapping[str, LRU[Any, Any]]:
        """The caches of networks and reference gates, by name."""
        return {"networks": self.networks.kept, "references": self._references}

    def close(self) -> None:
        """Finish what was accepted, then stop."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.networks.close()


def choose_device(wanted: str) -> str:
    """The torch device that a setting names; ``auto`` is CUDA where there is one."""
    if wanted != "auto":
        return wanted
    return best_device()
