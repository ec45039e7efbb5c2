"""Routes of data sets to train on: list them, upload one as a zip; and the study that comes with the service."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response

import attention
from attention.data.folder import DataFolder, Listed, Taken, data_set_name
from attention.errors import NotFound
from attention.reports.study import StudyReport
from attention.schemas import DataSet, DataSets
from server.api.openapi import problems
from server.service import Live, Service
from server.settings import Settings
from server.web.bodies import media_type, save_body

ZIP_TYPES = ("", "application/zip", "application/x-zip-compressed", "application/octet-stream")
ZIPPED = {"schema": {"type": "string", "contentMediaType": "application/zip"}}
SHIPPED = Path(attention.__file__).parent / "weights" / "shipped" / "study.json"
"""The report of the study that comes with the service, if one does."""


routes = APIRouter()


@routes.get(
    "/datasets",
    operation_id="datasets",
    tags=["data sets"],
    summary="List data sets",
    response_description="What lies in the folder datasets of the data folder, by name.",
    responses=problems(),
)
def datasets(service: Live) -> DataSets:
    """Data sets that a study can name: folders of class folders, zips of them, CIFAR archives, parquet files."""
    return DataSets(datasets=tuple(map(_data_set, _folder(service).all())))


@routes.post(
    "/datasets",
    operation_id="upload_dataset",
    tags=["data sets"],
    summary="Upload a data set",
    status_code=201,
    response_description="It is kept, and a study can name it.",
    responses=problems(409, 413, 415, 422),
    openapi_extra={"requestBody": {"required": True, "content": {"application/zip": ZIPPED}}},
)
async def upload_dataset(
    http: HTTPRequest,
    response: Response,
    service: Live,
    name: Annotated[
        str, Query(min_length=1, max_length=300, description="What to call it; signs that no name has become '-'.")
    ],
) -> DataSet:
    """Keep a zip with a folder for each class, below ``train`` and ``test`` or not; the body is the zip itself.

    It is written to disk as it comes, read through once, and gets its name only when all of it is sound.
    With curl: ``curl -X POST -T flowers.zip 'http://127.0.0.1:8000/v1/datasets?name=flowers'``.
    """
    kind = media_type(http)
    if kind not in ZIP_TYPES:
        raise HTTPException(
            415, f"The body is {kind!r}; send the zip itself. With curl: -X POST -T flowers.zip and ?name=flowers."
        )
    folder = _folder(service)
    try:
        name = data_set_name(name)
        await run_in_threadpool(folder.check_free, name)
        listed = await _receive(http, service.settings, folder, name)
    except Taken as error:
        raise HTTPException(409, str(error)) from None
    response.headers["Location"] = "/v1/datasets"
    return _data_set(listed)


@routes.get(
    "/studies/shipped",
    operation_id="shipped_study",
    tags=["jobs"],
    summary="The study that comes with the service",
    response_model=StudyReport,
    response_description="Its report.",
    responses=problems(404),
)
def shipped_study() -> Response:
    """The report of the study that the shipped networks come from."""
    try:
        return Response(SHIPPED.read_bytes(), media_type="application/json")
    except FileNotFoundError:
        raise NotFound("No study comes with this service. Start your own: POST /v1/jobs.") from None


async def _receive(http: HTTPRequest, settings: Settings, folder: DataFolder, name: str) -> Listed:
    """The body as a data set; whatever goes wrong, nothing of it stays."""
    path = await run_in_threadpool(_temporary, folder)
    try:
        await save_body(http, settings.max_dataset_bytes, "zip", path)
        return await run_in_threadpool(folder.adopt, path, name)
    finally:
        with suppress(FileNotFoundError):
            path.unlink()


def _temporary(folder: DataFolder) -> Path:
    """An empty file that no listing shows, where a rename stays on one file system."""
    folder.folder.mkdir(parents=True, exist_ok=True)
    handle, path = tempfile.mkstemp(dir=folder.folder, prefix=".", suffix=".part")
    os.close(handle)
    return Path(path)


def _folder(service: Service) -> DataFolder:
    return DataFolder(service.engine.files.depot)


def _data_set(listed: Listed) -> DataSet:
    return DataSet.model_validate(vars(listed))
