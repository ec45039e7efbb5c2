"""Routes of health: whether the service lives, and whether it can answer."""

import anyio
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from attention.schemas import Health
from server.api.http.openapi import problems
from server.service import Live, Service

READY_WITHIN_S = 2.0
"""How long the database may take to say that it is there."""

routes = APIRouter(prefix="/v1", tags=["health"])


@routes.get("/health", summary="Whether the service lives", responses=problems())
async def health(service: Live) -> Health:
    """Answers as long as the process does."""
    return _health(service)


@routes.get("/ready", summary="Whether the service can answer questions", responses=problems(503))
async def ready(service: Live) -> Health:
    """Asks the database and the engine; no while networks are loaded at the start, and once it was told to stop."""
    if service.leaving.is_set():
        raise HTTPException(503, "The service is shutting down. Ask another one, or this one in a while.")
    try:
        with anyio.fail_after(READY_WITHIN_S):
            await anyio.to_thread.run_sync(service.store.check, limiter=service.readiness, abandon_on_cancel=True)
    except TimeoutError as error:
        raise HTTPException(503, f"The database does not answer within {READY_WITHIN_S:g} s.") from error
    except Exception as error:
        raise HTTPException(503, f"The database does not answer ({type(error).__name__}).") from error
    if not service.engine.alive:
        raise HTTPException(503, "The engine is not running.")
    if service.loading:
        raise HTTPException(503, f"Networks are being loaded: {', '.join(service.loading)}.")
    if obstacle := await run_in_threadpool(service.storage_obstacle):
        return _health(service, f"degraded: questions are answered, but {obstacle[:1].lower()}{obstacle[1:]}")
    return _health(service)


def _health(service: Service, status: str = "ok") -> Health:
    return Health(status=status, version=service.version, device=service.engine.device)
