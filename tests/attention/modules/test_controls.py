"""The controls of an ablation: no gate, a gate that does not look, a gate that means nothing."""

import numpy as np
import pytest
import torch
from torch import Tensor

from attention.build import build
from attention.counting.cost import count
from attention.gate import capture, gates
from attention.modules import modules
from attention.modules.identity import Identity
from attention.modules.random import RandomGate
from attention.modules.static import StaticGate
from attention.spec import Variant

BLIND = ("identity", "random", "static")
R50_CHANNELS = 3 * 256 + 4 * 512 + 6 * 1024 + 3 * 2048
"""Channels after all of ResNet-50's sixteen blocks together."""


def maps(batch: int = 2, channels: int = 32, seed: int = 0) -> Tensor:
    return torch.randn(batch, channels, 6, 5, generator=torch.Generator().manual_seed(seed))


def test_the_identity_changes_no_bit_and_its_gate_is_one() -> None:
    module, x = Identity(32), maps()
    with capture(module) as seen:
        assert torch.equal(module(x), x)
    assert torch.equal(seen["gate"], torch.ones(2, 32, 1, 1))
    assert not module.state_dict()


@pytest.mark.full
def test_a_network_with_the_identity_computes_what_the_plain_one_does() -> None:
    plain, filled = (build(Variant.parse(f"resnet20/{name}")) for name in ("none", "identity"))
    assert list(plain.state_dict()) == list(filled.state_dict())
    assert len(gates(filled)) == 9
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(plain(images), filled(images))


def test_the_static_gate_is_the_sigmoid_of_one_weight_a_channel() -> None:
    module, x = StaticGate(32), maps()
    torch.nn.init.normal_(module.weight)
    gate = 1 / (1 + np.exp(-module.weight.detach().numpy()))
    np.testing.assert_allclose(module(x).detach().numpy(), x.numpy() * gate, rtol=1e-5, atol=1e-6)


def test_a_fresh_static_gate_halves_exactly_and_learns() -> None:
    module, x = StaticGate(32), maps()
    y = module(x)
    assert torch.equal(y, x / 2)
    (y * maps(seed=1)).sum().backward()
    assert module.weight.grad is not None and module.weight.grad.abs().min() > 0


def test_the_random_gate_fills_zero_to_one_evenly_and_never_touches_the_ends() -> None:
    weights = RandomGate(20_000).weights.flatten().numpy()
    assert 0 < weights.min() < 0.001 and 0.999 < weights.max() < 1
    shares, _ = np.histogram(weights, bins=10, range=(0, 1))
    assert np.abs(shares / 20_000 - 0.1).max() < 0.01


def test_the_random_gate_is_saved_and_frozen() -> None:
    module, x = RandomGate(32), maps()
    assert list(module.state_dict()) == ["weights"] and not list(module.parameters())
    before = module.weights.clone()
    module.train()(x.requires_grad_()).sum().backward()
    assert torch.equal(module.weights, before) and module.weights.grad is None
    other = RandomGate(32)
    assert not torch.equal(other(x), module(x))
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(x), module(x))


def test_the_seed_of_a_variant_draws_its_random_gates_and_blocks_differ() -> None:
    one, again, two = (build(Variant.parse(f"resnet20/random?seed={seed}")).state_dict() for seed in (1, 1, 2))
    drawn = [key for key in one if key.endswith("weights")]
    assert len(drawn) == 9
    assert all(torch.equal(one[key], again[key]) and not torch.equal(one[key], two[key]) for key in drawn)
    assert not torch.equal(one[drawn[0]], one[drawn[1]])


@pytest.mark.parametrize("name", BLIND)
def test_a_controls_gate_is_the_same_for_every_image(name: str) -> None:
    module = modules[name](32)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    with torch.no_grad(), capture(module) as seen:
        module(maps(4))
        first = seen["gate"]
        module(100 * maps(4, seed=9))
    assert torch.equal(first, seen["gate"]) and torch.equal(first, first[:1].expand_as(first))


@pytest.mark.parametrize("name", sorted(set(modules) - set(BLIND)))
def test_every_other_gate_looks_at_the_image(name: str) -> None:
    torch.manual_seed(0)
    module = modules[name](32).eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    with torch.no_grad(), capture(module) as seen:
        module(maps(8))
    assert any(gate.std(0).max() > 1e-3 for gate in seen.values())


@pytest.mark.parametrize(("name", "parameters"), [("identity", 0), ("random", 0), ("static", R50_CHANNELS)])
def test_a_control_adds_its_parameters_to_resnet50_and_no_macs(name: str, parameters: int) -> None:
    bill = count(Variant.parse(f"resnet50/{name}"))
    assert bill.not_counted == ()
    assert (bill.attention.parameters, bill.attention.macs) == (parameters, 0)
