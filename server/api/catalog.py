"""The route of the catalogue: all that can be asked for."""

from fastapi import APIRouter
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response

from attention.schemas import Catalog
from server.api.openapi import problems
from server.api.responses import validated
from server.service import Live

routes = APIRouter(prefix="/v1", tags=["catalog"])


@routes.get(
    "/catalog",
    operation_id="catalog",
    summary="All that can be asked for",
    response_model=Catalog,
    response_description="Modules, backbones, placements, checkpoints and analyses.",
    responses=problems(),
)
def catalog(http: HTTPRequest, service: Live) -> Response:
    """Modules with options, documentation and papers; backbones; placements; shipped checkpoints; analyses."""
    return validated(http, service.catalog_json)
