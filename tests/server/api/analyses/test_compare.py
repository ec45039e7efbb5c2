"""The main job over HTTP: photos and names of networks in, a comparison out, by JSON and by form."""

import base64
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from attention.data.files import image_id as image_id_of
from attention.reports.compare import Comparison
from attention.reports.cost import CostReport
from server.settings import Settings
from tests.server.conftest import photo

TRIO = ["resnet20/none", "resnet20/se", "resnet20/eca"]


def compare(client: TestClient, **request: Any) -> Comparison:
    answer = client.post("/v1/compare", json=request)
    assert answer.status_code == 200, answer.text
    return Comparison.model_validate_json(answer.content)


def form(
    client: TestClient, data: Mapping[str, Any], *photos: bytes, path: str = "/v1/compare"
) -> tuple[int, dict[str, Any]]:
    answer = client.post(path, data=data, files=[("image", (f"{i}.jpg", each)) for i, each in enumerate(photos)])
    return answer.status_code, answer.json()


@pytest.mark.full
def test_every_image_meets_every_variant(client: TestClient, image_id: str) -> None:
    other = client.post("/v1/images", content=photo(1), headers={"Content-Type": "image/jpeg"}).json()["id"]
    report = compare(client, images=[image_id, other], variants=TRIO, top_k=3)
    names = [summary.name for summary in report.variants]
    assert [summary.variant.attention for summary in report.variants] == [None, "se", "eca"]
    assert [(one.image, one.variant) for one in report.predictions] == [
        (image, name) for image in (image_id, other) for name in names
    ]
    for one in report.predictions:
        shares = [score.probability for score in one.top]
        assert len(shares) == 3 and shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1 + 1e-6
        assert len(one.gates) == (0 if "none" in one.variant else 9)


@pytest.mark.full
def test_untrained_networks_are_flagged_as_such(client: TestClient, image_id: str) -> None:
    summary = compare(client, images=[image_id], variants=["resnet20/se"]).variants[0]
    assert not summary.trained and summary.card is None
    assert summary.warning is not None and "random" in summary.warning


@pytest.mark.full
def test_size_and_fit_come_by_json_and_by_form(client: TestClient, image_id: str) -> None:
    report = compare(client, images=[image_id], variants=TRIO[:1], input_size=[24, 40], fit="pad")
    how = report.variants[0].preprocess
    assert (how.size, how.width, how.mode) == (24, 40, "border")
    fields = {"variants": TRIO[0], "fit": "pad"}
    for said in ("24x40", "[24, 40]"):
        assert form(client, {**fields, "input_size": said}, photo()) == (200, report.model_dump(mode="json"))
    status, square = form(client, {**fields, "input_size": "40"}, photo())
    assert (status, square["variants"][0]["preprocess"]["size"]) == (200, 40)
    for wrong in ("40", [24, "40"], [24, 40, 3], True, "wide"):
        answer = client.post("/v1/compare", json={"images": [image_id], "variants": TRIO[:1], "input_size": wrong})
        assert answer.status_code == 422 and answer.json()["errors"][0]["field"].startswith("input_size"), wrong
    wide = {"images": [image_id], "variants": ["resnet20(width=256)/none"], "input_size": 2048}
    large = client.post("/v1/compare", json=wide)
    assert large.status_code == 413 and "2048 x 2048 pixels" in large.json()["detail"]


def test_one_form_does_what_upload_and_json_do(client: TestClient, image_id: str) -> None:
    by_json = client.post("/v1/compare", json={"images": [image_id], "variants": TRIO, "top_k": 2})
    status, by_form = form(client, {"variants": ",".join(TRIO), "top_k": "2"}, photo())
    assert (status, by_form) == (200, by_json.json())


@pytest.mark.full
def test_a_form_takes_several_photos_and_ids_and_repeated_or_nested_fields(client: TestClient, image_id: str) -> None:
    options = "resnet20/se(reduction=4,bias=true)@standard:2-3"
    fields = {
        "images": image_id,
        "variants": [f"resnet20/none,{options}", '{"backbone": "resnet20", "attention": "eca"}'],
        "ablation": '{"kind": "constant", "value": 0.25, "gates": ["layer3"]}',
    }
    status, answer = form(client, fields, photo(1), photo(2))
    assert status == 200, answer
    assert [one["variant"]["attention"] for one in answer["variants"]] == [None, "se", "eca"]
    assert answer["variants"][1]["variant"]["options"] == {"reduction": 4, "bias": True}
    assert answer["ablation"]["value"] == 0.25
    assert len(answer["predictions"]) == 9
    assert answer["predictions"][0]["image"] == image_id


@pytest.mark.full
def test_photos_of_a_form_are_answered_by_id_and_not_kept(client: TestClient, settings: Settings) -> None:
    _, answer = form(client, {"variants": "resnet20/none"}, photo(3))
    name = answer["predictions"][0]["image"]
    assert name == image_id_of(photo(3))
    assert client.get(f"/v1/images/{name}").status_code == 404
    assert not (settings.folder / "images").exists()


@pytest.mark.full
def test_an_ablation_may_refer_to_a_photo_of_the_same_form(client: TestClient) -> None:
    ablation = {"kind": "mean", "reference": [image_id_of(photo(3))]}
    status, _ = form(client, {"variants": "resnet20/se", "ablation": json.dumps(ablation)}, photo(3))
    assert status == 200


@pytest.mark.full
def test_gates_travel_as_numbers_and_as_float16(client: TestClient, image_id: str) -> None:
    numbers = compare(client, images=[image_id], variants=["resnet20/se"], gates="json").predictions[0]
    packed = compare(client, images=[image_id], variants=["resnet20/se"], gates="base64").predictions[0]
    assert numbers.values is not None and packed.values_base64 is not None
    flat = np.concatenate([np.array(gate) for gate in numbers.values])
    assert len(flat) == sum(int(np.prod(gate.shape)) for gate in numbers.gates) == 3 * (16 + 32 + 64)
    unpacked = np.frombuffer(base64.b64decode(packed.values_base64), "<f2").astype(np.float64)
    np.testing.assert_allclose(unpacked, flat, atol=1e-3)
    assert flat.mean() == pytest.approx(np.mean(unpacked), abs=1e-4)


@pytest.mark.full
def test_mean_gates_over_one_image_are_that_images_gates(client: TestClient, image_id: str) -> None:
    """Replacing gates by those of the image itself changes nothing; by those of another image it does."""
    other = client.post("/v1/images", files={"image": ("b.jpg", photo(9))}).json()["id"]
    ask = {"images": [image_id], "variants": ["resnet20/se"], "gates": "json"}
    plain = compare(client, **ask).predictions[0].values
    for kind in ("mean", "other_image"):
        same = compare(client, **ask, ablation={"kind": kind, "reference": [image_id]}).predictions[0].values
        moved = compare(client, **ask, ablation={"kind": kind, "reference": [other]}).predictions[0].values
        assert plain and same and moved
        np.testing.assert_allclose(np.concatenate(same), np.concatenate(plain), atol=2e-6)
        assert np.abs(np.concatenate(moved) - np.concatenate(plain)).max() > 1e-4


@pytest.mark.full
def test_mean_gates_are_the_mean_over_all_reference_images(client: TestClient, image_id: str) -> None:
    others = [client.post("/v1/images", files={"image": ("b.jpg", photo(seed))}).json()["id"] for seed in range(1, 20)]
    each = compare(client, images=others, variants=["resnet20/eca"], gates="json").predictions
    first_gates = np.array([one.values[0] for one in each if one.values])  # nothing is replaced before the first gate
    report = compare(
        client,
        images=[image_id],
        variants=["resnet20/eca"],
        gates="json",
        ablation={"kind": "mean", "reference": others, "gates": ["layer1.0"]},
    )
    assert report.predictions[0].values
    np.testing.assert_allclose(report.predictions[0].values[0], first_gates.mean(0), atol=2e-6)


@pytest.mark.full
def test_an_ablation_leaves_networks_without_attention_alone(client: TestClient, image_id: str) -> None:
    ask = {"images": [image_id], "variants": ["resnet20/none"]}
    plain = compare(client, **ask)
    ablated = compare(client, **ask, ablation={"kind": "mean", "reference": [image_id]})
    assert ablated.predictions == plain.predictions


@pytest.mark.full
def test_sixteen_callers_at_once_get_what_a_lone_one_gets(client: TestClient, image_id: str) -> None:
    questions = [
        {"images": [image_id], "variants": [f"resnet20/{name}?seed={seed}"], "gates": "json", "ablation": ablation}
        for seed in (0, 1)
        for name in ("none", "se", "se(reduction=4)", "eca")
        for ablation in (None, {"kind": "shuffle"}, {"kind": "other_image", "reference": [image_id]})
    ]

    def ask(number: int) -> Comparison:
        return compare(client, **questions[number % len(questions)])

    with ThreadPoolExecutor(16) as callers:
        together = list(callers.map(ask, range(2 * len(questions))))
    for number, report in enumerate(together):
        lone = ask(number)
        assert report.variants == lone.variants
        for one, other in zip(report.predictions, lone.predictions, strict=True):
            assert {score.index: score.probability for score in one.top} == pytest.approx(
                {score.index: score.probability for score in other.top}, abs=1e-5
            )
            np.testing.assert_allclose(
                np.concatenate(one.values or ((),)), np.concatenate(other.values or ((),)), atol=1e-5
            )


@pytest.mark.full
def test_cost_is_asked_by_name_and_size(client: TestClient) -> None:
    answer = client.post("/v1/cost", json={"variants": ["resnet50/none", "resnet50/eca"], "input_size": 224})
    assert answer.status_code == 200
    plain, eca = CostReport.model_validate_json(answer.content).variants
    assert (plain.total.parameters, plain.total.macs) == (25_557_032, 4_089_184_256)
    assert eca.delta.parameters == eca.total.parameters - plain.total.parameters > 0


@pytest.mark.full
def test_a_question_without_an_answer_yet_is_its_defaults(client: TestClient) -> None:
    answer = client.post("/v1/cost", json={})
    assert [one["variant"]["attention"] for one in answer.json()["variants"]] == [None, "se", "eca"]


@pytest.mark.full
def test_every_example_in_the_description_is_a_question(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    for name in ("CompareRequest", "CostRequest"):
        for example in schemas[name]["examples"]:
            asked = json.loads(json.dumps(example).replace("<id from POST /v1/images>", "0" * 64))
            path = "/v1/" + name.removesuffix("Request").lower()
            status = client.post(path, json=asked).status_code
            assert status in (200, 404, 422)
