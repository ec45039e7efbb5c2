"""The engine: where analyses run. The routes know only this file's Protocol, so another engine changes no route."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar

from attention.spec import Plain, Request
from server.settings import Settings

if TYPE_CHECKING:
    from attention.files import Files

R = TypeVar("R", bound=Plain)


class Engine(Protocol):
    """Answers requests."""

    @property
    def files(self) -> "Files":
        """The images that requests may name."""

    @property
    def device(self) -> str:
        """Where networks run, by name."""

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

    def close(self) -> None:
        """Finish what was accepted, then stop."""


def connect(settings: Settings) -> Engine:
    """The engine that the settings ask for."""
    from server.engine.local import LocalEngine

    return LocalEngine(settings)
