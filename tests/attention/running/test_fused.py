"""The serving copy answers as the network does, with less work, and gives up where it could not."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attention.backbones import Backbone, backbones
from attention.backbones.resnet import Block
from attention.gate import PooledAttention, ablate, capture
from attention.modules import modules
from attention.running.fused import fused_copy
from attention.spec import Ablation
from tests.attention.running.test_many_ablations import SMALL, network

POOLED = sorted(name for name, kind in modules.items() if issubclass(kind, PooledAttention))


def photo() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(3)).double()


def same(model: nn.Module, served: nn.Module, ablation: Ablation | None = None) -> None:
    with torch.inference_mode():
        with ablate(model, ablation), capture(model) as theirs:
            truth = model(photo())
        with ablate(served, ablation), capture(served) as ours:
            found = served(photo())
    torch.testing.assert_close(found, truth, rtol=1e-5, atol=1e-5 * float(truth.abs().max()))
    assert list(ours) == list(theirs)
    for path, gate in theirs.items():
        torch.testing.assert_close(ours[path], gate, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backbone", SMALL)
@pytest.mark.parametrize("rest", ["none", "se", "eca", "cbam", "gc", "eca@identity", "se@inner"])
def test_it_gives_the_same_logits_and_gates(backbone: str, rest: str) -> None:
    if "@" in rest and backbone == "vgg11_small":
        pytest.skip("it has no blocks, so neither place")
    model = network(f"{SMALL[backbone]}/{rest}")
    same(model, fused_copy(model))


@pytest.mark.full
@pytest.mark.parametrize("name", POOLED)
def test_every_gate_that_needs_means_alone_is_computed_first(name: str) -> None:
    model = network(f"resnet50(width=0.125)/{name}")
    served = fused_copy(model)
    assert all(block.gate_first for block in served.modules() if isinstance(block, Block))
    same(model, served)
    same(model, served, Ablation(kind="shuffle", seed=1))
    same(model, served, Ablation(kind="constant", value=0.25, gates=("layer3",)))


def test_se_and_eca_are_among_them() -> None:
    assert {"se", "eca", "ese", "se_var1", "eca_ns"} <= set(POOLED)


def test_no_normalisation_is_left_where_a_convolution_comes_before_it() -> None:
    served = fused_copy(network("resnet50(width=0.125)/se"))
    assert not [one for one in served.modules() if isinstance(one, nn.BatchNorm2d)]
    assert all(block.gate_first for block in served.modules() if isinstance(block, Block))


def test_a_bottleneck_pools_a_quarter_of_the_channels() -> None:
    """The map that is averaged is the last convolution's input, not its output."""
    served = fused_copy(network("resnet50(width=0.125)/se"))
    block: Any = served.get_submodule("layer1.0")
    asked: list[tuple[int, ...]] = []
    block.conv3.register_forward_pre_hook(lambda _, args: asked.append(tuple(args[0].shape)))
    with torch.inference_mode():
        served(photo())
    inner, side = block.conv3.in_channels, 16
    assert sorted(asked) == [(2, inner, 1, 1), (2, inner, side, side)] and block.conv3.out_channels == 4 * inner


def test_the_network_itself_stays_as_it_was() -> None:
    model = network("resnet20(width=4)/se")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    served = fused_copy(model)
    with torch.no_grad():
        for parameter in served.parameters():
            parameter.zero_()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert list(model.state_dict()) == list(before) and not any(
        getattr(one, "gate_first", False) for one in model.modules()
    )


class Shared(Backbone):
    """A convolution whose output is also used as it is: working the normalisation into it would be wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.norm.running_mean = torch.full((4,), 0.5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return (self.norm(y) * y).mean((2, 3))


def test_where_the_result_would_differ_it_is_a_plain_copy() -> None:
    model = Shared().eval()
    served = fused_copy(model)
    assert isinstance(served.norm, nn.BatchNorm2d)
    image = torch.randn(1, 3, 16, 16)
    torch.testing.assert_close(served(image), model(image))


def test_every_family_is_tried() -> None:
    families = {kind.__module__ for kind in backbones.values()} - {"attention.backbones.timm_any"}
    assert {backbones[name].__module__ for name in SMALL} == families
