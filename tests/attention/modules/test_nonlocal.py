"""Global Context, Dual Attention and Selective Kernel against their papers: formulas in numpy, counts, starts."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attention.counting.cost import count
from attention.gate import UnitSlot, ablate, capture
from attention.modules.danet import DualAttention, PositionAttention
from attention.modules.gc import GlobalContext
from attention.modules.sk import SelectiveKernel
from attention.spec import Ablation, Variant
from tests.attention.modules.numpy_layers import (
    Array,
    conv,
    maps,
    norm,
    numbers,
    outcome,
    parameters,
    randomised,
    softmax,
)


def test_gc_adds_a_bottleneck_of_the_attention_pooled_vector() -> None:
    module, x = randomised(GlobalContext(32, reduction=4)), maps()
    p, v = numbers(module), x.numpy().reshape(2, 32, 30)
    scores = np.einsum("oc,bcn->bn", p["attend.weight"], v) + p["attend.bias"]
    context = np.einsum("bcn,bn->bc", v, softmax(scores, 1))
    z = context @ p["reduce.weight"].T + p["reduce.bias"]
    z = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5)
    z = np.maximum(z * p["norm.weight"].ravel() + p["norm.bias"].ravel(), 0)
    added = z @ p["expand.weight"].T + p["expand.bias"]
    np.testing.assert_allclose(outcome(module, x), x.numpy() + added[:, :, None, None], rtol=1e-8, atol=1e-8)


def test_gc_on_resnet50_adds_2548000_parameters_and_two_passes_over_each_map() -> None:
    delta = count(Variant.parse("resnet50/gc")).delta
    assert delta.parameters == 2_548_000
    blocks = [(256, 56, 3), (512, 28, 4), (1024, 14, 6), (2048, 7, 3)]
    assert delta.macs == sum(n * (2 * c * side * side + 2 * c * c // 16) for c, side, n in blocks)


@pytest.mark.parametrize(("channels", "p"), [(256, 16), (100, 6), (16, 4)])
def test_gc_has_the_parameters_of_its_formula(channels: int, p: int) -> None:
    expected = (channels + 1) + (channels * p + p) + 2 * p + (p * channels + channels)
    assert parameters(GlobalContext(channels)) == expected


@pytest.mark.parametrize("module", [GlobalContext(32), DualAttention(32)])
def test_a_fresh_additive_module_is_exactly_the_identity(module: nn.Module) -> None:
    x = maps().float()
    assert torch.equal(module(x), x)


def test_gcs_weights_of_places_sum_to_one_and_their_common_mean_is_average_pooling() -> None:
    module, x = randomised(GlobalContext(32)), maps()
    with capture(module) as seen:
        module(x)
    torch.testing.assert_close(seen["spatial_gate"].sum((1, 2, 3)), torch.ones(2, dtype=torch.float64))
    with ablate(module, Ablation(kind="scalar", gates=("spatial_gate",))), capture(module) as averaged:
        module(x)
    mean = x.mean((2, 3), keepdim=True)
    expected = module.expand(torch.relu(module.norm(module.reduce(mean))))
    torch.testing.assert_close(averaged["channel_gate"], expected.detach())


def test_gc_still_sees_the_image_at_the_narrowest_width_it_takes() -> None:
    module = randomised(GlobalContext(8))
    with capture(module) as seen:
        module(maps(8))
    assert not torch.allclose(seen["channel_gate"][0], seen["channel_gate"][1], atol=1e-3)


def dual_attention(module: DualAttention, x: Tensor) -> Array:
    p, v = numbers(module), x.numpy()
    flat = v.reshape(*v.shape[:2], -1)

    def layer(name: str) -> Array:
        return np.einsum("oc,bcn->bon", p[f"position.{name}.weight"], flat) + p[f"position.{name}.bias"][:, None]

    places = softmax(np.einsum("bci,bcj->bij", layer("query"), layer("key")), 2)
    by_place = np.einsum("bij,bcj->bci", places, layer("value"))
    energy = np.einsum("bin,bjn->bij", flat, flat)
    channels = softmax(energy.max(2, keepdims=True) - energy, 2)
    by_channel = np.einsum("bij,bjn->bin", channels, flat)
    total = flat + p["position.gamma"] * by_place + p["channel.gamma"] * by_channel
    return total.reshape(v.shape)


def test_danet_adds_mixtures_of_positions_and_of_channels() -> None:
    module, x = randomised(DualAttention(32)), maps()
    np.testing.assert_allclose(outcome(module, x), dual_attention(module, x), rtol=1e-8, atol=1e-8)


def test_danets_position_part_has_328321_parameters_at_512_channels_and_its_channel_part_one() -> None:
    assert parameters(PositionAttention(512, 8)) == 328_321
    assert parameters(DualAttention(512)) == 328_322


def test_danet_costs_the_products_of_its_matrices() -> None:
    channels, places = 2048, 49
    position = places * (channels**2 // 4 + channels**2) + places**2 * (channels // 8 + channels)
    assert count(Variant.parse("resnet50/danet@tail")).delta.macs == position + 2 * channels**2 * places


def test_danets_head_has_the_papers_layers_and_the_same_two_parts() -> None:
    c, w = 2048, 512
    narrow, after = 2 * (9 * c * w + 2 * w), 2 * (9 * w * w + 2 * w)
    expected = narrow + 328_321 + 1 + after + w * c + c
    assert count(Variant.parse("resnet50/danet(form=head)@tail")).delta.parameters == expected
    module, x = randomised(DualAttention(32, form="head")), maps()
    head = module.head
    assert head is not None
    with torch.no_grad():
        module.position.gamma.zero_()
        module.channel.gamma.zero_()
        by_hand = head.project(
            head.after_position(head.before_position(x)) + head.after_channel(head.before_channel(x))
        )
        torch.testing.assert_close(module(x), by_hand)
        module.position.gamma.fill_(1.0)
        assert not torch.allclose(module(x), by_hand)


def test_danets_maps_are_matrices_whose_rows_sum_to_one() -> None:
    module = randomised(DualAttention(32))
    with capture(module) as seen:
        module(maps())
    assert seen["position.gate"].shape == (2, 30, 30) and seen["channel.gate"].shape == (2, 32, 32)
    for weights in seen.values():
        torch.testing.assert_close(weights.sum(2), torch.ones(weights.shape[:2], dtype=torch.float64))


def test_a_channel_gathers_from_the_channels_least_like_it() -> None:
    x = torch.zeros(1, 3, 4, 4)
    x[0, 0], x[0, 1], x[0, 2] = 1.0, 0.9, -1.0
    module = DualAttention(3)
    with capture(module) as seen:
        module(x)
    assert seen["channel.gate"][0].argmax(1).tolist() == [2, 2, 0]


def test_danet_commutes_with_any_rearrangement_of_places() -> None:
    module, x = randomised(DualAttention(32)), maps()
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    moved = outcome(module, x.flatten(2)[:, :, order].view_as(x)).reshape(2, 32, 30)
    np.testing.assert_allclose(moved, outcome(module, x).reshape(2, 32, 30)[:, :, order.numpy()], rtol=1e-8, atol=1e-8)


def test_danets_channel_scores_do_not_overflow_in_half_precision() -> None:
    module, x = DualAttention(8).half(), torch.full((1, 8, 40, 40), 20.0).half()
    with torch.no_grad():
        module.position.gamma.fill_(0.0)
        module.channel.gamma.fill_(1.0)
        assert torch.isfinite(module(x)).all()


@pytest.mark.parametrize(("branches", "groups"), [(2, 32), (3, 8)])
def test_sk_mixes_dilated_convolutions_by_a_softmax_over_branches(branches: int, groups: int) -> None:
    module, x = randomised(SelectiveKernel(32, branches=branches, groups=groups)), maps()
    p, v = numbers(module), x.numpy()
    seen = np.stack(
        [
            np.maximum(norm(conv(v, p[f"branches.{m}.0.weight"], m + 1), p, f"branches.{m}.1"), 0)
            for m in range(branches)
        ]
    )
    z = np.maximum(norm(seen.sum(0).mean((2, 3)) @ p["reduce.weight"].T, p, "bn"), 0)
    scores = np.stack([z @ weight.T for weight in np.split(p["expand.weight"], branches)])
    expected = (softmax(scores, 0)[..., None, None] * seen).sum(0)
    np.testing.assert_allclose(outcome(module, x), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("channels", "d"), [(128, 32), (1024, 64)])
def test_sk_has_the_parameters_of_its_formula(channels: int, d: int) -> None:
    branch = 9 * channels**2 // 32 + 2 * channels
    assert parameters(SelectiveKernel(channels)) == 2 * branch + channels * d + 2 * d + 2 * d * channels


def test_sk_in_place_of_each_3x3_makes_resnext50_into_sknet50() -> None:
    resnext50 = 25_028_904  # torchvision's resnext50_32x4d
    added = 0
    for channels, blocks in ((128, 3), (256, 4), (512, 6), (1024, 3)):
        replaced = 9 * channels**2 // 32 + 2 * channels
        added += blocks * (parameters(SelectiveKernel(channels)) - replaced)
    assert resnext50 + added == 27_479_784


def test_sk_starts_near_an_even_choice_that_sums_to_one() -> None:
    torch.manual_seed(0)
    module = SelectiveKernel(64).eval()
    with capture(module) as seen:
        module(maps(64).float())
    assert seen["gate"].shape == (2, 2, 64, 1, 1)
    torch.testing.assert_close(seen["gate"].sum(1), torch.ones(2, 64, 1, 1))
    assert (seen["gate"] - 0.5).abs().max() < 0.05


def test_sk_as_a_unit_chooses_between_a_blocks_own_convolution_and_its_dilated_ones() -> None:
    around = UnitSlot(1, 1, 48, in_channels=32, kernel_size=3, stride=1, groups=4)
    unit, x = randomised(SelectiveKernel.at(around, branches=3)), maps()
    own = maps(48, seed=1).relu()
    p, v = numbers(unit), x.numpy()
    dilated = [np.maximum(norm(conv(v, p[f"branches.{m}.0.weight"], m + 2), p, f"branches.{m}.1"), 0) for m in (0, 1)]
    seen = np.stack([own.numpy(), *dilated])
    z = np.maximum(norm(seen.sum(0).mean((2, 3)) @ p["reduce.weight"].T, p, "bn"), 0)
    scores = np.stack([z @ weight.T for weight in np.split(p["expand.weight"], 3)])
    expected = (softmax(scores, 0)[..., None, None] * seen).sum(0)
    with torch.no_grad():
        np.testing.assert_allclose(unit.select(x, own).numpy(), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("height", "width"), [(7, 8), (1, 1), (2, 9)])
def test_sks_convolutions_have_the_stride_and_groups_of_the_one_they_stand_beside(height: int, width: int) -> None:
    around = UnitSlot(1, 1, 64, in_channels=64, kernel_size=3, stride=2, groups=16)
    x = maps(64, height=height, width=width).float()
    beside = nn.Conv2d(64, 64, 3, 2, 1, groups=16)
    unit = SelectiveKernel.at(around).eval()
    assert unit.branches[0][0].weight.shape == beside.weight.shape  # type: ignore[index]
    assert unit.select(x, beside(x)).shape == beside(x).shape


def test_sk_with_a_number_of_groups_has_it_at_any_place() -> None:
    around = UnitSlot(1, 1, 64, in_channels=64, kernel_size=3, stride=1, groups=1)
    for unit in (SelectiveKernel.at(around, groups=32), SelectiveKernel(64, groups=32)):
        assert unit.branches[0][0].groups == 32  # type: ignore[index]
    assert SelectiveKernel.at(around).branches[0][0].groups == 1  # type: ignore[index]


@pytest.mark.parametrize(("channels", "groups"), [(256, 32), (24, 8), (33, 1)])
def test_sk_uses_the_largest_common_divisor_when_groups_do_not_divide_the_channels(channels: int, groups: int) -> None:
    convolutions = [module for module in SelectiveKernel(channels).modules() if isinstance(module, nn.Conv2d)]
    assert [one.groups for one in convolutions if one.kernel_size == (3, 3)] == [groups, groups]
