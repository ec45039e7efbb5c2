"""Service: the live things that routes use, made when the app starts."""

from collections.abc import Mapping
from functools import cached_property, partial
from threading import Event
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HTTPRequest

from attention.build import skeleton
from attention.errors import InvalidRequest
from attention.spec import Plain, Request
from server.archive import Archive
from server.catalog import catalog, version
from server.conditions import Watch
from server.engine import Engine
from server.gallery import Gallery
from server.limits import account
from server.questions import variants
from server.remembering import Remembering
from server.schemas import Job
from server.settings import Settings
from server.store import Store


class Answered(NamedTuple):
    """An answer as it goes out, and the id it is kept under, if it is."""

    json: bytes
    report_id: str | None


class Service:
    """Engine, store, gallery and archive of one app."""

    def __init__(self, settings: Settings, engine: Engine, store: Store) -> None:
        self.settings = settings
        self.engine = engine
        self.store = store
        self.gallery = Gallery(engine.files, store)
        self._watch = Watch(engine, settings)
        self.archive = Archive(store.answers, self._watch, settings)
        self.remembered: Remembering[bytes] = Remembering(len, settings.remembered_bytes)
        self.version = version()
        self.leaving = Event()
        """Set when the service is told to stop: answers without an end come to one."""

    @cached_property
    def catalog_json(self) -> bytes:
        """The catalogue as it goes out; it cannot change while the service runs."""
        return catalog().model_dump_json().encode()

    async def answer(self, question: Request[Any], photos: Mapping[str, bytes] | None = None) -> Answered:
        """The answer of a quick question, worked out now or remembered, and kept under an id.

        Raises:
            AttentionError: whatever the caller can mend; Overloaded if too many requests wait already.
        """
        conditions = await run_in_threadpool(self._watch.conditions, question)
        json = await self.remembered.get((question, conditions), partial(self._worked_out, question, photos))
        kept = await run_in_threadpool(self.archive.keep, question, json)  # also if remembered: it is the newest again
        return Answered(json, kept.id)

    async def _worked_out(self, question: Request[Any], photos: Mapping[str, bytes] | None) -> bytes:
        report = await self.engine.answer(question, photos)
        return await run_in_threadpool(_as_json, report)  # megabytes, when gates are asked for

    async def submit(self, request: Request[Any], photos: Mapping[str, bytes] | None = None) -> Job:
        """Queue a question as a job. Photos that came along are kept, because the job needs them later.

        Raises:
            AttentionError: something in it is not there, or too many jobs wait.
        """
        return await run_in_threadpool(self._submit, request, photos or {})

    def cancel(self, job_id: str) -> Job:
        """Stop a job; one that has ended stays as it is.

        Raises:
            NotFound: it is not here.
        """
        job = self.store.jobs.cancel(job_id)
        self.engine.stop(job_id)
        return job

    def _submit(self, request: Request[Any], photos: Mapping[str, bytes]) -> Job:
        if not self.settings.database_shared:
            raise InvalidRequest(
                "Jobs run in processes of their own, which cannot see this service's database in memory. "
                "Let ATTENTION_DATABASE name a file or a server."
            )
        for variant in dict.fromkeys(variants(request)):
            skeleton(variant)
        for image_id, data in photos.items():
            self.gallery.add(image_id[:12], data)
        asked_by = account()
        add = partial(self.store.jobs.add, request, self.settings.max_jobs)
        job = asked_by.queue(add, self.store.jobs) if asked_by else add()
        self.engine.start(job.id)
        return job


def _as_json(report: Plain) -> bytes:
    return report.model_dump_json().encode()


def service(request: HTTPRequest) -> Service:
    """The service that a request came to."""
    found: Service = request.app.state.service
    return found
