"""The engine: where analyses run. The routes know only this file's Protocol, so another engine changes no route."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from prometheus_client.registry import Collector

from attention.errors import InvalidRequest
from attention.spec import Request
from attention.storage.s3 import check_url
from server.settings import Settings

if TYPE_CHECKING:
    from attention.data.files import Files


class Engine(Protocol):
    """Answers short requests at once, and runs long ones as jobs."""

    @property
    def files(self) -> "Files":
        """The images that requests may name."""

    @property
    def device(self) -> str:
        """Where networks run, by name."""

    @property
    def metrics(self) -> Collector:
        """What it tells of its own work: batches, queues, caches, memory."""

    @property
    def alive(self) -> bool:
        """Whether requests would be answered."""

    async def answer(self, request: Request[Any], photos: Mapping[str, bytes] | None = None) -> bytes:
        """The report of a request, as JSON: it is only ever sent on, and can be megabytes.

        Args:
            photos: images by id that came along with the request; they are there for its answer and not kept.

        Raises:
            AttentionError: whatever the caller can mend; Overloaded if there is no room now.
        """

    def check_room(self) -> None:
        """Return if there is room for one more question; there may be none any more when it comes.

        Raises:
            Overloaded: there is none, and when to come back.
        """

    def open(self) -> None:
        """Take up jobs: those that wait in the store, and those that ran when the service last ended."""

    def start(self, job_id: str) -> None:
        """Run a job that waits in the store when its turn comes: ``run_job(settings, job_id)``, somewhere else."""

    def stop(self, job_id: str) -> None:
        """Let a job that was cancelled in the store end soon, wherever it is in its work."""

    def close(self) -> None:
        """Finish what was accepted, then stop; jobs that run are queued again for the next time."""


def check_installed(settings: Settings) -> None:
    """Make sure that the engine and the store of files that the settings ask for can be had.

    Raises:
        InvalidRequest: what they need is not installed, or the store's URL is none.
    """
    if settings.files is not None:
        check_url(settings.files)
    if settings.engine == "ray" and find_spec("ray") is None:
        raise InvalidRequest(
            "ATTENTION_ENGINE is ray, and Ray is not installed here. Install it: pip install 'attention-lab[scale]'."
        )


def check_runs(settings: Settings) -> None:
    """Make sure that networks run here as the settings ask; on a cluster that shows where they are to run.

    Raises:
        InvalidRequest: there is no such device, or it has no such number format or no graphs.
    """
    if settings.engine == "local":
        from attention.running.runner import check_running
        from server.engine.local import choose_device

        check_running(choose_device(settings.device), settings.dtype, settings.compile == "graphs")


def connect(settings: Settings) -> Engine:
    """The engine that the settings ask for.

    Raises:
        InvalidRequest: it is not installed, or its cluster is not there.
    """
    if settings.engine == "local":
        from server.engine.local import LocalEngine

        return LocalEngine(settings)
    check_installed(settings)
    from server.cluster.ray import RayEngine

    return RayEngine(settings)
