"""Routes of the catalogue: all that can be asked for, and which published networks are here."""

from fastapi import APIRouter
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response

from attention.reports.parts.catalog import Catalog, PublishedChoices
from server.api.http.openapi import problems
from server.api.http.responses import validated
from server.catalog import published
from server.service import Live

routes = APIRouter(prefix="/v1", tags=["catalog"])


@routes.get(
    "/catalog",
    summary="All that can be asked for",
    response_model=Catalog,
    response_description="Modules, backbones, placements, checkpoints and analyses.",
    responses=problems(),
)
def catalog(http: HTTPRequest, service: Live) -> Response:
    """Modules with options, documentation and papers; backbones; placements; shipped checkpoints; analyses."""
    return validated(http, service.catalog_json)


@routes.get(
    "/weights",
    summary="Published networks, and which are here",
    response_description="Groups first, then single networks.",
    responses=problems(),
)
def published_weights(service: Live) -> PublishedChoices:
    """Networks of ImageNet that `POST /v1/weights/fetch` brings, whether they are here, and what is in the way."""
    return PublishedChoices(weights=tuple(published(service.engine.files.checkpoints)))
