"""Clients at once, each with another question: everyone gets what a lone one gets, and who fails, fails alone.

Images that share a forward pass are computed by the same operations as a lone image, but torch picks its kernels and
splits its sums by the size of the batch, so the last bits of float32 may differ: here, probabilities and gates are the
same to 1e-5 of their value or 2e-6, whichever is more. Which class is first, and all that is not computed, is equal.
"""

import asyncio
import base64
import io
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image

import attention.analysis
from attention.spec import Ablation
from server.app import create_app
from server.engine.local import LocalEngine
from server.settings import Settings
from tests.server.conftest import photo

CLIENTS = 24
NETWORKS = ("resnet20/se", "resnet20/eca", "resnet20/cbam", "resnet20/none", "resnet20(width=8)/se(reduction=4)")
ABLATIONS = (
    None,
    Ablation(kind="neutral"),
    Ablation(kind="scalar"),
    Ablation(kind="constant", value=0.25),
    Ablation(kind="shuffle", seed=3),
)
RELATIVE, ABSOLUTE = 1e-5, 2e-6

Question = tuple[dict[str, Any], bytes]


def questions() -> list[Question]:
    """One for each client, no two alike; some share network, ablation and shape, so they share forward passes."""
    found = []
    for number in range(CLIENTS):
        ablation = ABLATIONS[number % 3 if number < 12 else number % 5]
        fields: dict[str, Any] = {"variants": NETWORKS[number // 3 % 5], "gates": ("json", "base64")[number % 2]}
        if number % 4 == 0:
            fields["variants"] += ",resnet20/coord"
        if ablation is not None:
            fields["ablation"] = ablation.model_dump_json()
        size = (60 + 7 * number, 50 + 11 * (number % 5))
        found.append((fields, photo(number, size, ("JPEG", "PNG", "WEBP")[number % 3])))
    return found


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Nothing is remembered, so every question is worked out whenever it is asked; images wait a little for company."""
    return Settings(
        data=tmp_path_factory.mktemp("data"),
        device="cpu",
        threads=1,
        workers=CLIENTS,
        remember_answers=False,
        batch_wait_timeout_s=0.05,
    )


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Any:
    engine = LocalEngine(settings)
    yield engine
    engine.close()


def use(settings: Settings, engine: LocalEngine, asks: Callable[[httpx2.AsyncClient], Any]) -> Any:
    """What clients get who ask an app."""
    app = create_app(settings, engine)

    async def inside() -> Any:
        async with app.router.lifespan_context(app):
            transport = httpx2.ASGITransport(app=app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=120) as client:
                return await asks(client)

    return asyncio.run(inside())


async def ask(client: httpx2.AsyncClient, question: Question) -> httpx2.Response:
    fields, data = question
    return await client.post("/v1/compare", data=fields, files={"image": ("x", data)})


async def one_by_one(client: httpx2.AsyncClient, asked: Sequence[Question]) -> list[httpx2.Response]:
    return [await ask(client, question) for question in asked]


async def together(client: httpx2.AsyncClient, asked: Sequence[Question]) -> list[httpx2.Response]:
    return list(await asyncio.gather(*(ask(client, question) for question in asked)))


def batch_sizes(engine: LocalEngine) -> tuple[float, float]:
    """Forward passes so far, and images in them."""
    (family,) = (one for one in engine.metrics.collect() if one.name == "attention_batch_size")
    values = {sample.name.rpartition("_")[2]: sample.value for sample in family.samples}
    return values["count"], values["sum"]


def unpacked(report: Any) -> Any:
    """A report with packed gates as the numbers that they are: float16, so a bit of theirs is 1e-3."""
    for one in report["predictions"]:
        if packed := one.pop("values_base64", None):
            one["packed"] = np.frombuffer(base64.b64decode(packed), "<f2").astype(float)
    return report


def same(found: Any, truth: Any, where: str = "report") -> None:
    """Equal, but for the last bits of computed numbers."""
    if isinstance(truth, float) and isinstance(found, float):
        assert math.isclose(found, truth, rel_tol=RELATIVE, abs_tol=ABSOLUTE), (where, found, truth)
    elif isinstance(truth, np.ndarray):
        np.testing.assert_allclose(found, truth, rtol=2e-3, atol=1e-4, err_msg=where)
    elif isinstance(truth, dict):
        assert found.keys() == truth.keys(), where
        for name in truth:
            same(found[name], truth[name], f"{where}.{name}")
    elif isinstance(truth, list):
        assert len(found) == len(truth), where
        for number, (one, other) in enumerate(zip(found, truth, strict=True)):
            same(one, other, f"{where}[{number}]")
    else:
        assert found == truth, where


@pytest.mark.full
def test_twenty_four_clients_at_once_each_get_what_a_lone_one_gets(settings: Settings, engine: LocalEngine) -> None:
    asked = questions()
    assert len({(json.dumps(fields, sort_keys=True), data) for fields, data in asked}) == CLIENTS
    lone = use(settings, engine, lambda client: one_by_one(client, asked))
    passes, images = batch_sizes(engine)
    for _ in range(2):
        crowd = use(settings, engine, lambda client: together(client, asked))
        for alone, answer in zip(lone, crowd, strict=True):
            assert (alone.status_code, answer.status_code) == (200, 200), answer.text
            same(unpacked(answer.json()), unpacked(alone.json()))
    more = batch_sizes(engine)
    assert more[1] - images == 2 * images and more[0] - passes < 2 * passes  # the same images, in fewer passes


@pytest.mark.full
def test_asked_alone_twice_an_answer_is_the_same_to_the_last_bit(settings: Settings, engine: LocalEngine) -> None:
    asked = questions()[:5]
    first, again = (use(settings, engine, lambda client: one_by_one(client, asked)) for _ in range(2))
    assert [one.content for one in first] == [one.content for one in again]


@pytest.mark.full
def test_who_asks_for_what_cannot_be_fails_alone(settings: Settings, engine: LocalEngine) -> None:
    asked = questions()
    lone = use(settings, engine, lambda client: one_by_one(client, asked))
    wrong: dict[int, tuple[Question, int, str]] = {
        3: ((asked[3][0], b"\xff\xd8\xff but no photo"), 422, "image"),
        8: (({**asked[8][0], "variants": "resnet20/se?weights=file:nowhere"}, asked[8][1]), 404, "nowhere"),
        13: (({**asked[13][0], "variants": "resnet20/cbma"}, asked[13][1]), 422, "Did you mean 'cbam'"),
        17: (({**asked[17][0], "images": "0" * 64}, asked[17][1]), 404, "000"),
        21: ((asked[21][0], asked[21][1][: len(asked[21][1]) // 3]), 422, "image"),
    }
    crowd = use(
        settings, engine, lambda client: together(client, [wrong.get(n, (one,))[0] for n, one in enumerate(asked)])
    )
    for number, (alone, answer) in enumerate(zip(lone, crowd, strict=True)):
        if number in wrong:
            _, status, told = wrong[number]
            assert answer.status_code == status and told in answer.json()["detail"], (number, answer.text)
        else:
            assert answer.status_code == 200, answer.text
            same(unpacked(answer.json()), unpacked(alone.json()))


def blank() -> bytes:
    """A photo of one colour, of which there is no other here."""
    out = io.BytesIO()
    Image.new("RGB", (64, 64), (90, 120, 30)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.full
def test_an_image_that_breaks_a_forward_pass_breaks_it_for_nobody_else(
    settings: Settings, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [({"variants": "resnet20/se"}, photo(number)) for number in range(7)]
    lone = use(settings, engine, lambda client: one_by_one(client, asked))
    batcher = engine.networks._batcher
    run, seen = batcher._run, []

    def breaks(alike: Any, work: Any) -> Any:
        spoilt = [float(one.image.std((1, 2)).max()) < 1e-6 for one in work]
        seen.append((len(work), sum(spoilt)))
        if any(spoilt):
            raise RuntimeError("a bug that only this image finds")
        return run(alike, work)

    monkeypatch.setattr(batcher, "_run", breaks)
    crowd = use(settings, engine, lambda client: together(client, [*asked, ({"variants": "resnet20/se"}, blank())]))
    assert any(size > 1 and spoilt for size, spoilt in seen), seen  # it did have company
    for alone, answer in zip(lone, crowd[:-1], strict=True):
        assert answer.status_code == 200
        same(answer.json(), alone.json())
    assert crowd[-1].status_code == 500 and "bug in the service" in crowd[-1].json()["detail"]
    assert engine.alive and engine.accepted == 0
    monkeypatch.undo()
    (well,) = use(settings, engine, lambda client: one_by_one(client, [({"variants": "resnet20/se"}, blank())]))
    assert well.status_code == 200


@pytest.mark.full
def test_an_analysis_with_a_bug_fails_those_who_ask_for_it_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.engine import local

    own = attention.analyses.run

    def broken(request: Any, lab: Any) -> Any:
        if request.analysis == "cost":
            raise ZeroDivisionError("a bug")
        return own(request, lab)

    monkeypatch.setattr(local, "run", broken)
    settings = Settings(data=tmp_path, device="cpu", threads=1)
    engine = LocalEngine(settings)

    async def ask_both(client: httpx2.AsyncClient) -> list[httpx2.Response]:
        costs = [client.post("/v1/cost", json={"variants": ["resnet20/se"]}) for _ in range(4)]
        photos = [ask(client, ({"variants": "resnet20/se"}, photo(number))) for number in range(4)]
        return list(await asyncio.gather(*costs, *photos))

    answers = use(settings, engine, ask_both)
    assert [one.status_code for one in answers] == [500] * 4 + [200] * 4
    assert engine.accepted == engine.admission.inside == 0
    engine.close()
