"""The REST API: one route for each analysis on the shelf, jobs, images, the catalogue, and signs of life."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response

from attention.analysis import Analysis
from attention.errors import InvalidRequest
from attention.reports.study import StudyReport
from attention.schemas import (
    AskedAgain,
    Catalog,
    DataSet,
    DataSets,
    Health,
    Image,
    Images,
    Job,
    Jobs,
    Reports,
    StoredReport,
)
from attention.spec import Request
from server.api.checkpoints import add_checkpoints
from server.api.data_sets import add_datasets
from server.api.jobs import add_jobs
from server.api.openapi import REPORT_HEADERS, Schemas
from server.api.reports import add_reports
from server.api.request_body import FILES, read_question
from server.api.responses import accepted, answer, report_links
from server.catalog import request_type, title
from server.service import Service, service
from server.web.bodies import media_type, read_body, while_connected
from server.web.forms import Upload, plain_name, read_form

FOREVER = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
"""An image's id is the hash of its bytes, so what is behind its address never changes."""

RAW_TYPES = ("", "application/octet-stream", "application/x-www-form-urlencoded")
"""What clients say of bytes they know nothing about; the last is ``curl --data-binary``."""


def router(analyses: Mapping[str, Analysis]) -> tuple[APIRouter, Schemas]:
    """Every route under /v1, and the schemas that their descriptions refer to."""
    requests = {name: request_type(analysis) for name, analysis in analyses.items()}
    reports = [request.report for request in requests.values()]
    own = (Catalog, Image, Images, DataSet, DataSets, StudyReport, Health, Job, Jobs, StoredReport, Reports, AskedAgain)
    schemas = Schemas(requests.values(), [*reports, *own])
    routes = APIRouter(prefix="/v1")
    for name, request in requests.items():
        _add_analysis(routes, schemas, name, request)
    add_jobs(routes, schemas, requests)
    add_reports(routes, schemas, requests)
    _add_catalog(routes, schemas)
    _add_images(routes, schemas)
    add_datasets(routes, schemas)
    add_checkpoints(routes, schemas)
    _add_signs_of_life(routes, schemas)
    return routes, schemas


def answered_at_once(analyses: Mapping[str, Analysis]) -> tuple[str, ...]:
    """The paths of the questions that are answered at once, and not as jobs."""
    return tuple(f"/v1/{name}" for name, analysis in analyses.items() if not request_type(analysis).slow)


def _add_analysis(routes: APIRouter, schemas: Schemas, name: str, request: type[Request[Any]]) -> None:
    faults = (404, 413, 415, 422, 503)
    if request.slow:
        text = "It takes its time, so it became a job; Location says where to follow it."
        status, responses = 202, schemas.responses(Job, text, *faults, status=202)
    else:
        status, responses = 200, schemas.responses(request.report, title(request.report), *faults)
        responses[200] |= {"headers": REPORT_HEADERS}
    routes.add_api_route(
        f"/{name}",
        _ask(request),
        methods=["POST"],
        operation_id=name,
        tags=["analyses"],
        summary=title(request),
        description=request.__doc__ or "",
        status_code=status,
        responses=responses,
        openapi_extra={"requestBody": schemas.question(request)},
        response_class=Response,
    )


def _ask(request: type[Request[Any]]) -> Callable[[HTTPRequest], Coroutine[Any, Any, Response]]:
    async def ask(http: HTTPRequest) -> Response:
        question, photos = await read_question(http, request)
        if question.slow:
            return accepted(await service(http).submit(question, photos))
        found = await while_connected(http, service(http).answer(question, photos))
        return answer(found.json, headers=report_links(found.report_id))

    return ask


def _add_catalog(routes: APIRouter, schemas: Schemas) -> None:
    @routes.get(
        "/catalog",
        operation_id="catalog",
        tags=["catalog"],
        summary="All that can be asked for",
        responses=schemas.responses(Catalog, "Modules, backbones, placements, checkpoints and analyses."),
        response_class=Response,
    )
    async def catalog(http: HTTPRequest) -> Response:
        """Modules with options, documentation and papers; backbones; placements; shipped checkpoints; analyses."""
        return answer(await run_in_threadpool(lambda: service(http).catalog_json))


def _add_images(routes: APIRouter, schemas: Schemas) -> None:
    binary = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
    upload_body = {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {FILES: binary["schema"]}, "required": [FILES]}
            },
            "image/*": binary,
            "application/octet-stream": binary,
        },
    }

    @routes.post(
        "/images",
        operation_id="upload",
        tags=["images"],
        summary="Upload a photo",
        status_code=201,
        responses=schemas.responses(Image, "The photo is kept.", 413, 415, 422, status=201),
        openapi_extra={"requestBody": upload_body},
        response_class=Response,
    )
    async def upload(
        http: HTTPRequest,
        name: Annotated[str, Query(max_length=1000, description="File name, when the body is the file itself.")] = "",
    ) -> Response:
        """Keep a photo, sent as the form field ``image`` or as the body itself. The same bytes twice are kept once."""
        photo = await _read_photo(http, name)
        image = await run_in_threadpool(service(http).photos.add, photo.name, photo.data)
        return answer(image.model_dump_json(), 201, {"Location": f"/v1/images/{image.id}"})

    @routes.get(
        "/images",
        operation_id="images",
        tags=["images"],
        summary="List photos",
        responses=schemas.responses(Images, "Samples first, then uploads, newest first."),
        response_class=Response,
    )
    async def images(http: HTTPRequest) -> Response:
        """The sample gallery, then what was uploaded, newest first."""
        return answer((await run_in_threadpool(service(http).photos.list)).model_dump_json())

    @routes.get(
        "/images/{image_id}",
        operation_id="image",
        tags=["images"],
        summary="What is known of one photo",
        responses=schemas.responses(Image, "The photo's name, format and size.", 404, 422),
        response_class=Response,
    )
    async def image(http: HTTPRequest, image_id: str) -> Response:
        """Name, format and size of one photo."""
        return answer((await run_in_threadpool(service(http).photos.image, image_id)).model_dump_json())

    @routes.get(
        "/images/{image_id}/file",
        operation_id="image_file",
        tags=["images"],
        summary="One photo itself",
        responses={
            200: {"description": "The bytes as they came, or a JPEG thumbnail.", "content": {"image/*": binary}},
            304: {"description": "The caller has it already."},
            **schemas.problems(404, 422),
        },
        response_class=Response,
    )
    async def image_file(
        http: HTTPRequest,
        image_id: str,
        size: Annotated[
            int | None,
            Query(ge=16, le=2048, description="Longer side of a JPEG thumbnail, pixels; leave out for the file."),
        ] = None,
    ) -> Response:
        """The photo as it came, or as a thumbnail."""
        photos = service(http).photos
        tag = f'"{image_id}-{size or "file"}"'
        if http.headers.get("if-none-match") == tag:
            await run_in_threadpool(photos.image, image_id)  # it may be gone
            return Response(status_code=304, headers={"ETag": tag, **FOREVER})
        if size is None:
            data, kind = await run_in_threadpool(photos.file, image_id)
        else:
            data, kind = await run_in_threadpool(photos.thumbnail, image_id, size), "image/jpeg"
        return Response(data, headers={"ETag": tag, **FOREVER}, media_type=kind)

    @routes.delete(
        "/images/{image_id}",
        operation_id="delete_image",
        tags=["images"],
        summary="Delete an uploaded photo",
        status_code=204,
        responses={204: {"description": "It is gone."}, **schemas.problems(404, 422)},
        response_class=Response,
    )
    async def delete_image(http: HTTPRequest, image_id: str) -> Response:
        """Forget an uploaded photo; samples stay."""
        await run_in_threadpool(service(http).photos.delete, image_id)
        service(http).answer_cache.forget()  # an answer about a photo that is gone would say that it is not
        return Response(status_code=204)


async def _read_photo(http: HTTPRequest, name: str) -> Upload:
    """The one photo in a body: the form field ``image``, or the body itself."""
    kind = media_type(http)
    settings = service(http).settings
    if kind == "multipart/form-data":
        form = await read_form(http, settings, max_files=1)
        if not form.files or form.files[0].field != FILES:
            raise InvalidRequest(f"The form has no file in the field {FILES!r}. With curl: -F {FILES}=@photo.jpg.")
        return form.files[0]
    if kind not in RAW_TYPES and not kind.startswith("image/"):
        raise HTTPException(415, f"The body is {kind!r}; send a photo as multipart/form-data or as image/*.")
    return Upload(FILES, plain_name(name), await read_body(http, settings.max_upload_bytes, "image"))


def _add_signs_of_life(routes: APIRouter, schemas: Schemas) -> None:
    def health(of: Service) -> Response:
        return answer(Health(status="ok", version=of.version, device=of.engine.device).model_dump_json())

    @routes.get(
        "/health",
        operation_id="health",
        tags=["health"],
        summary="Whether the service lives",
        responses=schemas.responses(Health, "It lives."),
        response_class=Response,
    )
    async def lives(http: HTTPRequest) -> Response:
        """Answers as long as the process does."""
        return health(service(http))

    @routes.get(
        "/ready",
        operation_id="ready",
        tags=["health"],
        summary="Whether the service can answer questions",
        responses=schemas.responses(Health, "It can.", 503),
        response_class=Response,
    )
    async def ready(http: HTTPRequest) -> Response:
        """Asks the database and the engine; no as soon as the service was told to stop."""
        of = service(http)
        if of.leaving.is_set():
            raise HTTPException(503, "The service is shutting down. Ask another one, or this one in a while.")
        try:
            await run_in_threadpool(of.store.check)
        except Exception as error:
            raise HTTPException(503, f"The database does not answer ({type(error).__name__}).") from error
        if not of.engine.alive:
            raise HTTPException(503, "The engine is not running.")
        return health(of)
