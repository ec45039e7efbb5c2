"""Gate times input is output, and ablation is surgery: the same numbers, to the bit."""

from collections.abc import Callable, Iterator
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from attention.errors import InvalidRequest
from attention.spec import Ablation, AblationKind, Pictures
from attention.watch import ablate, capture, watch
from tests.attention.tracing import gated
from tests.attention.tracing.gated import CHANNELS, Classifier, Function, Spelling, SqueezeExcitation


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def maps(batch: int = 3, seed: int = 1) -> Tensor:
    return torch.randn(batch, CHANNELS, 6, 6, generator=torch.Generator().manual_seed(seed))


def photos(batch: int = 3, seed: int = 1) -> Tensor:
    return torch.randn(batch, 3, 12, 12, generator=torch.Generator().manual_seed(seed))


def classifier(make: Callable[[], nn.Module] = SqueezeExcitation) -> Classifier:
    return Classifier(make).eval()


AS_WRITTEN: dict[type[nn.Module], Callable[[Tensor, list[Tensor]], Tensor]] = {
    SqueezeExcitation: lambda x, g: x * g[0],
    gated.EcaLayer: lambda x, g: x * g[0],
    gated.CBAM: lambda x, g: x * g[0] * g[1],
    gated.SCSEModule: lambda x, g: x * g[0] + x * g[1],
    gated.CoordAtt: lambda x, g: x * g[0] * g[1],
    gated.ContextBlock: lambda x, g: x + g[0],
    gated.SimAM: lambda x, g: x * g[0],
    gated.BAM: lambda x, g: x * g[0],
    gated.GCT: lambda x, g: x * g[0],
    gated.SRMLayer: lambda x, g: x * g[0],
    gated.AttentionGate: lambda x, g: x * g[0],
    gated.Static: lambda x, g: x * g[0],
    gated.ChannelsLast: lambda x, g: x * g[0].permute(0, 3, 1, 2),
}
"""What each mechanism's paper does with its gates."""

every_family = pytest.mark.parametrize("family", AS_WRITTEN, ids=lambda family: family.__name__)


@every_family
def test_gate_times_input_is_output(family: type[nn.Module]) -> None:
    model, x = family().eval(), maps()
    bare = model(x)
    with capture(model) as gates:
        seen = model(x)
    assert torch.equal(seen, bare)
    assert torch.equal(AS_WRITTEN[family](x, list(gates.values())), bare)


@every_family
@pytest.mark.parametrize("value", [0.25, 1.0])
def test_a_constant_is_what_one_would_have_written(family: type[nn.Module], value: float) -> None:
    model, x = family().eval(), maps()
    bare = model(x)
    with ablate(model, "constant", value=value):
        ablated = model(x)
    assert torch.equal(ablated, AS_WRITTEN[family](x, [torch.tensor(value).view(1, 1, 1, 1)] * 2))
    assert torch.equal(model(x), bare)


@every_family
def test_neutral_gates_pass_the_map_through(family: type[nn.Module]) -> None:
    if family is gated.SCSEModule:
        pytest.skip("adds its two products up, so neutral gates give the map twice")
    model, x = family().eval(), maps()
    with ablate(model, "neutral"):
        assert torch.equal(model(x), x)


@pytest.mark.parametrize("name", gated.SPELLINGS)
def test_every_spelling_is_replaced(name: str) -> None:
    model, x = Spelling(gated.SPELLINGS[name]), maps()
    alone = model(x[:1])
    with ablate(model, "constant", value=0.75):
        ablated = model(x)
    assert torch.equal(ablated, x + x * 0.75 if name == "added back" else x * 0.75)
    with ablate(model, "mean", reference=capture(model, x[:1])):
        assert torch.equal(model(x[:1]), alone)


class Multiply(nn.Module):
    """What surgery puts in the place of attention."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights


def surgery(model: Classifier, weights: dict[str, Tensor]) -> None:
    for path, replaced in weights.items():
        parent, _, name = path.rpartition(".")
        setattr(model.get_submodule(parent), name, Multiply(replaced))


def test_every_kind_of_ablation_is_surgery() -> None:
    x, others = photos(), photos(5, seed=2)
    before, reference = capture(classifier_of(0), x), capture(classifier_of(0), others)
    order = {path: capture_shuffled(path) for path in before}
    expected: dict[AblationKind, dict[str, Tensor]] = {
        "constant": {path: torch.full_like(gate, 0.5) for path, gate in before.items()},
        "neutral": {path: torch.ones_like(gate) for path, gate in before.items()},
        "mean": {path: gate.mean(0, keepdim=True).expand_as(before[path]) for path, gate in reference.items()},
        "other_image": {path: gate[4:5].expand_as(before[path]) for path, gate in reference.items()},
        "scalar": {path: gate.mean((1, 2, 3), keepdim=True).expand_as(gate) for path, gate in before.items()},
        "shuffle": {path: before[path][:, order[path]] for path in before},
    }
    assert set(expected) == set(get_args(AblationKind))
    for kind, weights in expected.items():
        if kind in ("scalar", "shuffle"):  # what arrives at a later gate has changed, so one gate at a time
            weights = {"layer2.1.attention": weights["layer2.1.attention"]}
        model, edited = classifier_of(0), classifier_of(0)
        surgery(edited, weights)
        with ablate(model, kind, reference, at=list(weights), seed=4):
            assert torch.equal(model(x), edited(x)), kind
        assert not torch.equal(model(x), edited(x)), kind


def classifier_of(seed: int) -> Classifier:
    torch.manual_seed(seed)
    return classifier()


def capture_shuffled(path: str) -> Tensor:
    """The order in which a shuffle of seed 4 puts a gate's channels, read off a gate that numbers them."""
    model = Classifier(lambda: Multiply(torch.ones(1)))
    numbers = torch.arange(CHANNELS) / CHANNELS
    model.get_submodule(path).forward = lambda x: x * torch.clamp(numbers, 0, 1)[None, :, None, None] + 0 * x
    with ablate(model, "shuffle", at=path, seed=4), capture(model) as shuffled:
        model(photos())
    return (shuffled[path].flatten() * CHANNELS).round().long()


def test_a_shuffle_permutes_channels_where_they_are_last() -> None:
    model, x = gated.ChannelsLast(), maps()
    before = capture(model, x)["(model)"]
    with ablate(model, "shuffle"), capture(model) as after:
        model(x)
    assert not torch.equal(after["(model)"], before)
    assert torch.equal(after["(model)"].sort(3).values, before.sort(3).values)


def test_branch_weights_are_replaced_by_branch() -> None:
    model, x = gated.SKUnit(), maps()
    with ablate(model, "scalar"), capture(model) as gates:
        model(x)
    torch.testing.assert_close(gates["(model)"].sum(1), torch.ones(3, CHANNELS, 1, 1))
    with pytest.raises(InvalidRequest, match="chooses among branches or places"), ablate(model, "neutral"):
        model(x)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_prefix_a_pattern_and_several_paths_choose_gates() -> None:
    model, x = classifier(), photos()
    every = ["layer1.0.attention", "layer2.0.attention", "layer2.1.attention"]
    for at, chosen in {
        "layer2": every[1:],
        "layer*.0.attention": every[:2],
        "**.attention": every,
        "layer1, layer2.1": [every[0], every[2]],
    }.items():
        with ablate(model, "constant", at=at, value=0.125), capture(model) as gates:
            model(x)
        assert [path for path, gate in gates.items() if (gate == 0.125).all()] == chosen


def test_further_calls_of_one_module_are_gates_of_their_own() -> None:
    model, x = gated.Pyramid(), maps()
    with ablate(model, "constant", at="attention@2"), capture(model) as gates:
        model(x)
    assert [bool((gate == 0.5).all()) for gate in gates.values()] == [False, True, False]


def test_pointing_gives_the_same_weights_and_the_same_ablation_as_following() -> None:
    model, x = classifier(), photos()
    pointed = watch(model, 12, gates={"layer*.*.attention.gate": "channel"})
    assert pointed.paths == tuple(f"{path}.gate" for path in watch(model, 12).paths)
    by_flow, by_path = capture(model, x), capture(model, x, gates=pointed)
    assert all(torch.equal(a, b) for a, b in zip(by_flow.values(), by_path.values(), strict=True))
    with ablate(model, "scalar"):
        ablated = model(x)
    with ablate(model, "scalar", gates=pointed):
        assert torch.equal(model(x), ablated)


def test_a_gate_that_cannot_be_followed_can_be_pointed_at() -> None:
    class Opaque(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 1 / (1 + torch.exp(-x))

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = Opaque()

        def forward(self, x: Tensor) -> Tensor:
            return x * self.act(x.mean((2, 3), keepdim=True))

    model, x = Attention(), maps()
    assert not watch(model, x).gates
    with capture(model, gates={"act": "channel"}) as gates:
        output = model(x)
    assert torch.equal(x * gates["act"], output)


def test_an_ablation_may_be_given_in_full() -> None:
    model, x = classifier(), photos()
    with ablate(model, "constant", at="layer2", value=0.3):
        short = model(x)
    with ablate(model, Ablation(kind="constant", gates=("layer2",), value=0.3)):
        assert torch.equal(model(x), short)
    reference = capture(model, photos(2, seed=3))
    with ablate(model, Ablation(kind="mean", reference=Pictures(images=("a", "b"))), reference):
        in_full = model(x)
    with ablate(model, "mean", reference=reference):
        assert torch.equal(model(x), in_full)


def test_captured_gates_are_small_detached_copies() -> None:
    model, x = gated.EcaLayer(), maps()
    with torch.enable_grad(), capture(model) as gates:
        model(x)
    assert gates["(model)"].shape == (3, CHANNELS, 1, 1)  # not the map's own, though the network expands them
    assert not gates["(model)"].requires_grad and gates["(model)"].untyped_storage().nbytes() == 4 * 3 * CHANNELS


def test_a_network_that_writes_over_its_gate_is_replaced_too() -> None:
    model = Function(lambda x: torch.sigmoid(nn.functional.avg_pool2d(x, 3, 1, 1)).mul_(x))
    x = maps()
    with ablate(model, "constant", value=0.5):
        assert torch.equal(model(x), model.conv(x) * 0.5)
