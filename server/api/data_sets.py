"""Routes of data sets to train on: list, upload, look into, rename and delete them."""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response

from attention.data.folder import DataFolder, Listed, data_set_name
from attention.reports.parts.inventory import Choices
from attention.schemas import DataSet, DataSets
from server.api.changes import MaybeShared, NewName, change, check_room
from server.api.http.openapi import problems
from server.api.http.pages import LINK, Paged
from server.api.http.responses import BINARY
from server.service import Live, Service
from server.stored.kinds import own_name
from server.web.bodies import media_type, save_body

ARCHIVE_TYPES = {
    *("", "application/octet-stream", "application/zip", "application/x-zip-compressed", "application/x-zip"),
    *("application/gzip", "application/x-gzip", "application/x-gtar", "application/x-tgz", "application/x-tar"),
    *(
        "application/x-compressed-tar",
        "application/x-bzip2",
        "application/x-xz",
        "application/tar",
        "application/bzip2",
    ),
    "application/vnd.apache.parquet",
}


class UploadQuery(Choices):
    """What goes along with an upload: its name, whether it is kept, and how it is to be understood."""

    name: str = Field(min_length=1, max_length=300, description="What to call it; signs that no name has become '-'.")
    dry_run: bool = Field(default=False, description="Only say what it is, and keep no byte of it.")
    replace: bool = Field(default=False, description="Take the place of the data set of that name.")

    @property
    def choices(self) -> Choices:
        """The choices of how the files of the upload are understood."""
        return Choices.model_validate(self.model_dump(include=set(Choices.model_fields)))


routes = APIRouter(prefix="/v1", tags=["data sets"])


@routes.get(
    "/datasets",
    summary="List data sets",
    response_description="What lies in the folder datasets of the data folder, by name, and what comes along.",
    responses={200: {"headers": LINK}, **problems(422)},
)
def datasets(service: Live, page: Paged) -> DataSets:
    """Data sets that a study can name: folders of class folders, archives of them, CIFAR archives, parquet."""
    stored = service.shelf.data_sets
    listed = tuple(map(_data_set, page.by_name(stored.all(), lambda listed: f"{int(listed.shipped)} {listed.name}")))
    free, most = _free(stored.folder), service.settings.max_dataset_bytes
    return DataSets(datasets=stored.marked(listed), free_bytes=free, max_bytes=most, reading=stored.reading)


@routes.get(
    "/datasets/{name}",
    summary="Look into a data set",
    response_description="With its inventory.",
    responses=problems(404, 413, 422),
)
def dataset(service: Live, name: str) -> DataSet:
    """A data set with its inventory; one that was put into the data folder by hand is read through for that."""
    stored = service.shelf.data_sets
    return stored.marked((_data_set(stored.get(name)),))[0]


@routes.post(
    "/datasets",
    summary="Upload a data set",
    status_code=201,
    response_description="It is kept, and a study can name it.",
    responses={
        200: {"model": DataSet, "description": "What it is; with dry_run nothing is kept."},
        **problems(409, 413, 415, 422),
    },
    openapi_extra={"requestBody": {"required": True, "content": BINARY}},
)
async def upload_dataset(
    http: HTTPRequest, response: Response, service: Live, query: Annotated[UploadQuery, Query()]
) -> DataSet:
    """Keep a zip or tar with a folder for each class, below ``train`` and ``test`` or not; it is the body itself.

    It is written to disk as it comes, read through once, and gets its name only when all of it is sound. The answer is
    an inventory: classes with their images, splits, what was left out and why. One that cannot be trained on as it is
    is refused with every bad file named; ``dry_run=true`` gives the inventory of any. Where there are API keys, the
    name that it gets ends with the id of the key that asks.
    With curl: ``curl -X POST -T flowers.zip 'http://127.0.0.1:8000/v1/datasets?name=flowers'``.
    """
    kind = media_type(http)
    if kind not in ARCHIVE_TYPES:
        raise HTTPException(
            415,
            f"The body is {kind!r}; send the zip or tar itself. With curl: -X POST -T flowers.zip and ?name=flowers.",
        )
    stored, name = service.shelf.data_sets, data_set_name(query.name)
    if not query.dry_run:
        name = own_name(name)
        await check_room(http, service)
        await run_in_threadpool(stored.check_unused if query.replace else stored.folder.check_free, name)
    listed = await _receive(http, service, name, query)
    if query.dry_run:
        response.status_code = 200
    else:
        response.headers["Location"] = f"/v1/datasets/{quote(listed.name)}"
    return _data_set(listed)


@routes.delete(
    "/datasets/{name}",
    summary="Delete a data set",
    status_code=204,
    response_description="It is gone, and its name is free.",
    responses=problems(404, 409, 422),
)
def delete_dataset(service: Live, name: str) -> None:
    """Delete a data set's files; reports and checkpoints that came of it stay."""
    service.shelf.data_sets.delete(name)


@routes.patch(
    "/datasets/{name}",
    summary="Rename or share a data set",
    response_description="It is as asked for.",
    responses=problems(403, 404, 409, 422),
)
def rename_dataset(service: Live, name: str, new_name: NewName = None, shared: MaybeShared = None) -> DataSet:
    """Give a data set another name, or share it; reports that tell of it keep the name it had."""
    stored = service.shelf.data_sets
    name = change(stored, name, new_name, shared)
    listed = stored.folder.get(name)
    if listed is None:
        raise stored.missing(name)
    return stored.marked((_data_set(listed),))[0]


async def _receive(http: HTTPRequest, service: Service, name: str, query: UploadQuery) -> Listed:
    """The body as a data set; whatever goes wrong, nothing of it stays."""
    folder = service.shelf.data_sets.folder
    path = await run_in_threadpool(_temporary, folder)
    try:
        await save_body(http, service.settings.max_dataset_bytes, "archive", path)
        if query.dry_run:
            return await run_in_threadpool(_previewed, service, path, name, query)
        return await run_in_threadpool(_adopted, service, path, name, query)
    finally:
        with suppress(FileNotFoundError):
            path.unlink()


def _previewed(service: Service, path: Path, name: str, query: UploadQuery) -> Listed:
    stored = service.shelf.data_sets
    with stored.counted(query.name) as on_image:
        inventory = stored.folder.preview(path, name, query.choices, on_image).inventory
    classes = tuple(counts.name for counts in inventory.classes)
    size = path.stat().st_size
    return Listed(name, "upload", inventory.images, classes, not inventory.split_by_hash, size, inventory=inventory)


def _adopted(service: Service, path: Path, name: str, query: UploadQuery) -> Listed:
    stored = service.shelf.data_sets
    replaced = stored.folder.get(name) if query.replace else None
    grown = path.stat().st_size - (replaced.bytes or 0 if replaced is not None else 0)
    with service.shelf.room(max(grown, 0)), stored.counted(query.name) as on_image:
        return stored.folder.adopt(path, name, query.choices, replaces=query.replace, on_image=on_image)


def _temporary(folder: DataFolder) -> Path:
    """An empty file that no listing shows, where a rename stays on one file system."""
    folder.folder.mkdir(parents=True, exist_ok=True)
    handle, path = tempfile.mkstemp(dir=folder.folder, prefix=".", suffix=".part")
    os.close(handle)
    return Path(path)


def _free(folder: DataFolder) -> int:
    """Bytes that are free where data sets are received."""
    folder.folder.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(folder.folder).free


def _data_set(listed: Listed) -> DataSet:
    return DataSet.model_validate(vars(listed))
