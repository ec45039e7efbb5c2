"""The engine and the job queue that the settings ask for: those of this machine, or those of a Ray cluster."""

import asyncio
from importlib.util import find_spec

from attention.errors import InvalidRequest
from attention.reports.modules import PublishedRequest
from attention.running.runner import check_running
from attention.storage.s3 import check_url
from server.engine import Engine
from server.engine.admission import MemoryBudget
from server.engine.local import LocalEngine, choose_device
from server.jobs.process import start_process
from server.jobs.queue import JobQueue
from server.settings import Settings


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
        device = choose_device(settings.device)
        check_running(device, settings.dtype, settings.records(device))


def try_engine(settings: Settings) -> str:
    """Try out the engine that the settings ask for; gives in words what is there. On a cluster nothing is started.

    Raises:
        InvalidRequest: it is not installed, or its cluster is not there.
    """
    check_installed(settings)
    if settings.engine == "ray":
        from server.cluster.ray import cluster_description

        return cluster_description(settings)
    engine = LocalEngine(settings)
    try:
        asyncio.run(engine.answer(PublishedRequest()))
    finally:
        engine.close()
    jobs = f"{settings.jobs} job{'' if settings.jobs == 1 else 's'} at a time"
    return f"This machine answered a question; it works on {settings.workers} requests and {jobs}."


def make_engine(settings: Settings, memory: MemoryBudget | None = None) -> Engine:
    """The engine that the settings ask for.

    Args:
        memory: what it draws on if it works in this process; None is a budget of its own.

    Raises:
        InvalidRequest: it is not installed, or its cluster is not there.
    """
    if settings.engine == "local":
        return LocalEngine(settings, memory)
    check_installed(settings)

    from server.cluster.ray import RayEngine  # Ray is an extra, and takes seconds

    return RayEngine(settings)


def make_job_queue(settings: Settings) -> JobQueue:
    """The job queue that the settings ask for; it is not opened yet, and one on a cluster comes after its engine."""
    if settings.engine == "local":
        return JobQueue(settings, start_process)

    from server.cluster.ray import start_task

    return JobQueue(settings, start_task)
