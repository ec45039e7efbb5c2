"""The frame: pages of the bar, jobs and failures as a chip, a silent service, two languages."""

from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from attention.client import Client
from attention.reports.exemplars import (
    ChannelExemplars,
    Exemplar,
    ExemplarGate,
    ExemplarImage,
    ExemplarsReport,
    ExemplarsRequest,
)
from attention.reports.parts.subjects import Ran
from attention.reports.study import StudyRequest
from attention.spec import Pictures, Variant
from dashboard import connect, frame
from server.app import create_app
from server.settings import Settings
from server.store import Store
from tests.dashboard.page_parts import texts, write_pets


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """No job runs by itself."""
    return Settings(data=tmp_path / "data", device="cpu", threads=1, jobs=0)


def draws(client: Client, monkeypatch: pytest.MonkeyPatch, **address: str) -> AppTest:
    monkeypatch.setattr(connect, "client", lambda: client)

    def script() -> None:
        from dashboard import frame

        frame.draw()

    made = AppTest.from_function(script, default_timeout=120)
    for name, value in address.items():
        made.query_params[name] = value
    return made.run()


def chips(made: AppTest) -> list[str]:
    assert not made.exception
    labels = [link.proto.label for link in made.get("page_link")]
    return [label for label in labels if label not in ("Stored", "Log in")]  # those stand behind the mark


def study() -> StudyRequest:
    arms = (Variant.parse("resnet20(width=8)/none"), Variant.parse("resnet20(width=8)/se"))
    return StudyRequest(data="pets", variants=arms, seeds=1)


@pytest.mark.full
def test_a_running_job_a_second_and_a_failure_are_seen(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pets(settings)
    with TestClient(create_app(settings)) as http:
        client = Client(http)
        made = draws(client, monkeypatch)
        assert chips(made) == []
        first = client.submit(study())
        assert chips(made.run()) == ["study 0 %"]
        client.submit(study().model_copy(update={"first_seed": 5}))
        assert chips(made.run()) == ["2 jobs"]
        store = Store(settings.database_url)
        claim = store.jobs.claim(first.id)
        assert claim is not None and store.jobs.fail(claim, "It broke.")
        assert chips(made.run()) == [":red[study failed]"]
        made.query_params["job"] = first.id
        assert chips(made.run()) == ["study 0 %"], "a failure that was looked at is no news"


@pytest.mark.full
def test_a_job_without_a_page_of_its_own_is_shown_with_its_table(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TestClient(create_app(settings)) as http:
        client = Client(http)
        request = ExemplarsRequest(
            variant=Variant.parse("resnet20(width=8)/se"), pictures=Pictures(data="flowers-sample")
        )
        job = client.submit(request)
        ran = Ran(name=request.variant.name, variant=request.variant, trained=False, warning=None, device="cpu")
        ends = ChannelExemplars(
            channel=0, open=(Exemplar(image="1", weight=0.75),), closed=(Exemplar(image="2", weight=0.25),)
        )
        gate = ExemplarGate(path="layer1", kind="channel", stage=1, block=1, channels=1, reduced=None, ends=(ends,))
        images = tuple(ExemplarImage(name=name, label="daisy", thumbnail=None) for name in "12")
        report = ExemplarsReport(
            network=ran, pictures=request.pictures, images=images, seen=2, total=2, gates=(gate,), caveats=()
        )
        store = Store(settings.database_url)
        claim = store.jobs.claim(job.id)
        assert claim is not None
        store.jobs.finish(claim, report)
        store.close()
        monkeypatch.setattr(connect, "client", lambda: client)
        made = AppTest.from_file(frame.VIEWS / "job" / "page.py", default_timeout=120)
        made.query_params["job"] = job.id
        made.run()
        assert not made.exception and not made.error
        (table,) = made.dataframe
        assert list(table.value["weight"]) == [0.75, 0.25]
        assert "SE · ResNet-20 (width=8) on a photo" in texts(made.markdown)


@pytest.mark.full
def test_a_silent_service_is_said_and_comes_back(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadError("silence", request=request)

    silent = Client(httpx2.Client(base_url="http://api", transport=httpx2.MockTransport(hang)))
    made = draws(silent, monkeypatch)
    assert "API silent" in texts(made.markdown)
    with TestClient(create_app(settings)) as http:
        monkeypatch.setattr(connect, "client", lambda: Client(http))
        assert "API silent" not in texts(made.run().markdown)


def test_a_silent_service_is_known_before_the_next_look_is_due() -> None:
    """A fragment that is still looking then is run again without a word: the frame was silent for half a minute."""
    assert connect.PATIENCE_S + connect.HEALTH_S < connect.LOOK_EVERY_S


@pytest.mark.full
def test_the_language_is_the_addresss_then_the_readers(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with TestClient(create_app(settings)) as http:
        made = draws(Client(http), monkeypatch, lang="zh")
        assert made.session_state["lang"] == "zh"
        made.button_group(key="lang").set_value("en").run()
        assert made.session_state["lang"] == "en" and not made.query_params


def test_pages_of_the_bar_stand_in_the_order_of_a_visit() -> None:
    described = list(frame.pages())
    shown = [address for address in described if address in frame.ORDER]
    assert shown == described[: len(shown)] == [address for address in frame.ORDER if address in described]
    assert {"look", "ablate", "price", "study", "learn"} <= set(described)
