"""The process of one job.

    python -m server.jobs        run the job that a line on standard input names

The job queue starts this command for each job and keeps its standard input open. When that closes, the service that
wanted the job is gone, and the process ends with all it has started, at whatever step of its work.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path
from threading import Thread

from server import logs
from server.jobs.order import Order
from server.process import keep_freed_memory, spare_collector
from server.settings import Settings
from server.store.jobs import Claim

NICENESS = 10
"""Requests that a client waits for go before jobs."""

OOM_SCORE = "500"
"""When memory runs out, a job dies before the service does."""


def main() -> None:
    """Run the job that standard input names, until it is done or standard input closes."""
    order = Order.model_validate_json(_first_line())
    settings = Settings.model_validate(order.settings)
    logs.configure(settings, job=order.job_id)
    Thread(target=_end_with_the_service, name="service", daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    keep_freed_memory()

    from server.jobs.worker import run_job  # imports torch for seconds, which the lines above are to be ahead of

    spare_collector()
    run_job(settings, order.job_id, Claim(order.job_id, order.claim))


def _first_line() -> bytes:
    """The first line of standard input, read below ``sys.stdin``: Python's shutdown would wait for its lock."""
    line = b""
    while not line.endswith(b"\n") and (more := os.read(0, 65_536)):
        line += more
    return line


def _end_with_the_service() -> None:
    """Wait until standard input closes, which happens however the service ends, and leave without a word.

    That is safe at any moment: what lies on disk is always whole, and the job begins again where it was.
    """
    while os.read(0, 65_536):
        pass
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # with everything that the job has started
    os._exit(1)


if __name__ == "__main__":
    main()
