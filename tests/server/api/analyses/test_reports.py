"""Every answer is a stored report: it comes back by its id, and asking again gives the same, or says what changed."""

import re
from typing import Any

import httpx2
import pytest
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import save_file
from starlette.testclient import TestClient

from attention.analyses import analyses, request_type
from attention.build import build
from attention.reports.cost import CostReport, CostRequest
from attention.reports.study import StudyRequest
from attention.schemas import StoredReport
from attention.spec import Plain, Request, Variant
from server.app import create_app
from server.settings import Settings
from server.store.reports import Answer
from tests.server.api.http.test_problems import problem
from tests.server.conftest import photo


def ask(client: TestClient, analysis: str, **request: Any) -> httpx2.Response:
    answer = client.post(f"/v1/{analysis}", json=request)
    assert answer.status_code == 200, answer.text
    return answer


def again(client: TestClient, name: str, **sent: Any) -> dict[str, Any]:
    answer = client.post(f"/v1/reports/{name}/again", **sent)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def form(client: TestClient, number: int) -> httpx2.Response:
    answer = client.post(
        "/v1/compare", files={"image": ("a.jpg", photo(number))}, data={"variants": "resnet20/none,resnet20/se"}
    )
    assert answer.status_code == 200, answer.text
    return answer


def at(path: str, value: Any) -> Any:
    """What a path such as ``a[0].b`` leads to."""
    for key, index in re.findall(r"(\w+)|\[(\d+)\]", path):
        value = value[int(index)] if index else value[key]
    return value


# ---------------------------------------------------------------- kept and given back


@pytest.mark.full
def test_an_answer_comes_back_with_the_request_that_made_it(client: TestClient, image_id: str) -> None:
    asked = {"images": [image_id], "variants": ["none", "se"], "gates": "base64"}
    answer = ask(client, "compare", **asked)
    name = answer.headers["Report-Id"]
    assert re.fullmatch(r"[0-9a-f]{32}", name)
    assert answer.headers["Link"] == f'</v1/reports/{name}>; rel="describedby"'
    stored = StoredReport.model_validate_json(client.get(f"/v1/reports/{name}").content)
    assert (stored.id, stored.analysis, stored.missing) == (name, "compare", ())
    assert stored.report == answer.json()
    assert stored.request["images"] == [image_id]
    assert [one["attention"] for one in stored.request["variants"]] == [None, "se"]
    assert ask(client, "compare", **stored.request).headers["Report-Id"] == name  # its request is a request
    told = stored.conditions
    assert told is not None
    health = client.get("/v1/health").json()
    assert (told.version, told.device, told.threads) == (health["version"], health["device"], 1)
    assert set(told.weights) == {f"resnet18(width=0.25)/{name}?weights=shipped" for name in ("none", "se")}


@pytest.mark.full
def test_the_same_answer_twice_is_one_report_and_the_list_is_newest_first(client: TestClient) -> None:
    names = [ask(client, "kernel", b=b).headers["Report-Id"] for b in (1.5, 2.5, 3.5)]
    client.get("/v1/reports")  # all are written now
    assert ask(client, "kernel", b=1.5).headers["Report-Id"] == names[0]
    listed = client.get("/v1/reports").json()["reports"]
    assert [one["id"] for one in listed] == [names[0], names[2], names[1]]
    assert (listed[0]["analysis"], listed[0]["title"], listed[0]["job"]) == ("kernel", "b 1.5", False)
    assert [one["id"] for one in client.get("/v1/reports", params={"limit": 1}).json()["reports"]] == [names[0]]
    problem(client.get("/v1/reports", params={"limit": 0}), 422, "'limit'")


@pytest.mark.full
def test_reports_outlive_the_service(settings: Settings) -> None:
    with TestClient(create_app(settings)) as first:
        answer = ask(first, "kernel", gamma=3)  # and is stopped at once
    with TestClient(create_app(settings)) as second:
        stored = second.get(f"/v1/reports/{answer.headers['Report-Id']}").json()
        assert stored["report"] == answer.json()
        assert again(second, stored["id"])["same"] is True


@pytest.mark.full
def test_what_is_not_kept_is_answered_without_an_id(settings: Settings) -> None:
    for change in ({"reports_kept": 0}, {"max_report_bytes": 100}):
        with TestClient(create_app(settings.model_copy(update=change))) as client:
            answer = ask(client, "cost", variants=["resnet20/se"])
            assert "Report-Id" not in answer.headers and "Link" not in answer.headers
            assert client.get("/v1/reports").json() == {"reports": []}


def test_a_report_that_is_not_here_is_not_found(client: TestClient) -> None:
    for path in ("", "/again"):
        send = client.post if path else client.get
        problem(send(f"/v1/reports/{'0' * 32}{path}"), 404, "no report", "GET /v1/reports")
        problem(send(f"/v1/reports/nobody{path}"), 404, "no report 'nobody'", "GET /v1/reports")


@pytest.mark.full
def test_the_description_tells_of_ids(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths["/v1/compare"]["post"]["responses"]["200"]["headers"]) == {"Report-Id", "Report-Not-Kept", "Link"}
    assert set(paths["/v1/reports/{report_id}/again"]["post"]["responses"]) >= {"200", "202", "404", "409"}


# ---------------------------------------------------------------- asked again


@pytest.mark.full
@pytest.mark.parametrize("kind", ["shuffle", "scalar"])
def test_asking_again_gives_the_same_numbers(client: TestClient, image_id: str, kind: str) -> None:
    asked = {"images": [image_id], "variants": ["resnet20/se?seed=7"], "gates": "json", "ablation": {"kind": kind}}
    name = ask(client, "compare", **asked).headers["Report-Id"]
    told = again(client, name)
    assert (told["same"], told["count"], told["conditions"], told["differences"]) == (True, 0, [], [])
    assert (told["before"], told["now"]) == (name, name)
    assert told["sentence"] == "The same answer. Nothing that is recorded beside it has changed."


@pytest.mark.full
def test_asking_again_with_other_weights_says_what_changed(settings: Settings) -> None:
    """The checkpoint of a variant is replaced between two lives of the service."""
    weights = "resnet20/se?weights=file:mine"
    folder = settings.folder / "checkpoints"
    folder.mkdir(parents=True)
    names: list[str] = []
    found: dict[str, Any] = {}
    for seed in (0, 1):
        save_file(build(Variant(attention="se", seed=seed)).state_dict(), folder / "mine.safetensors")
        with TestClient(create_app(settings)) as client:
            image = client.post("/v1/images", files={"image": ("a.jpg", photo())}).json()["id"]
            if not names:
                answer = ask(client, "compare", images=[image], variants=[weights], top_k=2)
                names.append(answer.headers["Report-Id"])
                continue
            found = again(client, names[0])
            before, now = (client.get(f"/v1/reports/{found[key]}").json()["report"] for key in ("before", "now"))
    assert found["same"] is False and found["now"] != found["before"] == names[0]
    assert [one["path"] for one in found["conditions"]] == [f"weights of {weights}"]
    assert found["count"] >= len(found["differences"]) > 0
    for one in found["differences"]:
        assert (at(one["path"], before), at(one["path"], now)) == (one["before"], one["after"])
        assert one["before"] != one["after"]
    assert f"What changed: weights of {weights} was" in found["sentence"]
    assert found["differences"][0]["path"] in found["sentence"]


@pytest.mark.full
def test_photos_that_came_with_a_form_are_told_to_be_missing_and_can_come_again(client: TestClient) -> None:
    name = form(client, 1).headers["Report-Id"]
    (missing,) = client.get(f"/v1/reports/{name}").json()["missing"]
    problem(client.post(f"/v1/reports/{name}/again"), 409, missing[:12], "not kept", "POST /v1/images")
    other = {"image": ("b.jpg", photo(2))}
    problem(client.post(f"/v1/reports/{name}/again", files=other), 409, missing[:12])
    assert again(client, name, files={"image": ("a.jpg", photo(1))})["same"] is True
    assert client.post("/v1/images", files={"image": ("a.jpg", photo(1))}).json()["id"] == missing
    assert client.get(f"/v1/reports/{name}").json()["missing"] == []
    assert again(client, name)["now"] == name
    problem(client.post(f"/v1/reports/{name}/again", content=b"x", headers={"Content-Type": "text/csv"}), 415, "photos")


@pytest.mark.full
def test_what_another_version_was_asked_is_refused_in_a_sentence(client: TestClient) -> None:
    of = client.app.state.service  # type: ignore[attr-defined]
    kept = of.store.answers.get(ask(client, "kernel").headers["Report-Id"])
    assert kept.conditions is not None
    for number, (analysis, request) in enumerate({"kernel": '{"beta": 1}', "colonel": "{}"}.items()):
        row = Answer(f"{number:032}", analysis, request, kept.conditions.model_dump_json(), b'{"old": 1}', kept.created)
        of.store.answers.put([row], 10_000)
        assert client.get(f"/v1/reports/{row.id}").json()["report"] == {"old": 1}
        problem(client.post(f"/v1/reports/{row.id}/again"), 422, "another version of the service")
    titles = {one["analysis"]: one["title"] for one in client.get("/v1/reports").json()["reports"]}
    assert titles["colonel"] == "asked of another version of the service"


# ---------------------------------------------------------------- jobs


def done(client: TestClient, request: Request[Any], report: Plain) -> str:
    """A job that was done with this report."""
    jobs = client.app.state.service.store.jobs  # type: ignore[attr-defined]
    job = jobs.add(request, 10)
    claim = jobs.claim(job.id)
    assert claim is not None and jobs.finish(claim, report)
    return str(job.id)


@pytest.mark.full
def test_a_jobs_report_is_listed_and_asked_again_too(settings: Settings) -> None:
    with TestClient(create_app(settings.model_copy(update={"jobs": 0}))) as client:
        answer = ask(client, "cost", variants=["resnet20/eca"])
        report = CostReport.model_validate_json(answer.content)
        request = CostRequest(variants=(Variant.parse("resnet20/eca"),))
        same = done(client, request, report)
        other = done(client, request, report.model_copy(update={"convention": "another"}))
        listed = client.get("/v1/reports").json()["reports"]
        assert [(one["id"], one["job"]) for one in listed] == [
            (other, True),
            (same, True),
            (answer.headers["Report-Id"], False),
        ]
        assert {one["title"] for one in listed} == {"resnet20/eca"}
        assert client.get(f"/v1/reports/{same}").json()["conditions"] is None
        told = again(client, same)
        assert told["same"] is True and told["now"] == answer.headers["Report-Id"]
        assert "not recorded" in told["sentence"]
        told = again(client, other)
        assert [(one["path"], one["before"]) for one in told["differences"]] == [("convention", "another")]


@pytest.mark.full
def test_a_slow_question_asked_again_is_a_job_again(settings: Settings) -> None:
    with TestClient(create_app(settings.model_copy(update={"jobs": 0}))) as client:
        photo = settings.folder / "datasets" / "pets" / "train" / "cat" / "0.png"
        photo.parent.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(photo)
        request = StudyRequest(data="pets", variants=(Variant.parse("resnet20/none"), Variant.parse("resnet20/se")))
        answer = client.post(f"/v1/reports/{done(client, request, CostReport(variants=(), convention=''))}/again")
        assert answer.status_code == 202
        job = client.get(answer.headers["Location"]).json()
        assert (job["state"], job["analysis"], job["request"]) == ("queued", "study", request.model_dump(mode="json"))


@pytest.mark.slow
def test_every_quick_analysis_that_needs_nothing_is_kept(client: TestClient) -> None:
    """Also one that is added later: whatever takes an empty question."""
    asked = 0
    for name, analysis in analyses.items():
        request = request_type(analysis)
        try:
            slow = request.model_validate({}).slow
        except ValidationError:
            continue
        if slow:
            continue
        answer = ask(client, name)
        stored = client.get(f"/v1/reports/{answer.headers['Report-Id']}").json()
        assert (stored["analysis"], stored["report"]) == (name, answer.json())
        asked += 1
    assert asked >= 4


def test_the_id_does_not_depend_on_how_the_question_was_written(client: TestClient) -> None:
    short = ask(client, "cost", variants=["resnet20/se"]).headers["Report-Id"]
    long = ask(client, "cost", variants=[{"backbone": "resnet20", "attention": "se"}]).headers["Report-Id"]
    assert short == long


# ---------------------------------------------------------------- what comes along


@pytest.mark.full
def test_what_comes_along_is_listed_read_and_stays(client: TestClient) -> None:
    listed = client.get("/v1/reports", params={"shipped": True}).json()["reports"]
    names = [entry["id"] for entry in listed]
    assert names == sorted(names) and {"shipped-study-cifar10", "shipped-sweep", "shipped-latency"} <= set(names)
    assert not any(entry["own"] for entry in listed) and client.get("/v1/reports").json() == {"reports": []}
    assert client.get("/v1/storage").json()["bytes"] == 0, "and is on nobody's account"
    for entry in listed:
        answer = client.get(f"/v1/reports/{entry['id']}")
        stored = StoredReport.model_validate_json(answer.content)
        assert (stored.id, stored.analysis) == (entry["id"], entry["analysis"])
        rows = client.get(f"/v1/reports/{entry['id']}", params={"format": "csv"}).text.splitlines()
        assert len(rows) > 2, entry["id"]
    address = "/v1/reports/shipped-sweep"
    for answer in (client.delete(address), client.patch(address, params={"shared": False})):
        problem(answer, 422, "comes with the service")
    problem(client.get("/v1/reports/shipped-nothing"), 404, "comes along", "shipped=true")
    pages = client.get("/v1/reports", params={"shipped": True, "limit": 1})
    assert [entry["id"] for entry in pages.json()["reports"]] == names[:1]
    following = client.get(pages.links["next"]["url"])
    assert [entry["id"] for entry in following.json()["reports"]] == names[1:2]


@pytest.mark.full
def test_what_comes_along_is_asked_again_as_a_job(client: TestClient) -> None:
    asked = client.get("/v1/reports/shipped-fold").json()["request"]
    answer = client.post("/v1/reports/shipped-fold/again")
    assert answer.status_code == 202
    assert answer.json()["analysis"] == "fold" and answer.json()["request"]["images"]["data"] == asked["images"]["data"]
