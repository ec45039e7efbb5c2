"""SE's and ECA's relatives against their papers: formulas restated in numpy, counts, start values and properties."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attention.build import build, skeleton
from attention.counting.cost import count
from attention.errors import BadOption
from attention.gate import AttentionModule, Slot, capture
from attention.modules.ceca import CircularEfficientChannelAttention
from attention.modules.eca import EfficientChannelAttention
from attention.modules.eca_ns import UnsharedEfficientChannelAttention
from attention.modules.ese import EffectiveSqueezeExcitation
from attention.modules.fca import TOP, FrequencyChannelAttention
from attention.modules.gct import GatedChannelTransformation
from attention.modules.ge import GatherExcite
from attention.modules.se import SqueezeExcitation
from attention.modules.se_var1 import SEVar1
from attention.modules.se_var2 import SEVar2
from attention.modules.se_var3 import SEVar3
from attention.modules.srm import StyleRecalibration
from attention.spec import Variant

R50_WIDTHS = [256] * 3 + [512] * 4 + [1024] * 6 + [2048] * 3
"""Channels after each of ResNet-50's sixteen blocks."""


def maps(channels: int = 32, height: int = 6, width: int = 5, batch: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(seed))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def weights_of(module: AttentionModule) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy().astype(np.float64) for name, value in module.named_parameters()}


def gate_of(module: AttentionModule, x: Tensor) -> np.ndarray:
    with torch.no_grad(), capture(module) as seen:
        torch.testing.assert_close(module(x), x * seen["gate"])
    return seen["gate"].numpy()


def close(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


# ECA-NS and CECA


@pytest.mark.parametrize("k", [1, 3, 5])
def test_eca_ns_weighs_each_channels_neighbours_by_taps_of_its_own(k: int) -> None:
    module, x = UnsharedEfficientChannelAttention(32, kernel_size=k), maps()
    taps = weights_of(module)["conv.weight"].squeeze(1)
    pooled, logits = x.numpy().mean((2, 3)), np.zeros((2, 32))
    for channel, tap in itertools.product(range(32), range(k)):
        neighbour = channel + tap - k // 2
        if 0 <= neighbour < 32:
            logits[:, channel] += taps[channel, tap] * pooled[:, neighbour]
    close(gate_of(module, x)[:, :, 0, 0], sigmoid(logits))


def test_eca_ns_with_equal_taps_is_eca() -> None:
    alone, x = UnsharedEfficientChannelAttention(32, kernel_size=5), maps()
    shared = EfficientChannelAttention(32, kernel_size=5)
    with torch.no_grad():
        alone.conv.weight.copy_(shared.conv.weight.expand(32, 1, 5))
    close(gate_of(alone, x), gate_of(shared, x))


def test_circular_eca_meets_the_last_channel_before_the_first() -> None:
    module, x = CircularEfficientChannelAttention(32, kernel_size=5), maps()
    taps, pooled = weights_of(module)["conv.weight"].squeeze(), x.numpy().mean((2, 3))
    logits = sum(tap * np.roll(pooled, 2 - place, axis=1) for place, tap in enumerate(taps))
    close(gate_of(module, x)[:, :, 0, 0], sigmoid(np.asarray(logits)))


def test_shifting_the_channels_round_shifts_circular_ecas_gates_and_not_ecas() -> None:
    circular, x = CircularEfficientChannelAttention(32, kernel_size=5), maps()
    padded = EfficientChannelAttention(32, kernel_size=5)
    with torch.no_grad():
        padded.conv.weight.copy_(circular.conv.weight)
    close(gate_of(circular, x.roll(3, 1)), np.roll(gate_of(circular, x), 3, axis=1))
    assert np.abs(gate_of(padded, x.roll(3, 1)) - np.roll(gate_of(padded, x), 3, axis=1)).max() > 1e-3
    close(gate_of(circular, x)[:, 2:-2], gate_of(padded, x)[:, 2:-2])


def test_an_even_kernel_is_refused_with_the_number_of_channels() -> None:
    for module in (UnsharedEfficientChannelAttention, CircularEfficientChannelAttention):
        with pytest.raises(BadOption, match="kernel_size=4 for 64 channels"):
            module(64, kernel_size=4)


def test_circular_eca_cannot_go_round_more_than_once() -> None:
    assert CircularEfficientChannelAttention(5, kernel_size=5)(maps(5)).shape == (2, 5, 6, 5)
    with pytest.raises(BadOption, match="kernel_size=7 for 5 channels"):
        CircularEfficientChannelAttention(5, kernel_size=7)


# The ECA paper's Table 2, and eSE


def test_the_three_variants_of_se_are_the_table_of_the_eca_paper() -> None:
    x = maps()
    pooled = x.numpy().mean((2, 3))
    diagonal, full = SEVar2(32), SEVar3(32)
    w, matrix = (next(iter(weights_of(module).values())).squeeze() for module in (diagonal, full))
    close(gate_of(SEVar1(32), x)[:, :, 0, 0], sigmoid(pooled))
    close(gate_of(diagonal, x)[:, :, 0, 0], sigmoid(w * pooled))
    close(gate_of(full, x)[:, :, 0, 0], sigmoid(pooled @ matrix.T))


def test_each_variant_of_se_is_a_special_case_of_the_next() -> None:
    x, one, two, three = maps(), SEVar1(32), SEVar2(32), SEVar3(32)
    unshared = UnsharedEfficientChannelAttention(32, kernel_size=1)
    with torch.no_grad():
        unshared.conv.weight.copy_(two.weigh.weight.squeeze(-1))
        three.mix.weight.copy_(two.weigh.weight.flatten().diag()[:, :, None, None])
    close(gate_of(three, x), gate_of(two, x))
    close(gate_of(unshared, x), gate_of(two, x))
    nn.init.ones_(two.weigh.weight)
    close(gate_of(two, x), gate_of(one, x))


def test_ese_is_the_hard_sigmoid_of_one_layer_and_closes_and_opens_fully() -> None:
    module, x = EffectiveSqueezeExcitation(32), maps()
    p = weights_of(module)
    logits = x.numpy().mean((2, 3)) @ p["fc.weight"].squeeze().T + p["fc.bias"]
    close(gate_of(module, x)[:, :, 0, 0], np.clip(logits + 3, 0, 6) / 6)
    for bias, gate in ((-10.0, 0.0), (10.0, 1.0)):
        module.load_state_dict({"fc.weight": module.fc.weight, "fc.bias": torch.full((32,), bias)})
        assert (gate_of(module, x) == gate).all()


# SRM


def test_srm_is_sigmoid_of_the_normalised_weighted_mean_and_deviation() -> None:
    module, x = StyleRecalibration(32).eval(), maps()
    for tensor in (*module.parameters(), module.bn.get_buffer("running_mean")):
        nn.init.normal_(tensor)
    nn.init.uniform_(module.bn.get_buffer("running_var"), 0.5, 2)
    p, statistics = weights_of(module), {name: value.numpy() for name, value in module.named_buffers()}
    mean, deviation = x.numpy().mean((2, 3)), np.sqrt(x.numpy().var((2, 3), ddof=1) + 1e-5)
    z = p["cfc.weight"][:, 0, 0] * mean + p["cfc.weight"][:, 0, 1] * deviation
    z = (z - statistics["bn.running_mean"]) / np.sqrt(statistics["bn.running_var"] + 1e-5)
    close(gate_of(module, x)[:, :, 0, 0], sigmoid(z * p["bn.weight"] + p["bn.bias"]))


@pytest.mark.parametrize("training", [True, False])
def test_a_fresh_srm_halves_exactly_and_learns(training: bool) -> None:
    module, x = StyleRecalibration(16).train(training), maps(16, batch=4)
    y = module(x)
    assert torch.equal(y, x / 2)
    (y * maps(16, batch=4, seed=1)).sum().backward()
    assert module.cfc.weight.grad is not None and module.cfc.weight.grad.abs().min() > 0


def test_srm_gives_numbers_and_gradients_on_a_map_of_one_pixel() -> None:
    module, x = StyleRecalibration(16), maps(16, 1, 1, batch=4).requires_grad_()
    nn.init.normal_(module.cfc.weight)
    module(x).sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all() and torch.isfinite(module(x)).all()


# GCT


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_gct_is_one_plus_tanh_of_the_normalised_norms(norm: str) -> None:
    module, x = GatedChannelTransformation(32, norm=norm), maps()  # type: ignore[arg-type]
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    p, m = {name: value.squeeze() for name, value in weights_of(module).items()}, x.numpy().astype(np.float64)
    if norm == "l2":
        s = p["alpha"] * np.sqrt((m**2).sum((2, 3)) + 1e-5)
        share = math.sqrt(32) * s / np.sqrt((s**2).sum(1, keepdims=True) + 32 * 1e-5)
    else:
        s = p["alpha"] * np.abs(m).sum((2, 3))
        share = 32 * s / (np.abs(s).sum(1, keepdims=True) + 32 * 1e-5)
    close(gate_of(module, x)[:, :, 0, 0], 1 + np.tanh(p["gamma"] * share + p["beta"]))


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_a_fresh_gct_is_exactly_the_identity_and_does_not_change_a_network(norm: str) -> None:
    x = maps()
    assert torch.equal(GatedChannelTransformation(32, norm=norm)(x), x)  # type: ignore[arg-type]
    image = maps(3, 32, 32)
    plain, filled = (build(Variant.parse(name)) for name in ("resnet20/none", f"resnet20/gct(norm={norm})"))
    with torch.no_grad():
        assert torch.equal(plain(image), filled(image))


def test_gcts_gates_do_not_change_with_the_contrast_and_an_empty_map_gives_numbers() -> None:
    module, x = GatedChannelTransformation(32, epsilon=1e-12), maps()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    close(gate_of(module, 10 * x), gate_of(module, x))
    empty = torch.zeros(2, 32, 4, 4, requires_grad=True)
    GatedChannelTransformation(32)(empty).sum().backward()
    assert empty.grad is not None and torch.isfinite(empty.grad).all()


# FcaNet


def components(x: np.ndarray, number: int) -> np.ndarray:
    """The 2-D DCT component of each channel, by the definition; the side must be a multiple of 7."""
    batch, channels, height, width = x.shape
    found = np.zeros((batch, channels))
    for channel in range(channels):
        u, v = TOP[channel * number // channels]
        u, v = u * height // 7, v * width // 7
        for down, across in itertools.product(range(height), range(width)):
            wave = math.cos(math.pi * u * (down + 0.5) / height) * math.cos(math.pi * v * (across + 0.5) / width)
            found[:, channel] += x[:, channel, down, across] * wave
        found[:, channel] *= math.sqrt((2 if u else 1) / height) * math.sqrt((2 if v else 1) / width)
    return found


@pytest.mark.parametrize(("height", "width"), [(7, 7), (14, 7), (14, 21)])
def test_fca_is_se_on_one_cosine_component_a_group(height: int, width: int) -> None:
    module, x = FrequencyChannelAttention(32, components=16, reduction=4), maps(32, height, width)
    p = weights_of(module)
    squeezed = components(x.numpy().astype(np.float64), 16)
    close(module.squeeze(x).numpy(), squeezed)
    gate = sigmoid(np.maximum(squeezed @ p["reduce.weight"].T, 0) @ p["expand.weight"].T)
    close(gate_of(module, x)[:, :, 0, 0], gate)


# As released for 16 components (https://github.com/cfzd/FcaNet, model/layer.py, "top16").
RELEASED_DOWN = [0, 0, 6, 0, 0, 1, 1, 4, 5, 1, 3, 0, 0, 0, 3, 2]
RELEASED_ACROSS = [0, 1, 0, 5, 2, 0, 2, 0, 0, 6, 0, 4, 6, 3, 5, 2]


def test_the_first_sixteen_components_are_the_released_ones_and_all_differ() -> None:
    assert list(TOP[:16]) == list(zip(RELEASED_DOWN, RELEASED_ACROSS, strict=True))
    assert len(set(TOP)) == len(TOP) == 32
    assert all(0 <= u < 7 and 0 <= v < 7 for u, v in TOP)


def test_the_components_of_a_map_of_7_pixels_are_orthonormal() -> None:
    module = FrequencyChannelAttention(32, components=32)
    basis = (module.down[:, :7, None] * module.across[:, None, :7]).flatten(1) / 7
    torch.testing.assert_close(basis @ basis.T, torch.eye(32), rtol=0, atol=1e-5)


@pytest.mark.parametrize("side", [7, 14, 28, 56])
def test_with_one_component_fca_is_se_on_the_scaled_mean(side: int) -> None:
    fca, x = FrequencyChannelAttention(16, components=1, reduction=4), maps(16, side, side)
    se = SqueezeExcitation(16, reduction=4)
    with torch.no_grad():
        se.reduce.weight.copy_(fca.reduce.weight[:, :, None, None] * side)
        se.expand.weight.copy_(fca.expand.weight[:, :, None, None])
    close(gate_of(fca, x), gate_of(se, x))


@pytest.mark.parametrize(("side", "pooled"), [(1, 7), (8, 7), (13, 7), (16, 14), (32, 28), (64, 56), (112, 56)])
def test_other_sides_are_pooled_to_a_multiple_of_seven(side: int, pooled: int) -> None:
    module, x = FrequencyChannelAttention(16), maps(16, side, side)
    small = torch.nn.functional.adaptive_avg_pool2d(x, (pooled, pooled))
    close(module.squeeze(x).numpy(), module.squeeze(small).numpy())


def test_channels_that_the_components_do_not_divide_are_refused() -> None:
    with pytest.raises(BadOption, match="24 channels among 16 components"):
        FrequencyChannelAttention(24)
    assert FrequencyChannelAttention(24, components=8)(maps(24)).shape == (2, 24, 6, 5)


# Gather-Excite


def test_without_parameters_the_global_extent_is_se_var1() -> None:
    x = maps()
    assert not list(GatherExcite(32, kind="theta_minus").parameters())
    close(gate_of(GatherExcite(32, kind="theta_minus"), x), gate_of(SEVar1(32), x))


@pytest.mark.parametrize("extent", [2, 4, 8])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (13, 9), (1, 3)])
def test_without_parameters_a_neighbourhood_is_averaged_and_given_to_the_nearest_pixels(
    extent: int, height: int, width: int
) -> None:
    module, x = GatherExcite(4, kind="theta_minus", extent=extent), maps(4, height, width)  # type: ignore[arg-type]
    rows, columns = math.ceil(height / extent), math.ceil(width / extent)
    gathered = np.zeros((2, 4, rows, columns))
    for row, column in itertools.product(range(rows), range(columns)):
        top, left = max(extent * row - extent + 1, 0), max(extent * column - extent + 1, 0)
        window = x.numpy()[:, :, top : extent * row + extent, left : extent * column + extent]
        gathered[:, :, row, column] = window.mean((2, 3))
    down, across = np.arange(height) * rows // height, np.arange(width) * columns // width
    close(gate_of(module, x), sigmoid(gathered[:, :, down[:, None], across]))


def test_the_learned_global_gathering_is_one_filter_as_large_as_the_map_for_each_channel() -> None:
    module, x = GatherExcite(32, size=6).eval(), maps(32, 6, 6)
    filters = weights_of(module)["convolutions.0.weight"].squeeze(1)
    logits = np.einsum("bchw,chw->bc", x.numpy(), filters) / math.sqrt(1 + 1e-5)
    close(gate_of(module, x)[:, :, 0, 0], sigmoid(logits))


def test_theta_plus_adds_ses_two_layers_with_biases() -> None:
    module, x = GatherExcite(32, kind="theta_plus", size=6, reduction=4).eval(), maps(32, 6, 6)
    for parameter in module.excite.parameters():
        nn.init.normal_(parameter)
    p = weights_of(module)
    gathered = np.einsum("bchw,chw->bc", x.numpy(), p["convolutions.0.weight"].squeeze(1)) / math.sqrt(1 + 1e-5)
    hidden = np.maximum(np.maximum(gathered, 0) @ p["excite.1.weight"].squeeze().T + p["excite.1.bias"], 0)
    close(gate_of(module, x)[:, :, 0, 0], sigmoid(hidden @ p["excite.3.weight"].squeeze().T + p["excite.3.bias"]))


@pytest.mark.parametrize(("extent", "convolutions"), [(2, 1), (4, 2), (8, 3)])
def test_a_learned_neighbourhood_halves_the_map_once_for_each_convolution(extent: int, convolutions: int) -> None:
    module = GatherExcite(16, extent=extent).eval()  # type: ignore[arg-type]
    assert [tuple(p.shape) for p in module.parameters()] == [(16, 1, 3, 3), (16,), (16,)] * convolutions
    assert module.gather(maps(16, 32, 16)).shape == (2, 16, 32 // extent, 16 // extent)
    with torch.no_grad():
        gathered = module.gather(maps(16))
    assert gathered.min() < 0, "the last convolution's output goes to the sigmoid, not through a relu"


def test_a_fresh_theta_plus_starts_near_a_half() -> None:
    assert np.abs(gate_of(GatherExcite(256, kind="theta_plus"), maps(256, 7, 7)) - 0.5).max() < 0.1


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("resnet50/ge@standard:1.1", 56),
        ("resnet50/ge@pre:3.1", 28),
        ("resnet50/ge@inner:3.1", 14),
        ("resnet18/ge@tail", 7),
        ("resnet20/ge@standard:1.3", 32),
        ("resnet56/ge@inner:3.1", 8),
        ("mobilenetv2/ge@inner:1", 112),
        ("vgg11_small/ge@stage:4", 4),
        ("fpn_resnet18/ge@branch:2", 28),
    ],
)
def test_the_size_of_the_global_gathering_is_that_of_the_map_at_its_place(name: str, side: int) -> None:
    module = next(one for one in skeleton(Variant.parse(name)).modules() if isinstance(one, GatherExcite))
    assert module.size == side


def test_where_no_network_says_a_size_there_is_one() -> None:
    slot = Slot("standard", 2, 1, 8)
    assert GatherExcite.at(slot).size == 7 and GatherExcite.at(slot, size=5).size == 5


@pytest.mark.full
def test_the_known_sides_are_those_that_the_networks_produce() -> None:
    for name in ("resnet18", "mobilenetv2"):
        for position in ("standard", "inner", "pre", "post", "identity", "tail"):
            bill = count(Variant.parse(f"{name}/ge@{position}"), layers=True)
            assert bill.layers is not None
            assert not [row for row in bill.layers if row.attention and row.operation == "adaptive_avg_pool2d"]


# Counts on ResNet-50

DEPTHWISE = sum(c * side**2 for c, side in zip(R50_WIDTHS, [56] * 3 + [28] * 4 + [14] * 6 + [7] * 3, strict=True))
C = sum(R50_WIDTHS)
C2 = sum(c**2 for c in R50_WIDTHS)
SE16 = sum(2 * c * c // 16 for c in R50_WIDTHS)


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("eca_ns", 87_808, 87_808),
        ("eca_ns(kernel_size=3)", 3 * C, 3 * C),
        ("ceca", 86, 87_808),
        ("se_var1", 0, 0),
        ("se_var2", 15_104, 15_104),
        ("se_var3", C2, C2),
        ("ese", C2 + C, C2),
        ("srm", 4 * C, 2 * C),
        ("gct", 3 * C, 0),
        ("fca", 2_514_944, 2_514_944),
        ("ge(kind=theta_minus)", 0, 0),
        ("ge", DEPTHWISE + 2 * C, DEPTHWISE),
        ("ge(kind=theta_plus)", DEPTHWISE + 2 * C + SE16 + C + C // 16, DEPTHWISE + SE16),
        ("ge(extent=8)", 3 * (9 * C + 2 * C), None),
    ],
)
def test_resnet50_gains_the_parameters_and_macs_of_the_formula(name: str, parameters: int, macs: int | None) -> None:
    bill = count(Variant.parse(f"resnet50/{name}"))
    assert bill.not_counted == ()
    assert bill.attention.parameters == parameters
    assert bill.total.parameters == 25_557_032 + parameters
    assert macs is None or bill.attention.macs == macs
