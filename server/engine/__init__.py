"""Engine: what answers questions at once. Routes know only this Protocol, so another engine changes no route."""

from collections.abc import Mapping
from typing import Any, Protocol

from prometheus_client.registry import Collector

from attention.data.files import Files
from attention.spec import Request


class Engine(Protocol):
    """Answers short requests at once, on this machine or on others."""

    @property
    def files(self) -> Files:
        """The images that requests may name."""

    @property
    def device(self) -> str:
        """Where networks run, by name."""

    @property
    def metrics(self) -> Collector:
        """Numbers about its own work: batches, queues, caches, memory."""

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

    def close(self) -> None:
        """Finish what was accepted, then stop."""
