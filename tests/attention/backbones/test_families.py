"""The families of backbones against published counts, other libraries' parameter names, and their papers' structure."""

import numpy as np
import pytest
import torch
from torch import nn

from attention.backbones import backbones
from attention.backbones.fpn import Pyramid
from attention.build import build, resolve, skeleton
from attention.counting.cost import count
from attention.gate import ablate, capture, slots
from attention.spec import Ablation, Variant
from tests.attention.modules.numpy_layers import Array, conv, maps, numbers, randomised

# torchvision's published counts; timm's for its resnet50d and resnet18d. R50 v1 has the 3.858 GMACs of the SE paper.
ANCHORS = [
    ("resnet50(version=v1)/none", 25_557_032, 3_857_973_248),
    ("resnet50(inner_width=2)/none", 68_883_240, 11_398_021_120),
    ("resnet101(inner_width=2)/none", 126_886_696, None),
    ("resnet50(stem=deep,shortcut=pool)/none", 25_576_264, None),
    ("resnet18(stem=deep,shortcut=pool)/none", 11_708_744, None),
    ("resnext50/none", 25_028_904, 4_230_479_872),
    ("mobilenetv2/none", 3_504_872, 300_774_272),
    ("mobilenetv2/coord@inner:2-7", 3_950_648, 306_666_368),
    ("mobilenetv2/se(reduction=24,bias=true)@inner", 3_888_305, None),
    ("mobilenetv2/eca@tail", 3_504_872 + 5, 300_774_272 + 5 * 1280),
    ("mobilenetv2/eca(kernel_size=released)", 3_504_872 + 10 * 1 + 7 * 3, None),
    ("resnext50/sk@spatial", 27_479_784, None),
    ("resnet50/bam@stage:1-3", 25_915_099, None),
]


@pytest.mark.parametrize(("name", "parameters", "macs"), ANCHORS)
def test_counts_are_the_published_ones(name: str, parameters: int, macs: int | None) -> None:
    bill = count(Variant.parse(name))
    assert bill.total.parameters == parameters and macs in (None, bill.total.macs)
    assert bill.not_counted == ()


@pytest.mark.parametrize(
    ("name", "kernels"),
    [
        ("fpn_resnet50/eca@branch", [5, 5, 5, 5]),
        ("fpn_resnet18/eca@branch", [5, 5, 5, 5]),
        ("fpn_resnet50(branches=backbone)/eca@branch", [5, 5, 7]),
        ("fpn_resnet50/eca@branch:2-3", [5, 5]),
        ("fpn_resnet50/eca@tail", [7]),
        ("resnet18/eca@tail", [5]),
        ("mobilenetv2/eca@tail", [5]),
    ],
)
def test_each_branch_and_the_tail_has_the_kernel_of_its_width(name: str, kernels: list[int]) -> None:
    filled = skeleton(Variant.parse(name))
    found = [tuple(p.shape) for p in filled.parameters() if p.dim() == 3]
    assert found == [(1, 1, kernel) for kernel in kernels]
    assert count(Variant.parse(name)).delta.parameters == sum(kernels)


NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def norm(at: str) -> set[str]:
    return {f"{at}.{name}" for name in NORM}


def mobilenet_keys() -> set[str]:
    """The names in torchvision's MobileNetV2 state dict, restated."""
    keys = {"classifier.1.weight", "classifier.1.bias"}
    for index in (0, 18):
        keys |= {f"features.{index}.0.weight"} | norm(f"features.{index}.1")
    for index in range(1, 18):
        at = f"features.{index}.conv"
        convolutions = 1 if index == 1 else 2  # the first block does not expand
        for number in range(convolutions):
            keys |= {f"{at}.{number}.0.weight"} | norm(f"{at}.{number}.1")
        keys |= {f"{at}.{convolutions}.weight"} | norm(f"{at}.{convolutions + 1}")
    return keys


def test_mobilenets_names_are_torchvisions() -> None:
    state = skeleton(Variant(backbone="mobilenetv2")).state_dict()
    assert set(state) == mobilenet_keys()
    shapes = {name: tuple(state[name].shape) for name in state if "weight" in name}
    assert shapes["features.1.conv.0.0.weight"] == (32, 1, 3, 3)
    assert shapes["features.2.conv.0.0.weight"] == (96, 16, 1, 1)
    assert shapes["features.17.conv.2.weight"] == (320, 960, 1, 1)
    assert shapes["features.18.0.weight"] == (1280, 320, 1, 1) and shapes["classifier.1.weight"] == (1000, 1280)


@pytest.mark.parametrize("name", ["resnext50", "resnet50(inner_width=2)", "resnet50(version=v1)"])
def test_relatives_of_resnet50_have_its_names(name: str) -> None:
    relative = skeleton(Variant.parse(f"{name}/none"))
    assert set(relative.state_dict()) == set(skeleton(Variant(backbone="resnet50")).state_dict())


def test_the_d_and_t_variants_have_timms_names_and_widths() -> None:
    plain = set(skeleton(Variant(backbone="resnet50")).state_dict())
    stem = {f"conv1.{index}.weight" for index in (0, 3, 6)} | norm("conv1.1") | norm("conv1.4")
    expected = {name for name in plain if "downsample" not in name and name != "conv1.weight"} | stem
    for stage in (1, 2, 3, 4):  # timm counts the pooling as downsample.0, in the first stage too
        at = f"layer{stage}.0.downsample"
        expected |= {f"{at}.1.weight"} | norm(f"{at}.2")
    for kind, widths in (("deep", (32, 32, 64)), ("tiered", (24, 32, 64))):
        state = skeleton(Variant.parse(f"resnet50(stem={kind},shortcut=pool)/none")).state_dict()
        assert set(state) == expected
        assert tuple(len(state[f"conv1.{index}.weight"]) for index in (0, 3, 6)) == widths


def test_the_pyramids_names_are_those_of_torchvisions_backbone_and_neck() -> None:
    keys = set(skeleton(Variant(backbone="fpn_resnet50")).state_dict())
    neck = {
        f"fpn.{part}.{level}.0.{name}"
        for part in ("inner_blocks", "layer_blocks")
        for level in range(4)
        for name in ("weight", "bias")
    }
    assert keys == set(skeleton(Variant(backbone="resnet50")).state_dict()) | neck


@pytest.mark.full
def test_version_1_has_its_stride_in_the_first_1x1_and_may_be_written_as_a_number() -> None:
    for name in ("resnet50(version=1)/none", "resnet50(version=v1)/none"):
        block = skeleton(Variant.parse(name)).get_submodule("layer2.0")
        assert block.conv1.stride == (2, 2) and block.conv2.stride == (1, 1)
    assert resolve(Variant.parse("resnet50(version=1)/se")).name == "resnet50(version=v1)/se?classes=1000"
    assert resolve(Variant.parse("resnet50(version=1.5)/se")) == resolve(Variant.parse("resnet50/se"))


def test_a_width_scales_every_stage_and_fractions_are_rounded_in_each() -> None:
    def widths(name: str) -> list[int]:
        return [slot.channels for slot in slots(skeleton(Variant.parse(name))).values() if slot.position == "stage"]

    assert widths("resnet18(width=0.5)/none") == [32, 64, 128, 256]
    assert widths("resnet50(width=1.1)/none") == [4 * 70, 4 * 141, 4 * 282, 4 * 563]
    assert widths("resnet20(width=16.25)/none") == [16, 32, 65]
    assert widths("vgg11_small(width=4)/none") == [64, 128, 256, 512, 512]
    assert widths("mobilenetv2(width=0.5)/none") == [8, 16, 16, 32, 48, 80, 160]


def test_mobilenet_at_1_4_is_as_large_as_timms() -> None:
    bill = count(Variant.parse("mobilenetv2(width=1.4)/none"))
    assert round(bill.total.parameters / 1e6, 2) == 6.11


def test_blocks_of_mobilenet_are_counted_within_the_papers_rows() -> None:
    found = list(slots(skeleton(Variant(backbone="mobilenetv2"))).values())
    inner = [(slot.stage, slot.block, slot.channels) for slot in found if slot.position == "inner"]
    assert inner[:4] == [(1, 1, 32), (2, 1, 96), (2, 2, 144), (3, 1, 144)] and inner[-1] == (7, 1, 960)
    assert len(inner) == 17
    shortcuts = [(slot.stage, slot.block) for slot in found if slot.position == "identity"]
    assert shortcuts == [(2, 2), (3, 2), (3, 3), (4, 2), (4, 3), (4, 4), (5, 2), (5, 3), (6, 2), (6, 3)]


def test_the_pooled_shortcut_sees_every_pixel_and_the_plain_one_every_fourth() -> None:
    for kind, share in (("conv", 0.25), ("pool", 1.0)):
        block = build(Variant.parse(f"resnet18(width=0.125,shortcut={kind})/none")).get_submodule("layer2.0")
        x = torch.zeros(1, 8, 6, 6, requires_grad=True)
        block.downsample(x).sum().backward()  # type: ignore[operator]
        assert x.grad is not None
        assert (x.grad.abs().sum(1) > 0).double().mean() == share


def test_without_shortcuts_a_closed_gate_ends_the_signal_and_with_them_it_does_not() -> None:
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for name, ends in (("vgg11_small", True), ("resnet20", False)):
        model = build(Variant.parse(f"{name}/static@standard:2.1"))
        with torch.no_grad(), ablate(model, Ablation(kind="constant", value=0.0)):
            one, two = model(images)
        assert torch.equal(one, two) is ends


def test_a_pyramid_adds_each_level_above_to_the_one_below() -> None:
    neck, x = randomised(Pyramid([3, 5, 4], 6)), [maps(c, height=s, width=s) for c, s in ((3, 8), (5, 4), (4, 2))]
    p = numbers(neck)
    summed: list[Array] = []
    for level, one in enumerate(x):
        lateral = np.einsum("oc,bchw->bohw", p[f"inner_blocks.{level}.0.weight"], one.numpy())
        summed.append(lateral + p[f"inner_blocks.{level}.0.bias"][:, None, None])
    for level in (1, 0):
        summed[level] = summed[level] + summed[level + 1].repeat(2, 2).repeat(2, 3)
    with torch.no_grad():
        levels = neck(x)
    for level, before in enumerate(summed):
        expected = conv(before, p[f"layer_blocks.{level}.0.weight"]) + p[f"layer_blocks.{level}.0.bias"][:, None, None]
        np.testing.assert_allclose(levels[level].numpy(), expected, rtol=1e-8, atol=1e-8)


def test_the_classifier_of_a_pyramid_sees_every_level() -> None:
    model = build(Variant.parse("fpn_resnet18(width=0.125)/static@branch?classes=7"))
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), capture(model) as seen:
        logits = model(x)
    assert logits.shape == (1, 7) and [tuple(gate.shape) for gate in seen.values()] == [(1, 32, 1, 1)] * 4
    for path in seen:
        with torch.no_grad(), ablate(model, Ablation(kind="neutral", gates=(path,))):
            assert not torch.allclose(model(x), logits)


@pytest.mark.parametrize("name", list(backbones))
def test_odd_and_one_pixel_images_work(name: str) -> None:
    model = skeleton(Variant(backbone=name, classes=3))
    for height, width in ((33, 47), (model.smallest_input,) * 2):
        assert model(torch.empty(2, 3, height, width, device="meta")).shape == (2, 3)


@pytest.mark.full
@pytest.mark.parametrize("name", ["mobilenetv2(width=0.25)", "vgg11_small(width=0.25)", "fpn_resnet18(width=0.125)"])
def test_gradients_reach_every_parameter(name: str) -> None:
    model = build(Variant.parse(f"{name}/sk@spatial?classes=5")).train()
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    nn.functional.cross_entropy(model(images), torch.arange(4)).backward()  # type: ignore[no-untyped-call]
    missing = [path for path, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not missing
