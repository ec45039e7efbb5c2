"""CBAM, Coordinate Attention, Triplet, BAM and SimAM against their papers: formulas in numpy, counts, starts."""

import numpy as np
import pytest
import torch
from torch import nn

from attention.counting.cost import count
from attention.gate import capture, gates
from attention.modules.bam import BottleneckAttention
from attention.modules.cbam import ConvolutionalBlockAttention
from attention.modules.coord import CoordinateAttention
from attention.modules.simam import SimAM
from attention.modules.triplet import TripletAttention
from attention.spec import Variant
from tests.attention.modules.numpy_layers import (
    Array,
    conv,
    maps,
    norm,
    numbers,
    outcome,
    parameters,
    randomised,
    sigmoid,
)

RESNET50_PARAMETERS = 25_557_032


def pooled(x: Array, axis: int) -> Array:
    """Maximum, then mean, of one axis, as two channels."""
    return np.stack((x.max(axis), x.mean(axis)), 1)


@pytest.mark.parametrize("kernel_size", [3, 7])
def test_cbam_gates_channels_by_a_shared_mlp_and_then_places_by_a_convolution(kernel_size: int) -> None:
    module, x = randomised(ConvolutionalBlockAttention(32, reduction=4, kernel_size=kernel_size)), maps()  # type: ignore[arg-type]
    p, v = numbers(module), x.numpy()

    def mlp(z: Array) -> Array:
        hidden = np.maximum(z @ p["reduce.weight"].T + p["reduce.bias"], 0)
        return hidden @ p["expand.weight"].T + p["expand.bias"]

    v = v * sigmoid(mlp(v.mean((2, 3))) + mlp(v.max((2, 3))))[:, :, None, None]
    places = norm(conv(pooled(v, 1), p["spatial.conv.weight"]), p, "spatial.bn")
    np.testing.assert_allclose(outcome(module, x), v * sigmoid(places), rtol=1e-8, atol=1e-8)


def test_cbam_on_resnet50_costs_what_the_official_form_costs() -> None:
    bill = count(Variant.parse("resnet50/cbam"))
    assert bill.total.parameters == 28_089_624
    assert bill.delta.macs == 6_388_854


@pytest.mark.parametrize(("channels", "hidden"), [(64, 4), (100, 6), (8, 1)])
def test_cbam_has_the_parameters_of_its_formula(channels: int, hidden: int) -> None:
    assert parameters(ConvolutionalBlockAttention(channels)) == 2 * channels * hidden + channels + hidden + 98 + 2


def test_cbams_spatial_gate_starts_at_exactly_one_half_and_its_channel_gate_near_it() -> None:
    torch.manual_seed(0)
    module = ConvolutionalBlockAttention(256)
    assert module.spatial.bn.momentum == 0.01 and module.spatial.bn.eps == 1e-5
    with capture(module) as seen:
        module(maps(256).float())
    assert (seen["spatial_gate"] == 0.5).all()
    assert seen["channel_gate"].mean() == pytest.approx(0.5, abs=0.1)


def test_cbam_with_zero_weights_quarters_its_input() -> None:
    module, x = ConvolutionalBlockAttention(32), maps().float()
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(module(x), x / 4)


@pytest.mark.parametrize(("height", "width"), [(6, 5), (1, 7), (1, 1)])
def test_coord_gates_rows_and_columns_from_one_shared_bottleneck(height: int, width: int) -> None:
    module, x = randomised(CoordinateAttention(32)), maps(height=height, width=width)
    p, v = numbers(module), x.numpy()

    def hidden(line: Array) -> Array:
        z = norm(np.einsum("mc,bcl->bml", p["reduce.weight"], line) + p["reduce.bias"][:, None], p, "bn")
        return z * np.clip(z + 3, 0, 6) / 6

    def gate(name: str, line: Array) -> Array:
        return sigmoid(np.einsum("cm,bml->bcl", p[f"{name}.weight"], hidden(line)) + p[f"{name}.bias"][:, None])

    rows, columns = gate("expand_rows", v.mean(3)), gate("expand_columns", v.mean(2))
    expected = v * rows[:, :, :, None] * columns[:, :, None, :]
    np.testing.assert_allclose(outcome(module, x), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("channels", "reduction", "m"), [(96, 32, 8), (576, 32, 18), (960, 32, 30), (144, 16, 9)])
def test_coord_has_the_parameters_of_its_formula(channels: int, reduction: int, m: int) -> None:
    expected = (channels * m + m) + 2 * m + 2 * (m * channels + channels)
    assert parameters(CoordinateAttention(channels, reduction=reduction)) == expected


@pytest.mark.full
def test_coord_costs_two_c_m_times_height_plus_width() -> None:
    side_of_stage, blocks = {256: 56, 512: 28, 1024: 14, 2048: 7}, {256: 3, 512: 4, 1024: 6, 2048: 3}
    expected = sum(n * 2 * c * max(8, c // 32) * 2 * side_of_stage[c] for c, n in blocks.items())
    assert count(Variant.parse("resnet50/coord")).delta.macs == expected


def test_coords_gates_multiply_to_about_a_quarter_at_first() -> None:
    torch.manual_seed(0)
    module = CoordinateAttention(256).eval()
    with capture(module) as seen:
        module(maps(256).float())
    assert seen["row_gate"].shape == (2, 256, 6, 1) and seen["column_gate"].shape == (2, 256, 1, 5)
    assert (seen["row_gate"] * seen["column_gate"]).mean() == pytest.approx(0.25, abs=0.02)


def test_coord_swaps_its_gates_when_map_and_convolutions_are_transposed() -> None:
    module, x = randomised(CoordinateAttention(32)), maps()
    straight = outcome(module, x)
    module.expand_rows, module.expand_columns = module.expand_columns, module.expand_rows
    np.testing.assert_allclose(outcome(module, x.transpose(2, 3)).swapaxes(2, 3), straight, rtol=1e-10)


def test_triplet_is_the_mean_of_three_maps_each_gated_by_what_pooling_one_axis_leaves() -> None:
    module, x = randomised(TripletAttention(16)), maps(16)
    p, v = numbers(module), x.numpy()

    def gate(name: str, view: Array) -> Array:
        return sigmoid(norm(conv(pooled(view, 1), p[f"{name}.conv.weight"]), p, f"{name}.bn"))

    by_height = np.moveaxis(v, 2, 1)  # (B, H, C, W)
    by_width = np.transpose(v, (0, 3, 2, 1))  # (B, W, H, C)
    one = np.moveaxis(by_height * gate("over_height", by_height), 1, 2)
    two = np.transpose(by_width * gate("over_width", by_width), (0, 3, 2, 1))
    three = v * gate("over_channels", v)
    np.testing.assert_allclose(outcome(module, x), (one + two + three) / 3, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("channels", [3, 64, 2048])
def test_triplet_has_300_parameters_at_any_width(channels: int) -> None:
    assert parameters(TripletAttention(channels)) == 300


def test_triplet_on_resnet50_adds_4800_parameters() -> None:
    assert count(Variant.parse("resnet50/triplet")).total.parameters == RESNET50_PARAMETERS + 16 * 300


def test_triplets_gate_by_place_starts_at_exactly_one_half() -> None:
    torch.manual_seed(0)
    module = TripletAttention(16)
    with capture(module) as seen:
        module(maps(16).float())
    assert (seen["spatial_gate"] == 0.5).all()
    assert seen["row_gate"].std() > 0 and seen["column_gate"].std() > 0


@pytest.mark.parametrize("dilation", [1, 4])
def test_bam_is_one_plus_sigmoid_of_the_sum_of_its_two_parts(dilation: int) -> None:
    module, x = randomised(BottleneckAttention(32, reduction=4, dilation=dilation)), maps()
    p, v = numbers(module), x.numpy()

    def part(x: Array, at: int, dilation: int) -> Array:
        weight = p[f"spatial.{at}.weight"].reshape(8, -1, *(3, 3) if at else (1, 1))
        z = conv(x, weight, dilation) + p[f"spatial.{at}.bias"][:, None, None]
        return np.maximum(norm(z, p, f"spatial.{at + 1}"), 0)

    hidden = norm(v.mean((2, 3)) @ p["channel.0.weight"].T + p["channel.0.bias"], p, "channel.1")
    channel = np.maximum(hidden, 0) @ p["channel.3.weight"].T + p["channel.3.bias"]
    z = part(part(part(v, 0, 1), 3, dilation), 6, dilation)
    spatial = np.einsum("oc,bchw->bohw", p["spatial.9.weight"], z) + p["spatial.9.bias"]
    expected = v * (1 + sigmoid(channel[:, :, None, None] + spatial))
    np.testing.assert_allclose(outcome(module, x), expected, rtol=1e-8, atol=1e-8)


def test_bam_at_the_three_stage_ends_of_resnet50_has_the_papers_parameters() -> None:
    each = [parameters(BottleneckAttention(channels)) for channels in (256, 512, 1024)]
    assert each == [17_361, 68_513, 272_193]
    assert RESNET50_PARAMETERS + sum(each) == 25_915_099


def test_bams_gate_lies_between_one_and_two_and_never_damps() -> None:
    module = randomised(BottleneckAttention(32))
    with capture(module) as seen:
        module(maps())
    assert ((seen["gate"] > 1) & (seen["gate"] < 2)).all()


def test_simam_weighs_each_entry_by_its_squared_distance_from_the_channels_mean() -> None:
    x = maps(3)
    v, expected = x.numpy(), np.empty((2, 3, 6, 5))
    for image in range(2):
        for channel in range(3):
            plane = v[image, channel]
            d = (plane - plane.mean()) ** 2
            energy = 4 * (d.sum() / (6 * 5 - 1) + 1e-4)
            expected[image, channel] = plane * sigmoid(d / energy + 0.5)
    np.testing.assert_allclose(outcome(SimAM(3), x), expected, rtol=1e-10)


def test_simam_has_no_parameters_and_no_macs() -> None:
    bill = count(Variant.parse("resnet50/simam"))
    assert (bill.delta.parameters, bill.delta.macs, bill.attention.elementwise > 0) == (0, 0, True)


def test_simams_gate_never_falls_below_sigmoid_of_one_half() -> None:
    module = SimAM(32)
    with capture(module) as seen:
        module(maps())
    assert seen["gate"].min() >= 0.622459 and seen["gate"].max() < 1
    with capture(module) as seen:
        module(torch.ones(1, 32, 4, 4))
    torch.testing.assert_close(seen["gate"], torch.full((1, 32, 4, 4), 0.622459331))


def test_simam_on_a_single_pixel_gives_the_least_gate_and_not_nan() -> None:
    x = maps(4, height=1, width=1)
    np.testing.assert_allclose(outcome(SimAM(4), x), x.numpy() * 0.6224593312018546)


def test_simam_raises_the_entry_that_stands_out() -> None:
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 3] = 1.0
    module = SimAM(1)
    with capture(module) as seen:
        module(x)
    assert seen["gate"].flatten().argmax() == 2 * 5 + 3


@pytest.mark.parametrize(
    "module",
    [
        ConvolutionalBlockAttention(32),
        CoordinateAttention(32),
        TripletAttention(32),
        BottleneckAttention(32),
        SimAM(32),
    ],
)
def test_every_gate_here_is_multiplied(module: nn.Module) -> None:
    assert gates(module) and all(gate.neutral == 1.0 for gate in gates(module).values())
