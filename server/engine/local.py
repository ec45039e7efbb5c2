"""The engine of one machine: requests in threads, and one thread that owns the networks."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from attention.analyses import run
from attention.analysis import Outputs
from attention.counting.cost import count
from attention.data.files import Files, FilesAndPhotos
from attention.errors import Overloaded
from attention.lab import LRU, BaseLab
from attention.reports.parts.network import Network
from attention.running.device import best_device, device_name
from attention.running.runner import Gates
from attention.spec import Ablation, Request, Variant
from server.engine.admission import Admission, MemoryBudget
from server.engine.batching import CancellationToken
from server.engine.cpu_slots import CpuSlots
from server.engine.metrics import EngineMetrics
from server.engine.networks import Networks
from server.settings import Settings, cores
from server.store.ownership import ASKER


class LocalLab(BaseLab):
    """What an analysis may use on this machine; one for each request, so that each can be cancelled."""

    def __init__(self, files: Files, networks: Networks) -> None:
        super().__init__(files, str(networks.device), networks.dtype, networks.references)
        self._networks = networks
        self._token = CancellationToken()

    def check(self) -> None:
        """Return if the answer is still wanted.

        Raises:
            Cancelled: it is not.
        """
        self._token.check()

    def cancel(self) -> None:
        """Let the analysis stop at its next step, its images leave the queue, and its photos be forgotten."""
        self._token.cancel()
        if isinstance(self.files, FilesAndPhotos):
            self.files.forget_photos()

    def _forward(
        self, network: Network, images: Tensor, ablation: Ablation | None, references: Sequence[Gates]
    ) -> Outputs:
        return self._networks.forward(network, images, ablation, references, self._token)

    def _forward_each(
        self, network: Network, images: Tensor, ablations: Sequence[Ablation], references: Sequence[Sequence[Gates]]
    ) -> Tensor:
        return self._networks.forward_each(network, images, ablations, references, self._token)


class LocalEngine:
    """Answers requests with the threads of this process.

    Args:
        memory: what it draws on; None is a budget of its own, as large as the settings say.
    """

    def __init__(self, settings: Settings, memory: MemoryBudget | None = None) -> None:
        torch_device = choose_device(settings.device)
        self.files = Files(settings.folder, settings.files)
        self.device = device_name(torch_device)
        self.metrics = EngineMetrics(self)
        self._cpu_slots = CpuSlots(max(1, cores() - 1))
        self.networks = Networks(
            torch_device,
            self.files.checkpoints,
            memory=memory or MemoryBudget(settings.memory),
            threads=settings.cpu_threads,
            max_batch_size=settings.max_batch_size,
            batch_wait_timeout_s=settings.batch_wait_timeout_s,
            max_queue=settings.workers
            * settings.max_batch_size,  # so a question that was let in is never refused half-way
            cpu_slots=self._cpu_slots,
            dtype=settings.dtype,
            graphs=settings.records(str(torch_device)),
            on_batch=self.metrics.batch,
        )
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
        owner = ASKER.get() or ""
        files = FilesAndPhotos(self.files, photos or {}, owner) if photos or owner else self.files
        return LocalLab(files, self.networks)

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
        return {"networks": self.networks.kept, "references": self.networks.references}

    def close(self) -> None:
        """Finish what was accepted, then stop."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.networks.close()


def choose_device(wanted: str) -> str:
    """The torch device that a setting names; ``auto`` is CUDA where there is one."""
    if wanted != "auto":
        return wanted
    return best_device()
