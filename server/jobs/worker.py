"""A job, from its record to its report: all that a worker needs is ``(settings, job_id)``.

    python -m server.jobs.worker        run the one job that a line on standard input names

The local engine starts this command for each job and keeps its standard input open. When that closes, whoever wanted
the job is gone, and the process ends with all it has started, wherever it is in its work.
"""

import logging
import os
import signal
import uuid
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

from pydantic import BaseModel, ValidationError

from attention.errors import AttentionError, InvalidRequest
from attention.spec import Plain, Request
from server import logs
from server.process import keep_freed_memory
from server.settings import Settings
from server.store import Store
from server.store.jobs import Claim, JobTable

log = logging.getLogger(__name__)

NICENESS = 10
"""Requests that somebody waits for go before jobs."""

OOM_SCORE = "500"
"""When memory runs out, a job dies before the service does."""


class Order(BaseModel):
    """What a job's process is told: which job, under which claim, and the settings of the service."""

    job_id: str
    claim: int
    settings: dict[str, Any]


def run_job(settings: Settings, job_id: str, claim: Claim | None = None) -> None:
    """Do a job and keep its report, or the reason why there is none.

    Args:
        claim: the one under which the caller has taken the job up; None takes it up here, if nobody has.

    Raises:
        NotFound: there is no such job.
    """
    store = Store(settings.database_url)
    try:
        job = store.jobs.get(job_id)
        claim = claim or store.jobs.claim(job_id)
        if claim is None:
            return  # it was cancelled, or is in other hands
        try:
            report = _answer(settings, store.jobs, claim, job.analysis, job.request)
        except AttentionError as error:
            store.jobs.fail(claim, str(error))  # nothing happens to a job that was cancelled: its claim is lost
        except Exception:
            number = uuid.uuid4().hex[:12]
            log.exception("Job %s (%s) failed under the id %s", job_id, job.analysis, number)
            told = f"This is a bug in the service, not in the request. Its log tells more under the id {number}."
            store.jobs.fail(claim, told)
        else:
            store.jobs.finish(claim, report)
    finally:
        store.close()


def _answer(settings: Settings, table: JobTable, claim: Claim, analysis: str, asked: dict[str, Any]) -> Plain:
    import torch  # here, because the lane takes this file's Order only, and a process should see its orders first

    from attention.analyses import run
    from server.jobs.lab import job_lab
    from server.jobs.progress import Reporter

    torch.set_num_threads(settings.job_cpu_threads)
    request = _request(analysis, asked)
    with Reporter(table, claim) as reporter, job_lab(settings, reporter) as lab:
        return run(request, lab)


def _request(analysis: str, asked: dict[str, Any]) -> Request[Any]:
    from attention.analyses import analyses
    from server.catalog import request_type

    try:
        return request_type(analyses[analysis]).model_validate(asked)
    except ValidationError as error:
        raise InvalidRequest(
            f"This was asked of another version of the service, and {analysis!r} does not take it any more "
            f"({error.errors()[0]['msg']}). Ask again."
        ) from None


# ---------------------------------------------------------------- a process of its own


def main() -> None:
    """Run the job that standard input names, until it is done or standard input closes."""
    order = Order.model_validate_json(_first_line())
    settings = Settings.model_validate(order.settings)
    logs.configure(settings, job=order.job_id)
    Thread(target=_end_with_the_caller, name="caller", daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    keep_freed_memory()
    run_job(settings, order.job_id, Claim(order.job_id, order.claim))


def _first_line() -> bytes:
    """The first line of standard input, read below ``sys.stdin``: Python's shutdown would wait for its lock."""
    line = b""
    while not line.endswith(b"\n") and (more := os.read(0, 65_536)):
        line += more
    return line


def _end_with_the_caller() -> None:
    """Wait until standard input closes, which happens however the caller ends, and leave without a word.

    That is safe at any moment: what lies on disk is always whole, and the job begins again where it was.
    """
    while os.read(0, 65_536):
        pass
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # with everything that the job has started
    os._exit(1)


if __name__ == "__main__":
    main()
