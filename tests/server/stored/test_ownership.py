"""With keys, what a key keeps is its own: no other key sees, uses, counts, changes or deletes it, nor learns of it."""

import re
import time
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from httpx2 import Response

from attention import shipped_reports
from attention.data.files import samples
from server.access.keys import create_key, revoke_key
from server.access.middleware import OPEN
from server.jobs.worker import run_job
from server.settings import Settings
from tests.server.conftest import photo
from tests.server.stored.owners import JOB, LISTS, Asker, Lab, finish, laboratory

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("nothing_shipped")]

UNKNOWN = {
    "images": "0" * 64,
    "datasets": "unknown-ffffffff",
    "checkpoints": "unknown-ffffffff",
    "jobs": "0" * 16,
    "reports": "0" * 32,
}
"""A thing that nobody has, in the form of each kind's ids."""


@pytest.fixture
def lab(settings: Settings) -> Iterator[Lab]:
    with laboratory(settings) as lab:
        yield lab


def routes(lab: Lab) -> list[tuple[str, str, str]]:
    """Every route that takes the id of a stored thing: method, kind, and its address with ``{}`` for the id."""
    described = lab.http.get("/openapi.json").json()["paths"]
    found = []
    for path, methods in described.items():
        if "{" in path:
            kind = path.split("/")[2]
            assert kind in LISTS, f"{path} takes an id of a kind that this test does not know"
            found += [(method.upper(), kind, re.sub(r"\{\w+\}", "{}", path.removeprefix("/v1/"))) for method in methods]
    return found


def told(answer: Response, id: str) -> tuple[int, str]:
    """What an answer tells beside the id that was asked for."""
    return answer.status_code, answer.text.replace(id, "ID").replace(id[:12], "ID")


def test_to_another_key_a_thing_is_as_if_it_were_not_there(lab: Lab) -> None:
    before = {kind: lab.anna("GET", f"{kind}/{id}").content for kind, id in lab.things.items()}
    tried = routes(lab)
    assert len(tried) >= 20
    for method, kind, path in tried:
        more = {"params": {"shared": "true"}} if method == "PATCH" else {}
        theirs = lab.bert(method, path.format(lab.things[kind]), **more)
        nobodys = lab.bert(method, path.format(UNKNOWN[kind]), **more)
        assert theirs.status_code == 404, (method, path, theirs.text)
        assert told(theirs, lab.things[kind]) == told(nobodys, UNKNOWN[kind]), (method, path)
    assert before == {kind: lab.anna("GET", f"{kind}/{id}").content for kind, id in lab.things.items()}


def test_no_address_tells_another_key_what_there_is(lab: Lab) -> None:
    secrets = [*lab.things.values(), "private.jpg"]
    described = lab.http.get("/openapi.json").json()["paths"]
    for path, methods in described.items():
        if "get" in methods and "{" not in path:
            text = lab.bert("GET", path.removeprefix("/v1/")).text
            assert not [secret for secret in secrets if secret in text], path
    storage = lab.bert("GET", "storage").json()
    assert storage["bytes"] == 0 and {kind["count"] for kind in storage["kinds"]} == {0}
    assert {kind["oldest"] for kind in storage["kinds"]} == {None}
    assert {kind["count"] for kind in lab.anna("GET", "storage").json()["kinds"]} == {1}


def questions(kind: str, id: str) -> list[tuple[str, dict[str, Any]]]:
    """Ways to ask about a photo, data set or checkpoint, at once and as a job."""
    sample = [samples()[0].id]
    trained = {"backbone": "resnet20", "attention": "eca", "weights": f"file:{id}"}
    ways: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "images": [
            ("compare", {"images": [id], "variants": ["eca"]}),
            ("seen", {"image": id, "variants": ["eca"]}),
            ("compare", {"images": sample, "ablation": {"kind": "mean", "reference": {"images": [id]}}}),
            ("sweep", {"images": {"images": [id]}, "variant": "eca"}),
        ],
        "datasets": [
            ("sweep", {"images": {"data": id}, "variant": "eca"}),
            ("study", {"variants": ["resnet20/none", "resnet20/eca"], "data": id}),
            ("plan", {"study": {"variants": ["resnet20/none", "resnet20/eca"], "data": id}}),
            ("excitation", {"pictures": {"data": id}, "variant": "eca"}),
        ],
        "checkpoints": [("compare", {"images": sample, "variants": [trained]}), ("cost", {"variants": [trained]})],
    }
    jobs = [("jobs", {"analysis": analysis, "request": question}) for analysis, question in ways[kind]]
    return [*ways[kind], *jobs]


@pytest.mark.parametrize("kind", ["images", "datasets", "checkpoints"])
def test_no_question_uses_what_is_another_keys(lab: Lab, kind: str) -> None:
    pairs = zip(questions(kind, lab.things[kind]), questions(kind, UNKNOWN[kind]), strict=True)
    for (path, question), (_, unknown) in pairs:
        theirs, nobodys = (lab.bert("POST", path, json=asked) for asked in (question, unknown))
        assert theirs.status_code == 404, (path, theirs.text)
        assert told(theirs, lab.things[kind]) == told(nobodys, UNKNOWN[kind]), path
    assert lab.bert.ids("jobs") == set()


@pytest.mark.parametrize("kind", ["datasets", "checkpoints"])
def test_a_name_that_ends_like_ones_own_tells_no_name_of_another_key(lab: Lab, kind: str) -> None:
    own = f"x-{lab.bert.id}"
    told_to_bert = [lab.bert("POST", path, json=asked).text for path, asked in questions(kind, own)]
    told_to_bert += [lab.bert("GET", f"{kind}/{own}").text, lab.bert("DELETE", f"{kind}/{own}").text]
    assert len(told_to_bert) >= 6 and all("404" in text for text in told_to_bert), told_to_bert
    assert not [text for text in told_to_bert if lab.things[kind] in text]


def test_numbers_of_a_study_may_tell_of_weights_that_are_another_keys(settings: Settings) -> None:
    study = deepcopy(shipped_reports.all_reports()["shipped-study-cifar10"].report)
    with laboratory(settings.model_copy(update={"max_json_bytes": 2_000_000, "max_request_bytes": 2_000_000})) as lab:
        for run in study["runs"]:
            run["weights"] = f"file:{lab.things['checkpoints']}"
        answer = lab.bert("POST", "overview", json={"study": study})
    assert answer.status_code == 200, answer.text


def test_reports_that_come_along_are_every_keys_to_read_and_nobodys_to_change(lab: Lab) -> None:
    for asker in (lab.anna, lab.bert, lab.chief):
        assert asker("GET", "reports/shipped-sweep").status_code == 200
        assert "shipped-sweep" in asker("GET", "reports?shipped=true").text
        assert asker("DELETE", "reports/shipped-sweep").status_code == 422


def test_what_another_keys_job_needs_is_not_deleted_nor_renamed_by_its_owner(lab: Lab) -> None:
    for kind in ("datasets", "checkpoints"):
        for path, question in questions(kind, lab.things[kind])[-1:]:
            assert lab.chief("POST", path, json=question).status_code == 202
        for method, more in (("DELETE", {}), ("PATCH", {"params": {"new_name": "other"}})):
            answer = lab.anna(method, f"{kind}/{lab.things[kind]}", **more)
            assert answer.status_code == 409 and "in use by a job of another key" in answer.text


def test_an_operator_who_renames_a_thing_leaves_it_to_its_owner(lab: Lab) -> None:
    for kind in ("datasets", "checkpoints"):
        renamed = lab.chief("PATCH", f"{kind}/{lab.things[kind]}", params={"new_name": "better"})
        assert renamed.json()["name"] == f"better-{lab.anna.id}"
        assert lab.anna.ids(kind) == {f"better-{lab.anna.id}"} and lab.bert.ids(kind) == set()


def test_each_owner_of_the_same_photo_shares_its_own(lab: Lab) -> None:
    image = lab.bert.upload(photo(7))
    assert image == lab.things["images"]
    lab.bert("PATCH", f"images/{image}", params={"shared": True})
    entries = [asker("GET", "images").json()["images"] for asker in (lab.anna, lab.bert)]
    marks = [next((e["own"], e["shared"]) for e in images if e["id"] == image) for images in entries]
    assert marks == [(True, False), (True, True)]


def test_a_shared_jobs_events_are_marked_as_another_keys(lab: Lab) -> None:
    lab.anna("PATCH", f"jobs/{lab.things['jobs']}", params={"shared": True})
    events = lab.bert("GET", f"jobs/{lab.things['jobs']}/events").text
    assert '"own":false' in events and '"shared":true' in events


def test_a_remembered_answer_is_given_to_the_key_that_may_have_it(lab: Lab) -> None:
    image = lab.things["images"]
    asked = lab.anna.compare(image)
    assert asked.status_code == 200 and lab.bert.compare(image).status_code == 404
    cache = lab.http.app.state.service.answer_cache  # type: ignore[attr-defined]
    lab.bert.upload(photo(7))
    hits = cache.hits
    again = lab.bert.compare(image)
    assert again.status_code == 200 and cache.hits == hits  # how soon it came told nothing of anna's question
    assert again.headers["report-id"] == asked.headers["report-id"] == lab.things["reports"]
    assert lab.bert.ids("reports") == {lab.things["reports"]}
    assert lab.bert("DELETE", f"reports/{lab.things['reports']}").status_code == 204
    assert lab.anna("GET", f"reports/{lab.things['reports']}").status_code == 200


def test_what_is_shared_is_there_to_be_used_and_not_to_be_changed(lab: Lab) -> None:
    for kind, id in lab.things.items():
        shared = lab.anna("PATCH", f"{kind}/{id}", params={"shared": True})
        assert shared.status_code == 200 and shared.json()["shared"] is True, shared.text
        (entry,) = [entry for entry in lab.bert("GET", kind).json()[kind] if id in (entry.get("id"), entry.get("name"))]
        assert (entry["own"], entry["shared"]) == (False, True)
    for method, kind, path in routes(lab):
        more = {"params": {"shared": "false"}} if method == "PATCH" else {}
        status = lab.bert(method, path.format(lab.things[kind]), **more).status_code
        expected = 403 if method in ("PATCH", "DELETE") or path.endswith("/cancel") else 200
        if path == "jobs/{}/file":
            expected = 404  # a job of counting has written none
        assert status == expected, (method, path)
    assert lab.bert.compare(lab.things["images"]).status_code == 200
    assert {kind["count"] for kind in lab.bert("GET", "storage").json()["kinds"]} == {0, 1}  # the report of that alone
    for kind, id in lab.things.items():
        assert lab.anna("PATCH", f"{kind}/{id}", params={"shared": False}).json()["shared"] is False
        status = lab.bert("GET", f"{kind}/{id}").status_code
        assert status == (200 if kind == "reports" else 404), kind  # the report is bert's, who has asked the same
    assert lab.bert.compare(lab.things["images"]).status_code == 404


def test_asking_a_shared_question_again_needs_what_it_names(lab: Lab) -> None:
    lab.anna("PATCH", f"reports/{lab.things['reports']}", params={"shared": True})
    again = f"reports/{lab.things['reports']}/again"
    stored = lab.bert("GET", f"reports/{lab.things['reports']}").json()
    assert stored["missing"] == [lab.things["images"]]
    assert lab.bert("POST", again).status_code == 409  # the photo is anna's, and may come along
    assert lab.bert("POST", again, files={"image": ("x.jpg", photo(7))}).json()["same"] is True


def test_an_operators_key_sees_and_changes_everything(lab: Lab) -> None:
    for kind, id in lab.things.items():
        assert id in lab.chief.ids(kind)
        assert lab.chief("GET", f"{kind}/{id}").status_code == 200
    assert {kind["count"] for kind in lab.chief("GET", "storage").json()["kinds"]} == {1}
    assert lab.chief.compare(lab.things["images"]).status_code == 200
    assert lab.chief("PATCH", f"images/{lab.things['images']}", params={"shared": True}).status_code == 200
    assert lab.bert("GET", f"images/{lab.things['images']}").status_code == 200
    assert lab.chief("DELETE", f"images/{lab.things['images']}").status_code == 204
    assert lab.anna("GET", f"images/{lab.things['images']}").status_code == 404


def test_what_an_operator_keeps_is_no_other_keys(lab: Lab) -> None:
    image = lab.chief.upload(photo(9))
    job = lab.chief("POST", "jobs", json=JOB).json()["id"]
    for asker in (lab.anna, lab.bert):
        assert asker("GET", f"images/{image}").status_code == asker("GET", f"jobs/{job}").status_code == 404


def test_the_same_bytes_of_two_keys_are_one_photo_with_two_owners(lab: Lab) -> None:
    image = lab.things["images"]
    mine = lab.anna("GET", f"images/{image}").json()
    assert lab.bert.upload(photo(7), "other.jpg") == image
    theirs = lab.bert("GET", f"images/{image}").json()
    assert (mine["name"], theirs["name"]) == ("private.jpg", "other.jpg")
    lab.bert("PATCH", f"images/{image}", params={"new_name": "third.jpg"})
    assert lab.anna("GET", f"images/{image}").json() == mine  # neither name nor time tells of the other
    assert lab.anna("DELETE", f"images/{image}").status_code == 204
    assert lab.anna("GET", f"images/{image}/file").status_code == 404
    assert lab.bert("GET", f"images/{image}/file").content == photo(7)
    assert lab.bert("DELETE", f"images/{image}").status_code == 204
    assert lab.chief("GET", f"images/{image}").status_code == 404


def test_names_of_two_keys_do_not_meet(lab: Lab) -> None:
    theirs = lab.bert("POST", "checkpoints", params={"name": "mine"}, content=b"no checkpoint")
    assert theirs.status_code == 422  # and not 409: the name is free for bert
    assert lab.things["checkpoints"] == f"mine-{lab.anna.id}" and lab.things["datasets"] == f"pets-{lab.anna.id}"
    renamed = lab.anna("PATCH", f"checkpoints/{lab.things['checkpoints']}", params={"new_name": "x", "shared": True})
    assert renamed.json()["name"] == f"x-{lab.anna.id}"
    again = lab.anna("PATCH", f"checkpoints/x-{lab.anna.id}", params={"new_name": "y"}).json()
    assert again["name"] == f"y-{lab.anna.id}" and again["shared"]  # it is shared under any name
    assert lab.bert("GET", f"checkpoints/y-{lab.anna.id}").status_code == 200


def test_the_same_idempotency_key_of_two_keys_are_two_wishes(lab: Lab) -> None:
    headers = {"Idempotency-Key": "monday"}
    first, second = (asker("POST", "jobs", json=JOB, headers=headers).json()["id"] for asker in (lab.anna, lab.bert))
    assert first != second and lab.anna("POST", "jobs", json=JOB, headers=headers).json()["id"] == first


def test_what_a_revoked_key_had_stays_with_the_operator(lab: Lab, settings: Settings) -> None:
    revoke_key(settings.keys_path, "anna")
    heir = Asker(lab.http, create_key(settings.keys_path, "anna")[1])
    time.sleep(1.1)  # a running service looks at its keys once a second
    for kind, id in lab.things.items():
        assert id in lab.chief.ids(kind) and heir.ids(kind) == set()


def test_a_job_works_with_the_rights_of_its_asker(lab: Lab, settings: Settings) -> None:
    image, question = lab.things["images"], {"analysis": "compare", "request": {"variants": ["resnet20/eca"]}}
    question["request"]["images"] = [image]  # type: ignore[index]
    lab.anna("PATCH", f"images/{image}", params={"shared": True})
    jobs = [asker("POST", "jobs", json=question).json()["id"] for asker in (lab.bert, lab.anna)]
    lab.anna("PATCH", f"images/{image}", params={"shared": False})
    for job in jobs:
        run_job(settings, job)
    theirs, own = (asker("GET", f"jobs/{job}").json() for asker, job in zip((lab.bert, lab.anna), jobs, strict=True))
    assert (theirs["state"], own["state"]) == ("failed", "done")
    assert "There is no image" in theirs["error"]


def test_a_shared_photo_that_another_keys_job_needs_stays_until_its_end(lab: Lab) -> None:
    image = lab.things["images"]
    lab.anna("PATCH", f"images/{image}", params={"shared": True})
    question = {"analysis": "compare", "request": {"variants": ["resnet20/eca"], "images": [image]}}
    job = lab.bert("POST", "jobs", json=question).json()["id"]
    refused = lab.anna("DELETE", f"images/{image}")
    assert refused.status_code == 409 and job not in refused.text
    lab.bert.upload(photo(7))
    assert lab.anna("DELETE", f"images/{image}").status_code == 204  # bert keeps it now
    assert lab.bert("DELETE", f"images/{image}").status_code == 409


def test_a_deleted_job_counts_no_longer_against_its_key(lab: Lab) -> None:
    job = lab.anna("POST", "jobs", json=JOB).json()["id"]
    finish(lab.http, job)
    assert lab.anna("DELETE", f"jobs/{job}").status_code == 204
    assert lab.anna("POST", "jobs", json=JOB).status_code == 202


def test_the_list_of_open_addresses_holds_nothing_that_is_stored() -> None:
    assert not [path for path in OPEN if any(kind in path for kind in LISTS)]
