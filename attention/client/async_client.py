"""The Python client of the service for programs with an event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx2

from attention.client import Client
from attention.schemas import Job


class AsyncClient:
    """The service over HTTP for programs with an event loop: every method of `Client`, to be awaited.

    Each call runs in a thread, so the loop goes on meanwhile. The arguments are those of `Client`.
    """

    def __init__(self, http: str | httpx2.Client, key: str | None = None) -> None:
        self._client = Client(http, key)

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = getattr(self._client, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await asyncio.to_thread(method, *args, **kwargs)

        return call

    async def events(self, id: str) -> AsyncIterator[Job]:
        """A job as it is now, then each change of it, until it has ended or the service stops."""
        events = self._client.events(id)
        while (job := await asyncio.to_thread(next, events, None)) is not None:
            yield job
