"""timm's own networks and ours give equal logits, where timm is there; without it the sentence says what to install."""

import copy
import importlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from attention.build import build
from attention.errors import AttentionError, BadOption, UnknownName
from attention.gate import capture, gates, slots
from attention.network import describe
from attention.spec import Variant
from attention.weights.find import Checkpoints
from tests.attention.weights.checkpoint_files import logits, randomised, write

HAS_TIMM = find_spec("timm") is not None


@pytest.fixture(scope="module")
def timm() -> Any:
    """timm, with the two operators of torchvision that it only needs for their names, where torchvision is broken."""
    if not HAS_TIMM:
        pytest.skip("timm is not installed: pip install 'attention-lab[timm]'")
    works = subprocess.run([sys.executable, "-c", "import timm"], capture_output=True, timeout=120).returncode == 0
    if not works:
        library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    try:
        return importlib.import_module("timm")
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"timm does not import beside this torch: {error}")


@pytest.mark.parametrize(
    ("model", "attention", "variant"),
    [
        ("resnet18", None, "resnet18/none"),
        ("resnet50", None, "resnet50/none"),
        ("seresnet50", None, "resnet50/se(bias=true)"),
        ("resnet50", "eca", "resnet50/eca"),
        ("resnet50", "ceca", "resnet50/ceca"),
        ("resnet50", "ese", "resnet50/ese"),
        ("ecaresnet50d", None, "resnet50(stem=deep,shortcut=pool)/eca"),
        ("ecaresnet50t", None, "resnet50(stem=tiered,shortcut=pool)/eca"),
        ("resnext50_32x4d", None, "resnext50/none"),
        ("wide_resnet50_2", None, "resnet50(inner_width=2)/none"),
        ("mobilenetv2_100", None, "mobilenetv2/none"),
        ("eca_resnet33ts", None, "timm(model=eca_resnet33ts)/none"),
        ("resnet33ts", None, "resnet33ts/none"),
        ("eca_resnet33ts", None, "resnet33ts/eca@inner"),
        ("seresnet33ts", None, "resnet33ts/se(bias=true,divisor=8)@inner"),
        ("seresnet18", None, "resnet18/se(bias=true,divisor=8)"),
    ],
)
def test_timms_weights_give_timms_logits(
    timm: Any, tmp_path: Path, model: str, attention: str | None, variant: str
) -> None:
    more = {"block_args": {"attn_layer": attention}} if attention else {}
    theirs = randomised(timm.create_model(model, **more))
    write(tmp_path / "timm.safetensors", theirs.state_dict())
    ours = build(Variant.parse(f"{variant}?weights=file:timm"), Checkpoints(tmp_path))
    expected = logits(theirs, 96)
    between = float((expected[0] - expected[1]).std())  # how far the two photos are apart
    difference = float((logits(ours, 96) - expected).abs().max()) / between
    print(f"{model}: largest difference {difference:.1e} of {between:.2e}, logits {float(expected.std()):.2e}")
    assert between > 1e-3 * float(expected.std()) and difference < 1e-3
    modules = [module for slot in slots(ours).values() for module in slot]
    for parameter in [value for module in modules for value in module.parameters()]:
        parameter.data.neg_()
    if modules:
        assert float((logits(ours, 96) - expected).abs().max()) > 0.01 * between, "attention does not matter here"
    report = describe(Variant.parse(f"{variant}?weights=file:timm"), Checkpoints(tmp_path)).load
    assert report and report.loaded == len(theirs.state_dict()) and report.fresh == ()


def test_timms_gc_differs_by_its_epsilon_only(timm: Any, tmp_path: Path) -> None:
    theirs = randomised(timm.create_model("resnet50", block_args={"attn_layer": "gca"}))
    write(tmp_path / "timm.safetensors", theirs.state_dict())
    ours = build(Variant.parse("resnet50/gc(reduction=8)?weights=file:timm"), Checkpoints(tmp_path))
    for module in ours.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = 1e-6
    expected = logits(theirs, 64)
    assert float((logits(ours, 64) - expected).abs().max() / expected.std()) < 1e-4


def test_timms_rounded_se_bottleneck_is_a_shape_mismatch_with_a_sentence(timm: Any, tmp_path: Path) -> None:
    write(tmp_path / "timm.safetensors", timm.create_model("seresnet18").state_dict())
    with pytest.raises(AttentionError, match=r"layer1\.0\.standard\.0\.reduce\.weight is \(8, 64, 1, 1\), expected"):
        build(Variant.parse("resnet18/se(bias=true)?weights=file:timm"), Checkpoints(tmp_path))


def test_any_network_of_timms_takes_attention_after_its_stages(timm: Any, tmp_path: Path) -> None:
    plain = randomised(timm.create_model("resnet18d", num_classes=7))
    write(tmp_path / "timm.safetensors", plain.state_dict())
    checkpoints, name = Checkpoints(tmp_path), "timm(model=resnet18d)/{}?classes=7&weights=file:timm"
    torch.testing.assert_close(logits(build(Variant.parse(name.format("none")), checkpoints)), logits(plain))
    torch.testing.assert_close(logits(build(Variant.parse(name.format("gct@stage")), checkpoints)), logits(plain))
    filled = build(Variant.parse(name.format("eca@stage")), checkpoints)
    assert list(gates(filled)) == [f"after{stage}.0.gate" for stage in (1, 2, 3, 4)]
    with capture(filled) as seen:
        changed = logits(filled)
    assert [gate.shape[1] for gate in seen.values()] == [64, 128, 256, 512]
    assert not torch.allclose(changed, logits(plain))
    assert list(gates(build(Variant.parse("timm(model=resnet18d)/se@tail")))) == ["tail.0.gate"]


def test_a_copied_network_uses_its_own_modules(timm: Any) -> None:
    model = build(Variant.parse("timm(model=resnet18d)/static@stage"))
    copied = copy.deepcopy(model)
    before = logits(model)
    with torch.no_grad():
        copied.get_parameter("after4.0.weight").fill_(5.0)
    assert torch.equal(logits(model), before) and not torch.allclose(logits(copied), before)


def test_the_seed_decides_though_shapes_are_asked_for_first(timm: Any) -> None:
    variant = Variant.parse("timm(model=resnet26d)/eca@stage?seed=3")
    one, two = build(variant).state_dict(), build(variant).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("renset50", "timm has no model 'renset50'. Did you mean 'resnet50'?"),
        ("resnet50d.ra2_in1k", "Leave out what follows the dot"),
        ("hf-hub:some/net", "timm has no model 'hf-hub:some/net'"),
        ("local-dir:/etc", "timm has no model 'local-dir:/etc'"),
        ("vit_tiny_patch16_224", "not a map (1, C, H, W). Take a convolutional one."),
        ("eva_giant_patch14_224", "parameters; networks of up to 400,000,000 are built here"),
    ],
)
def test_a_model_that_cannot_be_gets_a_sentence(timm: Any, model: str, sentence: str) -> None:
    with pytest.raises(BadOption) as caught:
        build(Variant.parse("timm/none").model_copy(update={"backbone_options": {"model": model}}))
    assert sentence in str(caught.value)


@pytest.mark.skipif(HAS_TIMM, reason="timm is installed")
def test_without_timm_its_networks_are_not_offered_and_a_sentence_says_what_to_install() -> None:
    with pytest.raises(UnknownName, match=r"It needs timm: pip install 'attention-lab\[timm\]'"):
        build(Variant.parse("timm(model=resnet50d)/eca@stage"))


@pytest.mark.skipif(HAS_TIMM, reason="timm is installed")
def test_a_timm_that_does_not_import_gets_a_sentence() -> None:
    from attention.backbones.timm_any import TimmNet

    with pytest.raises(BadOption, match="timm cannot be imported here: No module named 'timm'. Install it"):
        TimmNet("resnet50d", 10)
