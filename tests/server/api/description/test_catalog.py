"""The catalogue and the API's own description, read off the shelves."""

import re
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fastapi import FastAPI
from pydantic import Field
from starlette.testclient import TestClient

from attention.analyses import analyses, request_type
from attention.analysis import AnyLab
from attention.backbones import backbones
from attention.modules import modules
from attention.reports.parts.catalog import BackboneEntry, Catalog, ModuleEntry
from attention.schemas import Health
from attention.spec import ABLATIONS, POSITIONS, Plain, Request
from server.api.http.formats import MEDIA_TYPES
from server.api.http.openapi import describe
from server.api.router import router
from server.catalog import catalog
from server.settings import Settings


@pytest.mark.full
def test_the_catalogue_lists_every_shelf(client: TestClient) -> None:
    catalog = Catalog.model_validate_json(client.get("/v1/catalog").content)
    assert [entry.name for entry in catalog.modules] == list(modules)
    assert [entry.name for entry in catalog.backbones] == list(backbones)
    assert [entry.name for entry in catalog.analyses] == list(analyses)
    assert (set(catalog.placements), set(catalog.ablations)) == (set(POSITIONS), set(ABLATIONS))


@pytest.mark.full
def test_every_entry_says_what_it_is_and_where_it_comes_from(client: TestClient) -> None:
    catalog = Catalog.model_validate_json(client.get("/v1/catalog").content)
    entries: list[ModuleEntry | BackboneEntry] = [*catalog.modules, *catalog.backbones]
    for entry in entries:
        assert entry.title and entry.title in entry.doc, entry.name
        assert all(re.match(r"https?://\S+\w/?$", paper) for paper in entry.papers)
        assert all("default" in option for option in entry.options.get("properties", {}).values())
    assert all(entry.gates and entry.formula and "return " in entry.code for entry in catalog.modules)
    se = next(entry for entry in catalog.modules if entry.name == "se")
    assert se.gates == ("channel",)
    assert se.papers == ("https://arxiv.org/abs/1709.01507",)
    assert se.options["properties"]["reduction"]["default"] == 16
    resnet = next(entry for entry in catalog.backbones if entry.name == "resnet50")
    assert resnet.positions["standard"] == (1, 2, 3, 4)
    assert (resnet.input_size, resnet.classes) == (224, 1000)


@pytest.mark.full
def test_a_module_says_where_its_paper_puts_it_and_what_a_fresh_one_does(client: TestClient) -> None:
    catalog = Catalog.model_validate_json(client.get("/v1/catalog").content)
    entries = {entry.name: entry for entry in catalog.modules}
    assert str(entries["bam"].published["resnet50"]) == "stage:1-3"
    assert str(entries["sk"].published["resnext50"]) == "spatial"
    assert str(entries["se"].published["resnet50"]) == "standard"
    places = {network.name: network.positions for network in catalog.backbones}
    for entry in catalog.modules:
        for backbone, place in entry.published.items():
            stages = next(stages for position, stages in places[backbone].items() if position == place.position)
            assert set(place.stages or ()) <= set(stages), (entry.name, backbone)
        assert entry.traits.start.endswith(".")
        assert all(note.endswith(".") for note in (*entry.traits.needs, *entry.traits.warnings))
        assert len(entry.traits.neutral) == len(entry.gates)
    assert entries["gc"].traits.identity and not entries["se"].traits.identity
    assert "50%" in entries["se"].traits.start and entries["sk"].traits.replaces


@pytest.mark.full
def test_the_catalogue_is_made_once(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Catalog] = []

    def counted() -> Catalog:
        made.append(catalog())
        return made[-1]

    monkeypatch.setattr("server.service.catalog", counted)
    answers = [client.get("/v1/catalog") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert len(made) <= 1 and len({answer.content for answer in answers}) == 1


@pytest.mark.full
def test_every_answer_and_question_is_described(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    known = set(description["components"]["schemas"])
    referred = set(re.findall(r'"#/components/schemas/([^"]+)"', client.get("/openapi.json").text))
    assert referred <= known
    for name in analyses:
        operation = description["paths"][f"/v1/{name}"]["post"]
        assert operation["operationId"] == name.replace("/", "_") and operation["summary"]
        assert set(operation["requestBody"]["content"]) >= {"application/json"}
        success = "202" if request_type(analyses[name]).slow else "200"
        assert "$ref" in operation["responses"][success]["content"]["application/json"]["schema"]
        for status in ("404", "413", "415", "422", "500", "503"):
            assert "application/problem+json" in operation["responses"][status]["content"]
    assert "HTTPValidationError" not in known
    by_name, in_full = description["components"]["schemas"]["VariantInput"]["anyOf"]
    assert by_name["type"] == "string" and in_full == {"$ref": "#/components/schemas/VariantFields"}
    photo_form = description["paths"]["/v1/compare"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert {"image", "variants", "top_k", "ablation"} <= set(photo_form["schema"]["properties"])


class EchoReport(Plain):
    """What was said."""

    said: str = Field(description="The words.")


class EchoRequest(Request[EchoReport]):
    """What was said?"""

    words: str = Field(description="The words.")


def echo(request: EchoRequest, lab: AnyLab) -> EchoReport:
    return EchoReport(said=request.words)


@pytest.mark.full
def test_an_analysis_on_the_shelf_has_a_route_without_any_other_edit() -> None:
    assert request_type(echo) is EchoRequest
    app = FastAPI()
    routes, schemas = router({"echo": echo})
    app.include_router(routes)
    describe(app, schemas)
    operation = app.openapi()["paths"]["/v1/echo"]["post"]
    assert operation["summary"] == "What was said?"
    assert set(operation["requestBody"]["content"]) == {"application/json"}  # it takes no photos
    assert {"EchoRequest", "EchoReport"} <= set(app.openapi()["components"]["schemas"])


class PatientRequest(EchoRequest):
    """What was said, after a while?"""

    slow: ClassVar = True


def patient(request: PatientRequest, lab: AnyLab) -> EchoReport:
    return EchoReport(said=request.words)


@pytest.mark.full
def test_a_slow_analysis_is_described_as_a_job() -> None:
    app = FastAPI()
    routes, schemas = router({"echo": echo, "patient": patient})
    app.include_router(routes)
    describe(app, schemas)
    paths = app.openapi()["paths"]
    answers = paths["/v1/patient"]["post"]["responses"]
    assert "200" not in answers and answers["202"]["content"]["application/json"]["schema"]["$ref"].endswith("/Job")
    body = paths["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    described = app.openapi()["components"]["schemas"]
    shapes = [described[way["$ref"].rpartition("/")[2]] for way in described[body["$ref"].rpartition("/")[2]]["oneOf"]]
    assert [shape["properties"]["analysis"]["const"] for shape in shapes] == ["echo", "patient"]
    report = paths["/v1/jobs/{job_id}/report"]["get"]["responses"]
    assert set(report["200"]["content"]) == set(MEDIA_TYPES.values())
    assert {"404", "406", "422", "500"} <= set(report)
    assert {"Job", "Jobs", "StoredReport", "PatientRequest"} <= set(app.openapi()["components"]["schemas"])


def test_health_and_readiness_are_told(client: TestClient) -> None:
    for path in ("/v1/health", "/v1/ready"):
        health = Health.model_validate_json(client.get(path).content)
        assert health.status == "ok" and health.device


@pytest.mark.full
def test_a_service_without_its_engine_is_alive_but_not_ready(client: TestClient) -> None:
    app: Any = client.app
    app.state.service.engine.networks.close()
    assert client.get("/v1/health").status_code == 200
    answer = client.get("/v1/ready")
    assert answer.status_code == 503
    assert answer.json()["detail"] == "The engine is not running."


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path))
    monkeypatch.setenv("ATTENTION_MAX_BATCH_SIZE", "3")
    settings = Settings()
    assert (settings.folder, settings.max_batch_size) == (tmp_path, 3)
    assert settings.database_url == f"sqlite:///{tmp_path / 'attention.db'}"


def test_every_setting_says_what_it_does() -> None:
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.full
def test_closing_the_app_ends_its_threads(settings: Settings) -> None:
    from server.app import create_app

    before = set(threading.enumerate())
    with TestClient(create_app(settings)) as client:
        assert client.post("/v1/cost", json={"variants": ["resnet20/none"]}).status_code == 200
    deadline = time.monotonic() + 60
    while left := {one for one in threading.enumerate() if one not in before and "AnyIO" not in one.name}:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


@pytest.mark.full
@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_pages_that_describe_the_api_need_no_other_host(client: TestClient, page: str) -> None:
    html = client.get(page).text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert loaded and all(address.startswith("/") for address in loaded)
    assert all(client.get(address).status_code == 200 for address in loaded)


@pytest.mark.full
def test_published_networks_are_listed_with_what_to_know_before_fetching_them(client: TestClient) -> None:
    published = {entry["repository"]: entry for entry in client.get("/v1/catalog").json()["published"]}
    se = published["timm/seresnet33ts.ra2_in1k"]
    assert se["name"] == "resnet33ts/se(bias=true,divisor=8)@inner?weights=hub:timm/seresnet33ts.ra2_in1k"
    assert (se["attention"], se["licence"], se["groups"]) == ("se", "apache-2.0", ["quartet"])
    assert se["megabytes"] == 79.1 and se["test_size"] == 288
