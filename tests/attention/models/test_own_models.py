"""Models of a user's own in a Lab: gates, ablations and answers like those of our own networks."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import attention
from attention.build import build, skeleton
from attention.data.files import samples
from attention.errors import InvalidRequest, UnknownName
from attention.gate import ablate, capture, gates, sites
from attention.interventions.fold import fold_model, foldable
from attention.lab import Lab
from attention.models import own_models
from attention.running.fused import fused_copy
from attention.running.many_ablations import forward_each
from attention.spec import Ablation, Preprocess, Variant
from tests.attention.models.own import SIDE, Classifier, Detector, Excite, Inverted, Scale, Segmenter, Twice, seeded

PHOTOS = tuple(sample.id for sample in samples()[:2])
IMAGES = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    yield Lab(tmp_path, device="cpu")
    for name in own_models.names():
        own_models.remove(name)


@pytest.fixture
def model() -> nn.Module:
    return seeded(Classifier)


def test_a_model_that_was_added_is_a_network_with_its_gates(lab: Lab, model: nn.Module) -> None:
    mine = lab.add("mine", model, labels="abcde")
    network = build(mine)
    with torch.no_grad(), capture(network) as weights:
        assert torch.equal(network(IMAGES), model(IMAGES))
    watched = attention.capture(model, IMAGES)  # follows the model itself
    assert list(weights) == list(watched) == ["se", "se2", "(model)"]
    assert all(torch.equal(weights[path], watched[path].expand_as(weights[path])) for path in weights)
    assert [(site.kind, site.position, site.stage, site.block) for site in sites(network)] == [
        ("channel", None, 1, 1),
        ("channel", None, 2, 1),
        ("channel", None, 2, 2),
    ]
    assert sites(skeleton(mine)) == sites(network)
    description = lab.describe(mine)
    assert (description.gates, description.labels, description.trained) == (3, tuple("abcde"), True)
    assert description.parameters == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_model_with_a_scripted_part_is_taken_and_its_bill_is_a_lower_bound(lab: Lab, model: nn.Module) -> None:
    whole = lab.cost(variants=[lab.add("mine", model)]).variants[0]
    scripted: Any = torch.jit.script(model.down)
    model.down = scripted
    mine = lab.add("mine", model)
    with torch.no_grad():
        assert torch.equal(build(mine)(IMAGES), model(IMAGES))
    report = lab.cost(variants=[mine])
    assert report.variants[0].not_counted == ("body.down (TorchScript)",)
    assert report.variants[0].total.parameters == whole.total.parameters
    assert whole.total.macs - report.variants[0].total.macs == 16 * 16 * 12 * 8 * 9
    assert "at least so much: not counted are body.down (TorchScript)." in report.tables()[0].caption


def test_gate_times_input_is_output_to_the_bit(lab: Lab, model: nn.Module) -> None:
    network = build(lab.add("mine", model))
    kept: dict[str, torch.Tensor] = {}
    module = network.get_submodule("body.se")
    module.register_forward_hook(lambda _, args, output: kept.update(arrived=args[0], left=output))
    with torch.no_grad(), capture(network) as weights:
        network(IMAGES)
    assert torch.equal(kept["left"], kept["arrived"] * weights["se"])


@pytest.mark.parametrize(("kind", "number"), [("constant", 0.25), ("neutral", 1.0)])
def test_an_ablation_is_surgery_to_the_bit(lab: Lab, model: nn.Module, kind: str, number: float) -> None:
    network, other = build(lab.add("mine", model)), copy.deepcopy(model)
    other.se = Scale(number)
    with torch.no_grad():
        with ablate(network, Ablation(kind=kind, value=number, gates=("se",))):  # type: ignore[arg-type]
            assert torch.equal(network(IMAGES), other(IMAGES))
        assert torch.equal(network(IMAGES), model(IMAGES))
    assert not any(gate._forward_hooks for gate in gates(network).values())


def test_many_ablations_in_one_pass_are_those_of_a_loop(lab: Lab, model: nn.Module) -> None:
    network = build(lab.add("mine", model))
    asked = [
        Ablation(kind="scalar"),
        Ablation(kind="constant", value=0.1, gates=("(model)",)),
        Ablation(kind="shuffle"),
    ]
    with torch.no_grad():
        together = forward_each(network, IMAGES, asked)
        for row, ablation in enumerate(asked, start=1):
            with ablate(network, ablation):
                assert torch.allclose(together[row], network(IMAGES), atol=1e-6)
    assert len({tuple(logits.flatten().tolist()) for logits in together}) == 4


@pytest.mark.full
def test_a_module_of_the_shelf_stands_behind_a_layer_of_it(lab: Lab, model: nn.Module) -> None:
    lab.add("mine", model)
    network = build(Variant.parse("own(name=mine)/eca@after:down"))
    assert list(gates(network)) == ["se", "attached.down.0.gate", "se2", "(model)"]
    bill, plain = lab.cost(variants=["own(name=mine)/eca@after:down", "own(name=mine)/none"]).variants
    assert bill.delta.parameters == bill.total.parameters - plain.total.parameters == 3
    excite = 8 * 2 + 2 + 2 * 8 + 8 + 12 * 2 + 2 + 2 * 12 + 12
    assert plain.attention.parameters == excite and plain.delta.parameters == 0
    assert [module.path for module in plain.attention_modules] == ["se", "se2"]
    assert any("(model)" in note for note in plain.notes)  # that gate's cost is its block's


@pytest.mark.full
def test_a_module_behind_a_layer_that_runs_twice_is_one_gate(lab: Lab) -> None:
    model = seeded(Twice)
    lab.add("mine", model)
    variant = Variant.parse("own(name=mine)/se@after:se")
    network = build(variant)
    assert list(gates(network)) == [site.path for site in sites(network)] == ["se", "attached.se.0.gate", "se@2"]
    assert lab.describe(variant).gates == 3
    open_twice = Ablation(kind="neutral", gates=("attached.se.0.gate",))
    with torch.no_grad(), ablate(network, open_twice), capture(network) as weights:
        assert torch.allclose(network(IMAGES), model(IMAGES), atol=1e-6) and len(weights) == 3


@pytest.mark.full
def test_weights_trained_in_place_are_seen_at_the_next_question(lab: Lab, model: nn.Module) -> None:
    mine = lab.add("mine", model, labels="abcde")
    before = lab.compare(images=PHOTOS[:1], variants=[mine]).predictions[0]
    with torch.no_grad():
        model.get_parameter("head.bias")[3] += 100
    after = lab.compare(images=PHOTOS[:1], variants=[mine]).predictions[0]
    assert before.top[0].probability < 0.9 and (after.top[0].label, after.top[0].probability > 0.99) == ("d", True)


@pytest.mark.full
def test_another_model_of_a_name_takes_its_place(lab: Lab, model: nn.Module) -> None:
    mine = lab.add("mine", model)
    first = lab.cost(variants=[mine]).variants[0].total.parameters
    lab.add("mine", seeded(lambda: Classifier(7)))
    assert lab.cost(variants=[mine]).variants[0].total.parameters == first + 2 * 13
    assert lab.describe(mine).variant.classes == 7


def test_a_model_without_gates_is_told_how_to_get_one(lab: Lab) -> None:
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)).eval()
    mine = lab.add("plain", plain, example=SIDE)
    with pytest.raises(InvalidRequest, match=r"has no gates: .* as in own\(name=plain\)/eca@after:LAYER"):
        lab.whatif(variant=mine, images=PHOTOS)
    assert lab.whatif(variant="own(name=plain)/eca@after:0", images=PHOTOS).photos


def test_a_single_number_is_no_class(lab: Lab) -> None:
    """A softmax makes 100 % of it, whatever it is."""
    mine = lab.add("binary", seeded(lambda: Classifier(1)))
    with pytest.raises(InvalidRequest, match="no classes of whole images"):
        lab.compare(images=PHOTOS, variants=[mine])


def test_weights_are_in_float32(lab: Lab, model: nn.Module) -> None:
    with pytest.raises(InvalidRequest, match=r"weights in torch.bfloat16; .*model.float\(\)"):
        lab.add("mine", model.bfloat16())


def test_labels_are_as_many_as_the_classes(lab: Lab, model: nn.Module) -> None:
    with pytest.raises(InvalidRequest, match="gives 5 classes, and there are 2 labels"):
        lab.add("mine", model, labels=["cat", "dog"])


def test_the_same_model_with_other_labels_and_preprocessing_is_described_by_them(lab: Lab, model: nn.Module) -> None:
    before = lab.describe(lab.add("mine", model, labels="abcde"))
    after = lab.describe(lab.add("mine", model, labels="vwxyz", preprocess=Preprocess(size=SIDE, resize=50)))
    assert (before.labels, after.labels, after.preprocess.resize) == (tuple("abcde"), tuple("vwxyz"), 50)
    assert before.stamp != after.stamp  # what was kept of its gates is of photos prepared otherwise


@pytest.mark.full
def test_analyses_of_gates_take_it(lab: Lab, model: nn.Module) -> None:
    mine = lab.add("mine", model, preprocess=Preprocess(size=SIDE, resize=40))
    with torch.no_grad():
        photos = torch.stack([model(_photo(lab, mine, image)) for image in PHOTOS]).squeeze(1)
    comparison = lab.compare(images=PHOTOS, variants=[mine, "resnet20/se"])
    own = [prediction for prediction in comparison.predictions if prediction.variant.startswith("own")]
    shares = [prediction.top[0].probability for prediction in own]
    assert shares == pytest.approx(photos.softmax(1).amax(1).tolist(), abs=1e-5)
    assert [gate.path for gate in own[0].gates] == ["se", "se2", "(model)"]
    weights = attention.capture(model, torch.cat([_photo(lab, mine, image) for image in PHOTOS]))
    assert own[1].gates[0].mean == pytest.approx(float(weights["se"][1].mean()), abs=1e-5)
    excited = lab.excitation(variant=mine, pictures=PHOTOS, gates=("se2",)).gates[0]
    assert excited.curves[0].mean == pytest.approx(weights["se2"][0].flatten().tolist(), abs=1e-5)
    stripe = lab.stripe(variants=[mine], pictures=PHOTOS)
    assert [gate.path for gate in stripe.gates] == ["se", "se2", "(model)"]
    assert stripe.gates[2].static_share == pytest.approx(1)  # the gate that no image changes
    effects = {effect.scope: effect for effect in lab.sweep(variant=mine, images=PHOTOS, kinds=["mean"]).effects}
    assert effects["gate:(model)"].kl == pytest.approx(0, abs=1e-7) and effects["all"].gates == 3
    assert lab.whatif(variant=mine, images=PHOTOS, kinds=["scalar"]).effects[0].kl > 0
    cam = lab.cam(variants=[mine], images=PHOTOS).networks[0]
    assert (cam.layer, cam.height, cam.stage) == ("se2", SIDE // 2, None)
    health = lab.diagnose(variant=mine, images=PHOTOS)
    assert [gate.gate for gate in health.gates] == ["se", "se2", "(model)"]
    assert len(lab.disagreement(variants=[mine], images=PHOTOS, removal="scalar").arms) == 2


def _photo(lab: Lab, mine: Variant, image: str) -> torch.Tensor:
    from attention.data.preprocessing import preprocess

    return preprocess(lab.files.image(image), lab.describe(mine).preprocess).unsqueeze(0)


@pytest.mark.full
@pytest.mark.parametrize("analysis", ["maps", "trace", "coupling"])
def test_what_looks_into_modules_of_the_shelf_says_so(lab: Lab, model: nn.Module, analysis: str) -> None:
    mine = lab.add("mine", model)
    with pytest.raises(InvalidRequest, match=r"in the network's own code, .* modules of the shelf\.$"):
        getattr(lab, analysis)(variant=mine, image=PHOTOS[0], gate="se")


def test_mean_gates_are_folded_backward_into_a_normalisation_and_forward_into_a_convolution(lab: Lab) -> None:
    model = seeded(Inverted)
    network = build(lab.add("mine", model))
    places = {place.site.path: place.taken_up_by for place in foldable(network, "mine")}
    assert places == {"se": "body.project", "se2": "body.norm2"}
    folded = fold_model(network, IMAGES)
    means = {path: gate.mean(0, keepdim=True) for path, gate in attention.capture(model, IMAGES).items()}
    other = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    with torch.no_grad(), attention.ablate(model, "mean", means):
        truth = model(other)
    with torch.no_grad():
        assert torch.allclose(folded(other), truth, atol=1e-5)
    assert not any(isinstance(module, Excite) for module in folded.modules()) and not gates(folded)
    excite = 8 * 2 + 2 + 2 * 8 + 8 + 12 * 2 + 2 + 2 * 12 + 12
    left = sum(parameter.numel() for parameter in folded.parameters())
    assert left == sum(parameter.numel() for parameter in model.parameters()) - excite
    assert len(gates(network)) == 2  # the network itself stays as it is


@pytest.mark.full
def test_the_fold_of_a_users_model_is_reported_and_not_kept(lab: Lab) -> None:
    report = lab.fold(variant=lab.add("mine", seeded(Inverted)), images=PHOTOS, calibration=PHOTOS, rounds=0)
    trained, mean, folded = report.arms
    assert folded.agreement == mean.agreement and trained.parameters - folded.parameters == 104
    assert report.error < report.error_allowed and report.kept is None and "not kept" in " ".join(report.caveats)


def test_what_cannot_be_folded_says_why(lab: Lab, model: nn.Module) -> None:
    with pytest.raises(InvalidRequest, match=r"2 of its 3 modules cannot .*\(model\): its block computes it .*se2"):
        foldable(build(lab.add("mine", model)), "mine")


def test_a_segmenter_keeps_a_share_of_its_pixels(lab: Lab) -> None:
    model = seeded(Segmenter)
    mine = lab.add("roads", model, labels=("road", "tree", "sky"))
    assert lab.describe(mine).outputs == "map"
    report = lab.effects(variant=mine, images=PHOTOS[:1], kinds=["constant"], value=5.0)
    other = copy.deepcopy(model)
    other.se = Scale(5.0)
    photo = _photo(lab, mine, PHOTOS[0])
    with torch.no_grad():
        before, after = model(photo)["out"], other(photo)["out"]
    first, then = before.argmax(1).flatten().tolist(), after.argmax(1).flatten().tolist()
    effect = report.effects[-1]
    assert (
        effect.kept == pytest.approx(sum(a == b for a, b in zip(first, then, strict=True)) / len(first))
        and effect.kept < 1
    )
    assert effect.change == pytest.approx(float((after - before).norm() / before.norm()), rel=1e-4)
    overlap = {entry.index: entry for entry in effect.classes}
    for index in set(first) | set(then):
        both = sum(a == index == b for a, b in zip(first, then, strict=True))
        either = sum(index in pair for pair in zip(first, then, strict=True))
        assert overlap[index].iou == pytest.approx(both / either)
    with pytest.raises(InvalidRequest, match=r"a map of classes for each image and no .* without its gates\.$"):
        lab.compare(images=PHOTOS[:1], variants=[mine])
    assert len(lab.excitation(variant=mine, pictures=PHOTOS).gates) == 1  # its gates are gates all the same


def test_a_detector_meets_a_share_of_its_boxes_again(lab: Lab) -> None:
    model = seeded(Detector)
    mine = lab.add("cars", model)
    assert lab.describe(mine).outputs == "boxes" and lab.describe(mine).gates == 1
    assert lab.cost(variants=[mine]).variants[0].total.macs == 64 * (8 * 27 + 40) + 32  # 8 x 8 places, then the gate
    report = lab.effects(variant=mine, images=PHOTOS[:1], kinds=["constant"], value=0.2, scopes=["all"])
    other = copy.deepcopy(model)
    other.se = Scale(0.2)
    photo = _photo(lab, mine, PHOTOS[0])
    with torch.no_grad():
        (before,), (after,) = model(photo), other(photo)
    met = 0
    for x1, y1, x2, y2 in before["boxes"][:20].tolist():
        for a1, b1, a2, b2 in after["boxes"].tolist():
            both = max(min(x2, a2) - max(x1, a1), 0) * max(min(y2, b2) - max(y1, b1), 0)
            if both / ((x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - both) >= 0.5:
                met += 1
                break
    (effect,) = report.effects
    assert effect.kept == pytest.approx(met / min(20, len(before["boxes"])))
    assert effect.best_change == pytest.approx(float(after["scores"].max() - before["scores"].max()), abs=1e-6)
    assert torch.equal(fused_copy(build(mine))(photo)[0]["boxes"], before["boxes"])  # as latency serves it
    with pytest.raises(InvalidRequest, match="boxes for each image"):
        lab.excitation(variant=mine, pictures=PHOTOS[:1])


def test_gates_are_listed_with_what_is_unclear_and_can_be_pointed_at(lab: Lab, model: nn.Module) -> None:
    mine = lab.add("mine", model)
    report = lab.gates(variant=mine)
    assert [(gate.path, gate.stage, gate.activation, gate.static) for gate in report.gates] == [
        ("se", 1, "sigmoid", False),
        ("se2", 2, "sigmoid", False),
        ("(model)", 2, "sigmoid", True),
    ]
    pointed = lab.gates(variant="resnet20/none", gates={"layer1.0.bn1": "full"})
    assert [gate.path for gate in pointed.gates] == ["layer1.0.bn1"]
    assert "gates" in lab.gates(variant="resnet20/none").caveats[0]
    with pytest.raises(InvalidRequest, match=r"no submodule 'layer1.0.bn9'.* Did you mean"):
        lab.gates(variant="resnet20/none", gates={"layer1.0.bn9": "full"})


def test_an_input_need_not_be_square(lab: Lab) -> None:
    model = seeded(Segmenter)
    mine = lab.add("wide", model, example=(3, 24, 40))
    network = lab.describe(mine)
    assert (network.preprocess.size, network.preprocess.width) == (24, 40)
    assert network.macs == 24 * 40 * (8 * 27 + 3 * 8) + 2 * 16  # two convolutions, and the gate's two on one place
    assert lab.effects(variant=mine, images=PHOTOS[:1]).effects[-1].gates == 1


def test_what_is_no_model_for_photos_is_refused(lab: Lab, model: nn.Module) -> None:
    lab.add("mine", model)
    with pytest.raises(UnknownName, match="Did you mean 'mine'"):
        lab.cost(variants=["own(name=mien)/none"])
    with pytest.raises(InvalidRequest, match=r"Say which model: .*own\(name=mine\)"):
        lab.cost(variants=["own/none"])
    with pytest.raises(InvalidRequest, match="5 outputs, not 7"):
        lab.cost(variants=["own(name=mine)/none?classes=7"])
    with pytest.raises(InvalidRequest, match="does not take a photo"):
        lab.add("words", nn.Embedding(10, 4))
    with pytest.raises(InvalidRequest, match="is no name of a model"):
        lab.add("my model", model)
    with pytest.raises(InvalidRequest, match="preprocess is a Preprocess"):
        lab.add("mine", model, preprocess=lambda image: image)
