"""What attaching does to a model: nothing to its keys, nothing to its outputs until trained, nothing that stays."""

import copy
import math
import pickle
import warnings
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from attention.attach import attach
from attention.build import build
from attention.errors import AttentionError, InvalidRequest
from attention.gate import gates
from attention.modules import modules
from attention.spec import Variant
from attention.watch import ablate, capture, watch
from tests.attention.tracing.gated import CHANNELS, Classifier


def photos(batch: int = 2, seed: int = 1, side: int = 12) -> Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def host() -> Classifier:
    torch.manual_seed(0)
    return Classifier(nn.Identity).eval()


def run(model: Callable[[Tensor], Tensor], x: Tensor | None = None) -> Tensor:
    with torch.no_grad():
        return model(photos() if x is None else x)


BLOCKS = ("layer1.0.bn", "layer2.0.bn", "layer2.1.bn")


@pytest.mark.parametrize("name", list(modules))
def test_every_module_starts_as_an_identity_to_the_bit(host: Classifier, name: str) -> None:
    bare, keys = run(host), list(host.state_dict())
    options: dict[str, Any] = {"components": 4} if name == "fca" else {}  # 8 channels are no multiple of 16
    with attach(host, "layer*.*.bn", name, example=16, **options) as attached:
        assert torch.equal(run(host), bare)
        assert attached.paths == BLOCKS and attached.report.identity
        assert [key for key in host.state_dict() if not key.startswith("attached.")] == keys
    assert list(host.state_dict()) == keys and torch.equal(run(host), bare)
    assert not any(module._forward_hooks for module in host.modules())


def test_the_identity_becomes_attention_as_soon_as_it_is_trained(host: Classifier) -> None:
    bare = run(host)
    attached = attach(host, "layer2", "eca")
    assert attached.added_parameters == 3 + 1
    host(photos()).square().sum().backward()
    slope = host.get_parameter("attached.layer2.m")
    assert slope.grad is not None and slope.grad.abs() > 0
    with torch.no_grad():
        slope.copy_(torch.tensor(1.0))
    changed = run(host)
    assert not torch.equal(changed, bare)
    attached.remove()
    attach(host, "layer2", "eca", start="published")
    torch.testing.assert_close(run(host), changed)


def test_attached_as_published_equals_built(host: Classifier) -> None:
    plain, built = (build(Variant.parse(f"resnet20/{name}")) for name in ("none", "se"))
    plain.load_state_dict({key: value for key, value in built.state_dict().items() if key in plain.state_dict()})
    attached = attach(plain, "layer*.*.bn2", "se", start="published")
    assert len(attached.paths) == 9
    for path in attached.paths:
        slot = path.replace("bn2", "standard") + ".0"
        assert slot in dict(built.named_modules()), [name for name, _ in built.named_modules()][:20]
        plain.get_submodule(f"attached.{path.replace('.', '_')}.module").load_state_dict(
            built.get_submodule(slot).state_dict()
        )
    x = photos(side=32)
    assert torch.equal(run(plain, x), run(built, x))
    count = sum(parameter.numel() for parameter in built.parameters())
    assert sum(parameter.numel() for parameter in plain.parameters()) == count


def test_the_report_says_what_the_published_start_does(host: Classifier) -> None:
    se = attach(host, "layer1.0.bn", "se", start="published", reduction=4)
    (entry,) = se.report.modules
    assert entry.kept == pytest.approx(0.5, abs=0.1) and not entry.identity  # sigmoid of about 0
    assert "leave" in str(se.report) and "Squeeze" in str(se.report)
    simam = attach(host, "layer2.0.bn", "simam", start="published").report
    assert not simam.identity and simam.parameters == 0
    assert "to the bit" in str(attach(host, "layer2.1.bn", "eca").report)


def test_attached_modules_are_gates_like_any_other(host: Classifier) -> None:
    attach(host, "layer*.*.bn", "cbam", start="published", example=12)
    found = watch(host, 12)
    assert list(found.paths) == list(gates(host)) and len(found) == 6
    assert {gate.mechanism for gate in found} <= {"cbam", None} and found[0].path.startswith("attached.layer1_0_bn.")
    before = run(host)
    with ablate(host, "constant", at="attached.layer1_0_bn", value=0.25), capture(host) as weights:
        assert not torch.equal(run(host), before)
    assert (weights["attached.layer1_0_bn.module.channel_gate"] == 0.25).all()


class Doubling(nn.Module):
    def __init__(self, channels: int, factor: float = 2.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((channels, 1, 1), factor))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def test_a_module_of_ones_own_can_be_attached(host: Classifier) -> None:
    bare = host.stem(photos())
    with attach(host, "stem", Doubling, start="published", factor=3.0) as attached:
        assert torch.equal(host.stem(photos()), bare * 3) and attached.added_parameters == CHANNELS
    with pytest.raises(InvalidRequest, match="no nn.Module"):
        attach(host, "stem", lambda channels: channels)  # type: ignore[arg-type, return-value]


def test_one_seed_gives_one_start_and_leaves_the_random_state_alone(host: Classifier) -> None:
    state, weights = torch.get_rng_state(), []
    for seed in (0, 0, 1):
        with attach(host, "layer1", "se", seed=seed):
            weights.append(host.get_parameter("attached.layer1.module.reduce.weight").clone())
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.full
def test_copies_pickles_exports_and_traces_take_it_along(host: Classifier) -> None:
    attach(host, "layer*.*.bn", "se", start="published", reduction=4)
    x, expected = photos(), run(host)
    copied = copy.deepcopy(host)
    with torch.no_grad():
        for key, parameter in copied.named_parameters():
            if key.startswith("attached."):
                parameter.add_(1)
    assert torch.equal(run(host), expected) and not torch.equal(run(copied), expected), "a copy has modules of its own"
    assert torch.equal(run(pickle.loads(pickle.dumps(host))), expected)
    assert torch.equal(run(torch.export.export(host, (x,)).module()), expected)
    assert torch.equal(run(torch.compile(host, backend="eager")), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(host, x)  # type: ignore[no-untyped-call]
        assert torch.equal(run(traced), expected)
    torch._dynamo.reset()


def test_a_checkpoint_carries_it_and_the_hosts_own_still_loads(host: Classifier) -> None:
    own = {key: value.clone() for key, value in host.state_dict().items()}
    attach(host, "layer1", "eca")
    saved = {key: value.clone() for key, value in host.state_dict().items()}
    assert host.load_state_dict(own, strict=False).missing_keys == [
        "attached.layer1.m",
        "attached.layer1.module.conv.weight",
    ]
    other = Classifier(nn.Identity)
    attach(other, "layer1", "eca")
    other.load_state_dict(saved)
    assert torch.equal(run(other.eval()), run(host))


def test_a_sequential_model_runs_as_before() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 100, 2)).eval()
    bare = run(model)
    with attach(model, "1", "eca", example=12):
        assert torch.equal(run(model), bare)
        model.get_parameter("attached.1.m").data.fill_(1)
        assert not torch.equal(run(model), bare)


def test_number_format_device_and_mode_are_the_hosts() -> None:
    model = Classifier(nn.Identity).double().train()
    attach(model, "layer1", "se", reduction=4)
    fresh = model.get_submodule("attached.layer1")
    assert fresh.training and {parameter.dtype for parameter in fresh.parameters()} == {torch.float64}
    with torch.device("meta"):
        model = Classifier(nn.Identity)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    attach(model, "layer1", "se")
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


def test_attaching_leaves_statistics_modes_and_gradients_alone() -> None:
    model = Classifier(nn.Identity).train()
    kept = {key: value.clone() for key, value in model.state_dict().items()}
    with attach(model, "layer1", "eca"):
        pass
    assert all(torch.equal(value, kept[key]) for key, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_several_calls_share_the_child_and_leave_in_any_order(host: Classifier) -> None:
    keys, bare = list(host.state_dict()), run(host)
    first, second = attach(host, "layer1", "eca"), attach(host, "layer2", "se")
    with pytest.raises(InvalidRequest, match="layer1 has EfficientChannelAttention attached already.*name="):
        attach(host, "layer*", "eca")
    third = attach(host, "layer1", "se", name="second")
    first.remove()
    first.remove()
    assert any(key.startswith("attached.layer2") for key in host.state_dict())
    second.remove()
    third.remove()
    assert list(host.state_dict()) == keys and torch.equal(run(host), bare)


class ChannelsLast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.permute(0, 2, 3, 1))


def test_channels_last_is_refused_or_said() -> None:
    model = ChannelsLast().eval()
    with pytest.raises(InvalidRequest, match=r"fc gives \(1, 12, 12, 6\), which looks like channels last"):
        attach(model, "fc", "eca", example=12)
    bare = run(model)
    attach(model, "fc", "se", example=12, channels_last=True, start="published", reduction=2)
    with capture(model) as weights:
        gated = run(model)
    (gate,) = weights.values()
    assert gate.shape == (2, 6, 1, 1)
    torch.testing.assert_close(gated, bare * gate.permute(0, 2, 3, 1))


class Odd(nn.Module):
    """Submodules that give tokens, a dictionary, a tuple and nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.pyramid, self.idle = nn.Flatten(2), Pyramid(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        self.pyramid(x)
        return self.tokens(x)


class Pyramid(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.AvgPool2d(size) for size in (1, 2, 3))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {str(number): level(x) for number, level in enumerate(self.levels)}


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda host: attach(host, "layer5.*"), r"no submodule 'layer5\.\*'. Did you mean 'layer2\.\*'"),
        (lambda host: attach(host, " "), "Say at which submodules"),
        (lambda host: attach(host, "layer1", "ecca"), "no attention module named 'ecca'. Did you mean 'eca'"),
        (lambda host: attach(host, "layer1", "eca", gama=3), "no option 'gama'. Did you mean 'gamma'"),
        (
            lambda host: attach(host, "layer1", "eca", kernel_size="released"),
            "layer1: No released .* Modules that fit 8",
        ),
        (lambda host: attach(host, "layer1", start=cast(Any, "neutral")), "identity or published, not 'neutral'"),
        (lambda host: attach(host, "layer1", name="head"), "Classifier has something called 'head' of its own"),
        (lambda host: attach(host, "head"), r"head gives \(1, 5\), not a map"),
        (lambda host: attach(Odd(), "tokens", example=12), r"tokens gives \(1, 3, 144\): tokens, not a map"),
        (lambda host: attach(Odd(), "pyramid", example=12), r"a dictionary of 3 maps. .*: pyramid\.levels\.\*"),
        (lambda host: attach(Odd(), "idle", example=12), "idle did not run"),
        (lambda host: attach(host, "layer1", example=(4, 8, 8)), "does not take .* Give an example: attach"),
        (lambda host: attach(nn.DataParallel(host), "layer1"), "Attach before wrapping"),
        (lambda host: attach(cast(Any, torch.compile(host, backend="eager")), "layer1"), "Attach before compiling"),
        (lambda host: attach(cast(Any, 3), "layer1"), "is no model"),
    ],
)
def test_what_cannot_be_attached_gets_a_sentence_and_changes_nothing(
    host: Classifier, act: Callable[[Classifier], Any], sentence: str
) -> None:
    keys = list(host.state_dict())
    with pytest.raises(AttentionError, match=sentence):
        act(host)
    assert list(host.state_dict()) == keys
    assert not any(module._forward_hooks for module in host.modules())


def test_added_parameters_are_those_of_the_papers_formula(host: Classifier) -> None:
    attached = attach(host, "layer*", "eca")
    k = int(abs((math.log2(CHANNELS) + 1) / 2))
    k += 1 - k % 2
    assert attached.added_parameters == 2 * (k + 1)
    se = attach(host, "stem", "se", reduction=4, start="published")
    assert se.added_parameters == 2 * CHANNELS * CHANNELS // 4
