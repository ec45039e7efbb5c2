"""Which products are gates, of which kind, and what they are called, on networks that spell them in every way."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.build import build
from attention.errors import InvalidRequest
from attention.gate import gates as own_gates
from attention.spec import Variant
from attention.watch import capture, watch
from tests.attention.tracing import gated
from tests.attention.tracing.gated import CHANNELS, Classifier, Function, Spelling, SqueezeExcitation


def maps(*shape: int) -> Tensor:
    return torch.randn(*(shape or (2, CHANNELS, 6, 6)), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", gated.SPELLINGS)
def test_every_spelling_of_a_channel_gate_is_one_channel_gate(name: str) -> None:
    model = Spelling(gated.SPELLINGS[name])
    found = watch(model, maps())
    assert [(gate.path, gate.kind, gate.neutral, gate.shape, gate.static) for gate in found] == [
        ("(model)", "channel", 1.0, (2, CHANNELS, 1, 1), False)
    ]
    assert not found.unclear


FAMILIES: dict[type[nn.Module], list[tuple[str, str, str | None, str | None]]] = {
    SqueezeExcitation: [("(model)", "channel", "sigmoid", "se")],
    gated.EcaLayer: [("(model)", "channel", "sigmoid", None)],
    gated.CBAM: [("channel", "channel", "sigmoid", "cbam"), ("spatial", "spatial", "sigmoid", "cbam")],
    gated.SCSEModule: [("(model)", "channel", "sigmoid", "scse"), ("(model)#2", "spatial", "sigmoid", "scse")],
    gated.CoordAtt: [("(model)", "columns", "sigmoid", "coord"), ("(model)#2", "rows", "sigmoid", "coord")],
    gated.SKUnit: [("(model)", "branch", "softmax", "sk")],
    gated.ContextBlock: [("(model)", "channel", None, "gc")],
    gated.SimAM: [("(model)", "full", "sigmoid", "simam")],
    gated.BAM: [("(model)", "full", "sigmoid", "bam")],
    gated.GCT: [("(model)", "channel", "tanh", "gct")],
    gated.SRMLayer: [("(model)", "channel", "sigmoid", "srm")],
    gated.AttentionGate: [("(model)", "spatial", "sigmoid", None)],
    gated.Static: [("(model)", "channel", "sigmoid", None)],
    gated.GatedConv: [("(model)", "full", "sigmoid", None)],
    gated.ChannelsLast: [("(model)", "channel", "sigmoid", None)],
    gated.Pyramid: [(f"attention{call}", "channel", "sigmoid", None) for call in ("", "@2", "@3")],
}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_every_mechanism_is_found_with_its_kind_and_activation(family: type[nn.Module]) -> None:
    found = watch(family(), maps(), names={"SqueezeExcitation": "se"} if family is SqueezeExcitation else None)
    assert [(gate.path, gate.kind, gate.activation) for gate in found] == [entry[:3] for entry in FAMILIES[family]]
    assert {gate.mechanism for gate in found} <= {entry[3] for entry in FAMILIES[family]} | {"se"}


def test_what_is_said_of_a_gate() -> None:
    softmax, added, static = (watch(make(), maps())[0] for make in (gated.SKUnit, gated.ContextBlock, gated.Static))
    assert (softmax.neutral, added.neutral, static.static, static.shape) == (None, 0.0, True, (1, CHANNELS, 1, 1))
    assert watch(gated.ChannelsLast(), maps())[0].axis == 3
    assert watch(gated.SKUnit(), maps())[0].shape == (2, 2, CHANNELS, 1, 1)
    assert watch(gated.SimAM(), maps())[0].entries == CHANNELS * 36


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "SiLU": lambda x: x * torch.sigmoid(x),
    "SiLU of 1.702 x": lambda x: x * torch.sigmoid(1.702 * x),
    "hard swish": lambda x: x * F.relu6(x + 3) / 6,
    "hard swish, divided first": lambda x: x * (F.relu6(x + 3) / 6),
    "GELU, tanh form": lambda x: 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**3))),
    "Mish": lambda x: x * torch.tanh(F.softplus(x)),
    "an autograd.Function": lambda x: Swish.apply(x),  # type: ignore[no-untyped-call]
    "instance normalisation": lambda x: (x - x.mean((2, 3), keepdim=True)) / (x.std((2, 3), keepdim=True) + 1e-5),
    "ReLU6 and a scale": lambda x: F.relu6(x) * 0.5,
    "layer scale": lambda x: x + torch.full((CHANNELS, 1, 1), 1e-6) * F.relu(x),
    "drop path": lambda x: x * x.new_empty((len(x), 1, 1, 1)).bernoulli_(0.9).div_(0.9),
    "tanh map": lambda x: torch.tanh(x) + 1,
    "a mask that compares": lambda x: x * (x > 0),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_normalisations_and_scales_are_no_gates(name: str) -> None:
    found = watch(Function(ACTIVATIONS[name]), maps())
    assert not found.gates and not found.unclear
    assert "1 convolutions" in found.sentence and "attention.attach" in found.sentence


def weights_of(x: Tensor) -> Tensor:
    return torch.sigmoid(x.mean((2, 3), keepdim=True))


UNCLEAR: dict[str, Callable[[Tensor], Tensor]] = {
    "einsum": lambda x: torch.einsum("bchw,bc->bchw", x, weights_of(x)[:, :, 0, 0]),
    "addcmul": lambda x: torch.addcmul(x, x, weights_of(x)),
    "lerp": lambda x: torch.lerp(x, F.relu(x), weights_of(x)),
    "conv2d": lambda x: F.conv2d(x, weights_of(x[:1]).transpose(0, 1), groups=CHANNELS),
    "matmul": lambda x: torch.sigmoid(x.mean(1)).unsqueeze(1) @ x,
    "mul": lambda x: x * torch.sigmoid(x.mean((1, 2, 3), keepdim=True)),
}


@pytest.mark.parametrize("operation", UNCLEAR)
def test_what_may_hide_a_gate_is_named_with_its_place_and_left_alone(operation: str) -> None:
    found = watch(Function(UNCLEAR[operation]), maps())
    assert not found.gates
    assert [(entry.path, entry.operation, entry.activation) for entry in found.unclear] == [
        ("(model)", operation, "sigmoid")
    ]


def test_a_softmax_in_a_matrix_product_is_called_a_matrix() -> None:
    found = watch(Function(lambda x: torch.softmax(x @ x.transpose(-1, -2), -1) @ x), maps())
    assert [(entry.kind, entry.shape) for entry in found.unclear] == [("matrix", (2, CHANNELS, 6, 6))]


def test_volumes_signals_and_branches() -> None:
    volume = watch(Function3d(), maps(2, CHANNELS, 4, 4, 4))
    assert [(gate.kind, gate.shape) for gate in volume] == [("channel", (2, CHANNELS, 1, 1, 1))]
    signal = watch(Signal(), maps(2, CHANNELS, 9))
    assert [(gate.kind, gate.shape) for gate in signal] == [("channel", (2, CHANNELS, 1)), ("spatial", (2, 1, 9))]


class Function3d(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x.mean((2, 3, 4), keepdim=True))


class Signal(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x = x * torch.sigmoid(x.mean(2, keepdim=True))
        return x * torch.sigmoid(x.mean(1, keepdim=True))


def test_images_that_are_copied_into_an_empty_batch_still_are_the_input() -> None:
    class Batching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = SqueezeExcitation()

        def forward(self, images: list[Tensor]) -> Tensor:
            batch = images[0].new_zeros((len(images), CHANNELS, 8, 8))
            for number, image in enumerate(images):
                batch[number, :, : image.shape[1], : image.shape[2]].copy_(image)
            return self.attention(batch)

    assert watch(Batching(), [maps(CHANNELS, 6, 6), maps(CHANNELS, 8, 5)]).paths == ("attention",)


def test_gates_are_named_by_path_looked_up_and_listed() -> None:
    found = watch(Classifier(), (3, 12, 12))
    assert found.paths == ("layer1.0.attention", "layer2.0.attention", "layer2.1.attention")
    assert found["layer2.1.attention"] is found[2] and "layer1.0.attention" in found and len(found) == 3
    text = str(found)
    assert text.splitlines()[0] == "3 gates in Classifier (one pass, 1 x 3 x 12 x 12)"
    assert "24 entries in all. Nothing unclear." in text
    assert list(found.frame()["entries"]) == [CHANNELS] * 3
    with pytest.raises(InvalidRequest, match="Did you mean 'layer2.1.attention'"):
        found["layer2.1.atention"]


def test_a_long_list_fits_on_a_screen_and_its_text_leaves_nothing_out() -> None:
    deep = nn.Sequential(*(SqueezeExcitation() for _ in range(30)))
    found = watch(deep, maps())
    assert len(repr(found).splitlines()) <= 20 and len(str(found).splitlines()) == 33
    for word in ("a", "b" * 60):
        deep = nn.Sequential(OrderedDict({word * 2: nn.Sequential(OrderedDict({word: deep}))}))
    found = watch(deep, maps())
    assert max(map(len, repr(found).splitlines())) == 100 and max(map(len, str(found).splitlines())) > 200
    assert all(path in str(found) for path in found.paths)


def test_watching_leaves_modes_statistics_gradients_and_random_state_alone() -> None:
    model = Classifier().train()
    model.layer1.eval()
    modes = {path: module.training for path, module in model.named_modules()}
    kept = {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.get_rng_state()
    watch(model, (3, 12, 12))
    assert {path: module.training for path, module in model.named_modules()} == modes
    assert all(torch.equal(value, kept[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_model_on_the_meta_device_is_watched_without_numbers() -> None:
    with torch.device("meta"):
        model = Classifier()
    assert len(watch(model, 12)) == 3


def test_the_example_is_of_the_size_that_a_model_says() -> None:
    model = Classifier()
    model.default_cfg = {"input_size": (3, 20, 16)}  # type: ignore[assignment]
    assert watch(model).example == "1 x 3 x 20 x 16"
    assert watch(model, maps(1, 3, 9, 9)).example == "1 x 3 x 9 x 9"
    assert watch(model, (maps(1, 3, 9, 9),)).example == watch(model, {"x": maps(1, 3, 9, 9)}).example
    for wrong in (0, (3, -1, 4), "cat.jpg", ()):
        with pytest.raises(InvalidRequest, match="An example is"):
            watch(model, wrong)


def test_an_example_that_the_model_does_not_take_says_torchs_own_words() -> None:
    with pytest.raises(InvalidRequest, match=r"does not take a tensor \(1, 4, 8, 8\).*4 channels.*example=") as error:
        watch(Classifier(), (4, 8, 8))
    assert error.value.__cause__ is not None


@pytest.mark.parametrize("name", ["resnet20/se", "resnet20/cbam", "resnet20/sk@spatial"])
def test_our_own_networks_keep_the_paths_they_have(name: str) -> None:
    model = build(Variant.parse(name))
    found = watch(model)
    assert list(found.paths) == list(own_gates(model)) and found.example == "1 x 3 x 32 x 32"
    assert {gate.site is not None and gate.site.position for gate in found} == {
        "spatial" if "sk" in name else "standard"
    }
    assert {gate.mechanism for gate in found} <= {"se", "cbam", "sk", None}


def test_our_modules_inside_a_foreign_network_are_gates_once() -> None:
    from attention.modules import modules

    for name in ("se", "cbam", "gc", "coord", "simam", "triplet", "sk"):
        model = Classifier(lambda name=name: modules[name](CHANNELS)).eval()  # type: ignore[misc]
        found = watch(model, 12)
        assert list(found.paths) == list(own_gates(model)), name
        with capture(model) as seen, torch.no_grad():
            model(maps(1, 3, 12, 12))
        assert list(seen) == list(found.paths)
