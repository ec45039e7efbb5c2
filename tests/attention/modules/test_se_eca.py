"""SE and ECA against their papers: formulas restated without the modules' own code, counts, and properties."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from attention.errors import BadOption
from attention.gate import Slot, capture
from attention.measuring.traits import narrow_bottlenecks
from attention.modules import modules
from attention.modules.eca import EfficientChannelAttention, adaptive_kernel_size
from attention.modules.se import SqueezeExcitation
from attention.spec import Variant


def maps(channels: int = 32) -> Tensor:
    return torch.randn(2, channels, 6, 5, generator=torch.Generator().manual_seed(0))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("bias", [False, True])
def test_se_is_sigmoid_of_w2_relu_w1_of_the_pooled_channels(bias: bool) -> None:
    module, x = SqueezeExcitation(32, reduction=4, bias=bias), maps()
    p = {name: value.detach().numpy().squeeze() for name, value in module.named_parameters()}
    pooled = x.numpy().mean((2, 3))
    hidden = np.maximum(pooled @ p["reduce.weight"].T + (p["reduce.bias"] if bias else 0), 0)
    gate = sigmoid(hidden @ p["expand.weight"].T + (p["expand.bias"] if bias else 0))
    np.testing.assert_allclose(module(x).detach().numpy(), x.numpy() * gate[:, :, None, None], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("channels", "reduction"), [(64, 16), (256, 16), (512, 8), (100, 16)])
def test_se_has_two_c_squared_over_r_weights_and_c_plus_c_over_r_biases(channels: int, reduction: int) -> None:
    hidden = channels // reduction
    count = [
        sum(p.numel() for p in SqueezeExcitation(channels, reduction=reduction, bias=b).parameters())
        for b in (False, True)
    ]
    assert count == [2 * channels * hidden, 2 * channels * hidden + channels + hidden]


def test_se_keeps_one_hidden_channel_when_the_reduction_is_larger_than_the_width() -> None:
    assert SqueezeExcitation(8, reduction=16).reduce.out_channels == 1


def test_eca_is_sigmoid_of_a_banded_toeplitz_matrix_times_the_pooled_channels() -> None:
    module, x = EfficientChannelAttention(32, kernel_size=5), maps()
    taps = module.conv.weight.detach().numpy().squeeze()
    band = np.zeros((32, 32))
    for channel in range(32):
        for tap in range(5):
            if 0 <= channel + tap - 2 < 32:
                band[channel, channel + tap - 2] = taps[tap]
    gate = sigmoid(x.numpy().mean((2, 3)) @ band.T)
    np.testing.assert_allclose(module(x).detach().numpy(), x.numpy() * gate[:, :, None, None], rtol=1e-4, atol=1e-5)


# The paper's formula: C below 8 -> 1, 8 to 127 -> 3, 128 to 2047 -> 5, 2048 to 32767 -> 7.
@pytest.mark.parametrize(
    ("channels", "k"),
    [(1, 1), (7, 1), (8, 3), (64, 3), (127, 3), (128, 5), (256, 5), (512, 5), (2047, 5), (2048, 7), (32767, 7)],
)
def test_the_adaptive_kernel_follows_the_formula(channels: int, k: int) -> None:
    assert adaptive_kernel_size(channels) == k
    assert [tuple(p.shape) for p in EfficientChannelAttention(channels).parameters()] == [(1, 1, k)]


def test_gamma_and_b_change_the_kernel_as_the_formula_says() -> None:
    t = int(abs((math.log2(512) + 3) / 1))
    assert EfficientChannelAttention(512, gamma=1, b=3).conv.kernel_size == (t if t % 2 else t + 1,)


def test_released_kernels_are_those_of_the_published_networks() -> None:
    def kernels(backbone: str, widths: tuple[int, ...]) -> list[int]:
        found = []
        for width in widths:
            slot = Slot("standard", 1, 1, width)
            slot.backbone = backbone
            found.append(EfficientChannelAttention.at(slot, kernel_size="released").conv.kernel_size[0])
        return found

    assert kernels("resnet18", (64, 128, 256, 512)) == [3, 5, 7, 7]
    assert kernels("resnet34", (64, 128, 256, 512)) == [3, 3, 5, 7]
    assert kernels("resnet50", (256, 512, 1024, 2048)) == [3, 5, 5, 7]
    assert kernels("resnet101", (256, 512, 1024, 2048)) == [3, 3, 5, 7]
    assert kernels("mobilenetv2", (16, 24, 32, 64, 96, 160, 320)) == [1, 1, 1, 1, 3, 3, 3]
    with pytest.raises(BadOption, match="No released ECA network has 16 channels"):
        kernels("resnet20", (16,))


@pytest.mark.parametrize("kernel_size", [2, 4, "released"])
def test_an_even_kernel_and_a_lone_released_one_are_refused(kernel_size: int | str) -> None:
    with pytest.raises(BadOption):
        EfficientChannelAttention(64, kernel_size=kernel_size)  # type: ignore[arg-type]


def test_a_centre_tap_of_one_gives_sigmoid_of_the_pooled_channels_and_a_zero_kernel_halves() -> None:
    module, x = EfficientChannelAttention(32, kernel_size=3), maps()
    with torch.no_grad():
        module.conv.weight.copy_(torch.tensor([[[0.0, 1.0, 0.0]]]))
        torch.testing.assert_close(module(x), x * x.mean((2, 3), keepdim=True).sigmoid())
        module.conv.weight.zero_()
        assert torch.equal(module(x), x / 2)


def test_ecas_gate_ignores_where_things_are_and_depends_on_the_order_of_channels() -> None:
    module, x = EfficientChannelAttention(32, kernel_size=3), maps()
    with torch.no_grad(), capture(module) as seen:
        module(x)
        straight = seen["gate"]
        module(x.flatten(2)[:, :, torch.randperm(30)].view_as(x))
        torch.testing.assert_close(seen["gate"], straight)
        order = torch.randperm(32)
        module(x[:, order])
        assert not torch.allclose(seen["gate"], straight[:, order], atol=1e-4)


# ------------------------------------------------------------------ bottlenecks that reduction leaves too narrow


@pytest.mark.parametrize("name", ["se", "cbam"])
def test_least_width_is_a_floor_of_the_bottleneck_and_counts_as_published_without_it(name: str) -> None:
    for channels, reduction, floor in ((16, 16, 1), (16, 16, 4), (64, 16, 8), (256, 4, 8)):
        module = modules[name](channels, reduction=reduction, least_width=floor)  # type: ignore[call-arg]
        width = max(channels // reduction, floor)
        assert module.bottleneck == width
        assert module.get_parameter("reduce.weight").shape == (width, channels, 1, 1)
    assert modules[name](16).bottleneck == 1


def test_a_bottleneck_of_one_or_two_units_is_warned_of_and_a_wider_one_is_not() -> None:
    sentence = narrow_bottlenecks(Variant.parse("resnet20/se"))
    assert sentence is not None and "1 at 16 channels, 2 at 32 channels" in sentence and "64" not in sentence
    assert "least_width" in sentence
    for name in ("resnet20/se(reduction=4)", "resnet20/se(least_width=4)", "resnet20/eca", "resnet20/none"):
        assert narrow_bottlenecks(Variant.parse(name)) is None
    assert "least_width" not in (narrow_bottlenecks(Variant.parse("resnet20/fca")) or "least_width")
