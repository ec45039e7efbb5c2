"""Every page runs in process against the real API: alive at once, and every mistake is a sentence."""

from collections.abc import Callable

import httpx2
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import connect
from dashboard.client import Client

SMALL = ["resnet20/none", "resnet20/se", "resnet20/eca"]
CHART = "vega_lite_chart"


def linked(app: AppTest, name: str) -> list[str]:
    """What the page's address says, always as a list."""
    value = app.query_params[name]
    return [value] if isinstance(value, str) else value


def texts(elements: object) -> str:
    return "\n".join(str(element.value) for element in elements)  # type: ignore[attr-defined]


def test_compare_is_alive_before_any_upload(app: AppTest) -> None:
    app.run()
    assert not app.exception
    assert not app.error
    assert app.title[0].value == "Compare"
    assert len(app.multiselect(key="variant").value) == 3
    cards = [text.value for text in app.markdown if text.value.startswith("**resnet20/") and "badge" in text.value]
    assert [card.split("**")[1] for card in cards] == SMALL
    assert len(app.get(CHART)) == 3 + 2 + 1 + 1
    assert {"resnet20/se", "resnet20/eca"} == set(app.table[0].value["variant"])
    assert "on cpu" in app.sidebar.caption[0].value


def test_untrained_networks_are_marked_loudly(app: AppTest) -> None:
    app.query_params["variant"] = ["resnet20/se"]
    app.run()
    assert "resnet20/se" in app.warning[0].value
    assert "ntrained" in app.warning[0].value
    assert any(":red-badge[untrained]" in text.value for text in app.markdown)


def test_an_upload_replaces_the_sample_and_stands_in_the_address(
    app: AppTest, client: Client, photo: Callable[[int], bytes]
) -> None:
    app.query_params["variant"] = SMALL[:2]
    app.run()
    app.file_uploader[0].upload("holiday.jpg", photo(1), "image/jpeg").run()
    assert not app.exception
    assert not app.error
    stored = next(image for image in client.images() if not image.sample)
    assert stored.name == "holiday.jpg"
    assert linked(app, "image") == [stored.id]
    assert linked(app, "variant") == SMALL[:2]
    assert any("holiday.jpg, 40 × 30 pixels" in caption.value for caption in app.caption)


def test_several_photos_are_set_side_by_side(app: AppTest, photo: Callable[[int], bytes]) -> None:
    app.query_params["variant"] = SMALL[1:2]
    app.run()
    files = [(f"{number}.jpg", photo(number), "image/jpeg") for number in (1, 2)]
    app.file_uploader[0].set_value(files).run()
    assert not app.exception
    assert list(app.table[0].value.index) == ["1. 1.jpg", "2. 2.jpg"]
    assert list(app.table[0].value.columns) == ["resnet20/se"]


def test_a_sample_is_chosen_by_clicking_it(app: AppTest, client: Client) -> None:
    samples = [image for image in client.images() if image.sample]
    app.query_params["variant"] = SMALL[1:2]
    app.run()
    app.button(key=f"image.{samples[1].id}").click().run()
    assert linked(app, "image") == [samples[1].id]
    app.toggle(key="image.several").set_value(True).run()
    app.button(key=f"image.{samples[2].id}").click().run()
    assert linked(app, "image") == [samples[1].id, samples[2].id]
    app.button(key=f"image.{samples[1].id}").click().run()
    assert linked(app, "image") == [samples[2].id]


def test_a_file_that_is_no_photo_is_refused_in_a_sentence_and_the_page_lives_on(
    app: AppTest, photo: Callable[[int], bytes]
) -> None:
    app.query_params["variant"] = SMALL[1:2]
    app.run()
    app.file_uploader[0].set_value(
        [
            ("notes.png", b"these are only words", "image/png"),
            ("cut.jpg", photo(1)[:400], "image/jpeg"),
            ("good.jpg", photo(2), "image/jpeg"),
        ]
    ).run()
    assert not app.exception
    assert [error.value.partition(":")[0] for error in app.error] == ["notes.png", "cut.jpg"]
    assert all(error.value.endswith((".", "?")) for error in app.error)
    assert any("good.jpg" in caption.value for caption in app.caption)


def test_a_link_shows_what_it_names(app: AppTest, client: Client, photo: Callable[[int], bytes]) -> None:
    image = client.upload("linked.jpg", photo(3))
    app.query_params["image"] = [image.id]
    app.query_params["variant"] = ["resnet20/eca(kernel_size=5)@standard:3"]
    app.run()
    assert not app.exception
    assert any("linked.jpg" in caption.value for caption in app.caption)
    assert app.multiselect(key="variant").value == ["resnet20/eca(kernel_size=5)@standard:3"]
    assert list(app.table[0].value["layer"]) == ["3.1", "3.2", "3.3"]


def test_a_link_to_a_photo_that_is_gone_says_so_and_shows_a_sample(app: AppTest) -> None:
    app.query_params["image"] = ["0" * 64]
    app.query_params["variant"] = SMALL[1:2]
    app.run()
    assert not app.exception
    assert any("not stored here" in warning.value for warning in app.warning)
    assert len(app.get(CHART)) > 0


def test_an_unknown_module_is_answered_with_the_apis_sentence(app: AppTest) -> None:
    app.query_params["variant"] = ["resnet20/ecaa"]
    app.run()
    assert not app.exception
    assert "Did you mean 'eca'" in app.error[0].value


def test_the_form_builds_a_variant_and_adds_it(app: AppTest) -> None:
    app.query_params["variant"] = SMALL[1:2]
    app.run()
    app.selectbox(key="variant.new.backbone").select("resnet20").run()
    app.selectbox(key="variant.new.attention").select("se").run()
    app.number_input(key="variant.new.attention.se.reduction").set_value(4)
    app.multiselect(key="variant.new.resnet20.standard.stages").select(3).run()
    if app.checkbox(key="variant.new.attention.se.bias").value:
        pytest.fail("bias is off unless asked for")
    app.button(key="variant.add").click().run()
    assert not app.exception
    assert linked(app, "variant") == ["resnet20/se", "resnet20/se(reduction=4)@standard:3"]


def test_cost_shows_the_papers_numbers(app: AppTest) -> None:
    app.run()
    app.switch_page("pages/cost.py").run()
    assert not app.exception
    assert not app.error
    table = app.table[0].value
    assert table.loc["resnet50/none", "parameters"] == "25,557,032  (25.6 M)"
    assert table.loc["resnet50/eca", "Δ MACs"] == "+87,808  (87.8 k)"
    assert table.loc["resnet50/se", "Δ parameters"] == "+2,514,944  (2.51 M)"
    assert len(app.get(CHART)) == 3
    assert "Convention" in texts(app.caption)
    assert "Not counted" in texts(app.caption)


def test_cost_follows_the_backbone_its_size_and_more_networks(app: AppTest) -> None:
    app.run()
    app.switch_page("pages/cost.py").run()
    app.selectbox(key="backbone").select("resnet20").run()
    assert app.number_input(key="size.resnet20").value == 32
    app.number_input(key="size.resnet20").set_value(64)
    app.multiselect(key="attention").set_value(["none"]).run()
    assert list(app.table[0].value.index) == ["resnet20/none"]
    assert linked(app, "size") == ["64"]
    app.multiselect(key="attention").set_value([]).run()
    assert "Choose at least one network" in app.info[0].value


def test_an_api_that_is_down_is_a_message_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch, app: AppTest) -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    down = Client(httpx2.Client(base_url="http://127.0.0.1:1", transport=httpx2.MockTransport(refuse)))
    up = connect.client()
    monkeypatch.setattr(connect, "client", lambda: down)
    app.run()
    assert not app.exception
    assert "Start it with `make run`" in app.error[0].value
    assert "not reachable" in app.sidebar.caption[0].value
    monkeypatch.setattr(connect, "client", lambda: up)
    app.button[0].click().run()
    assert not app.error
    assert app.title[0].value == "Compare"
