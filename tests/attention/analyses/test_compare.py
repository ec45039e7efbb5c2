"""Compare: what it reports is what the network did, restated from the raw outputs."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from attention.analyses import run
from attention.build import build
from attention.data.preprocessing import preprocess
from attention.errors import NotFound, TooLarge
from attention.gate import capture
from attention.network import describe
from attention.reports.compare import CompareRequest, GateSummary
from attention.reports.cost import CostRequest
from attention.spec import Ablation, Variant
from tests.attention.direct_lab import DirectLab

NAMES = ("resnet20/none", "resnet20/se", "resnet20/eca@standard:2-3")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> DirectLab:
    return DirectLab(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def photos(lab: DirectLab) -> tuple[str, ...]:
    ids = []
    for seed in range(2):
        pixels = np.random.default_rng(seed).integers(0, 256, (50, 70, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        ids.append(lab.files.put_image(file.getvalue()))
    return tuple(ids)


def test_every_image_meets_every_variant_in_order(lab: DirectLab, photos: tuple[str, ...]) -> None:
    report = run(CompareRequest(images=photos, variants=NAMES), lab)  # type: ignore[arg-type]
    assert [one.name for one in report.variants] == [f"{name}?classes=10" for name in NAMES]
    assert [(one.image, one.variant) for one in report.predictions] == [
        (photo, one.name) for photo in photos for one in report.variants
    ]
    assert lab.told[-3:] == [(0, 3), (1, 3), (2, 3)]


def test_numbers_are_those_of_the_network(lab: DirectLab, photos: tuple[str, ...]) -> None:
    request = CompareRequest(images=photos[:1], variants=(NAMES[1],), top_k=3, gates="json")  # type: ignore[arg-type]
    (found,) = run(request, lab).predictions
    variant = Variant.parse(NAMES[1])
    model = build(variant)
    with torch.no_grad(), capture(model) as gates:
        logits = model(preprocess(lab.files.image(photos[0]), describe(variant).preprocess)[None])[0].double()
    share = (logits - logits.logsumexp(0)).exp()
    order = share.argsort(descending=True)[:3].tolist()
    assert [top.index for top in found.top] == order and found.top[0].label is None
    assert [top.probability for top in found.top] == pytest.approx([float(share[index]) for index in order], rel=1e-4)
    assert found.values is not None and len(found.values) == len(found.gates) == 9
    for summary, values in zip(found.gates, found.values, strict=True):
        truth = gates[summary.path][0].flatten().numpy().astype(np.float64)
        np.testing.assert_allclose(values, truth, atol=1e-5)
        assert summary.shape == (len(truth), 1, 1)
        assert (summary.mean, summary.std) == pytest.approx((truth.mean(), truth.std()), rel=1e-4)
        assert (summary.min, summary.max) == pytest.approx((truth.min(), truth.max()), rel=1e-4)
        assert summary.share_low == (truth < 0.1).mean() and summary.share_high == (truth > 0.9).mean()


def test_the_binary_form_holds_the_same_numbers(lab: DirectLab, photos: tuple[str, ...]) -> None:
    reports = [
        run(CompareRequest(images=photos, variants=(NAMES[2],), gates=form), lab)  # type: ignore[arg-type]
        for form in ("json", "base64", "none")
    ]
    for as_json, packed, bare in zip(*(report.predictions for report in reports), strict=True):
        assert packed.values_base64 and as_json.values and bare.values is None and bare.values_base64 is None
        numbers = np.frombuffer(base64.b64decode(packed.values_base64), "<f2")
        np.testing.assert_allclose(numbers, np.concatenate(as_json.values), atol=1e-3)
        assert len(numbers) == sum(np.prod(gate.shape) for gate in packed.gates) == 3 * 32 + 3 * 64


def test_untrained_networks_say_so(lab: DirectLab, photos: tuple[str, ...]) -> None:
    for one in run(CompareRequest(images=photos[:1], variants=NAMES), lab).variants:  # type: ignore[arg-type]
        assert not one.trained and one.card is None and one.warning and one.warning.startswith("Untrained")


def test_an_ablation_reaches_the_variants_that_have_gates(lab: DirectLab, photos: tuple[str, ...]) -> None:
    half = Ablation(kind="constant", value=0.25, gates=("layer3",))
    plain, _, eca = run(CompareRequest(images=photos[:1], variants=NAMES, ablation=half), lab).predictions  # type: ignore[arg-type]
    assert plain.gates == ()
    for gate in eca.gates:
        assert (gate.mean == 0.25) == (gate.stage == 3)


def test_the_bill_stands_beside_the_prediction(lab: DirectLab, photos: tuple[str, ...]) -> None:
    report = run(CompareRequest(images=photos[:1], variants=NAMES), lab)  # type: ignore[arg-type]
    bill = run(CostRequest(variants=NAMES), lab)  # type: ignore[arg-type]
    for one, cost in zip(report.variants, bill.variants, strict=True):
        assert (one.parameters, one.macs) == (cost.total.parameters, cost.total.macs)
        assert (one.attention_parameters, one.attention_macs) == (cost.delta.parameters, cost.delta.macs)


def test_more_gate_entries_than_an_answer_carries_get_a_sentence(
    lab: DirectLab, photos: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attention.analyses.compare.MAX_VALUES", 600)
    one, both = (CompareRequest(images=photos[:n], variants=(NAMES[1],), gates="base64") for n in (1, 2))  # type: ignore[arg-type]
    assert run(one, lab).predictions[0].values_base64
    with pytest.raises(TooLarge, match="672 entries for 2 photos"):
        run(both, lab)
    assert len(run(both.model_copy(update={"gates": "none"}), lab).predictions[0].gates) == 9


def test_an_image_that_is_not_here_gets_a_sentence(lab: DirectLab) -> None:
    with pytest.raises(NotFound, match="Upload it first"):
        run(CompareRequest(images=("0" * 64,), variants=NAMES), lab)  # type: ignore[arg-type]


def test_a_report_that_calls_the_path_of_a_gate_its_gate_is_still_read() -> None:
    site = {"kind": "channel", "position": "standard", "stage": 1, "block": 2}
    numbers = {"shape": (64, 1, 1), "mean": 0.5, "std": 0.1, "min": 0.2, "max": 0.8, "share_low": 0, "share_high": 0}
    before = GateSummary.model_validate({"gate": "layer1.1.standard.0.gate", **site, **numbers})
    now = GateSummary.model_validate({"path": "layer1.1.standard.0.gate", **site, **numbers})
    assert before == now and now.path == "layer1.1.standard.0.gate" and "gate" not in now.model_dump()
