"""Service: the live things that routes use, made when the app starts."""

import asyncio
import hashlib
import shutil
from collections.abc import Hashable, Mapping
from functools import cached_property, partial
from threading import Event
from time import monotonic
from typing import Annotated, Any, NamedTuple

import anyio
from cachetools import LRUCache
from fastapi import Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HTTPRequest

from attention.analyses import check
from attention.build import skeleton
from attention.errors import AttentionError, BadImage, InvalidRequest, QuotaExceeded, TooLarge
from attention.schemas import Conditions, Job, Storage
from attention.schemas import StoredKind as KindOf
from attention.spec import Request
from server.access.limits import account
from server.answers.answer_cache import AnswerCache
from server.answers.provenance import Provenance
from server.answers.size_limits import check_at_once, check_networks
from server.catalog import catalog, version
from server.engine import Engine
from server.engine.admission import MemoryBudget
from server.jobs.queue import JobQueue
from server.settings import Settings
from server.store import Store
from server.store.ownership import ASKER
from server.stored.references import images, variants
from server.stored.references import photos as named_photos
from server.stored.reports import Archive
from server.stored.shelf import Shelf

SHORT = 100_000
"""Bytes of a report that are hashed on the event loop: a tenth of a millisecond, less than a thread would cost."""

MOST_FITTING = 4096

LEAST_FREE_BYTES = 20_000_000
"""Room on the disk of the data folder below which a service says that it keeps nothing reliably."""


KEPT_WITHIN_S = 2.0
"""How long an answer waits for the database to keep it; without that it goes out without an id, and says so."""


QUOTA_SEEN_S = 5.0
"""How long ago what a key keeps may have been summed up when one more of its answers is to be kept."""


class Receipt(NamedTuple):
    """Under which id an answer is kept, or a sentence on why it is not; neither where answers are not kept."""

    id: str | None = None
    obstacle: str | None = None


class Answered(NamedTuple):
    """An answer as it goes out, and under which id it is kept."""

    json: bytes
    receipt: Receipt


class Service:
    """Engine, job queue, store, and what users keep, of one app."""

    def __init__(self, settings: Settings, engine: Engine, queue: JobQueue, store: Store, memory: MemoryBudget) -> None:
        self.settings = settings
        self.engine = engine
        self.queue = queue
        self.store = store
        self.shelf = Shelf(settings, engine.files, store)
        self._provenance = Provenance(engine, settings)
        self.archive = Archive(store.answers, settings)
        self.answer_cache: AnswerCache[bytes] = AnswerCache(len, memory, settings.remember_answers)
        self._fitting: LRUCache[Hashable, None] = LRUCache(MOST_FITTING)
        """Sizes of questions that were found to fit."""
        self._database_slow = False  # the last answer waited in vain, and its write has not ended yet
        self.version = version()
        self.readiness = anyio.CapacityLimiter(2)
        """Threads of their own for the question whether the database is there, when all others wait for it."""
        self.loading = list(settings.preload)
        """Networks that are to be loaded at the start and are not in memory yet."""
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
        await self.check_here(question, photos or {})
        conditions = await self.conditions(question)
        cache_key = (ASKER.get(), question, conditions)  # how soon an answer comes tells no key what another one asked
        with self.archive.expecting():
            began = monotonic()
            json = await self.answer_cache.get(cache_key, partial(self.work_out, question, photos))
            # also if remembered: it is the newest again
            return Answered(json, await self.keep(question, conditions, json, monotonic() - began))

    async def check_here(self, question: Request[Any], brought: Mapping[str, bytes]) -> None:
        """Return if the photos that a question names are here; with keys, if all that it names is the asker's to use.

        Raises:
            NotFound: something is not.
        """
        fields, samples = question.model_dump(mode="json"), self.shelf.photos.samples
        if ASKER.get() or any(name not in brought and name not in samples for name in named_photos(fields)):
            await run_in_threadpool(self.shelf.check, question, brought)

    async def conditions(self, question: Request[Any]) -> Conditions:
        """What decides the answer of a question as long as nothing changes."""
        if self._provenance.needs_no_files(question):
            return self._provenance.conditions(question)
        return await run_in_threadpool(self._provenance.conditions, question)

    async def keep(self, question: Request[Any], conditions: Conditions, report: bytes, took_s: float = 0.0) -> Receipt:
        """Keep an answer that took so long. Its id is given only when the database has it, for an id is a promise."""
        if (asked_by := account()) is not None and asked_by.quota_bytes is not None:
            try:
                await run_in_threadpool(self.check_quota, len(report), QUOTA_SEEN_S)
            except QuotaExceeded as error:
                return Receipt(obstacle=str(error))
        keep = partial(self.archive.keep, question, conditions, report, took_s)
        written = keep() if len(report) <= SHORT else await run_in_threadpool(keep)
        if written is None:
            return Receipt()
        slow = self._database_slow and not written.done()
        try:
            # Shielded, because others may wait for the same answer when this client hangs up.
            waiting = asyncio.shield(asyncio.wrap_future(written))
            receipt = Receipt(await asyncio.wait_for(waiting, 0.0 if slow else KEPT_WITHIN_S))
        except TimeoutError:
            self._database_slow = True
            written.add_done_callback(lambda _: setattr(self, "_database_slow", False))
            return Receipt(obstacle=f"The database took longer than {KEPT_WITHIN_S:g} s, so no id is promised.")
        except AttentionError as error:
            return Receipt(obstacle=str(error))
        return receipt

    async def work_out(self, question: Request[Any], photos: Mapping[str, bytes] | None = None) -> bytes:
        """The report of a quick question as JSON, worked out now.

        Raises:
            AttentionError: as `answer`; TooLarge if one of its networks, or the question itself, is too large.
        """
        await self._check(question)
        try:
            return await self.engine.answer(question, photos)
        except (BadImage, TooLarge):
            if photos and len(photos) > 1:  # only now, for reading a photo twice costs as much as a small network
                await run_in_threadpool(self.shelf.photos.check_readable, question.model_dump(mode="json"), photos)
            raise

    async def _check(self, question: Request[Any]) -> None:
        """Return if a question is not too large; what its size depends on is counted once, for that takes its time."""
        size = (type(question), tuple(variants(question)), images(question), question.largest_pass)
        if size not in self._fitting:
            await run_in_threadpool(check_at_once, question, self.settings)
            self._fitting[size] = None

    async def submit(
        self, request: Request[Any], photos: Mapping[str, bytes] | None = None, asked_as: str | None = None
    ) -> Job:
        """Queue a question as a job. Photos that came along are kept, because the job needs them later.

        Args:
            asked_as: what the client calls this wish, so that it is queued once.

        Raises:
            AttentionError: something in it is not there, too many jobs wait, or another wish was called the same.
        """
        return await run_in_threadpool(self._submit, request, photos or {}, asked_as)

    def storage(self) -> Storage:
        """What users keep here, each kind summed up, and the room that is left; it blocks."""
        kinds = [KindOf(kind=kind.name, keep_days=kind.keep_days, **vars(kind.extent())) for kind in self.shelf.kinds]
        asked_by = account()
        disk = shutil.disk_usage(self.settings.folder)
        return Storage(
            kinds=tuple(kinds),
            bytes=sum(kind.bytes for kind in kinds),
            quota_bytes=asked_by.quota_bytes if asked_by else None,
            free_bytes=disk.free,
            disk_bytes=disk.total,
        )

    def storage_obstacle(self) -> str | None:
        """Why what users send may not be kept now, as a sentence; None if nothing is known to be in the way."""
        if shutil.disk_usage(self.settings.folder).free < LEAST_FREE_BYTES:
            return f"The disk of the data folder has less than {LEAST_FREE_BYTES / 1e6:.0f} MB left."
        return self.archive.obstacle

    def cancel(self, job_id: str) -> Job:
        """Stop a job; one that has ended stays as it is.

        Raises:
            NotFound: it is not here.
            NotOwned: it is another key's, and shared.
        """
        self.shelf.jobs.check_owned(job_id)
        job = self.store.jobs.cancel(job_id)
        self.queue.look()
        return job

    def check_quota(self, size: int, summed_up_s: float = 0.0) -> None:
        """Return if the key that asks may keep so many bytes more; it blocks.

        Raises:
            QuotaExceeded: it may not.
        """
        with self.shelf.room(size, summed_up_s):
            pass

    def _submit(self, request: Request[Any], photos: Mapping[str, bytes], asked_as: str | None) -> Job:
        if not self.settings.database_shared:
            raise InvalidRequest(
                "Jobs run in processes of their own, which cannot see this service's database in memory. "
                "Let ATTENTION_DATABASE name a file or a server."
            )
        asked_by = account()
        if asked_as is not None:  # the same words of another key are another wish
            words = f"{asked_by.key_id if asked_by else ''}\n{asked_as}"
            asked_as = hashlib.sha256(words.encode()).hexdigest()
            if (job := self.store.jobs.asked_before(request, asked_as)) is not None:
                return job
        check(request)
        check_networks(request, self.settings)
        self.shelf.check(request, photos)
        for variant in dict.fromkeys(variants(request)):
            skeleton(variant)
        with self.shelf.room(max(1, self.shelf.photos.growth(photos.values()))):  # its report will need some, too
            for image_id, data in photos.items():
                self.shelf.photos.add(image_id[:12], data)
        add = partial(self.store.jobs.add, request, self.settings.max_jobs, asked_as)
        job = asked_by.queue(add, self.store.jobs) if asked_by else add()
        self.queue.look()
        return job


def service(request: HTTPRequest) -> Service:
    """The service that a request came to."""
    live: Service = request.app.state.service
    return live


async def _service(request: HTTPRequest) -> Service:
    return service(request)  # not service itself, which FastAPI would run in a thread


Live = Annotated[Service, Depends(_service)]
"""The service that a request came to, as a route's parameter."""
