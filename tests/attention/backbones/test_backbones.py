"""Backbones and slots: published counts, torchvision's names, and that all variants of a seed start alike."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from attention.backbones import backbones
from attention.build import build, input_size, resolve, skeleton
from attention.errors import BadCheckpoint, BadOption, BadPlacement, UnknownName
from attention.gate import gates, slots
from attention.names import height_and_width
from attention.spec import Placement, Variant

every_backbone = pytest.mark.parametrize("name", list(backbones))


# Counts that torchvision publishes, and for ResNet-20/32/56 those of option A in the paper (0.27M, 0.46M, 0.85M).
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("resnet152", 60_192_808),
        ("resnet20", 269_722),
        ("resnet32", 464_154),
        ("resnet56", 853_018),
        ("resnext50", 25_028_904),
        ("mobilenetv2", 3_504_872),
    ],
)
def test_parameters_are_the_published_ones(name: str, parameters: int) -> None:
    assert sum(p.numel() for p in skeleton(Variant(backbone=name)).parameters()) == parameters


def torchvision_keys(depths: tuple[int, ...], convolutions: int, projected: tuple[int, ...]) -> set[str]:
    """The names in torchvision's ResNet state dict, restated."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    keys = {"conv1.weight", "fc.weight", "fc.bias"} | {f"bn1.{name}" for name in norm}
    for stage, depth in enumerate(depths, start=1):
        for block in range(depth):
            at = f"layer{stage}.{block}"
            for number in range(1, convolutions + 1):
                keys |= {f"{at}.conv{number}.weight"} | {f"{at}.bn{number}.{name}" for name in norm}
            if block == 0 and stage in projected:
                keys |= {f"{at}.downsample.0.weight"} | {f"{at}.downsample.1.{name}" for name in norm}
    return keys


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", torchvision_keys((2, 2, 2, 2), 2, (2, 3, 4))),
        ("resnet50", torchvision_keys((3, 4, 6, 3), 3, (1, 2, 3, 4))),
        ("resnet152", torchvision_keys((3, 8, 36, 3), 3, (1, 2, 3, 4))),
        ("resnet20", torchvision_keys((3, 3, 3), 2, ())),
    ],
)
def test_state_dict_keys_are_torchvisions(name: str, expected: set[str]) -> None:
    assert set(skeleton(Variant(backbone=name)).state_dict()) == expected


def test_the_stride_of_version_1_5_is_in_the_3x3() -> None:
    block = skeleton(Variant(backbone="resnet50")).get_submodule("layer2.0")
    assert block.conv1.stride == (1, 1) and block.conv2.stride == (2, 2)


@every_backbone
def test_an_empty_slot_owns_nothing_and_every_place_says_its_width(name: str) -> None:
    model = skeleton(Variant(backbone=name))
    for slot in slots(model).values():
        assert not list(slot.parameters()) and not list(slot.buffers()) and len(slot) == 0
        assert slot.channels > 0 and slot.stage >= 1 and slot.block >= 1


@pytest.mark.full
@every_backbone
def test_every_place_of_every_stage_can_be_filled_with_a_module_of_its_width(name: str) -> None:
    model = skeleton(Variant(backbone=name))
    for position in {slot.position for slot in slots(model).values()}:
        module = "sk" if position == "spatial" else "eca"
        filled = skeleton(Variant(backbone=name, attention=module, placement=Placement(position=position)))
        assert filled(torch.empty(1, 3, *height_and_width(input_size(name)), device="meta")).shape == (
            1,
            resolve(Variant(backbone=name)).classes,
        )
        assert len(gates(filled)) == sum(slot.position == position for slot in slots(model).values())


@pytest.mark.parametrize("attention", ["se", "eca"])
def test_variants_of_a_seed_share_their_backbones_initial_weights(attention: str) -> None:
    plain = build(Variant(backbone="resnet20", seed=5)).state_dict()
    filled = build(Variant(backbone="resnet20", attention=attention, seed=5)).state_dict()
    assert set(filled) > set(plain) and all(torch.equal(filled[key], plain[key]) for key in plain)
    other = build(Variant(backbone="resnet20", seed=6)).state_dict()
    assert not torch.equal(other["conv1.weight"], plain["conv1.weight"])


def test_building_leaves_the_random_state_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    build(Variant(backbone="resnet20", attention="se", seed=4))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.full
def test_networks_built_at_the_same_time_are_those_built_alone() -> None:
    variants = [Variant(backbone="resnet20", attention="se", seed=seed % 3) for seed in range(12)]
    alone = {variant: build(variant).state_dict() for variant in set(variants)}
    with ThreadPoolExecutor(6) as threads:
        for variant, model in zip(variants, threads.map(build, variants), strict=True):
            assert all(torch.equal(value, alone[variant][key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet50/eca", {(s, b) for s, n in ((1, 3), (2, 4), (3, 6), (4, 3)) for b in range(1, n + 1)}),
        ("resnet50/eca@standard:3-4", {(s, b) for s, n in ((3, 6), (4, 3)) for b in range(1, n + 1)}),
        ("resnet50/eca@tail", {(4, 3)}),
    ],
)
def test_a_placement_fills_the_slots_it_names(name: str, expected: set[tuple[int, int]]) -> None:
    model = skeleton(Variant.parse(name))
    assert {(slot.stage, slot.block) for slot in slots(model).values() if len(slot)} == expected


def test_one_eca_at_the_tail_of_resnet50_has_a_kernel_of_seven() -> None:
    assert [
        tuple(p.shape) for n, p in skeleton(Variant.parse("resnet50/eca@tail")).named_parameters() if "tail" in n
    ] == [(1, 1, 7)]


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("resnet20/cbma", UnknownName, "There is no attention module named 'cbma'. Did you mean"),
        ("resnet99/se", UnknownName, "There is no backbone named 'resnet99'. Did you mean"),
        ("se/none", UnknownName, "It is a module: write resnet50/se."),
        ("resnet50", UnknownName, "It is a backbone: write resnet50/none."),
        ("resnet50(version=v1)", UnknownName, "It is a backbone: write resnet50(version=v1)/none."),
        ("timm(model=resnet18)", UnknownName, "It is a backbone: write timm(model=resnet18)/none."),
        ("own(name=mine)", UnknownName, "It is a backbone: write own(name=mine)/none."),
        ("resnet50/se(redction=3)", BadOption, "'se' has no option 'redction'. Did you mean 'reduction'?"),
        ("resnet50/se(reduction=0)", BadOption, "'se' cannot take reduction=0"),
        ("resnet50/se(reduction=big)", BadOption, "'se' cannot take reduction='big'"),
        ("resnet18(version=v1)/se", BadOption, "'resnet18' has no option 'version'. There is: shortcut, stem, width."),
        ("resnet50(version=2)/se", BadOption, "'resnet50' cannot take version=2: Input should be 'v1.5' or 'v1'."),
        ("resnet50/identity(width=3)", BadOption, "'identity' has no option 'width'. It has no options."),
        ("resnet50/se@branch", BadPlacement, "'resnet50' has no place 'branch'. It has: pre, spatial, inner"),
        ("resnet50/se@spatial", BadPlacement, "Put it at 'inner', which is right after that convolution, or take a"),
        ("vgg11_small/se@spatial", BadPlacement, "Put it at 'standard', which is right after that convolution"),
        ("vgg11_small/se@post", BadPlacement, "'vgg11_small' has no place 'post'. It has: pre, spatial, standard"),
        ("mobilenetv2/se@post:1", BadPlacement, "'mobilenetv2' has no 'post' in stage 1. It has stages 2, 3, 4, 5, 6."),
        ("mobilenetv2/se@standard:3.4", BadPlacement, "'mobilenetv2' has no 'standard' in block 3.4. It has 1.1, 2.1"),
        ("resnet50/se@standard:7", BadPlacement, "'resnet50' has no 'standard' in stage 7. It has stages 1, 2, 3, 4."),
        ("resnet50/se?weights=mine", BadCheckpoint, "There are no weights called 'mine'"),
        ("resnet50/se?weights=shipped", BadCheckpoint, "No trained weights for resnet50/se come with the service"),
    ],
)
def test_a_variant_that_cannot_be_gets_a_sentence(name: str, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        build(Variant.parse(name))
    assert sentence in str(caught.value)


def test_saying_a_default_is_saying_nothing() -> None:
    said = resolve(Variant.parse("resnet20(width=16)/se(reduction=16,bias=false)?classes=10"))
    assert said == resolve(Variant.parse("resnet20/se")) and said.classes == 10
