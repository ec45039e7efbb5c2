"""Requests that Schemathesis makes from the OpenAPI description, and what an answer has to keep to."""

import io
import json
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.python import asgi
from schemathesis.specs.openapi import checks as conformance
from starlette.testclient import TestClient

import attention
from attention.data.files import samples
from attention.reports.cost import CostReport
from attention.reports.export import ExportedFile, ExportReport
from server.app import create_app
from server.settings import Settings
from tests.server.conftest import photo

CHECKS = [
    conformance.status_code_conformance,
    conformance.content_type_conformance,
    conformance.response_headers_conformance,
    conformance.unsupported_method,
    conformance.response_schema_conformance,
]
"""What an answer has to keep to. That positive data is accepted is not among them: a schema cannot say that a network
exists, that a photo is here, or that two fields go together."""

ANSWER_WITHIN_S = 600
"""How long an answer is waited for: it only ends a hang, since a busy machine answers late."""

OUR_FAULT = (503,)
"""The only server errors there may be, and only where the description tells of them."""

REFUSED = [400, 404, 406, 409, 413, 415, 422]
"""What a request that breaks the description may be answered with."""

NAMES = ("none", "se", "eca", "resnet20/cbam", "resnet20/se@standard:2-3", "resnet20(width=4)/sk@spatial")
"""Networks that take a millisecond."""

SHIPPED = Path(attention.__file__).parent / "weights" / "shipped"

FILES = ("image/", "application/octet-stream", "application/zip")
"""How the media types of bodies begin that are a file."""

UNTRAINED = ["resnet20/none", "resnet20/gct"]

STUDY: dict[str, Any] = {"data": "pets", "variants": UNTRAINED, "recipe": {"batch_size": 4}}
"""A study that can be trained on the data set that is there."""


schemathesis.serializer.alias("application/zip", "application/octet-stream")  # bytes go out as they are


@dataclass(frozen=True)
class There:
    """An app, its description, and what is there to be named."""

    app: Any
    folder: Path
    description: schemathesis.BaseSchema
    path: Mapping[str, list[str]]
    photos: list[str]

    def operations(self) -> Iterator[Any]:
        """Every operation of the description; those that take away what the others ask for come last."""
        every = [found.ok() for found in self.description.get_all_operations() if isinstance(found, Ok)]
        yield from sorted(every, key=lambda operation: ("PATCH", "DELETE").count(operation.method.upper()))


@contextmanager
def stocked(folder: Path) -> Iterator[There]:
    """An app on a folder in which there is one of everything."""
    chosen = Settings(
        data=folder,
        device="cpu",
        threads=1,
        jobs=0,  # they are queued and cancelled, but none is begun
        max_jobs=100_000,
        max_upload_bytes=200_000,
        max_request_bytes=500_000,
        max_json_bytes=50_000,
        max_dataset_bytes=200_000,
        max_network_bytes=120_000_000,
        max_answer_gmacs=4.0,
    )
    app = create_app(chosen)
    path, photos = _stocked(app)
    config = SchemathesisConfig.from_dict(
        {"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}, "request-timeout": ANSWER_WITHIN_S}
    )
    yield There(app, chosen.folder, schemathesis.openapi.from_asgi("/openapi.json", app, config=config), path, photos)
    asgi.shutdown_lifespans()


def zipped() -> bytes:
    """A small data set."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(30):
            archive.writestr(f"{'cat' if number % 2 else 'dog'}/{number}.jpg", photo(number))
    return packed.getvalue()


def weights() -> bytes:
    """A checkpoint."""
    return (SHIPPED / "resnet20-se.safetensors").read_bytes()


def _stocked(app: Any) -> tuple[Mapping[str, list[str]], list[str]]:
    """What can be named: photos, a data set, a job that has ended, a report."""
    with TestClient(app) as client:
        upload = client.post("/v1/images", content=photo()).json()["id"]
        assert client.post("/v1/datasets?name=pets", content=zipped()).status_code == 201
        job = client.post("/v1/jobs", json={"analysis": "latency", "request": {}}).json()["id"]
        client.post(f"/v1/jobs/{job}/cancel")
        cost = client.post("/v1/cost", json={"variants": ["se"]})
        report = cost.headers["Report-Id"]
        done = client.post("/v1/jobs", json={"analysis": "cost", "request": {"variants": ["se"]}}).json()["id"]
        folder = app.state.service.settings.folder / "checkpoints"
        folder.mkdir()
        shutil.copy(SHIPPED / "resnet20-se.safetensors", folder)
        table = app.state.service.store.jobs
        claim = table.claim(done)
        table.finish(claim, CostReport.model_validate_json(cost.content))
        written = client.post("/v1/jobs", json={"analysis": "export", "request": {"variant": "se"}}).json()["id"]
        file = ExportedFile(name="se.onnx", stored="exports/se.onnx", bytes=9)
        app.state.service.engine.files.file_store.write(file.stored, b"a network")
        table.finish(table.claim(written), ExportReport(network="se", file=file, card=None))
    ids = [upload, samples()[0].id]
    return {
        "image_id": ids,
        "job_id": [job, done, written],
        "report_id": [report, done],
        "name": ["resnet20-se", "pets"],
    }, ids


@st.composite
def asked(draw: st.DrawFn, operation: Any, mode: GenerationMode, there: There) -> tuple[Case[Any], bool]:
    """A request to an operation, half of the time with names of what is there put in; and whether they were."""
    case: Case[Any] = draw(operation.as_strategy(generation_mode=mode))
    if named := draw(st.booleans()):
        case.body = deepcopy(case.body)  # which may be an example of the description itself
        for name in filter((case.path_parameters or {}).__contains__, there.path):
            case.path_parameters[name] = draw(st.sampled_from(there.path[name]))
        body = case.body.get("request", case.body) if isinstance(case.body, dict) else None
        if operation.path == "/v1/study" and draw(st.booleans()):
            case.body = dict(STUDY)
        elif isinstance(body, dict):
            _name(draw, body, there)
        elif (case.media_type or "").startswith(FILES):
            right = {"/v1/datasets": zipped, "/v1/checkpoints": weights}.get(operation.path, photo)()
            others = (photo(2, form="PNG"), zipped(), weights())
            case.body = draw(st.sampled_from((right, right, right, *others)))
            if "name" in (case.query or {}):
                case.query = {"name": draw(st.from_regex("[a-z]{8}", fullmatch=True))}
    return case, named


def _name(draw: st.DrawFn, body: dict[str, Any], there: There) -> None:
    """Put names of what is there into a question's fields."""
    photos = st.lists(st.sampled_from(there.photos), min_size=1, max_size=2)
    known = {
        "variant": st.sampled_from(NAMES),
        "variants": st.one_of(
            st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True), st.just(UNTRAINED)
        ),
        "grids": st.just([]),
        "recipe": st.sampled_from(("quick", {"batch_size": 4})),
        "image": st.sampled_from(there.photos),
        "gate": st.just("layer1.0.standard.0.gate"),
        "images": photos,
        "pictures": st.one_of(photos, st.just({"data": "pets", "limit": 4})),
        "data": st.just("pets"),
        "photos": photos,
        "own": st.just({"data": "pets", "split": "train", "limit": 24}),
        "calibration": st.none(),
        "kinds": st.sampled_from((["neutral"], ["scalar", "neutral"])),
        "scopes": st.sampled_from((["all"], ["gate", "all"])),
        "input_size": st.sampled_from((None, 32, [24, 40])),
        "target": st.sampled_from((None, 0)),
        "stage": st.none(),
        "place": st.none(),
        "ablation": st.sampled_from((None, {"kind": "neutral"}, {"kind": "constant", "value": 1e-300})),
    }
    for field in filter(body.__contains__, known):
        body[field] = draw(known[field])
    if isinstance(body.get("study"), dict):
        if draw(st.booleans()):
            body["study"] = dict(STUDY)
        else:
            _name(draw, body["study"], there)


def check(case: Case[Any], response: Response, as_made: bool) -> None:
    """An answer is one that the description tells of, and an error is a sentence.

    Args:
        as_made: whether a request that was made to be wrong still is.
    """
    status = response.status_code
    told = case.operation.definition.raw["responses"]
    assert status < 500 or (status in OUR_FAULT and str(status) in told), (status, response.text[:500])
    checks = [*CHECKS, conformance.negative_data_rejection] if as_made else CHECKS
    if response.headers.get("content-type", [""])[0].startswith(
        "text/event-stream"
    ):  # each event would be taken for the whole
        checks = [one for one in checks if one is not conformance.response_schema_conformance]
    case.validate_response(response, checks=checks)
    if status >= 400:
        problem = json.loads(response.text)
        assert response.headers["content-type"] == ["application/problem+json"]
        assert problem["status"] == status and re.search(r"[.?…]\)?$", problem["detail"])
        assert len(problem["detail"]) < 5000


def ask_all(there: There, examples: int, subtests: pytest.Subtests) -> dict[str, set[int]]:
    """Ask every operation so many requests of each kind; what each was answered with."""
    answered: dict[str, set[int]] = {}
    for operation in there.operations():
        with subtests.test(operation.label):
            answered[operation.label] = set()
            kinds = [GenerationMode.POSITIVE]
            if operation.body or operation.query:  # any text may stand in a path, so there is nothing to break
                kinds.append(GenerationMode.NEGATIVE)
            for kind in kinds:
                _ask(there, operation, kind, examples, answered[operation.label])
    return answered


def _ask(there: There, operation: Any, mode: GenerationMode, examples: int, seen: set[int]) -> None:
    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(asked(operation, mode, there))
    def answer(made: tuple[Case[Any], bool]) -> None:
        case, named = made
        response = case.call()
        seen.add(response.status_code)
        check(case, response, as_made=not named)

    answer()
