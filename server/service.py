"""Service: the live things that routes use, made when the app starts."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from threading import Event
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HTTPRequest

from attention.build import skeleton
from attention.errors import InvalidRequest
from attention.spec import Grid, Request, Variant
from server.catalog import catalog, version
from server.engine import Engine
from server.gallery import Gallery
from server.schemas import Job
from server.settings import Settings
from server.store import Store


class Service:
    """Engine, store and gallery of one app."""

    def __init__(self, settings: Settings, engine: Engine, store: Store) -> None:
        self.settings = settings
        self.engine = engine
        self.store = store
        self.gallery = Gallery(engine.files, store)
        self.version = version()
        self.leaving = Event()
        """Set when the service is told to stop: answers without an end come to one."""

    @cached_property
    def catalog_json(self) -> bytes:
        """The catalogue as it goes out; it cannot change while the service runs."""
        return catalog().model_dump_json().encode()

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
        job = self.store.jobs.add(request, self.settings.max_jobs)
        self.engine.start(job.id)
        return job


def variants(value: object) -> Iterator[Variant]:
    """Every variant that plain data names, however deep inside."""
    match value:
        case Variant():
            yield value
        case Grid():
            yield from value.variants()
        case Request():
            for field in type(value).model_fields:
                yield from variants(getattr(value, field))
        case list() | tuple():
            for item in value:
                yield from variants(item)


def service(request: HTTPRequest) -> Service:
    """The service that a request came to."""
    found: Service = request.app.state.service
    return found
