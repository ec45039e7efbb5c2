"""HTTP as its specification has it, on every path: HEAD, OPTIONS, Allow, ETag, compression, unknown parameters."""

import gzip
import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from attention.schemas import Problem
from server.api.entrance import problem_kinds
from server.settings import Settings
from tests.server.conftest import photo

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture
def paths(client: TestClient) -> dict[str, dict[str, Any]]:
    """Every described path with its methods."""
    described: dict[str, dict[str, Any]] = client.get("/openapi.json").json()["paths"]
    return described


def filled(path: str, image_id: str, report_id: str, job_id: str) -> str:
    """A path with what is there in the place of its parameters."""
    return path.format(image_id=image_id, report_id=report_id, job_id=job_id, name="none")


@pytest.fixture
def report_id(client: TestClient) -> str:
    return str(client.post("/v1/cost", json={"variants": ["resnet20/se"]}).headers["Report-Id"])


@pytest.fixture
def job_id(client: TestClient) -> str:
    """A job that has ended, so that the stream of its events ends too."""
    job = client.post("/v1/jobs", json={"analysis": "cost", "request": {"variants": ["resnet20/se"]}}).json()["id"]
    client.post(f"/v1/jobs/{job}/cancel")
    return str(job)


@pytest.mark.full
def test_head_answers_as_get_does_without_the_body(
    client: TestClient, paths: dict[str, dict[str, Any]], image_id: str, report_id: str, job_id: str
) -> None:
    own = {"x-request-id", "content-length", "transfer-encoding"}
    asked = [filled(path, image_id, report_id, job_id) for path, methods in paths.items() if "get" in methods]
    for path in [*asked, "/", "/docs", "/openapi.json"]:
        plain = {"Accept-Encoding": "identity"}
        got = client.get(path, headers=plain, follow_redirects=False)
        head = client.head(path, headers=plain, follow_redirects=False)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert {name for name in got.headers if name not in own} <= set(head.headers), path
        if "content-length" in got.headers:
            assert head.headers["content-length"] == got.headers["content-length"], path
    assert len(asked) > 10


@pytest.mark.full
def test_head_of_the_events_of_a_job_that_goes_on_ends_at_once(client: TestClient) -> None:
    job = client.post("/v1/jobs", json={"analysis": "cost", "request": {"variants": ["resnet20/se"]}}).json()["id"]
    answer = client.head(f"/v1/jobs/{job}/events")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")


@pytest.mark.full
def test_allow_names_every_method_of_a_path_and_options_says_the_same(
    client: TestClient, paths: dict[str, dict[str, Any]]
) -> None:
    for path, described in paths.items():
        has = {name.upper() for name in described}
        expected = {*has, "OPTIONS", *({"HEAD"} if "GET" in has else ())}
        place = filled(path, "0" * 64, "0" * 32, "0" * 16)
        told = client.options(place)
        assert told.status_code == 204 and set(told.headers["Allow"].split(", ")) >= expected, path
        for method in METHODS:
            if method not in told.headers["Allow"].split(", "):
                refused = client.request(method, place)
                assert refused.status_code == 405 and refused.headers["Allow"] == told.headers["Allow"], path
    assert client.options("/v1/nowhere").status_code == 404


def known(operation: dict[str, Any]) -> dict[str, str]:
    """A value for each parameter of the address that an operation describes as text."""
    return {
        entry["name"]: "x"
        for entry in operation.get("parameters", ())
        if entry["in"] == "query" and entry["schema"].get("type") == "string" and "enum" not in entry["schema"]
    }


@pytest.mark.full
def test_an_unknown_parameter_is_refused_by_its_name_on_every_path(
    client: TestClient, paths: dict[str, dict[str, Any]]
) -> None:
    for path, methods in paths.items():
        for method in methods:
            place = filled(path, "0" * 64, "0" * 32, "0" * 16)
            answer = client.request(method.upper(), place, params={"nonsense": "1", **known(methods[method])})
            assert answer.status_code == 422 and "'nonsense'" in answer.text, (method, path, answer.text)
            described = {entry["name"] for entry in methods[method].get("parameters", ()) if entry["in"] == "query"}
            faults = {fault["field"] for fault in answer.json()["errors"]}
            assert not faults & described, (method, path, faults)
    answer = client.get("/v1/jobs?limt=1")
    assert "Did you mean 'limit'?" in answer.json()["detail"]


@pytest.mark.full
def test_the_entrance_leads_to_a_page(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200 and answer.url.path == "/docs" and "text/html" in answer.headers["content-type"]


@pytest.mark.full
def test_what_does_not_change_is_not_sent_twice(client: TestClient, report_id: str) -> None:
    for path in ("/v1/catalog", f"/v1/reports/{report_id}"):
        first = client.get(path)
        tag = first.headers["ETag"]
        assert "no-cache" in first.headers["Cache-Control"]
        for given in (tag, f'"other", {tag}', "*", tag.removeprefix("W/")):
            again = client.get(path, headers={"If-None-Match": given})
            assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
        assert client.get(path, headers={"If-None-Match": '"other"'}).content == first.content
    other = client.post("/v1/cost", json={"variants": ["resnet20/eca"]}).headers["Report-Id"]
    assert client.get(f"/v1/reports/{other}").headers["ETag"] != tag


@pytest.mark.full
def test_what_a_client_has_is_known_by_any_of_its_lines(client: TestClient, image_id: str) -> None:
    for path in ("/v1/catalog", f"/v1/images/{image_id}/file"):
        tag = client.get(path).headers["ETag"]
        for lines in ([("If-None-Match", '"x"'), ("If-None-Match", tag)], [("If-None-Match", f'"x", {tag}')]):
            assert client.get(path, headers=lines).status_code == 304, (path, lines)


@pytest.mark.full
def test_answers_to_get_are_compressed_where_that_helps(client: TestClient, image_id: str) -> None:
    with client.stream("GET", "/v1/catalog", headers={"Accept-Encoding": "gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
        assert answer.headers["Content-Encoding"] == "gzip" and "Accept-Encoding" in answer.headers["Vary"]
    lines = [("Accept-Encoding", "identity"), ("Accept-Encoding", "gzip")]  # as Python's http.client sends it
    assert client.get("/v1/catalog", headers=lines).headers["Content-Encoding"] == "gzip"
    plain = client.get("/v1/catalog", headers={"Accept-Encoding": "identity"})
    assert gzip.decompress(packed) == plain.content and len(packed) < len(plain.content) / 3
    for path in ("/v1/health", f"/v1/images/{image_id}/file"):  # short; and not to be made shorter
        assert "Content-Encoding" not in client.get(path, headers={"Accept-Encoding": "gzip"}).headers


@pytest.mark.full
def test_a_stored_report_comes_as_a_table_too(client: TestClient, report_id: str) -> None:
    address = f"/v1/reports/{report_id}"
    forms = {"csv": "text/csv", "md": "text/markdown", "latex": "application/x-tex", "bib": "application/x-bibtex"}
    for form, media_type in forms.items():
        by_name = client.get(address, params={"format": form})
        by_header = client.get(address, headers={"Accept": f"text/html, application/json;q=0.5, {media_type}"})
        assert by_name.status_code == 200 and by_name.text == by_header.text
        assert by_name.headers["content-type"].startswith(media_type) and "Accept" in by_header.headers["vary"]
    for accept in (
        "*/*",
        "text/html,*/*;q=0.8",
        "text/csv;q=0.1, application/json",
        "text/csv;q=high, application/json",
    ):
        assert client.get(address, headers={"Accept": accept}).headers["content-type"] == "application/json"
    page = client.get(address, params={"format": "html"})
    assert page.headers["content-type"].startswith("text/html") and "attachment" in page.headers["content-disposition"]
    assert page.text.startswith("<!doctype html>") and f'href="http://testserver{address}"' in page.text
    wrong = client.get(address, params={"format": "csv", "table": "rows"})
    assert wrong.status_code == 404 and "It has: " in wrong.json()["detail"]
    assert client.get(f"/v1/reports/{report_id}?format=xml").status_code == 422


@pytest.mark.full
def test_each_kind_of_problem_has_a_page_at_its_type(client: TestClient) -> None:
    for kind in problem_kinds():
        page = client.get(f"/problems/{kind}")
        assert page.status_code == 200 and "text/html" in page.headers["content-type"]
    answers = [
        client.get("/v1/nowhere"),
        client.put("/v1/jobs"),
        client.get("/v1/jobs?limit=0"),
        client.post("/v1/cost", json={"variants": ["resnet20/cbma"]}),
        client.get("/v1/images/none"),
        client.post("/v1/cost", content=b"x", headers={"Content-Type": "text/plain"}),
        client.post("/v1/images", content=b"no photo"),
        client.post("/v1/images", content=photo(), headers={"Origin": "http://evil.example"}),
        client.get("/v1/catalog", headers={"Host": "evil.example"}),
    ]
    for answer in answers:
        problem = Problem.model_validate_json(answer.content)
        assert client.get(problem.type).status_code == 200, problem.type
    assert client.get("/problems/none").status_code == 404


@pytest.mark.full
def test_each_503_says_when_to_come_back(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    service = client.app.state.service  # type: ignore[attr-defined]
    service.leaving.set()
    answer = client.get("/v1/ready")
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) >= 1
    service.leaving.clear()

    def broken() -> None:
        raise OSError("gone")

    monkeypatch.setattr(service.store, "check", broken)
    answer = client.get("/v1/ready")
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) >= 1


@pytest.mark.full
def test_every_status_that_routes_share_is_described(paths: dict[str, dict[str, Any]]) -> None:
    for path, methods in paths.items():
        for method, operation in methods.items():
            assert {"422", "503"} <= set(operation["responses"]) or path == "/v1/health", (method, path)
            assert "507" not in json.dumps(operation["responses"])
