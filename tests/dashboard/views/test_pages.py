"""Every page runs in process against the real API: alive at once, and every mistake is a sentence."""

import httpx2
import pytest
from streamlit.testing.v1 import AppTest

from attention.client import Client
from attention.counting.cost import count
from attention.spec import Variant
from dashboard import connect
from dashboard.drawing import theme

CHART = "vega_lite_chart"


def linked(app: AppTest, name: str) -> list[str]:
    """What the page's address says, always as a list."""
    value = app.query_params[name]
    return [value] if isinstance(value, str) else value


def texts(elements: object) -> str:
    return "\n".join(str(element.value) for element in elements)  # type: ignore[attr-defined]


@pytest.mark.full
def test_cost_shows_the_papers_numbers(app: AppTest) -> None:
    app.run()
    app.switch_page("views/price/page.py").run()
    assert not app.exception
    assert not app.error
    table = app.table[0].value
    assert table.loc["None", "parameters"] == "25,557,032  (25.6 M)"
    assert table.loc["ECA", "Δ MACs"] == "+87,808  (87.8 k)"
    assert table.loc["SE", "Δ parameters"] == "+2,514,944  (2.51 M)"
    assert len(app.get(CHART)) == 3 + 2
    app.query_params["whole"] = "true"
    assert len(app.run().get(CHART)) == 3 + 2 + 2
    assert "Within 20 % by every count: **SE, ECA**" in texts(app.info), "18.0 % and 15.6 % of the bytes"
    app.slider(key="budget_percent").set_value(16).run()
    assert "Within 16 % by every count: **ECA**" in texts(app.info)
    assert linked(app, "budget_percent") == ["16"]
    assert "Convention" in texts(app.caption)
    assert "Not counted" in texts(app.caption)


@pytest.mark.full
def test_cost_is_given_in_the_unit_that_is_chosen(app: AppTest) -> None:
    app.run()
    app.switch_page("views/price/page.py").run()
    app.segmented_control(key="convention").set_value("eca_paper").run()
    assert not app.exception
    table = app.table[0].value
    assert table.loc["None", "parameters"] == "24.373 Mi"
    assert table.loc["None", "FLOPs"].startswith("3.857") and table.loc["None", "FLOPs"].endswith("Gi")
    assert "thop" in texts(app.caption)


@pytest.mark.full
def test_all_modules_are_one_click_and_those_that_do_not_fit_say_why(app: AppTest) -> None:
    app.run()
    app.switch_page("views/price/page.py").run()
    app.selectbox(key="backbone").select("mobilenetv2").run()
    (everything,) = (button for button in app.button if button.label.startswith("All "))
    everything.click().run()
    assert not app.exception
    assert not app.error
    modules = set(app.multiselect(key="attention").value)
    assert set(app.table[0].value.index) == {theme.called(name) for name in {*modules, "none"} - {"fca"}}
    refused = app.table[1].value
    assert list(refused.index) == ["fca"]
    assert refused.loc["fca", "why it does not fit"].endswith(".")
    app.selectbox(key="place.mobilenetv2.position").select("spatial").run()
    assert not app.exception
    assert list(app.table[0].value.index) == ["None", "SK @spatial"]


@pytest.mark.full
def test_other_counters_testify_about_the_network_that_is_chosen(app: AppTest) -> None:
    app.run()
    app.switch_page("views/price/page.py").run()
    app.query_params["counters"] = "true"
    app.run()
    app.selectbox(key="court").select_index(1).run()
    assert not app.exception
    court = app.table[1].value
    assert court.loc["this ledger", "of it attention"] == "87,808"
    assert court.loc["torch's FlopCounterMode", "reports"] == "8,178,544,128 FLOPs"
    assert "was run" in texts(app.caption)


@pytest.mark.full
def test_cost_follows_the_backbone_its_size_and_more_networks(app: AppTest) -> None:
    app.run()
    app.switch_page("views/price/page.py").run()
    app.selectbox(key="backbone").select("resnet20").run()
    assert app.text_input(key="size.resnet20").value == "32"
    app.text_input(key="size.resnet20").set_value("64x96")
    app.multiselect(key="attention").set_value([]).run()
    assert not app.exception
    assert list(app.table[0].value.index) == ["None"]
    assert linked(app, "size") == ["64x96"]
    macs = count(Variant.parse("resnet20/none"), (64, 96)).total.macs
    assert f"{macs:,}" in app.table[0].value.to_string()
    assert "Choose a network with attention" in texts(app.info)
    app.text_input(key="size.resnet20").set_value("64 by 96").run()
    assert not app.exception and "such as 224x320" in texts(app.error)


@pytest.mark.full
def test_learn_teaches_from_the_library(app: AppTest) -> None:
    app.run()
    app.switch_page("views/learn/page.py").run()
    words, charts = "", list[int]()
    for lesson in "0123456":
        app.segmented_control(key="lesson").set_value(lesson).run()
        assert not app.exception
        assert not app.error
        assert app.title[0].value == "Learn"
        assert [header.value[0] for header in app.header] == [lesson]
        words += texts(app.markdown) + texts(app.caption)
        charts.append(len(app.get(CHART)))
        if lesson == "2":
            totals = app.table[0].value.set_index("network")
            assert (totals.loc["ResNet-50", "formula"], totals.loc["ResNet-50", "released"]) == (86, 80)
    assert charts == [0, 3, 1, 2, 3, 2, 1]
    assert "1-D convolution with a kernel of k along the channel axis" in words
    assert "modules: 16, parameters: 86" in words and "modules: 1, parameters: 7" in words
    assert "modules: 4, parameters: 20" in words
    assert ":orange-badge[not one recipe]" in words and ":green-badge[one recipe]" in words
    assert words.count("https://arxiv.org/abs/1910.03151") > 1


@pytest.mark.full
def test_learns_sliders_ask_again(app: AppTest) -> None:
    app.run()
    app.switch_page("views/learn/page.py").run()

    def opened(lesson: str) -> AppTest:
        return app.segmented_control(key="lesson").set_value(lesson).run()

    opened("2").slider(key="gamma").set_value(1.0).run()
    assert not app.exception
    # |log2(C) + 1| / 1 is 9, 10, 11 and 12 at ResNet-50's widths: k = 9, 11, 11, 13 over 3, 4, 6 and 3 blocks.
    totals = app.table[0].value.set_index("network")
    assert totals.loc["ResNet-50", "formula"] == 3 * 9 + 4 * 11 + 6 * 11 + 3 * 13
    opened("3").select_slider(key="reduction").set_value(4).run()
    assert "only through **16 numbers**" in texts(app.markdown)
    opened("5").selectbox(key="results.left").select("se_reduction").run()
    assert not app.exception
    assert "how narrow may the bottleneck be" in texts(app.markdown)
    opened("6").selectbox(key="module").select("sk").run()
    assert "In training, at least 2 images a batch" in texts(app.markdown)


def test_a_link_opens_its_lesson_whatever_was_read_before(app: AppTest) -> None:
    app.run()
    app.switch_page("views/learn/page.py").run()
    app.segmented_control(key="lesson").set_value("4").run()
    assert app.query_params["lesson"] == "4"
    app.query_params["lesson"] = "0"
    app.run()
    assert app.header[0].value == "0. One photo's way through one gate"


@pytest.mark.full
def test_an_api_that_is_down_is_a_message_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch, app: AppTest) -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    down = Client(httpx2.Client(base_url="http://127.0.0.1:1", transport=httpx2.MockTransport(refuse)))
    up = connect.client()
    monkeypatch.setattr(connect, "client", lambda: down)
    app.run()
    assert not app.exception
    assert "Start it with `make run`" in app.error[0].value
    assert "API silent" in texts(app.markdown)
    monkeypatch.setattr(connect, "client", lambda: up)
    app.run()
    assert not app.exception and not app.error
    assert app.title[0].value
