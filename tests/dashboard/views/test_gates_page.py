"""The Ablate page: a photo with its switches at once, a sweep over a data set as a job, an address that keeps both."""

import pytest
from streamlit.testing.v1 import AppTest

from attention.client import Client
from attention.reports.cost import CostRequest
from attention.reports.sweep import SweepReport, SweepRequest, WhatIfRequest
from attention.spec import Variant
from dashboard import connect
from server.settings import Settings
from server.store import Store
from tests.dashboard.page_parts import done, linked, page_of, table, tables, texts, write_pets

ECA = Variant.parse("resnet20/eca?classes=10&weights=shipped")


@pytest.fixture
def page(client: Client, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(connect, "client", lambda: client)
    shown = AppTest.from_file(page_of("ablate/page"), default_timeout=120)
    shown.query_params["network"] = ECA.name
    return shown


def photo(client: Client) -> str:
    return next(image.id for image in client.images() if image.sample)


# ---------------------------------------------------------------- a photo


@pytest.mark.full
def test_a_photo_shows_at_once_what_every_gate_is_worth_to_it(page: AppTest, client: Client) -> None:
    page.query_params["kinds"] = ["mean", "scalar"]
    page.run()
    assert not page.exception and not page.error
    assert page.title[0].value == "Ablate"
    report = client.ask(WhatIfRequest(variant=ECA, images=(photo(client),), kinds=("mean", "scalar")))
    cells = table(page, "scope", "kind", "change")
    assert len(cells) == (9 + 3 + 1) * 2, "nine gates, three stages, all of them; two kinds"
    assert list(cells["scope"]) == [effect.label for effect in report.effects]
    assert list(cells["change"]) == pytest.approx([100 * effect.change for effect in report.effects], abs=1e-6)
    assert list(cells["flips"]) == [effect.flips for effect in report.effects]
    assert "Orange cells cost the first class probability" in texts(page.caption)


@pytest.mark.full
def test_switches_change_the_prediction(page: AppTest, client: Client) -> None:
    page.query_params["kinds"] = ["mean"]
    page.run()
    assert page.button_group(key="off.9").value == ["layer3.2.standard.0.gate"], "before anybody chooses, the last one"
    before = table(page, "class", "before", "after")
    every = [f"layer{stage}.{block}.standard.0.gate" for stage in (1, 2, 3) for block in range(3)]
    page.button_group(key="off.9").set_value(every).run()
    assert not page.exception and not page.error
    after = table(page, "class", "before", "after")
    kept = [frame["before"].tolist() for frame in (before, after)]
    assert kept[0] == pytest.approx(kept[1], abs=1e-6), "the untouched network stays what it is"
    asked = WhatIfRequest(variant=ECA, images=(photo(client),), kinds=("mean",), sets=(tuple(every),), scopes=())
    effect = client.ask(asked).effects[-1]
    replaced = after["after"].tolist()
    assert replaced == pytest.approx(effect.probabilities, abs=1e-6)
    assert replaced != pytest.approx(before["after"].tolist(), abs=1e-3)
    assert "9 of 9 gates replaced" in texts(page.caption)
    said = texts(page.warning) if effect.flips else texts(page.success)
    assert str(effect.first.label) in said
    page.button_group(key="off.9").set_value([]).run()
    assert "Nothing is switched off" in texts(page.info)


@pytest.mark.full
def test_the_address_shows_a_colleague_the_same(page: AppTest) -> None:
    off = ["layer1.0.standard.0.gate", "layer2.1.standard.0.gate"]
    page.query_params["network"] = "resnet20/se?weights=shipped"
    page.query_params["kinds"] = ["mean", "shuffle"]
    page.query_params["off"] = off
    page.run()
    assert not page.exception and not page.error
    assert page.selectbox(key="network").value == "resnet20/se?weights=shipped"
    assert page.button_group(key="off.9").value == off
    assert linked(page, "network") == ["resnet20/se?weights=shipped"]
    assert linked(page, "kinds") == ["mean", "shuffle"]
    assert linked(page, "off") == off
    assert set(table(page, "scope", "kind")["kind"]) == {"mean", "shuffled"}
    page.button_group(key="kinds").set_value(["constant"]).run()
    assert linked(page, "kinds") == ["constant"]


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "sentence"),
    [("resnet20/none", "has no attention"), ("resnet20/eca(", "resnet20/eca(")],
)
def test_a_network_without_gates_and_a_bad_name_are_sentences(page: AppTest, name: str, sentence: str) -> None:
    page.query_params["network"] = name
    page.run()
    assert not page.exception
    assert sentence in page.error[0].value
    assert "Choose a photo and a network" in texts(page.info)


@pytest.mark.full
def test_an_unknown_module_is_answered_in_the_services_words(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "client", lambda: client)
    app = AppTest.from_file(page_of("ablate/page").parents[2] / "app.py", default_timeout=120)
    app.run()
    app.query_params["network"] = "resnet20/ecaa"
    app.switch_page("views/ablate/page.py")
    app.query_params["network"] = "resnet20/ecaa"
    app.run()
    assert not app.exception
    assert "Did you mean 'eca'" in texts(app.error)


# ---------------------------------------------------------------- a data set


@pytest.mark.full
def test_a_sweep_is_asked_for_followed_and_shown(page: AppTest, client: Client, settings: Settings) -> None:
    write_pets(settings)
    page.query_params["on"] = "data"
    page.query_params["kinds"] = ["mean"]
    page.run()
    assert not page.exception and not page.error
    page.number_input(key="limit").set_value(12).run()
    page.button(key="sweep").click().run()
    assert not page.exception and not page.error
    (job,) = client.jobs()
    asked = SweepRequest.model_validate(job.request)
    assert (asked.images.data, asked.images.limit, asked.kinds) == ("pets", 12, ("mean",))
    assert linked(page, "job") == [job.id]
    assert page.button(key="cancel") and not tables(page)
    done(client, settings)
    page.run()
    assert not page.exception and not page.error
    report = client.report(job.id, SweepReport)
    assert page.subheader[0].value.replace("−", "-") == report.headline, "the finding comes first"
    assert report.labelled and report.n == 12
    cells = table(page, "scope", "kind", "change", "interval")
    singles = [effect for effect in report.effects if effect.family in ("gate", "stage", "all")]
    assert list(cells["change"]) == [effect.accuracy_change.estimate for effect in singles if effect.accuracy_change]
    curve = table(page, "gates", "value", "direction")
    ends = curve[curve["gates"] == 0]["value"]
    assert set(ends) == {report.accuracy}, "curves start at the untouched network"
    assert not [button for button in page.button if button.key == "cancel"]


@pytest.mark.full
def test_what_is_known_of_a_running_sweep_is_shown(page: AppTest, client: Client, settings: Settings) -> None:
    write_pets(settings)
    page.query_params["on"] = "data"
    page.query_params["kinds"] = ["scalar"]
    page.run()
    page.button(key="sweep").click().run()
    report = client.report(done(client, settings), SweepReport)
    job = client.submit(SweepRequest.model_validate(client.jobs()[0].request).model_copy(update={"seed": 1}))
    store = Store(settings.database_url)
    claim = store.jobs.claim(job.id)
    assert claim is not None
    store.jobs.progress(claim, 4, 12, "4 of 12 images", 60.0, report.model_copy(update={"n": 4, "complete": False}))
    store.close()
    page.query_params["job"] = job.id
    page.run()
    assert not page.exception and not page.error
    assert "n = 4" in texts(page.caption)
    assert tables(page)
    page.button(key="cancel").click().run()
    assert client.job(job.id).state == "cancelled"
    assert "cancelled" in texts(page.markdown)


@pytest.mark.full
def test_a_link_to_a_job_of_another_kind_offers_a_new_sweep(page: AppTest, client: Client, settings: Settings) -> None:
    write_pets(settings)
    page.query_params["job"] = client.submit(CostRequest(variants=(ECA,))).id
    page.run()
    assert not page.exception and not page.error
    assert page.button(key="sweep") and "comes with the service" in texts(page.caption)


@pytest.mark.full
@pytest.mark.usefixtures("nothing_shipped")
def test_without_a_data_set_the_page_says_how_to_bring_one(page: AppTest) -> None:
    page.query_params["on"] = "data"
    page.run()
    assert not page.exception and not page.error
    assert "There is no data set yet" in texts(page.markdown)
    assert not [button for button in page.button if button.key == "sweep"]
