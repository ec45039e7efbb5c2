"""The app: create_app(settings) puts engine, store and routes together."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware

from attention.analyses import analyses
from attention.errors import AttentionError
from attention.models import own_models
from server import problems
from server.access.keys import KeyRing
from server.access.middleware import Access, Accounts
from server.api.analyses import answered_at_once
from server.api.entrance import add_entrance
from server.api.http.openapi import describe
from server.api.router import router
from server.catalog import version
from server.engine import Engine
from server.engine.admission import MemoryBudget
from server.engines import make_engine, make_job_queue
from server.operations import metrics
from server.operations.metrics import Metrics
from server.operations.preload import preload
from server.operations.retention import keep_no_longer
from server.service import Service
from server.settings import Settings
from server.store import Store
from server.web.bodies import BodyLimits
from server.web.browser_security import BrowserSecurity
from server.web.methods import Methods
from server.web.request_log import RequestLog

log = logging.getLogger(__name__)

ASKED_WITH = ("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-API-Key", "X-Request-ID")
ANSWERED_WITH = ("ETag", "Link", "Location", "Report-Id", "Report-Not-Kept", "Retry-After", "X-Request-ID")
"""Headers that pages of allowed origins may send and read, besides the few that all may."""


def create_app(settings: Settings | None = None, engine: Engine | None = None) -> FastAPI:
    """The service as an ASGI app.

    Args:
        settings: what the operator chose; None reads the environment.
        engine: what answers questions; None is the one the settings ask for. With one that is handed in, and not closed
            here, jobs only wait in the store.
    """
    chosen = settings or Settings()
    accounts = Accounts(chosen, KeyRing(chosen.keys_path))
    memory = MemoryBudget(chosen.memory)
    numbers = Metrics(accounts, memory)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        chosen.folder.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # a folder of another user, who lets the service in
            chosen.folder.chmod(0o700)
        store = Store(chosen.database_url)
        try:
            await run_in_threadpool(read_models, chosen)
            answering: Engine = engine if engine is not None else await run_in_threadpool(make_engine, chosen, memory)
        except AttentionError as error:
            app.state.obstacle = str(error)
            store.close()
            raise
        queue = make_job_queue(chosen)
        app.state.service = Service(chosen, answering, queue, store, memory)
        await run_in_threadpool(_say_what_is_here, store, answering)
        tasks = [asyncio.create_task(work(app.state.service)) for work in (preload, keep_no_longer)]
        try:
            if engine is None:
                await run_in_threadpool(queue.open)
            with numbers.watching(app.state.service):
                yield
        finally:
            for task in tasks:
                task.cancel()
            for end in await asyncio.gather(*tasks, return_exceptions=True):
                if not isinstance(end, asyncio.CancelledError | None):
                    log.error("Work in the background had ended with an error.", exc_info=end)
            await run_in_threadpool(queue.close)
            if engine is None:
                await run_in_threadpool(answering.close)
            await run_in_threadpool(app.state.service.archive.close)
            store.close()

    app = FastAPIOffline(  # /docs and /redoc with their own copies of what FastAPI's load from a CDN
        title="Attention",
        version=version(),
        summary="What attention modules see in your photos, and what they cost.",
        description="`POST /v1/compare` takes photos and names of networks; `GET /v1/catalog` lists what there is. "
        "What takes its time becomes a job: `POST /v1/jobs`.",
        generate_unique_id_function=lambda route: route.name,
        lifespan=lifespan,
    )
    app.state.obstacle = None  # a sentence on why the service could not start
    routes, schemas = router(analyses)
    app.include_router(routes)
    metrics.add_to(app, numbers)
    add_entrance(app)
    app.add_middleware(Methods, router=app.router)
    app.add_middleware(BodyLimits, settings=chosen, memory=memory, questions=answered_at_once(analyses))
    problems.add_to(app)
    _surround(app, chosen, accounts, numbers)
    describe(app, schemas)
    return app


def read_models(settings: Settings) -> None:
    """Take in the models of installed packages and of the operator's file."""
    if names := own_models.read(settings.models):
        log.info("Models of one's own: %s.", ", ".join(names))


def _say_what_is_here(store: Store, engine: Engine) -> None:
    """What the last time left, in the log; and what is not needed any more is gone."""
    log.info("The database holds %s.", store.holdings())
    if left := engine.files.sweep():
        log.warning("%d files of uploads that were cut off are removed.", left)


def _surround(app: FastAPI, settings: Settings, accounts: Accounts, numbers: Metrics) -> None:
    """What every request passes on its way in, from the inside out."""
    app.add_middleware(Access, accounts=accounts)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST", "PATCH", "DELETE"),
            allow_headers=ASKED_WITH,
            expose_headers=ANSWERED_WITH,
        )
    app.add_middleware(BrowserSecurity, settings=settings, accounts=accounts)
    app.add_middleware(RequestLog, settings=settings, metrics=numbers)
