"""The REST API of checkpoints: the weights of a trained or folded network, as a file to take away."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from server.api.openapi import problems
from server.service import Live

MEDIA_TYPE = "application/octet-stream"
"""Safetensors have no registered type of their own; this is what hubs send them as."""

PIECE = 1 << 20
"""Bytes that are read at a time."""


routes = APIRouter(prefix="/v1", tags=["checkpoints"])


@routes.get(
    "/checkpoints/{name}",
    operation_id="checkpoint",
    summary="A checkpoint as a file",
    response_class=Response,
    responses={
        200: {
            "description": "The weights, as safetensors.",
            "content": {MEDIA_TYPE: {"schema": {"type": "string", "contentMediaType": MEDIA_TYPE}}},
        },
        **problems(404, 422),
    },
)
def checkpoint(service: Live, name: str) -> Response:
    """What `weights=file:NAME` of a variant names: a study's network, or one whose attention was folded in.

    The tensors of a plain network have torchvision's names, so they can be loaded without this library:
    `model.load_state_dict(safetensors.torch.load_file(path))`.
    """
    path = service.engine.files.checkpoints.find(f"file:{name}").path
    headers = {
        "Content-Length": str(path.stat().st_size),
        "Content-Disposition": f"attachment; {_called(path.name)}",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(_pieces(path), headers=headers, media_type=MEDIA_TYPE)


def _called(name: str) -> str:
    """What a file is to be called where it arrives, for Content-Disposition."""
    quoted = quote(name)
    return f'filename="{name}"' if quoted == name else f"filename*=UTF-8''{quoted}"


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
