"""What users keep is kept for as long as the settings say, and no longer."""

import asyncio
import logging
from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool

from server.service import Service

log = logging.getLogger(__name__)

LOOK_EVERY_S = 3600.0


async def keep_no_longer(service: Service) -> None:
    """Delete what is older than its kind is kept, now and then every hour, until cancelled."""
    while any(kind.keep_days for kind in service.shelf.kinds):
        await run_in_threadpool(sweep, service, datetime.now(UTC))
        await asyncio.sleep(LOOK_EVERY_S)


def sweep(service: Service, now: datetime) -> dict[str, int]:
    """Delete what is older than its kind is kept, except what a job that has not ended needs.

    Returns:
        how many things of each kind that were; a kind that cannot be looked through now is left out.
    """
    gone = {}
    for kind in service.shelf.kinds:
        if kind.keep_days:
            try:
                gone[kind.name] = kind.forget_old(now)
            except Exception:
                log.exception("Old %s could not be deleted; that is tried again in an hour.", kind.name)
            else:
                if gone[kind.name]:
                    log.info("%d %s older than %g days were deleted.", gone[kind.name], kind.name, kind.keep_days)
    return gone
