"""Diagnose: networks with one planted fault each are told apart from a healthy one, and numbers are counted by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attention.analyses import run
from attention.analyses.diagnose import _spread, _start, published_gain
from attention.build import build, resolve
from attention.data.sampling import batches
from attention.errors import InvalidRequest
from attention.gate import AttentionModule, ablate
from attention.interventions.diagnosis import diagnose_model, units
from attention.measuring.decision import Rule
from attention.measuring.gate_health import GateWatch
from attention.measuring.planning import seeds_needed
from attention.modules.se import SqueezeExcitation
from attention.network import describe
from attention.reports.diagnose import TOPICS, DiagnoseReport, DiagnoseRequest, Finding, Topic
from attention.spec import Ablation, Pictures, Variant
from attention.tracing.example import at_rest
from attention.watch import ablate as ablate_any
from tests.attention.analyses.test_sweep import NaiveLab, write
from tests.attention.tracing import gated
from tests.attention.weights import checkpoint_files

SE = "resnet20(width=4)/se(bias=true,reduction=1)@standard:3"
"""Three gates of 16 channels, each with 16 hidden units."""
NARROW = "resnet20(width=4)/se(bias=true,reduction=16)@standard:3"

IMAGES = 12


@torch.no_grad()
def healthy(se: Any, arrived: tuple[Tensor, ...]) -> None:
    """Hidden unit i passes channel i's mean in standard units, and gates follow their unit around one half."""
    pooled = arrived[0].mean((2, 3))  # (B, C)
    width = se.reduce.out_channels
    se.reduce.weight.zero_()
    se.expand.weight.zero_()
    for unit in range(width):
        spread = pooled[:, unit].std()
        se.reduce.weight[unit, unit] = 1 / spread
        se.reduce.bias[unit] = 4 - pooled[:, unit].mean() / spread  # above 0 within four deviations
    for channel in range(se.channels):
        se.expand.weight[channel, channel % width] = 1
    se.expand.bias.fill_(-4)


def dead_unit(se: Any) -> None:
    se.reduce.weight[2], se.reduce.bias[2], se.expand.bias[2] = 0, -1, 0


def constant_gate(se: Any) -> None:
    se.expand.weight.zero_()
    se.expand.bias.zero_()


def saturated_gate(se: Any) -> None:
    se.expand.bias.fill_(-9)  # a unit at 4 with its deviations around it leaves sigmoid(-5) = 0.007


def planted(name: str, images: Tensor, fault: Callable[[Any], None] | None = None) -> nn.Module:
    """A network whose attention is healthy on these images, but for one fault in its last module."""
    model = checkpoint_files.trained(name)
    modules = [module for module in model.modules() if isinstance(module, AttentionModule)]
    hooks = [module.register_forward_pre_hook(healthy) for module in modules]
    with torch.no_grad():
        model(images)
        for hook in hooks:
            hook.remove()
        if fault is not None:
            fault(modules[-1])
    return model


FAULTS: dict[str, tuple[str, Callable[[Any], None] | None, dict[Topic, tuple[Finding, int]]]] = {
    "healthy": (SE, None, {}),
    "dead unit": (SE, dead_unit, {"dead": ("notice", 1), "constant": ("notice", 1)}),
    "saturated gate": (SE, saturated_gate, {"saturated": ("trouble", 16)}),
    "bottleneck of one unit": (NARROW, None, {"bottleneck": ("trouble", 1)}),
    "constant gate": (SE, constant_gate, {"constant": ("trouble", 16)}),
}
"""Fault -> the network, its fault, and what is found by topic, with the units of the last module."""


@pytest.mark.parametrize("fault", FAULTS)
def test_units_tell_planted_faults_apart(fault: str) -> None:
    name, plant, expected = FAULTS[fault]
    images = checkpoint_files.photos(16, IMAGES)
    watched = GateWatch(planted(name, images, plant))
    watched.see(images[:5])
    watched.see(images[5:])
    found = {statement.topic: statement for statement in units(watched)}
    assert list(found) == ["constant", "saturated", "dead"]
    for topic, statement in found.items():
        finding, count = expected.get(topic, ("ok", 0))
        assert statement.finding == finding, statement.sentence
        assert [len(one.units) for one in statement.where] == [count] * (count > 0)
        assert all(one.path.startswith("layer3.2.standard.0.") for one in statement.where)


def test_gates_that_differ_from_place_to_place_are_not_the_same_for_every_image() -> None:
    """SimAM's mean over a map hardly depends on the image, whatever its weights do."""
    images = checkpoint_files.photos(16, IMAGES)
    watched = GateWatch(checkpoint_files.trained("resnet20(width=4)/simam"))
    watched.see(images)
    assert all(not gate.constant and gate.std_over_images > 0.01 for gate in watched.gates())
    watched = GateWatch(checkpoint_files.trained("resnet20(width=4)/simam"))
    for _ in range(2):
        watched.see(images[:1])
    assert all(len(gate.constant) == gate.units for gate in watched.gates()), "the same image twice"


def test_small_weights_of_a_softmax_over_places_are_no_saturation() -> None:
    watched = GateWatch(checkpoint_files.trained("resnet20(width=4)/gc"))
    watched.see(checkpoint_files.photos(16, IMAGES))
    places = [gate for gate in watched.gates() if gate.kind == "spatial"]
    assert places[0].share_low > 0.9 and not any(gate.saturated for gate in places)


def ask(lab: NaiveLab, fault: str, **changes: Any) -> DiagnoseReport:
    """A diagnosis of a network with a fault, from its checkpoint in the lab's folder."""
    name, plant, _ = FAULTS[fault]
    asked = Pictures(data="pets")
    ((_, images),) = batches(asked, lab.describe(Variant.parse(name)).preprocess, lab.files)
    state = planted(f"{name}?classes=2", images, plant).state_dict()
    checkpoint_files.write(lab.files.root / "checkpoints" / "planted.safetensors", state)
    variant = Variant.parse(f"{name}?classes=2&weights=file:planted")
    report = run(DiagnoseRequest(variant=variant, images=asked, **changes), lab)
    assert isinstance(report, DiagnoseReport)
    return report


@pytest.fixture
def lab(tmp_path: Path) -> NaiveLab:
    write(tmp_path, "pets", ("cat", "dog"), 6)
    return NaiveLab(tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("fault", FAULTS)
def test_a_diagnosis_of_a_checkpoint_has_trouble_where_it_was_planted(lab: NaiveLab, fault: str) -> None:
    report = ask(lab, fault, gain=30, seed_sd=0.4)
    found = {statement.topic: statement for statement in report.statements}
    assert list(found) == [topic for topic in TOPICS if topic in found] and report.complete
    trouble = {topic for topic, (finding, _) in FAULTS[fault][2].items() if finding == "trouble"}
    assert {topic for topic, statement in found.items() if statement.finding == "trouble"} == trouble
    assert found["start"].finding == found["place"].finding == "notice", "gates of 0.5, and only in stage 3"
    assert all(statement.sentence.endswith(".") and statement.source.endswith(".") for statement in report.statements)


@pytest.mark.full
def test_the_effect_is_counted_image_by_image(lab: NaiveLab) -> None:
    report = ask(lab, "healthy", gain=0.5, seed_sd=0.4)
    variant, asked = report.network.variant, Pictures(data="pets")
    ((_, images),) = batches(asked, lab.describe(variant).preprocess, lab.files)
    means, model = lab.means(variant, Pictures(data="pets", split="train")), lab.kept(variant)
    with torch.inference_mode():
        before = model(images).argmax(1)
        with ablate(model, Ablation(kind="mean", reference=asked), means):
            after = model(images).argmax(1)
    found = {statement.topic: statement for statement in report.statements}
    changed = -100 * float((before != after).double().mean())
    assert found["mean"].number == pytest.approx(changed) and "agreement" in found["mean"].sentence
    assert found["seeds"].number == seeds_needed(0.4, Rule(1, 8, 3, 0.5, 100 / report.n)) is None, "12 images"
    assert found["images"].finding == "trouble" and "8.33 points" in found["images"].sentence


@pytest.mark.full
def test_any_model_is_diagnosed_by_the_same_statements() -> None:
    model, images = gated.Classifier().eval(), torch.randn(10, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        last: Any = model.layer2[1].attention
        last.fc1.weight[1], last.fc1.bias[1] = 0, -1
        last.fc2.weight.zero_()
        labels = model(images).argmax(1).tolist()
    found = {statement.topic: statement for statement in diagnose_model(model, images, labels)}
    assert list(found) == ["mean", "scalar", "neutral", "constant", "saturated", "dead"]
    assert [one.units for one in found["constant"].where if one.path == "layer2.1.attention"] == [tuple(range(8))]
    assert 1 in next(one.units for one in found["dead"].where if one.path == "layer2.1.attention.fc1")
    with ablate_any(model, "neutral"), torch.no_grad():
        right = (model(images).argmax(1) == torch.tensor(labels)).double().mean()
    assert found["neutral"].number == pytest.approx(100 * float(right - 1)), "all were right before"


class Named(gated.Classifier):
    """Logits under a name, and dropout before them."""

    def forward(self, x: Tensor) -> Any:
        return {"features": x, "logits": nn.functional.dropout(super().forward(x), 0.9, self.training)}


def test_labels_may_be_a_tensor_and_the_model_in_training() -> None:
    model, images = Named().train(), torch.randn(10, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    kept = {key: value.clone() for key, value in model.state_dict().items()}
    with at_rest(model):
        labels = model(images)["logits"].argmax(1)
    found = diagnose_model(model, images, labels)
    assert "top-1 accuracy" in found[0].sentence and found == diagnose_model(model.eval(), images, labels.tolist())
    assert all(torch.equal(value, kept[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("label", [-1, 99, 0.5, "cat"])
def test_a_label_is_the_number_of_a_class(label: Any) -> None:
    with pytest.raises(InvalidRequest, match=rf"0 to \d+, .* not {label}"):
        diagnose_model(gated.Classifier(), torch.zeros(2, 3, 6, 6), [0, label])


def test_a_model_without_classes_is_not_diagnosed() -> None:
    with pytest.raises(InvalidRequest, match=r"gives a tensor \(1, 8, 6, 6\), not logits"):
        diagnose_model(gated.SqueezeExcitation(), torch.zeros(2, 8, 6, 6), [0, 1])


def test_a_model_takes_one_label_for_each_image() -> None:
    with pytest.raises(InvalidRequest, match="10 images and 3 labels"):
        diagnose_model(gated.Classifier().eval(), torch.zeros(10, 3, 6, 6), [0, 1, 2])


def test_published_gains_are_of_the_same_backbone_where_there_are_any() -> None:
    gain, source = published_gain(resolve(Variant.parse("mobilenetv2/eca")))
    assert gain == pytest.approx(72.56 - 71.64) and "ECA-Net, CVPR 2020" in source
    assert published_gain(Variant.parse("resnet20/static")) == (None, "")


@pytest.mark.parametrize(
    ("name", "data", "pairs"), [("se", "Five flowers", 88), ("resnet20/se?weights=shipped", "CIFAR-10 (JPEG q75)", 30)]
)
def test_how_much_seeds_vary_is_taken_from_the_study_of_the_same_data(
    lab: NaiveLab, name: str, data: str, pairs: int
) -> None:
    found = _spread(describe(Variant.parse(name)), lab)
    assert found is not None and found[1:] == (pairs, f"{pairs} pairs of the study that comes along, {data}")


def test_a_network_without_attention_is_refused(lab: NaiveLab) -> None:
    with pytest.raises(InvalidRequest, match="no gate to replace"):
        run(DiagnoseRequest(variant=Variant.parse("none"), images=Pictures(data="pets")), lab)


@pytest.mark.full
def test_a_module_that_lets_nothing_through_changes_the_activations(lab: NaiveLab) -> None:
    """Its share of 0 was taken for one that is not known."""
    network = lab.describe(Variant.parse("resnet20(width=4)/se(bias=true)?classes=2"))
    model = build(network.variant)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, SqueezeExcitation) and module.expand.bias is not None:
                module.expand.weight.zero_()
                module.expand.bias.fill_(-1e4)
    statement = _start(model, network)
    assert (statement.finding, statement.number) == ("notice", 0.0)
    assert len(statement.where) == 9
