"""Jobs over HTTP, in the processes they really run in: asked for, followed, stopped, killed, and begun again."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.server.api.http.test_problems import problem
from tests.server.conftest import photo
from tests.server.store.copies import WITHIN_S, Running, alive, copy_project, gone, running

pytestmark = pytest.mark.slow

STEPS = 120
"""Of a job that is to be stopped in the middle, a tenth of a second each."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def api(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One service for all tests that leave it as it was."""
    with running(project, tmp_path_factory.mktemp("api") / "data") as service:
        yield service


def half_way(job: dict[str, Any]) -> bool:
    return job["state"] == "running" and job["done"] >= 2 and job["report"] == "partial"


def events(stream: httpx2.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """The id and the job of each server-sent event."""
    name = ""
    for line in stream.iter_lines():
        if line.startswith("id: "):
            name = line[4:]
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])


# ---------------------------------------------------------------- asked for and followed


def test_a_slow_question_becomes_a_job_whose_report_can_be_read(api: Running) -> None:
    answer = api.http.post("/v1/count", json={"name": "plain", "to": 3})
    job = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/v1/jobs/{job['id']}")
    assert (job["state"], job["analysis"], job["request"]["to"]) == ("queued", "count", 3)
    ended = api.ended(job["id"])
    assert (ended["state"], ended["done"], ended["total"], ended["attempts"]) == ("done", 3, 3, 1)
    assert ended["created"] <= ended["started"] <= ended["finished"] and ended["created"].endswith("Z")
    report = api.report(job["id"])
    assert (report["counted"], report["kept"]) == ([1, 2, 3], 0)
    assert gone(report["process"])
    stored = api.http.get(f"/v1/reports/{job['id']}").json()
    assert (stored["report"], stored["request"], stored["analysis"]) == (report, job["request"], "count")
    table = api.http.get(f"/v1/jobs/{job['id']}/report", params={"format": "csv"})
    assert (table.text, table.headers["Content-Type"]) == ("step\r\n1\r\n2\r\n3\r\n", "text/csv; charset=utf-8")
    problem(api.http.post(f"/v1/jobs/{job['id']}/cancel"), 409, "done already")


def test_a_quick_question_can_be_a_job_too(api: Running) -> None:
    asked = {"analysis": "cost", "request": {"variants": ["resnet20/se"]}}
    answer = api.http.post("/v1/jobs", json=asked)
    assert answer.status_code == 202
    job = api.ended(answer.json()["id"])
    assert job["state"] == "done"
    assert api.report(job["id"]) == api.http.post("/v1/cost", json=asked["request"]).json()
    assert api.http.get("/v1/jobs", params={"limit": 1}).json()["jobs"][0]["id"] == job["id"]


def test_photos_that_come_with_a_slow_question_are_kept_for_it(api: Running) -> None:
    answer = api.http.post("/v1/count", files={"image": ("photo.jpg", photo())}, data={"name": "photos", "to": "1"})
    assert answer.status_code == 202
    (image,) = answer.json()["request"]["images"]
    assert api.http.get(f"/v1/images/{image}").status_code == 200
    assert api.ended(answer.json()["id"])["state"] == "done"
    broken = {"image": ("photo.jpg", b"not a photo")}
    problem(api.http.post("/v1/count", files=broken, data={"name": "photos"}), 422, "not an image")


def test_a_job_is_followed_to_its_end(api: Running) -> None:
    job_id = api.submit(name="followed", to=12, step_s=0.05)
    with api.http.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        seen = list(events(stream))
    assert all(name == job["state"] for name, job in seen)
    assert [job["done"] for _, job in seen] == sorted(job["done"] for _, job in seen)
    assert (seen[-1][0], seen[-1][1]["done"]) == ("done", 12)
    assert api.report(job_id)["threads"] == str(max(1, len(os.sched_getaffinity(0)) - 1))
    again = api.http.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": "done"})
    assert again.status_code == 204


def test_a_job_is_followed_while_the_service_answers_others(api: Running) -> None:
    """Partial reports, the time left, the queue and other questions, during a busy job that ends only by being stopped.

    Everything is asked five times between two events of it, so the service waits for nothing that the job does.
    """
    job_id = api.submit(name="busy", to=1_000_000, step_s=0.25, busy=True)
    behind = api.submit(name="behind", to=1)
    estimates: list[float] = []
    with api.http.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
        for _, job in events(stream):
            if job["eta_s"] is not None and len(estimates) < 5:
                estimates.append(job["eta_s"])
                assert len(api.report(job_id)["counted"]) >= job["done"]
                assert api.http.get("/v1/health").status_code == 200
                assert (api.job(behind)["state"], api.job(job_id)["state"]) == ("queued", "running")
                if len(estimates) == 5:
                    api.http.post(f"/v1/jobs/{job_id}/cancel")
    assert job["state"] == "cancelled" and len(estimates) == 5 and min(estimates) > 0
    assert api.ended(behind)["state"] == "done"


# ---------------------------------------------------------------- refused


def test_a_bad_question_is_refused_before_it_waits(api: Running) -> None:
    before = api.http.get("/v1/jobs").json()

    def ask(body: Any) -> httpx2.Response:
        return api.http.post("/v1/jobs", json=body)

    problem(ask({"analysis": "coun"}), 422, "no analysis named 'coun'", "Did you mean 'count'?")
    problem(ask({"request": {}}), 422, "'analysis' is missing")
    problem(ask({"analysis": "count", "request": {"nam": "x"}}), 422, "'name' is missing")
    problem(ask({"analysis": "count", "request": {"name": "x", "tu": 3}}), 422, "Did you mean 'to'?")
    wrong = {"name": "x", "variants": ["resnet20/se", "resnet20/se@standard:9"]}
    problem(ask({"analysis": "count", "request": wrong}), 422, "stage 9")
    problem(api.http.post("/v1/count", json=wrong), 422, "stage 9")
    problem(api.http.post("/v1/jobs"), 422, "empty")
    problem(api.http.post("/v1/jobs", content=b"a,b", headers={"Content-Type": "text/csv"}), 415, "'text/csv'")
    assert api.http.get("/v1/jobs").json() == before


@pytest.mark.parametrize(
    ("path", "question", "word"),
    [
        ("study", {"data": "roses", "variants": ["resnet20/none", "resnet20/se"]}, "no data set 'roses'"),
        ("sweep", {"variant": "resnet20/se", "images": {"data": "roses"}}, "no data set 'roses'"),
        ("latency", {"variants": ["resnet20/none", "resnet20/se?weights=file:mine"]}, "no checkpoint 'mine'"),
    ],
)
def test_what_is_not_here_is_told_before_the_job_waits(
    api: Running, path: str, question: dict[str, Any], word: str
) -> None:
    problem(api.http.post(f"/v1/{path}", json=question), 404, word, "GET /v1/")


@pytest.mark.parametrize("path", ["", "/events", "/report"])
def test_a_job_that_is_not_here_is_not_found(api: Running, path: str) -> None:
    problem(api.http.get(f"/v1/jobs/nobody{path}"), 404, "no job 'nobody'")


def test_nobody_cannot_be_cancelled_or_read(api: Running) -> None:
    problem(api.http.post("/v1/jobs/nobody/cancel"), 404, "no job 'nobody'")
    problem(api.http.get("/v1/reports/nobody"), 404, "no report 'nobody'")
    problem(api.http.get("/v1/jobs", params={"state": "asleep"}), 422, "'state'")


def test_an_error_of_the_caller_is_told_and_a_bug_by_its_number_only(api: Running) -> None:
    mistaken, broken = (api.submit(name=end, to=1, end=end) for end in ("sentence", "bug"))
    job = api.ended(mistaken)
    assert (job["state"], job["error"]) == ("failed", "There is nothing to count here. Bring some beans.")
    assert api.report(mistaken)["counted"] == [1]  # what was found before stays readable
    problem(api.http.get(f"/v1/reports/{mistaken}"), 404, "is failed")
    job = api.ended(broken)
    assert job["state"] == "failed" and "bug in the service" in job["error"] and "secret" not in str(job)
    number = job["error"].split()[-1].rstrip(".")
    assert number in api.log and "ZeroDivisionError: secret" in api.log


# ---------------------------------------------------------------- stopped


def test_a_cancelled_job_ends_and_keeps_what_it_found(api: Running) -> None:
    job_id, behind = api.submit(name="stopped", to=1000, step_s=0.05), api.submit(name="never")
    api.wait(job_id, half_way)
    process = api.report(job_id)["process"]
    for _ in range(2):
        answer = api.http.post(f"/v1/jobs/{job_id}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert gone(process)
    assert api.http.post(f"/v1/jobs/{behind}/cancel").json()["state"] == "cancelled"
    job = api.job(job_id)
    assert (job["state"], job["report"], job["eta_s"]) == ("cancelled", "partial", None)
    assert len(api.report(job_id)["counted"]) >= 2
    problem(api.http.get(f"/v1/jobs/{behind}/report"), 404, "is cancelled and has no report.")


def test_a_cancelled_job_that_does_not_listen_is_ended(api: Running) -> None:
    job_id = api.submit(name="deaf", to=2, end="silence")
    api.wait(job_id, half_way)
    process = api.report(job_id)["process"]
    api.http.post(f"/v1/jobs/{job_id}/cancel")
    assert gone(process)
    assert api.ended(api.submit(name="after_the_deaf"))["state"] == "done"  # the queue goes on


# ---------------------------------------------------------------- killed


def test_a_job_whose_process_is_killed_begins_again_where_it_was(api: Running) -> None:
    job_id = api.submit(name="killed", to=12, step_s=0.1)
    api.wait(job_id, half_way)
    process = api.report(job_id)["process"]
    os.kill(process, signal.SIGKILL)
    job = api.ended(job_id)
    report = api.report(job_id)
    assert (job["state"], job["attempts"], job["error"]) == ("done", 2, None)
    assert report["counted"] == list(range(1, 13)) and report["kept"] >= 2
    assert report["process"] != process
    assert not Path(f"/proc/{process}").exists()  # not even a zombie


def test_a_job_that_always_dies_fails_with_the_reason(api: Running) -> None:
    job = api.ended(api.submit(name="doomed", to=2, end="death"))
    assert (job["state"], job["attempts"]) == ("failed", 3)
    assert "killed, as happens when the machine runs out of memory" in job["error"]


def test_a_service_that_is_killed_leaves_no_orphan_and_its_jobs_begin_again(project: Path, tmp_path: Path) -> None:
    with running(project, tmp_path / "data") as first:
        job_id, behind = first.submit(name="orphan", to=STEPS, step_s=0.1), first.submit(name="patient")
        first.wait(job_id, half_way)
        process = first.report(job_id)["process"]
        assert alive(process)
        first.kill()
        assert gone(process)
    with running(project, tmp_path / "data") as second:
        assert len(second.report(job_id)["counted"]) >= 2  # at once, before it goes on
        second.wait(job_id, lambda job: job["state"] == "running")
        again = second.wait(job_id, lambda job: job["attempts"] == 2 and job["done"] >= 3)
        assert again["error"] == "The service ended while this job ran."
        assert f"Job {job_id} ran when the service last ended; it is queued now." in second.log
        process = second.report(job_id)["process"]
        with second.http.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
            changes = events(stream)
            assert next(changes)[0] == "running"
            second.process.send_signal(signal.SIGTERM)
            assert all(name == "running" for name, _ in changes)  # the stream ends, and does not hold the service up
        assert second.process.wait(WITHIN_S) == 0
        assert not alive(process)
    with running(project, tmp_path / "data") as third:
        job = third.ended(job_id)
        assert (job["state"], job["attempts"], job["error"]) == ("done", 2, None)  # to be stopped costs no attempt
        report = third.report(job_id)
        assert report["counted"] == list(range(1, STEPS + 1))
        assert 3 <= report["kept"] < STEPS  # the service that left did not wait for the end
        assert third.ended(behind)["state"] == "done"
