"""The Look page: one photo through several networks, alive at once, and every mistake is a sentence."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file
from streamlit.testing.v1 import AppTest

from attention.build import build, resolve
from attention.client import Client
from attention.reports.compare import CompareRequest
from attention.reports.exemplars import ExemplarsRequest
from attention.reports.maps import MapsRequest
from attention.reports.out_of_distribution import OutOfDistributionRequest
from attention.reports.seen import SeenRequest
from attention.spec import Pictures, Variant
from dashboard import connect
from dashboard.drawing import theme, words
from dashboard.views.look import answers, channels, places
from server.settings import Settings
from tests.dashboard.page_parts import done, linked, page_of, table, texts

FLOWERS = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
TRIO = tuple(Variant.parse(name) for name in ("none", "se", "eca"))


@pytest.fixture
def page(client: Client, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(connect, "client", lambda: client)
    return AppTest.from_file(page_of("look/page"), default_timeout=120)


def htmls(page: AppTest) -> str:
    return "\n".join(str(element.proto.body) for element in page.get("html"))


def whole(page: AppTest) -> AppTest:
    page.run()
    assert not page.exception and not page.error
    return page


def test_it_is_alive_before_any_click(page: AppTest, client: Client) -> None:
    whole(page)
    photo = client.images()[0]
    drawn = table(page, "class", "probability", "network")
    report = client.ask(CompareRequest(images=(photo.id,), variants=TRIO, top_k=10))
    for name, variant in zip(("None", "SE", "ECA"), report.variants, strict=True):
        told = {s.label: s.probability for p in report.predictions if p.variant == variant.name for s in p.top}
        shown = drawn[drawn["network"] == name]
        assert dict(zip(shown["class"], shown["probability"], strict=True)) == {c: told[c] for c in shown["class"]}
    order = list(dict.fromkeys(drawn["class"]))
    assert order == sorted(order, key=lambda c: -drawn[drawn["class"] == c]["probability"].max())
    words = htmls(page)
    assert "what the networks see: 96 × 96" in words and f'lab-true">{photo.label}' in words
    right = sum(prediction.top[0].label == photo.label for prediction in report.predictions)
    assert (words.count("✓"), words.count("✗")) == (right, 3 - right)


@pytest.mark.full
def test_a_photo_of_no_known_class_is_said(page: AppTest, client: Client) -> None:
    panda = next(image for image in client.images() if image.title == "Giant panda")
    page.query_params["image"] = [panda.id]
    whole(page)
    assert "this photo shows none of them" in texts(page.info)
    assert "lab-true" not in htmls(page) and "✓" not in htmls(page)


@pytest.mark.full
def test_a_plain_network_alone_has_no_gates_and_the_page_stands(page: AppTest) -> None:
    page.query_params["net"] = ["none"]
    page.query_params["numbers"] = "true"
    whole(page)
    assert "These networks have no gates." in texts(page.caption)


@pytest.mark.full
def test_an_upload_is_placed_among_photos_of_the_classes_with_how_well_that_tells_others_apart(
    page: AppTest, client: Client
) -> None:
    noise = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)).save(noise, "PNG")
    uploaded = client.upload("noise.png", noise.getvalue()).id
    page.query_params["image"] = [uploaded]
    page.query_params["net"] = ["none", "se"]
    whole(page)
    asked = OutOfDistributionRequest(
        variants=tuple(Variant.parse(name) for name in ("none", "se")),
        photos=Pictures(images=(uploaded,)),
        own=Pictures(data="flowers-sample"),
    )
    told = client.ask(asked).photos
    none = all(max(surety.softmax_quantile, surety.energy_quantile) < 0.05 for surety in told)
    assert ("Probably none of these 5" in texts(page.info)) == none
    assert f"than of {100 * max(surety.energy_quantile for surety in told):.0f} %" in texts(page.caption)
    foreign = [image for image in client.images() if image.sample and image.label not in FLOWERS]
    photos = Pictures(images=tuple(image.id for image in foreign))
    areas = client.ask(asked.model_copy(update={"photos": photos})).networks
    assert f"tells {areas[0].own} photos of these classes from {len(foreign)} of the gallery" in texts(page.caption)
    low, high = (choose(area.energy_area for area in areas) for choose in (min, max))
    assert f"area under the curve {low:.2f} to {high:.2f}" in texts(page.caption)


@pytest.mark.full
def test_a_photo_can_be_padded_and_everything_that_is_drawn_follows(page: AppTest, client: Client) -> None:
    wide = next(image for image in client.images() if image.width > 1.2 * image.height)
    page.query_params["image"], page.query_params["net"] = [wide.id], ["cbam"]
    page.query_params["fit"] = ["pad"]
    whole(page)
    (seen,) = client.ask(SeenRequest(image=wide.id, variants=(Variant.parse("cbam"),), fit="pad")).pictures
    assert seen.png_base64 in htmls(page) and seen.preprocess.mode == "border"
    left, top, right, bottom = seen.crop
    assert (left, right) == pytest.approx((0, 1), abs=0.02) and top < 0 and bottom > 1
    assert "accuracies on the networks' cards" in texts(page.caption)
    page.button_group(key="fit").set_value("").run()
    assert not page.exception and seen.png_base64 not in htmls(page)
    assert "accuracies on the networks' cards" not in texts(page.caption)


@pytest.mark.full
def test_networks_that_differ_in_more_than_attention_are_said_to(page: AppTest) -> None:
    whole(page)
    assert "need not come from attention" not in texts(page.caption) + texts(page.markdown), (
        "those that come along are trained alike"
    )
    page.query_params["variant"] = ["resnet20/eca?weights=shipped"]
    whole(page)
    said = texts(page.caption) + texts(page.markdown)  # where it is one of several, it is folded
    assert "differ in resolution" in said and "96 px" in said


@pytest.mark.full
def test_an_untrained_network_never_shows_an_accuracy(page: AppTest, client: Client) -> None:
    page.query_params["net"] = ["se", "gc"]
    whole(page)
    rows = {row.split("</th>")[0].rpartition("> ")[2]: row for row in htmls(page).split("<tr>")[2:]}
    card = next(entry.card for entry in client.catalog().shipped if entry.name.startswith("resnet18(width=0.25)/se?"))
    assert f"{card.test_accuracy:.1%}" in rows["SE"].split("</table>")[0]
    assert "untrained" in rows["GC"] and not re.search(r"\d\.\d%</td></tr>", rows["GC"].split("</table>")[0])
    assert "random weights" in texts(page.caption)
    shares = table(page, "class", "probability", "network")
    assert set(shares[shares["network"] == "GC"]["class"]) == set(card.labels), "as many classes as the trained ones"
    chips = next(group for group in page.button_group if str(group.key).startswith("net."))
    assert any("untrained" in str(option) for option in chips.options), "and the chips say so"


@pytest.mark.full
@pytest.mark.parametrize("module", ["cbam", "coord", "sk", "danet", "gc"])
def test_no_module_vanishes_and_the_answer_stays_small(module: str, page: AppTest, client: Client) -> None:
    page.query_params["net"] = ["se", module]
    whole(page)
    assert theme.called(module) in htmls(page)
    assert "Gates that know where" in texts(page.subheader)
    asked = Variant.parse(module)
    photo = client.images()[0].id
    body = CompareRequest(images=(photo,), variants=(asked,), gates="base64", top_k=10).model_dump(mode="json")
    assert len(client.http.post("/v1/compare", json=body).content) < 400_000


@pytest.mark.full
def test_one_bad_name_is_a_sentence_and_the_others_are_shown(page: AppTest) -> None:
    page.query_params["net"] = ["cbma", "se"]
    page.query_params["variant"] = ["resnet20/ecaa", "resnet20/eca(kernel_size=5)@standard:3"]
    page.run()
    assert not page.exception
    assert "Did you mean cbam" in texts(page.warning) or "Did you mean" in texts(page.warning)
    assert "Did you mean 'eca'" in texts(page.error)
    assert set(table(page, "class", "probability", "network")["network"]) == {
        "SE · ResNet-18 (width=0.25)",
        "ECA · ResNet-20 (kernel_size=5)@standard:3",
    }


@pytest.mark.full
def test_fresh_attention_in_trained_weights_is_named_and_what_was_loaded_is_listed(
    page: AppTest, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "data" / "checkpoints" / "plain.safetensors"
    checkpoint.parent.mkdir(parents=True)
    save_file(build(Variant.parse("resnet20/none?weights=shipped")).state_dict(), checkpoint)
    page.query_params["variant"] = ["resnet20/eca?weights=file:plain"]
    page.query_params["numbers"] = "true"
    whole(page)
    shown = texts(page.markdown)
    assert "trained, with fresh attention" in htmls(page)
    assert "tensors from `plain.safetensors`" in shown
    assert re.search(r"Fresh attention at `layer1\.0\.standard`: leaves [3-6]\d% of the spread", shown), "about half"
    assert "layer1.0.standard.0.conv.weight" in shown, "what the file does not have is named"


@pytest.mark.full
def test_an_upload_is_chosen_and_stands_in_the_address(
    page: AppTest, client: Client, photo: Callable[[int], bytes]
) -> None:
    whole(page)
    page.file_uploader[0].upload("holiday.jpg", photo(1), "image/jpeg").run()
    assert not page.exception and not page.error
    stored = next(image for image in client.images() if not image.sample)
    assert linked(page, "image") == [stored.id]
    assert "holiday.jpg, 40 × 30" in htmls(page)


@pytest.mark.full
def test_a_byte_equal_copy_of_a_sample_is_that_sample(page: AppTest, client: Client) -> None:
    whole(page)
    sample = client.images()[3]
    page.file_uploader[0].upload("copy.jpg", client.image_file(sample.id), "image/jpeg").run()
    assert not page.exception and not page.error
    assert linked(page, "image") == [sample.id]
    assert page.session_state["uploads"] == []


@pytest.mark.full
def test_photos_over_the_limit_are_named(page: AppTest, client: Client, photo: Callable[[int], bytes]) -> None:
    whole(page)
    page.file_uploader[0].set_value([(f"{n}.jpg", photo(n), "image/jpeg") for n in range(34)]).run()
    assert not page.exception
    assert [error.value.partition(":")[0] for error in page.error] == ["32.jpg", "33.jpg"]
    assert len([image for image in client.images() if not image.sample]) == 32


@pytest.mark.full
def test_a_file_that_is_no_photo_is_refused_in_a_sentence_and_the_page_lives_on(
    page: AppTest, photo: Callable[[int], bytes]
) -> None:
    whole(page)
    page.file_uploader[0].set_value(
        [
            ("notes.png", b"these are only words", "image/png"),
            ("cut.jpg", photo(1)[:400], "image/jpeg"),
            ("good.jpg", photo(2), "image/jpeg"),
        ]
    ).run()
    assert not page.exception
    assert [error.value.partition(":")[0] for error in page.error] == ["notes.png", "cut.jpg"]
    assert "good.jpg" in htmls(page)


@pytest.mark.full
def test_a_link_to_a_photo_that_is_gone_says_so_and_shows_a_sample(page: AppTest, client: Client) -> None:
    page.query_params["image"] = ["0" * 64]
    whole(page)
    assert "not stored here" in texts(page.warning)
    assert linked(page, "image") == [client.images()[0].id]


@pytest.mark.full
def test_a_layer_is_opened_and_stands_in_the_address(page: AppTest) -> None:
    page.query_params["layer"] = "3.2"
    whole(page)
    rows = [element.proto.json for element in page.get("bidi_component") if "Maps of" in element.proto.json]
    assert [row.count("ch. ") for row in rows] == [16, 16], "eight of either end for each of two networks"
    grid = table(page, "layer", "rank", "weight", "open")
    assert set(grid[grid["open"]]["layer"]) == {"3.2"}


@pytest.mark.full
def test_the_form_builds_a_variant_and_adds_it(page: AppTest) -> None:
    page.query_params["variant"] = ["resnet20/se"]
    page.session_state["variant.box"] = True
    whole(page)
    page.selectbox(key="variant.new.backbone").select("resnet20").run()
    page.selectbox(key="variant.new.attention").select("se").run()
    page.number_input(key="variant.new.attention.se.reduction").set_value(4)
    page.multiselect(key="variant.new.resnet20.standard.stages").select(3).run()
    page.button(key="variant.add").click().run()
    assert not page.exception
    assert linked(page, "variant") == ["resnet20/se", "resnet20/se(reduction=4)@standard:3"]


@pytest.mark.full
def test_the_form_says_what_a_module_needs(page: AppTest) -> None:
    page.session_state["variant.box"] = True
    page.run()
    page.selectbox(key="variant.new.backbone").select("resnet50").run()
    page.selectbox(key="variant.new.attention").select("bam").run()
    captions = texts(page.caption)
    assert "Its paper's place here: `stage:1-3`" in captions
    assert "at least 2 images a batch" in captions


def test_rows_times_columns_is_the_weight_of_a_place() -> None:
    rng = np.random.default_rng(0)
    rows, columns = rng.random((5, 4, 1)), rng.random((5, 1, 6))
    naive = [[np.mean([rows[c, h, 0] * columns[c, 0, w] for c in range(5)]) for w in range(6)] for h in range(4)]
    assert np.allclose(places.product({"rows": rows, "columns": columns}), naive)
    assert np.allclose(places.product({"rows": rows}), np.broadcast_to(rows.mean(0), (4, 4)))
    spatial = rng.random((1, 4, 6))
    assert np.allclose(places.product({"spatial": spatial}), spatial[0])


@pytest.mark.full
def test_random_weights_have_no_say_in_which_classes_are_drawn(client: Client) -> None:
    photo = client.images()[0].id
    variants = (TRIO[2], Variant.parse("resnet18(width=0.25)/simam?classes=5"))
    report = client.ask(CompareRequest(images=(photo,), variants=variants, top_k=10))
    drawn = answers.dots(report, photo).to_dict()
    (data,) = drawn["datasets"].values()
    order = list(dict.fromkeys(row["class"] for row in data))
    assert order == [score.label for score in report.predictions[0].top[:5]]


def test_networks_are_called_as_people_say() -> None:
    said = words.labels([v.name for v in TRIO])
    assert list(said.values()) == ["None", "SE", "ECA"]
    several = words.labels(["resnet20/coord", "resnet50/se(reduction=8)", "resnet20(width=8)/danet"])
    assert list(several.values()) == ["CA · ResNet-20", "SE · ResNet-50 (reduction=8)", "DANet · ResNet-20 (width=8)"]


@pytest.mark.full
def test_a_channel_of_the_address_is_opened_with_the_images_at_its_ends(page: AppTest, client: Client) -> None:
    network = resolve(Variant.parse("se")).name
    page.query_params["channel"] = [f"{network}~7"]
    whole(page)
    request = ExemplarsRequest(variant=Variant.parse(network), pictures=Pictures(data="flowers-sample", limit=200))
    report = client.ask(request)
    ends = report.gates[0].ends[7]
    drawn = htmls(page)
    shown = re.findall(r"<figcaption><b>([\d.]+)</b>", drawn)
    assert shown == [f"{exemplar.weight:.3f}" for exemplar in (*ends.open, *ends.closed)] and len(shown) == 8
    assert f"{report.seen} test images" in texts(page.caption)
    maps = client.ask(
        MapsRequest(image=client.images()[0].id, variant=Variant.parse(network), gate=report.gates[0].path)
    )
    channel = next(entry for entry in maps.maps if entry.channel == 7)
    told = texts(page.caption).replace("−", "-")
    assert f"mean {channel.mean:.3f}, weight {channel.weight:.3f}" in told
    assert f"mean after the gate {channel.mean * (channel.weight or 0):.3f}" in told


@pytest.mark.full
def test_a_data_set_that_takes_long_to_read_is_read_as_a_job_that_is_asked_for_once(
    page: AppTest, client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "AT_ONCE", 0)
    page.query_params["channel"] = [f"{resolve(Variant.parse('se')).name}~7"]
    whole(page)
    assert not client.jobs(), "nothing is read before it is asked for"
    page.button(key="start.exemplars").click()
    whole(page)
    (job,) = client.jobs()
    client.cancel(job.id)
    whole(page)
    assert [stopped.state for stopped in client.jobs()] == ["cancelled"], "what was stopped does not begin anew"
    page.button(key="start.exemplars").click()
    whole(page)
    done(client, settings)
    whole(page)
    assert len(re.findall(r"<figcaption><b>[\d.]+</b>", htmls(page))) == 8
