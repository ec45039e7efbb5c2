"""The app: create_app(settings) puts engine, store and routes together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool

from attention.analyses import analyses
from server import problems
from server.catalog import version
from server.engine import Engine, connect
from server.openapi import describe
from server.routes import router
from server.service import Service
from server.settings import Settings
from server.store import Store


def create_app(settings: Settings | None = None, engine: Engine | None = None) -> FastAPI:
    """The service as an ASGI app.

    Args:
        settings: what the operator chose; None reads the environment.
        engine: where analyses run; None is the one the settings ask for. One that is handed in is neither opened nor
            closed here.
    """
    chosen = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        chosen.folder.mkdir(parents=True, exist_ok=True)
        store = Store(chosen.database_url)
        own: Engine = engine if engine is not None else await run_in_threadpool(connect, chosen)
        app.state.service = Service(chosen, own, store)
        try:
            if engine is None:
                await run_in_threadpool(own.open)
            yield
        finally:
            if engine is None:
                await run_in_threadpool(own.close)
            store.close()

    app = FastAPIOffline(  # /docs and /redoc with their own copies of what FastAPI's load from a CDN
        title="Attention",
        version=version(),
        summary="What attention modules see in your photos, and what they cost.",
        description="`POST /v1/compare` takes photos and names of networks; `GET /v1/catalog` lists what there is. "
        "What takes its time becomes a job: `POST /v1/jobs`.",
        lifespan=lifespan,
    )
    routes, schemas = router(analyses)
    app.include_router(routes)
    problems.add_to(app)
    describe(app, schemas)
    return app
