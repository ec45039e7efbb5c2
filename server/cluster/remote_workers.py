"""Work on other machines: the settings they go by, the networks they keep, the results they stream. Knows no Ray."""

import socket
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

import torch

from attention.analysis import Step
from attention.spec import Request
from server.catalog import version
from server.settings import Settings
from server.stored.references import variants

S = TypeVar("S")
T = TypeVar("T")

DECIDE = (
    *("data", "files", "models", "device", "dtype", "compile", "threads", "engine", "memory_bytes"),
    *("max_batch_size", "batch_wait_timeout_s", "max_queue", "workers"),
)
"""Settings that a machine which answers requests goes by, besides those that begin with ``ray_replica``."""

GROUPS = 4096
"""Requests are told apart by their networks in so many groups: a bound on what has to be remembered and counted."""

REACHED_WITHIN_S = 5.0


def worker_settings(settings: Settings) -> tuple[dict[str, Any], str]:
    """Settings of a replica, and a text that changes when any of them or the version does."""
    ours = [name for name in type(settings).model_fields if name.startswith("ray_replica")]
    chosen = settings.model_dump(mode="json", include={*DECIDE, *ours}) | {"threads": settings.cpu_threads}
    return chosen, f"{version()} {sorted(chosen.items())}"


def networks_key(request: Request[Any]) -> str:
    """Key that routes requests for the same networks to the same replica; empty without networks."""
    names = " ".join(sorted({variant.name for variant in variants(request)}))
    return str(zlib.crc32(names.encode()) % GROUPS) if names else ""


def check_reachable(address: str) -> None:
    """Return if something listens at HOST:PORT.

    Raises:
        OSError, ValueError: nothing does, or it is no address.
    """
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=REACHED_WITHIN_S).close()


def stream_results(fn: Step[T, S], item: T, threads: int) -> Iterator[tuple[bool, S]]:
    """Stream what ``fn`` gives on its way with an item, then its result: pairs (whether it is the result, value)."""
    results: SimpleQueue[tuple[bool, S] | None] = SimpleQueue()
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        working = pool.submit(fn, item, lambda part: results.put((False, part)))
        working.add_done_callback(lambda _: results.put(None))
        while (part := results.get()) is not None:
            yield part
        yield True, working.result()
