"""run_job: works on one job, from its record in the store to its report there."""

import logging
import uuid
from typing import Any

import torch
from pydantic import ValidationError

from attention.analyses import analyses, request_type, run
from attention.data.files import Files
from attention.errors import AttentionError, InvalidRequest
from attention.models import own_models
from attention.spec import Plain, Request
from server.jobs.lab import JobLab, job_lab
from server.jobs.progress import Reporter
from server.settings import Settings
from server.store import Store
from server.store.jobs import Claim
from server.store.kept_jobs import KIND
from server.store.ownership import ASKER, asking_as
from server.stored.shelf import Shelf

log = logging.getLogger(__name__)


def run_job(settings: Settings, job_id: str, claim: Claim | None = None, lab: type[JobLab] = JobLab) -> None:
    """Do a job and keep its report, or the reason why there is none.

    Args:
        claim: the one under which the caller has taken the job up; None takes it up here, if it is free.
        lab: what the analysis may use of the machines; the class is made for the one job.

    Raises:
        NotFound: there is no such job.
    """
    own_models.read(settings.models)
    store = Store(settings.database_url)
    try:
        job = store.jobs.get(job_id)
        claim = claim or store.jobs.claim(job_id)
        if claim is None:
            return  # it was cancelled, or is in other hands
        try:
            with asking_as(store.owners.owner(KIND, job_id)):
                report = _report(settings, store, claim, _request(job.analysis, job.request), lab)
        except AttentionError as error:
            store.jobs.fail(claim, str(error))  # nothing happens to a job that was cancelled: its claim is lost
        except Exception:
            number = uuid.uuid4().hex[:12]
            log.exception("Job %s (%s) failed under the id %s", job_id, job.analysis, number)
            sentence = f"This is a bug in the service, not in the request. Its log tells more under the id {number}."
            store.jobs.fail(claim, sentence)
        else:
            store.jobs.finish(claim, report)
    finally:
        store.close()


def _report(settings: Settings, store: Store, claim: Claim, request: Request[Any], kind: type[JobLab]) -> Plain:
    torch.set_num_threads(settings.job_cpu_threads)
    if ASKER.get():  # what was shared when the job was queued may be so no longer
        Shelf(settings, Files(settings.folder, settings.files), store).check(request)
    with Reporter(store.jobs, claim) as reporter, job_lab(settings, reporter, kind) as lab:
        return run(request, lab)


def _request(analysis: str, fields: dict[str, Any]) -> Request[Any]:
    try:
        return request_type(analyses[analysis]).model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest(
            f"This was asked of another version of the service, and {analysis!r} does not take it any more "
            f"({error.errors()[0]['msg']}). Ask again."
        ) from None
