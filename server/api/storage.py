"""The route that sums up what users keep."""

from fastapi import APIRouter

from attention.schemas import Storage
from server.api.http.openapi import problems
from server.service import Live

routes = APIRouter(prefix="/v1", tags=["storage"])


@routes.get(
    "/storage",
    summary="What is kept, and the room that is left",
    response_description="Each kind of what users keep, summed up.",
    responses=problems(),
)
def storage(service: Live) -> Storage:
    """Photos, data sets, checkpoints, jobs and reports: how many, their bytes, the oldest, how long they are kept."""
    return service.storage()
