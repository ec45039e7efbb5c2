"""The engine: where analyses run. The routes know only this file's Protocol, so another engine changes no route."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, TypeVar

from prometheus_client.registry import Collector

from attention.errors import InvalidRequest
from attention.spec import Plain, Request
from server.settings import Settings

if TYPE_CHECKING:
    from attention.files import Files

R = TypeVar("R", bound=Plain)


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

    async def answer(self, request: Request[R], photos: Mapping[str, bytes] | None = None) -> R:
        """The report of a request.

        Args:
            photos: images by id that came along with the request; they are there for its answer and not kept.

        Raises:
            AttentionError: whatever the caller can mend; Overloaded if there is no room now.
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
    """Make sure that the engine that the settings ask for can be had.

    Raises:
        InvalidRequest: it is not installed.
    """
    if settings.engine == "ray" and find_spec("ray") is None:
        raise InvalidRequest(
            "ATTENTION_ENGINE is ray, and Ray is not installed here. Install it: pip install 'attention-lab[scale]'."
        )


def connect(settings: Settings) -> Engine:
    """The engine that the settings ask for.

    Raises:
        InvalidRequest: it is not installed, or its cluster is not there.
    """
    if settings.engine == "local":
        from server.engine.local import LocalEngine

        return LocalEngine(settings)
    check_installed(settings)
    from server.engine.ray import RayEngine

    return RayEngine(settings)
