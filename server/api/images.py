"""Routes of photos: keep one, list them, look at one, forget one."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response

from attention.errors import InvalidRequest
from attention.schemas import Image, Images
from server.api.changes import MaybeShared, check_changes
from server.api.http.openapi import problems
from server.api.http.pages import LINK, Paged
from server.api.http.request_body import FILES
from server.api.http.responses import BINARY, FILE_SCHEMA, is_known
from server.service import Live, Service
from server.settings import Settings
from server.web.bodies import media_type, read_body
from server.web.forms import Upload, plain_name, read_form

FOREVER = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
"""An image's id is the hash of its bytes, so what is behind its address never changes."""

RAW_TYPES = ("", "application/octet-stream", "application/x-www-form-urlencoded")
"""What clients say of bytes they know nothing about; the last is ``curl --data-binary``."""

UPLOAD: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {"schema": {"type": "object", "properties": {FILES: FILE_SCHEMA}, "required": [FILES]}},
        "image/*": {"schema": FILE_SCHEMA},
        **BINARY,
    },
}
"""A photo as the body of a request, in the words of OpenAPI."""

routes = APIRouter(prefix="/v1/images", tags=["images"])


@routes.post(
    "",
    summary="Upload a photo",
    status_code=201,
    response_description="The photo is kept.",
    responses=problems(413, 415, 422),
    openapi_extra={"requestBody": UPLOAD},
)
async def upload(
    http: HTTPRequest,
    response: Response,
    service: Live,
    name: Annotated[str, Query(max_length=1000, description="File name, when the body is the file itself.")] = "",
) -> Image:
    """Keep a photo, sent as the form field ``image`` or as the body itself. The same bytes twice are kept once."""
    photo = await _read_photo(http, service.settings, name)
    image = await run_in_threadpool(_kept, service, photo)
    response.headers["Location"] = f"/v1/images/{image.id}"
    return image


@routes.get(
    "",
    summary="List photos",
    response_description="Samples first, then uploads, newest first.",
    responses={200: {"headers": LINK}, **problems(422)},
)
def images(service: Live, page: Paged) -> Images:
    """The sample gallery, then what was uploaded, newest first."""
    photos = service.shelf.photos
    return Images(images=photos.marked(page.newest(photos.list, lambda image: (image.created, image.id))))


@routes.get(
    "/{image_id}",
    summary="What is known of one photo",
    response_description="The photo's name, format and size.",
    responses=problems(404, 422),
)
def image(service: Live, image_id: str) -> Image:
    """Name, format and size of one photo."""
    photos = service.shelf.photos
    return photos.marked((photos.image(image_id),))[0]


@routes.get(
    "/{image_id}/file",
    summary="One photo itself",
    response_class=Response,
    responses={
        200: {"description": "The bytes as they came, or a JPEG thumbnail.", "content": {"image/*": BINARY}},
        304: {"description": "The caller has it already."},
        **problems(404, 422),
    },
)
def image_file(
    http: HTTPRequest,
    service: Live,
    image_id: str,
    size: Annotated[
        int | None,
        Query(ge=16, le=2048, description="Longer side of a JPEG thumbnail, pixels; without it the file."),
    ] = None,
) -> Response:
    """The photo as it came, or as a thumbnail."""
    tag = f'"{image_id}-{size or "file"}"'
    if is_known(http, tag):
        service.shelf.photos.image(image_id)  # it may be gone
        return Response(status_code=304, headers={"ETag": tag, **FOREVER})
    if size is None:
        data, kind = service.shelf.photos.file(image_id)
    else:
        data, kind = service.shelf.photos.thumbnail(image_id, size), "image/jpeg"
    return Response(data, headers={"ETag": tag, **FOREVER}, media_type=kind)


@routes.delete(
    "/{image_id}",
    summary="Delete an uploaded photo",
    status_code=204,
    response_description="It is gone.",
    responses=problems(404, 409, 422),
)
async def delete_image(service: Live, image_id: str) -> None:
    """Forget an uploaded photo, unless a job that has not ended looks at it; samples stay."""
    await run_in_threadpool(service.shelf.photos.delete, image_id)


@routes.patch(
    "/{image_id}",
    summary="Rename or share an uploaded photo",
    response_description="It is as asked for.",
    responses=problems(403, 404, 422),
)
def rename_image(
    service: Live,
    image_id: str,
    new_name: Annotated[
        str | None, Query(min_length=1, max_length=1000, description="Its file name from now on.")
    ] = None,
    shared: MaybeShared = None,
) -> Image:
    """Give an uploaded photo another file name, or share it; its id stays, and samples stay as they are."""
    check_changes(new_name, shared)
    photos = service.shelf.photos
    if new_name is not None:
        photos.rename(image_id, plain_name(new_name))
    if shared is not None:
        photos.share(image_id, shared)
    return photos.marked((photos.image(image_id),))[0]


def _kept(service: Service, photo: Upload) -> Image:
    photos = service.shelf.photos
    with service.shelf.room(photos.growth((photo.data,))):
        return photos.marked((photos.add(photo.name, photo.data),))[0]


async def _read_photo(http: HTTPRequest, settings: Settings, name: str) -> Upload:
    """The one photo in a body: the form field ``image``, or the body itself."""
    kind = media_type(http)
    if kind == "multipart/form-data":
        form = await read_form(http, settings, max_files=1)
        if not form.files or form.files[0].field != FILES:
            raise InvalidRequest(f"The form has no file in the field {FILES!r}. With curl: -F {FILES}=@photo.jpg.")
        return form.files[0]
    if kind not in RAW_TYPES and not kind.startswith("image/"):
        raise HTTPException(415, f"The body is {kind!r}; send a photo as multipart/form-data or as image/*.")
    return Upload(FILES, plain_name(name), await read_body(http, settings.max_upload_bytes, "image"))
