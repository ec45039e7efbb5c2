"""The client says in a sentence whatever goes wrong, and reads what goes right as typed reports."""

import asyncio
import base64
import io
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image

from attention.client import Client, ServiceError, Unreachable, gate_values
from attention.client.async_client import AsyncClient
from attention.errors import NotFound
from attention.reports.compare import CompareRequest, Comparison
from attention.reports.cost import CostReport, CostRequest
from attention.reports.study import StudyRequest
from attention.spec import Recipe, Variant
from server.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Jobs run: the client waits for one."""
    return Settings(data=tmp_path / "data", device="cpu", threads=1, max_upload_bytes=200_000)


def answering(respond: Callable[[httpx2.Request], httpx2.Response]) -> Client:
    return Client(httpx2.Client(base_url="http://api.test:8000", transport=httpx2.MockTransport(respond)))


@pytest.mark.full
def test_an_uploaded_photo_is_compared_and_comes_back_small(client: Client, photo: Callable[[int], bytes]) -> None:
    image = client.upload("noise.jpg", photo(1))
    assert (image.name, image.width, image.height, image.format) == ("noise.jpg", 40, 30, "JPEG")
    assert image in client.images()
    assert client.image_file(image.id) == photo(1)
    assert client.image_file(image.id, 16) != photo(1)
    names = ("resnet20/none", "resnet20/eca(kernel_size=3)")
    variants = tuple(Variant.parse(name) for name in names)
    report = client.ask(CompareRequest(images=(image.id,), variants=variants, gates="base64", top_k=2))
    assert [variant.name.partition("?")[0] for variant in report.variants] == list(names)
    plain, eca = report.predictions
    assert gate_values(plain) == {}
    values = gate_values(eca)
    assert list(values) == [gate.path for gate in eca.gates]
    assert [len(row) for row in values.values()] == [16, 16, 16, 32, 32, 32, 64, 64, 64]
    assert all(
        row.mean() == pytest.approx(gate.mean, abs=1e-3) for row, gate in zip(values.values(), eca.gates, strict=True)
    )


@pytest.mark.full
def test_cost_is_typed(client: Client) -> None:
    report = client.ask(CostRequest(variants=(Variant.parse("resnet50/eca"),)))
    assert report.variants[0].delta.parameters == 86
    assert client.health().status == "ok"
    assert {"se", "eca"} <= {entry.name for entry in client.catalog().modules}


@pytest.mark.full
def test_a_job_is_submitted_followed_and_read(client: Client) -> None:
    request = CostRequest(variants=(Variant.parse("resnet20/eca"),))
    job = client.submit(request)
    assert (job.state, job.analysis) == ("queued", "cost")
    deadline = time.monotonic() + 60
    while not (now := client.job(job.id)).ended:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (now.state, now.report) == ("done", "final")
    assert client.report(job.id, CostReport) == client.ask(request)
    assert [one.id for one in client.jobs()] == [job.id]
    with pytest.raises(ServiceError, match="done already") as caught:
        client.cancel(job.id)
    assert caught.value.status == 409


@pytest.mark.full
def test_an_answer_has_an_id_under_which_it_is_found_and_asked_again(client: Client) -> None:
    request = CostRequest(variants=(Variant.parse("resnet20/eca"),))
    report, name = client.asked(request)
    assert name is not None
    stored = client.stored(name)
    assert CostRequest.model_validate(stored.request) == request
    assert CostReport.model_validate(stored.report) == report
    told = client.again(name)
    assert told.same and told.now == name
    with pytest.raises(ServiceError, match="no report"):
        client.stored("0" * 32)


SHADES = StudyRequest(
    data="shades",
    size=8,
    variants=(Variant.parse("resnet20(width=4)/none"), Variant.parse("resnet20(width=4)/eca")),
    recipe=Recipe(epochs=1, batch_size=8, lr=0.05, crop_padding=0),
    seeds=1,
)


def shades() -> io.BytesIO:
    """A data set that is learned in a moment, as a zip: dark images, and light ones."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for split, count in (("train", 4), ("test", 2)):
            for number, label in enumerate(("dark", "light")):
                for index in range(count):
                    rng = np.random.default_rng([number, index, split == "test"])
                    picture = io.BytesIO()
                    pixels = rng.integers(0, 120, (8, 8, 3), dtype=np.uint8) + np.uint8(130 * number)
                    Image.fromarray(pixels).save(picture, "PNG")
                    archive.writestr(f"{split}/{label}/{index}.png", picture.getvalue())
    file.seek(0)
    return file


@pytest.mark.slow
def test_a_slow_question_is_submitted_and_waited_for(client: Client) -> None:
    client.upload_dataset("shades", shades())
    report, name = client.asked(SHADES)
    assert len(report.runs) == 2 and report.complete and name is not None
    job = client.job(name)
    assert [event.state for event in client.events(name)] == ["done"] and client.wait(job, progress=True) == job
    assert client.export(name) == report.csv() and client.export(name, "latex") == report.latex()
    assert client.export(name, "csv", "classes") == report.csv("classes")
    with pytest.raises(ServiceError, match="It has: arms"):
        client.export(name, "csv", "rows")
    client.delete("datasets", "shades")


def test_a_job_that_fails_says_why() -> None:
    job = {
        "id": "a",
        "analysis": "study",
        "request": {},
        "state": "failed",
        "created": "2026-01-01T00:00:00Z",
        "started": None,
        "finished": None,
        "done": 0,
        "total": 4,
        "note": "",
        "eta_s": None,
        "report": "none",
        "error": "There is no data set 'shades'.",
        "attempts": 1,
        "links": {"job": "/v1/jobs/a", "events": "/e", "report": "/r", "cancel": "/c"},
    }
    with pytest.raises(ServiceError, match="no data set 'shades'"):
        answering(lambda request: httpx2.Response(200, json=job)).ask(SHADES)


@pytest.mark.full
def test_a_photo_is_sent_in_whatever_form_it_is_there_and_deleted(
    client: Client, photo: Callable[[int], bytes], tmp_path: Path
) -> None:
    (tmp_path / "noise.jpg").write_bytes(photo(1))
    image = Image.open(io.BytesIO(photo(2)))
    ids = client.photos(tmp_path / "noise.jpg", str(tmp_path / "noise.jpg"), photo(1), image, np.asarray(image))
    assert len(set(ids[:3])) == 1
    for name in ids[3:]:
        sent = Image.open(io.BytesIO(client.image_file(name)))
        assert np.array_equal(np.asarray(sent), np.asarray(image))
    client.delete("images", ids[3])
    with pytest.raises(ServiceError, match="no image"):
        client.image_file(ids[3])
    with pytest.raises(NotFound, match="no file 'kitten.jpg'"):
        client.upload("kitten.jpg")


@pytest.mark.full
def test_the_async_twin_gives_the_same(client: Client) -> None:
    async def ask() -> list[CostReport]:
        twin = AsyncClient(client.http)
        requests = [CostRequest(variants=(Variant.parse(name),)) for name in ("resnet20/se", "resnet20/eca")]
        reports = await asyncio.gather(*map(twin.ask, requests))
        job = await twin.submit(requests[0])
        assert [event.ended async for event in twin.events(job.id)][-1]
        assert await twin.report(job.id, CostReport) == reports[0]
        with pytest.raises(ServiceError, match="Did you mean 'eca'"):
            await twin.ask(CostRequest(variants=(Variant.parse("resnet20/ecaa"),)))
        return reports

    assert asyncio.run(ask()) == [
        client.ask(CostRequest(variants=(Variant.parse(name),))) for name in ("resnet20/se", "resnet20/eca")
    ]


def test_a_refusal_is_the_services_own_sentence(client: Client) -> None:
    with pytest.raises(ServiceError, match="Did you mean 'eca'") as caught:
        client.ask(CostRequest(variants=(Variant(backbone="resnet50", attention="ecaa"),)))
    assert caught.value.status == 422
    with pytest.raises(ServiceError) as caught:
        client.image_file("../secrets")
    assert caught.value.status == 404


def test_no_connection_says_how_to_start_the_api() -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("connection refused", request=request)

    with pytest.raises(Unreachable, match=r"does not answer at http://api.test:8000. Start it with `make run`"):
        answering(refuse).health()


def test_a_time_out_is_not_called_unreachable() -> None:
    def dawdle(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("too slow", request=request)

    with pytest.raises(ServiceError, match="took too long") as caught:
        answering(dawdle).catalog()
    assert not isinstance(caught.value, Unreachable)


def test_an_answer_of_something_else_at_that_address_is_recognised() -> None:
    proxy = answering(lambda request: httpx2.Response(502, text="<html>Bad Gateway</html>"))
    with pytest.raises(ServiceError, match="502 Bad Gateway"):
        proxy.health()
    other = answering(lambda request: httpx2.Response(200, json={"hello": "world"}))
    with pytest.raises(ServiceError, match="not a Health"):
        other.health()


def test_an_overloaded_service_says_when_to_come_back() -> None:
    problem = {
        "type": "/problems/overloaded",
        "title": "Overloaded",
        "status": 503,
        "detail": "All places are taken.",
        "instance": "/v1/health",
    }
    full = answering(lambda request: httpx2.Response(503, json=problem, headers={"retry-after": "2"}))
    with pytest.raises(ServiceError, match="All places are taken") as caught:
        full.health()
    assert caught.value.retry_after_s == 2


def test_base64_and_numbers_are_the_same_gates(comparison: Callable[..., Comparison]) -> None:
    rows = [[0.25, 0.5, 0.75], [0.125, 1.0]]
    numbers = comparison(["resnet20/se"], rows).predictions[0]
    packed = base64.b64encode(np.concatenate(rows).astype("<f2").tobytes()).decode()
    encoded = numbers.model_copy(update={"values": None, "values_base64": packed})
    for read in (gate_values(numbers), gate_values(encoded)):
        assert [list(row) for row in read.values()] == rows
