"""The route of the catalogue: all that can be asked for."""

from fastapi import APIRouter
from starlette.responses import Response

from attention.schemas import Catalog
from server.api.openapi import problems
from server.service import Live

routes = APIRouter(tags=["catalog"])


@routes.get(
    "/catalog",
    operation_id="catalog",
    summary="All that can be asked for",
    response_model=Catalog,
    response_description="Modules, backbones, placements, checkpoints and analyses.",
    responses=problems(),
)
def catalog(service: Live) -> Response:
    """Modules with options, documentation and papers; backbones; placements; shipped checkpoints; analyses."""
    return Response(service.catalog_json, media_type="application/json")
