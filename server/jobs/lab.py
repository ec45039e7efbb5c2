"""The lab of a job: that of its machine, with networks of its own and progress that is kept."""

from collections.abc import Iterator
from contextlib import contextmanager

from attention.data.files import Files
from attention.spec import Plain
from server.engine.admission import MemoryBudget
from server.engine.local import LocalLab, choose_device
from server.engine.networks import Networks
from server.jobs.progress import Reporter
from server.settings import Settings
from server.store.ownership import ASKER


class JobLab(LocalLab):
    """What an analysis may use that runs as a job."""

    def __init__(self, settings: Settings, networks: Networks, reporter: Reporter) -> None:
        super().__init__(Files(settings.folder, settings.files, ASKER.get() or ""), networks)
        self.settings = settings
        self._reporter = reporter

    def progress(self, done: int, total: int, note: str = "", partial: Plain | None = None) -> None:
        """Say how far the work is, and show what is known so far; both can be read at any time.

        Raises:
            Cancelled: the job was cancelled.
        """
        self._reporter.on_progress(done, total, note, partial)

    def check(self) -> None:
        """Return if the job is still wanted.

        Raises:
            Cancelled: it was cancelled.
        """
        self._reporter.check()


@contextmanager
def job_lab(settings: Settings, reporter: Reporter, kind: type[JobLab] = JobLab) -> Iterator[JobLab]:
    """The lab of one job; its networks are gone afterwards.

    Args:
        kind: the class of the lab.
    """
    device = choose_device(settings.device)
    on_gpu = device.startswith("cuda")  # on a cluster a job may be where no GPU is; its report says what it ran in
    networks = Networks(
        device,
        Files(settings.folder, settings.files).checkpoints,
        memory=MemoryBudget(settings.memory // max(1, settings.jobs)),
        threads=settings.job_cpu_threads,
        max_batch_size=settings.max_batch_size,
        batch_wait_timeout_s=0.0,
        max_queue=max(settings.max_queue, settings.max_batch_size),
        dtype=settings.dtype if on_gpu or settings.dtype != "float16" else "float32",
        graphs=settings.records(device) and on_gpu,
    )
    try:
        yield kind(settings, networks, reporter)
    finally:
        networks.close()
