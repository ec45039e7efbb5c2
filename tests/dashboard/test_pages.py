"""Every page runs in process against the real API: alive at once, and every mistake is a sentence."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from safetensors.torch import save_file
from streamlit.testing.v1 import AppTest

from attention.build import build
from attention.client import Client
from attention.spec import Variant
from dashboard import connect

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


def test_untrained_networks_are_marked_loudly(app: AppTest) -> None:
    app.query_params["variant"] = ["resnet20/se"]
    app.run()
    assert "resnet20/se" in app.warning[0].value
    assert "ntrained" in app.warning[0].value
    assert any(":red-badge[untrained]" in text.value for text in app.markdown)


def test_fresh_attention_in_trained_weights_is_named_and_what_was_loaded_is_listed(
    app: AppTest, client: Client, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "data" / "checkpoints" / "plain.safetensors"
    checkpoint.parent.mkdir(parents=True)
    save_file(build(Variant.parse("resnet20/none?weights=shipped")).state_dict(), checkpoint)
    app.query_params["variant"] = ["resnet20/eca?weights=file:plain"]
    app.run()
    assert not app.exception and not app.error
    shown = texts(app.markdown)
    assert ":orange-badge[trained, with fresh attention]" in shown
    assert "tensors from `plain.safetensors`" in shown
    assert re.search(r"Fresh attention at `layer1\.0\.standard`: leaves [3-6]\d% of the spread", shown), "about half"
    assert "layer1.0.standard.0.conv.weight" in shown, "what the file does not have is named"


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
    app.switch_page("views/price/page.py").run()
    assert not app.exception
    assert not app.error
    table = app.table[0].value
    assert table.loc["resnet50/none", "parameters"] == "25,557,032  (25.6 M)"
    assert table.loc["resnet50/eca", "Δ MACs"] == "+87,808  (87.8 k)"
    assert table.loc["resnet50/se", "Δ parameters"] == "+2,514,944  (2.51 M)"
    assert len(app.get(CHART)) == 2 + 2 + 1
    assert "Convention" in texts(app.caption)
    assert "Not counted" in texts(app.caption)


def test_cost_is_given_in_the_unit_that_is_chosen(app: AppTest) -> None:
    app.run()
    app.switch_page("views/price/page.py").run()
    app.segmented_control(key="convention").set_value("eca_paper").run()
    assert not app.exception
    table = app.table[0].value
    assert table.loc["resnet50/none", "parameters"] == "24.373 Mi"
    assert table.loc["resnet50/none", "FLOPs"].startswith("3.857") and table.loc["resnet50/none", "FLOPs"].endswith(
        "Gi"
    )
    assert "thop" in texts(app.caption)


def test_all_modules_are_one_click_and_those_that_do_not_fit_say_why(app: AppTest) -> None:
    app.run()
    app.switch_page("views/price/page.py").run()
    app.selectbox(key="backbone").select("mobilenetv2").run()
    (everything,) = (button for button in app.button if button.label.startswith("All "))
    everything.click().run()
    assert not app.exception
    assert not app.error
    modules = set(app.multiselect(key="attention").value)
    assert set(app.table[0].value.index) == {f"mobilenetv2/{name}" for name in {*modules, "none"} - {"fca"}}
    refused = app.table[1].value
    assert list(refused.index) == ["fca"]
    assert refused.loc["fca", "why it does not fit"].endswith(".")
    app.selectbox(key="place.mobilenetv2.position").select("spatial").run()
    assert not app.exception
    assert list(app.table[0].value.index) == ["mobilenetv2/none", "mobilenetv2/sk@spatial"]


def test_other_counters_testify_about_the_network_that_is_chosen(app: AppTest) -> None:
    app.run()
    app.switch_page("views/price/page.py").run()
    app.selectbox(key="court").select_index(1).run()
    assert not app.exception
    court = app.table[1].value
    assert court.loc["this ledger", "of it attention"] == "87,808"
    assert court.loc["torch's FlopCounterMode", "reports"] == "8,178,544,128 FLOPs"
    assert "was run" in texts(app.caption)


def test_cost_follows_the_backbone_its_size_and_more_networks(app: AppTest) -> None:
    app.run()
    app.switch_page("views/price/page.py").run()
    app.selectbox(key="backbone").select("resnet20").run()
    assert app.number_input(key="size.resnet20").value == 32
    app.number_input(key="size.resnet20").set_value(64)
    app.multiselect(key="attention").set_value([]).run()
    assert not app.exception
    assert list(app.table[0].value.index) == ["resnet20/none"]
    assert linked(app, "size") == ["64"]
    assert "Choose a network with attention" in texts(app.info)


def test_learn_teaches_from_the_library(app: AppTest) -> None:
    app.run()
    app.switch_page("views/learn/page.py").run()
    assert not app.exception
    assert not app.error
    assert app.title[0].value == "Learn"
    assert len(app.header) == 6
    assert len(app.get(CHART)) == 3 + 1 + 2 + 3 + 2 + 1
    words = texts(app.markdown) + texts(app.caption)
    assert "1-D convolution with a kernel of k along the channel axis" in words
    assert "16 modules, 86 parameters" in words and "1 module, 7 parameters" in words
    assert "4 modules, 20 parameters" in words
    assert ":orange-badge[not one recipe]" in words and ":green-badge[one recipe]" in words
    assert words.count("https://arxiv.org/abs/1910.03151") > 1
    totals = app.table[0].value.set_index("network")
    assert (totals.loc["resnet50", "formula"], totals.loc["resnet50", "released"]) == (86, 80)


def test_learns_sliders_ask_again(app: AppTest) -> None:
    app.run()
    app.switch_page("views/learn/page.py").run()
    app.slider(key="gamma").set_value(1.0)
    app.select_slider(key="reduction").set_value(4).run()
    assert not app.exception
    # |log2(C) + 1| / 1 is 9, 10, 11 and 12 at ResNet-50's widths: k = 9, 11, 11, 13 over 3, 4, 6 and 3 blocks.
    totals = app.table[0].value.set_index("network")
    assert totals.loc["resnet50", "formula"] == 3 * 9 + 4 * 11 + 6 * 11 + 3 * 13
    assert "only through **16 numbers**" in texts(app.markdown)
    app.selectbox(key="results.left").select("se_reduction").run()
    assert not app.exception
    assert "how narrow may the bottleneck be" in texts(app.markdown)
    app.selectbox(key="module").select("sk").run()
    assert "In training, at least 2 images a batch" in texts(app.markdown)


def test_the_form_says_what_a_module_needs(app: AppTest) -> None:
    app.query_params["variant"] = SMALL[1:2]
    app.run()
    app.selectbox(key="variant.new.backbone").select("resnet50").run()
    app.selectbox(key="variant.new.attention").select("bam").run()
    captions = texts(app.caption)
    assert "Its paper's place here: `stage:1-3`" in captions
    assert "at least 2 images a batch" in captions


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
    app.button[0].click().run()
    assert not app.error
    assert app.title[0].value == "Compare"
