"""Routes of checkpoints: the weights of trained, folded and converted networks, listed, taken away, named, deleted."""

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response

from attention.schemas import Checkpoint, Checkpoints
from server.api.changes import MaybeShared, NewName, change, check_room
from server.api.http.openapi import problems
from server.api.http.pages import LINK, Paged
from server.api.http.responses import BINARY, MEDIA_TYPE, file_response
from server.service import Live, Service
from server.stored.checkpoints import checkpoint_name
from server.stored.kinds import own_name
from server.web.bodies import media_type, save_body

TAKEN = ("", MEDIA_TYPE, "application/x-safetensors", "application/x-www-form-urlencoded")
"""What clients say that a file of safetensors is; the last is ``curl --data-binary``."""

routes = APIRouter(prefix="/v1", tags=["checkpoints"])


@routes.get(
    "/checkpoints",
    summary="List checkpoints",
    response_description="By name, without those that come with the service.",
    responses={200: {"headers": LINK}, **problems(422)},
)
def checkpoints(service: Live, page: Paged) -> Checkpoints:
    """Weights that a variant can name: those of studies and folds, and those that were sent or converted."""
    stored = service.shelf.checkpoints
    shown = page.by_name(stored.shown(stored.things(), lambda thing: thing.name), lambda thing: thing.name)
    return Checkpoints(checkpoints=stored.marked(tuple(map(stored.described, shown))))


@routes.get(
    "/checkpoints/{name}",
    summary="A checkpoint as a file",
    response_class=Response,
    responses={
        200: {
            "description": "The weights, as safetensors.",
            "content": BINARY,
        },
        **problems(404, 422),
    },
)
def checkpoint(service: Live, name: str) -> Response:
    """What `weights=file:NAME` of a variant names: a study's network, or one whose attention was folded in.

    The tensors of a plain network have torchvision's names, so they can be loaded without this library:
    `model.load_state_dict(safetensors.torch.load_file(path))`.
    """
    return file_response(service.shelf.checkpoints.file(name))


@routes.post(
    "/checkpoints",
    summary="Upload a checkpoint",
    status_code=201,
    response_description="It is kept, and a variant can name it.",
    responses=problems(409, 413, 415, 422),
    openapi_extra={"requestBody": {"required": True, "content": BINARY}},
)
async def upload_checkpoint(
    http: HTTPRequest,
    response: Response,
    service: Live,
    name: Annotated[str, Query(min_length=1, max_length=300, description="What to call it.")],
) -> Checkpoint:
    """Keep weights as safetensors, which are the body itself; `weights=file:NAME` of a variant names them then.

    Where there are API keys, the name that it gets ends with the id of the key that asks.

    The file is written to disk as it comes, and kept when every tensor in it is of finite floats. The answer says which
    network it fits, as far as names and shapes tell. A pickle is not read here: `attention-lab convert` makes
    safetensors of one where it lies.
    With curl: ``curl -X POST -T se.safetensors 'http://127.0.0.1:8000/v1/checkpoints?name=se-7'``.
    """
    kind = media_type(http)
    if kind not in TAKEN:
        raise HTTPException(415, f"The body is {kind!r}; send the safetensors file itself. With curl: -X POST -T FILE.")
    stored, name = service.shelf.checkpoints, own_name(checkpoint_name(name))
    await check_room(http, service)
    await run_in_threadpool(stored.check_free, name)
    with stored.arriving(name) as path:
        await save_body(http, service.settings.max_checkpoint_bytes, "checkpoint", path)
        checkpoint = await run_in_threadpool(_adopted, service, path)
    response.headers["Location"] = f"/v1/checkpoints/{quote(checkpoint.name)}"
    return checkpoint


@routes.delete(
    "/checkpoints/{name}",
    summary="Delete a checkpoint",
    status_code=204,
    response_description="It is gone, and its name is free.",
    responses=problems(404, 409, 422),
)
def delete_checkpoint(service: Live, name: str) -> None:
    """Delete a checkpoint and its card, unless a job that has not ended names it; its study would train it again."""
    service.shelf.checkpoints.delete(name)


@routes.patch(
    "/checkpoints/{name}",
    summary="Rename or share a checkpoint",
    response_description="It is as asked for.",
    responses=problems(403, 404, 409, 422),
)
def rename_checkpoint(service: Live, name: str, new_name: NewName = None, shared: MaybeShared = None) -> Checkpoint:
    """Give a checkpoint another name, or share it; reports that tell of it keep the name it had."""
    stored = service.shelf.checkpoints
    return stored.marked((stored.get(change(stored, name, new_name, shared)),))[0]


def _adopted(service: Service, path: Path) -> Checkpoint:
    stored = service.shelf.checkpoints
    with service.shelf.room(path.stat().st_size):
        return stored.marked((stored.adopt(path),))[0]
