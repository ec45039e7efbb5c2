"""The numbers of the service for Prometheus, at ``/metrics``: requests, keys, jobs, disk, process, and the engine's."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import get_args

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from attention.schemas import JobState
from server.access.middleware import Accounts
from server.engine.admission import MemoryBudget
from server.engine.metrics import SECONDS
from server.service import Service
from server.store.database import connect
from server.store.tables import JobRow

log = logging.getLogger(__name__)


class Metrics:
    """The numbers of one app. What is added on each request takes microseconds; the rest is read when asked for."""

    def __init__(self, accounts: Accounts, memory: MemoryBudget) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.in_flight = 0
        """Requests that are worked on; only the event loop's thread counts."""
        self._accounts = accounts
        self._requests = Counter(
            "attention_http_requests",
            "Requests by method, route and status; 499 is one that ended without an answer.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "attention_http_request_seconds",
            "Time from a request's head to the last byte of its answer, seconds.",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._counters: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        ProcessCollector(registry=self.registry)
        self.registry.register(_Own(self, accounts, memory))

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request has ended."""
        counters = self._counters.get((method, route, status))
        if counters is None:
            counters = self._requests.labels(method, route, str(status)), self._seconds.labels(route)
            self._counters[method, route, status] = counters
        counters[0].inc()
        counters[1].observe(seconds)

    @contextmanager
    def watching(self, service: Service) -> Iterator[None]:
        """Tell of a service, too, for as long as it runs."""
        collector = _OfService(service)
        self.registry.register(collector)
        self.registry.register(service.engine.metrics)
        try:
            yield
        finally:
            self.registry.unregister(service.engine.metrics)
            self.registry.unregister(collector)
            collector.close()


class _Own(Collector):
    """Requests now, what each key was refused, and who holds how much of the memory."""

    def __init__(self, metrics: Metrics, accounts: Accounts, memory: MemoryBudget) -> None:
        self._metrics = metrics
        self._accounts = accounts
        self._memory = memory

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "attention_http_requests_in_flight", "Requests that are worked on.", self._metrics.in_flight
        )
        held = GaugeMetricFamily("attention_memory_bytes", "Memory held of the budget, bytes.", labels=["share"])
        for share, size in self._memory.held.items():
            held.add_metric([share], size)
        yield held
        yield GaugeMetricFamily(
            "attention_memory_budget_bytes", "What all shares together draw on, bytes.", self._memory.total
        )
        limited = CounterMetricFamily(
            "attention_limited_requests", "Requests refused with 429, by key and limit.", labels=["key", "limit"]
        )
        refused: dict[tuple[str, str], int] = {}
        for account in self._accounts:  # a name may be that of a revoked key and of its successor
            for limit, count in account.refused.items():
                refused[account.name, limit] = refused.get((account.name, limit), 0) + count
        for labels, count in refused.items():
            limited.add_metric(labels, count)
        yield limited


class _OfService(Collector):
    """Jobs by state, room on the disk, and what this is."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._database = connect(service.settings.database_url) if service.settings.database_shared else None

    def close(self) -> None:
        """Close the connections to the database."""
        if self._database is not None:
            self._database.dispose()

    def _jobs(self) -> Sequence[tuple[str, int]]:
        if self._database is None:
            return ()  # a database in memory takes no jobs
        with self._database.connect() as connection:
            rows = connection.execute(select(JobRow.state, func.count()).group_by(JobRow.state))
            return [(state, count) for state, count in rows]

    def collect(self) -> Iterator[Metric]:
        of = self._service
        about = GaugeMetricFamily("attention_info", "Always 1: version and device.", labels=["version", "device"])
        about.add_metric([of.version, of.engine.device], 1)
        yield about
        try:
            free = shutil.disk_usage(of.settings.folder).free
            yield GaugeMetricFamily("attention_data_free_bytes", "Free space where the data folder is, bytes.", free)
        except OSError as error:
            log.warning("How much room the data folder has is not known (%s).", error)
        answers = CounterMetricFamily("attention_answers", "Quick questions by how they were answered.", labels=["how"])
        cache = of.answer_cache
        for how, count in (("worked_out", cache.made), ("shared", cache.shared), ("remembered", cache.hits)):
            answers.add_metric([how], count)
        yield answers
        jobs = GaugeMetricFamily("attention_jobs", "Jobs by state.", labels=["state"])
        try:
            for state, count in (dict.fromkeys(get_args(JobState), 0) | dict(self._jobs())).items():
                jobs.add_metric([state], count)
        except Exception:  # numbers about the rest are wanted most when the database is away
            log.exception("The jobs cannot be counted.")
        yield jobs


def add_to(app: FastAPI, metrics: Metrics) -> None:
    """The route ``/metrics``."""

    @app.get("/metrics", include_in_schema=False)
    async def numbers(http: Request) -> Response:
        """Prometheus' text format, or OpenMetrics where it is asked for."""
        encode, kind = choose_encoder(http.headers.get("accept", ""))
        return Response(await run_in_threadpool(encode, metrics.registry), headers={"Content-Type": kind})
