"""router: every route under /v1."""

from collections.abc import Mapping

from fastapi import APIRouter, Depends

from attention.analyses import request_type
from attention.analysis import Analysis
from server.api import catalog, checkpoints, data_sets, health, images, storage
from server.api.analyses import add_analysis
from server.api.http.openapi import Schemas, schemas_of
from server.api.http.request_body import refuse_unknown_parameters
from server.api.jobs import add_jobs
from server.api.reports import add_reports


def router(analyses: Mapping[str, Analysis]) -> tuple[APIRouter, Schemas]:
    """Every route under /v1, and the schemas that the descriptions of analyses refer to."""
    requests = {name: request_type(analysis) for name, analysis in analyses.items()}
    schemas = schemas_of(tuple(requests.values()))
    questions, jobs, reports = (APIRouter(prefix="/v1", tags=[tag]) for tag in ("analyses", "jobs", "reports"))
    for name, request in requests.items():
        add_analysis(questions, schemas, name, request)
    add_jobs(jobs, schemas, requests)
    add_reports(reports, requests)
    whole = APIRouter(dependencies=[Depends(refuse_unknown_parameters)])
    others = (module.routes for module in (catalog, images, data_sets, checkpoints, storage, health))
    for routes in (questions, jobs, reports, *others):
        whole.include_router(routes)  # each has its whole path, by which logs and metrics name a route
    return whole, schemas
