"""Uploads are kept for as long as the settings say, and no longer."""

import asyncio
import json
import logging
import time

from starlette.concurrency import run_in_threadpool

from server.service import Service

log = logging.getLogger(__name__)

LOOK_EVERY_S = 3600.0

DAY_S = 86_400.0


async def keep_no_longer(service: Service) -> None:
    """Delete uploads whose time is over, now and then every hour, until cancelled."""
    days = service.settings.keep_uploads_days
    while days:
        try:
            gone = await run_in_threadpool(sweep, service, time.time() - days * DAY_S)
            if gone:
                service.answer_cache.forget()  # an answer about a photo that is gone would say that it is not
                service.answer_cache.forget()
                log.info("%d uploads were deleted, because they came more than %g days ago.", gone, days)
        except Exception:
            log.exception("Old uploads could not be deleted; that is tried again in an hour.")
        await asyncio.sleep(LOOK_EVERY_S)


def sweep(service: Service, moment: float) -> int:
    """Delete uploads that came before a moment (seconds since 1970), except those that a job still needs.

    Returns:
        how many.
    """
    old = service.photos.uploaded_before(moment)
    if not old:
        return 0
    jobs = service.store.jobs
    ahead = (*jobs.newest(1000, "queued"), *jobs.newest(1000, "running"))
    asked = "\n".join(json.dumps(job.request) for job in ahead)
    gone = 0
    for image_id in old:
        if image_id not in asked:
            service.photos.forget(image_id)
            gone += 1
    return gone
