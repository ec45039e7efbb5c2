"""The Classes page: curves and stripes at once, many images as a job, the probes when they are opened."""

from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from attention.client import Client
from attention.reports.excitation import ExcitationReport, ExcitationRequest
from attention.reports.stripe import StripeRequest
from attention.spec import Pictures, Variant
from dashboard import connect
from dashboard.views.look import class_charts, class_panels
from server.settings import Settings
from server.store import Store
from tests.dashboard.page_parts import CHART, done, linked, page_of, table, texts, write_pets

ECA, SE = (Variant.parse(f"resnet20/{name}?classes=10&weights=shipped") for name in ("eca", "se"))


@pytest.fixture
def page(client: Client, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(connect, "client", lambda: client)
    shown = AppTest.from_file(page_of("look/classes"), default_timeout=120)
    shown.query_params.update({"network": ECA.name, "beside": [SE.name]})
    return shown


def samples(client: Client, count: int) -> list[str]:
    return [image.id for image in client.images() if image.sample][:count]


# ---------------------------------------------------------------- photos


@pytest.mark.full
def test_the_page_is_alive_at_once_with_shipped_networks_and_sample_photos(page: AppTest, client: Client) -> None:
    page.run()
    assert not page.exception and not page.error
    assert page.title[0].value == "Classes"
    assert page.selectbox(key="network").value == ECA.name
    assert page.multiselect(key="beside").value == [SE.name]
    photos = linked(page, "image")
    assert len(photos) == 9
    assert len(page.get(CHART)) == 3 + 2 + 1 + 1, "curves a stage, stripes a network, static share, order"
    assert "Each photo is a class of its own" in texts(page.caption)
    first = table(page, "channel", "class", "images")
    report = client.ask(ExcitationRequest(variant=ECA, pictures=Pictures(images=tuple(photos))))
    assert first["gate"].tolist() == pytest.approx([v for curve in report.gates[0].curves for v in curve.mean])
    assert first["class"][0] == "1. Sunflower"


@pytest.mark.full
def test_stripes_have_the_reports_values_and_follow_the_stage(page: AppTest, client: Client) -> None:
    photos = tuple(samples(client, 3))
    page.query_params["image"] = list(photos)
    page.query_params["stage"] = "1"
    page.run()
    assert not page.exception and not page.error
    cells = table(page, "top", "left", "gate")
    asked = StripeRequest(
        variants=(ECA, SE),
        pictures=Pictures(images=photos),
        gate="layer1.2.standard.0.gate",
        rows=class_charts.ROWS,
        columns=class_charts.columns(2),
    )
    assert cells["gate"].tolist() == np.ravel(client.ask(asked).maps[0].values).tolist()
    page.button_group(key="stage.3").set_value("3").run()
    assert linked(page, "stage") == [], "the last stage is what the page opens with"
    assert len(table(page, "top", "left", "gate")) == 3 * 64


@pytest.mark.full
def test_one_photo_has_curves_and_is_offered_company(page: AppTest, client: Client) -> None:
    page.query_params["image"] = samples(client, 1)
    page.run()
    assert not page.exception and not page.error
    assert "One image shows no stripes" in texts(page.info)
    assert len(page.get(CHART)) == 3
    page.button(key="samples").click().run()
    assert not page.exception and not page.error
    assert len(linked(page, "image")) == 9 and len(page.get(CHART)) > 3


@pytest.mark.full
def test_the_address_shows_a_colleague_the_same(page: AppTest, client: Client) -> None:
    photos = samples(client, 2)
    said = {
        "network": [SE.name],
        "beside": ["resnet20/eca?seed=1"],
        "image": photos,
        "curves": ["around"],
        "out": [photos[1]],
        "stage": ["2"],
    }
    for name, value in said.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception and not page.error
    assert {name: linked(page, name) for name in said} == said
    shown = texts(page.markdown)
    assert "**SE**, layer 2.3" in shown and "**ECA**" in shown
    around = table(page, "channel", "class", "images")
    assert around.groupby("channel")["gate"].mean().abs().max() < 1e-7, "differences from the mean of all"
    page.button_group(key="curves").set_value("gates").run()
    assert linked(page, "curves") == [], "what the page opens with needs no words in its address"


@pytest.mark.full
def test_a_network_without_gates_is_a_sentence(page: AppTest) -> None:
    page.query_params["network"] = "resnet20/none"
    page.run()
    assert not page.exception
    assert "has no attention" in page.error[0].value
    assert "Choose a network" in texts(page.info)


@pytest.mark.full
def test_more_networks_than_a_picture_takes_is_a_sentence(page: AppTest, client: Client) -> None:
    page.query_params["image"] = samples(client, 2)
    page.query_params["beside"] = [f"resnet20/eca?seed={seed}" for seed in range(1, 8)]
    page.run()
    assert not page.exception
    assert "variants" in page.error[0].value


# ---------------------------------------------------------------- probes


@pytest.mark.full
def test_a_probe_asks_nothing_before_it_is_opened(
    page: AppTest, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    ask = client.ask

    def listened(request: Any) -> Any:
        asked.append(request.analysis)
        return ask(request)

    monkeypatch.setattr(client, "ask", listened)
    page.query_params["image"] = samples(client, 2)
    page.run()
    assert asked == ["excitation", "stripe"]


@pytest.mark.full
def test_open_probes_draw_the_matrix_and_say_what_order_and_branches_do(page: AppTest, client: Client) -> None:
    page.query_params["image"] = samples(client, 2)
    for name in ("listens", "permuted", "grown"):
        page.query_params[name] = "true"
    page.run()
    assert not page.exception and not page.error
    matrix = table(page, "gate", "listens", "slope")
    assert len(matrix) == 64 * 64
    assert (matrix["gate"] - matrix["listens"]).abs()[matrix["slope"] != 0].max() == 1, "ECA's is a band"
    words = texts(page.markdown)
    assert "listens to channels at most 1 away" in words
    assert "**ECA**, in ECA at 1.1" in words and "**SE**, by itself" in words
    assert "no gate that chooses among branches" in texts(page.info)


@pytest.mark.full
def test_selective_kernels_have_their_choice_drawn_against_scale(page: AppTest, client: Client) -> None:
    page.query_params["image"] = samples(client, 2)
    page.query_params["network"] = "resnet20(width=4)/sk@spatial"
    page.query_params["grown"] = "true"
    page.run()
    assert not page.exception and not page.error
    choice = table(page, "factor", "preference")
    assert set(choice["factor"]) == {1.0, 1.5, 2.0} and len(choice) == 9 * 3
    assert "larger kernel" in texts(page.caption)


# ---------------------------------------------------------------- a data set


@pytest.mark.full
def test_a_data_set_has_classes_their_spread_and_what_chance_would_give(
    page: AppTest, client: Client, settings: Settings
) -> None:
    write_pets(settings)
    page.query_params["on"] = "data"
    page.query_params["limit"] = "10"
    page.run()
    assert not page.exception and not page.error
    report = client.ask(ExcitationRequest(variant=ECA, pictures=Pictures(data="pets", limit=10)))
    assert [one.label for one in report.classes] == ["cat", "dog"]
    curves = table(page, "channel", "class", "images")
    assert curves["std"].tolist() == pytest.approx([v for curve in report.gates[0].curves for v in curve.std or ()])
    chance = table(page, "share", "by")
    assert chance["share"].tolist() == pytest.approx([(2 - 1) / (10 - 1)])
    assert linked(page, "limit") == ["10"]
    page.multiselect(key="classes.pets").set_value(["dog"]).run()
    assert not page.exception and not page.error
    assert linked(page, "class") == ["dog"]
    assert set(table(page, "channel", "class", "images")["class"]) == {"dog"}


@pytest.mark.full
def test_many_images_are_a_job_that_the_address_finds_again(
    page: AppTest, client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_panels, "AT_ONCE", 11)
    write_pets(settings)
    page.query_params["on"] = "data"
    page.query_params["limit"] = "12"
    page.run()
    assert not page.exception and not page.error
    assert not page.get(CHART) and not client.jobs(), "nothing runs before it is asked for"
    page.button(key="start.excitation").click().run()
    (job,) = client.jobs()
    assert ExcitationRequest.model_validate(job.request).pictures == Pictures(data="pets", limit=12)
    assert page.button(key="cancel.excitation") and not page.get(CHART)
    store = Store(settings.database_url)
    claim = store.jobs.claim(job.id)
    assert claim is not None
    part = client.ask(ExcitationRequest(variant=ECA, pictures=Pictures(data="pets", limit=4)))
    store.jobs.progress(claim, 4, 12, "4 of 12", 30.0, part)
    page.run()
    assert not page.exception and not page.error
    assert len(page.get(CHART)) == 3, "curves are shown while they settle"
    whole = client.ask(ExcitationRequest(variant=ECA, pictures=Pictures(data="pets", limit=12)))
    store.jobs.finish(claim, whole)
    store.close()
    page.button(key="start.stripe").click().run()
    done(client, settings)
    page.run()
    assert not page.exception and not page.error
    assert len(page.get(CHART)) == 3 + 2 + 2 + 1
    assert client.report(job.id, ExcitationReport).images == 12 and len(client.jobs()) == 2
    assert not [button for button in page.button if button.key and button.key.startswith(("start", "cancel"))]


@pytest.mark.full
def test_a_cancelled_job_can_be_started_again(
    page: AppTest, client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_panels, "AT_ONCE", 11)
    write_pets(settings)
    page.query_params["on"] = "data"
    page.query_params["limit"] = "12"
    page.run()
    page.button(key="start.excitation").click().run()
    page.button(key="cancel.excitation").click().run()
    assert not page.exception and not page.error
    assert client.jobs()[0].state == "cancelled"
    page.button(key="start.excitation").click().run()
    assert len(client.jobs()) == 2 and client.jobs()[0].state == "queued"
