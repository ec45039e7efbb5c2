"""What an engine tells of its own work: batches, questions, queues, caches, memory of the GPU."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from attention.lab import LRU
from server.engine.networks import Networks


class Measured(Protocol):
    """What the numbers of an engine on this machine are read from."""

    accepted: int

    @property
    def networks(self) -> Networks:
        """Its networks, and how many images wait for them."""

    @property
    def caches(self) -> Mapping[str, LRU[Any, Any]]:
        """The caches of an engine, by name."""


SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class QuestionMetrics(Collector):
    """The numbers of the questions that any engine answers.

    Args:
        accepted: how many are accepted and not yet answered.
    """

    def __init__(self, accepted: Callable[[], int]) -> None:
        self._accepted = accepted
        self._analysis_seconds = Histogram(
            "attention_analysis_seconds",
            "Time from taking a question up until its report is there, waiting for networks included, seconds.",
            ["analysis"],
            buckets=SECONDS,
            registry=None,
        )

    @contextmanager
    def analysis(self, name: str) -> Iterator[None]:
        """An analysis is run inside."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._analysis_seconds.labels(name).observe(time.perf_counter() - started)

    def collect(self) -> Iterator[Metric]:
        """All numbers as they are now."""
        yield from self._analysis_seconds.collect()
        yield GaugeMetricFamily(
            "attention_queue_requests", "Questions accepted and not yet answered.", self._accepted()
        )


class EngineMetrics(QuestionMetrics):
    """The numbers of one local engine. Adding to them takes microseconds; the rest is read when asked for."""

    def __init__(self, engine: Measured) -> None:
        super().__init__(lambda: engine.accepted)
        self._engine = engine
        self._batch_size = Histogram("attention_batch_size", "Images in a forward pass.", buckets=SIZES, registry=None)
        self._batch_seconds = Histogram(
            "attention_batch_seconds", "Time of a forward pass, seconds.", buckets=SECONDS, registry=None
        )

    def batch(self, size: int, seconds: float) -> None:
        """A forward pass was done."""
        self._batch_size.observe(size)
        self._batch_seconds.observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """All numbers as they are now."""
        yield from super().collect()
        for histogram in (self._batch_size, self._batch_seconds):
            yield from histogram.collect()
        engine = self._engine
        yield GaugeMetricFamily(
            "attention_queue_images", "Images that wait for a forward pass.", engine.networks.waiting
        )
        hits = CounterMetricFamily("attention_cache_hits", "What was found in a cache.", labels=["cache"])
        misses = CounterMetricFamily("attention_cache_misses", "What had to be made for a cache.", labels=["cache"])
        for name, cache in engine.caches.items():
            hits.add_metric([name], cache.hits)
            misses.add_metric([name], cache.misses)
        yield from (hits, misses)
        if engine.networks.device.type == "cuda":
            yield _gpu_memory(engine.networks.device)


def _gpu_memory(device: torch.device) -> Metric:
    """Bytes of a GPU's memory: in tensors, held by torch, free for all, there at all."""
    memory = GaugeMetricFamily("attention_gpu_memory_bytes", "Memory of the GPU, bytes.", labels=["device", "kind"])
    free, total = torch.cuda.mem_get_info(device)
    kinds = {
        "allocated": torch.cuda.memory_allocated(device),
        "reserved": torch.cuda.memory_reserved(device),
        "free": free,
        "total": total,
    }
    for kind, value in kinds.items():
        memory.add_metric([str(device), kind], value)
    return memory
