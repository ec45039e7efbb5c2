"""What every attention module on the shelf keeps, without being listed here; a failure says what to do about it."""

import itertools
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from attention.build import build
from attention.errors import AttentionError
from attention.gate import AttentionModule, ablate, capture, gates
from attention.modules import modules
from attention.registry.options import schema
from attention.spec import Ablation, AblationKind, Pictures, Variant

CHANNELS = 32
NAMES = list(modules)
every_module = pytest.mark.parametrize("name", NAMES)

NEUTRAL = (
    "With its gates at their neutral weight the module has to give back its input. A gate that is multiplied is "
    "neutral at 1, one that is added at 0: say so in Gate(kind, neutral=...). Where no weight lets the input through, "
    "as in a softmax choice, say neutral=None; then nobody asks for it."
)
MATES = (
    "An image's output and gates may not depend on the other images of its batch: take means and maxima over an "
    "image's own channels and places, never over the batch axis, and keep nothing from one pass to the next."
)


def make(name: str, channels: int = CHANNELS, seed: int = 0) -> AttentionModule:
    """A module whose every parameter and statistic is random, so that nothing hides behind a zero start."""
    torch.manual_seed(seed)
    module = modules[name](channels)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.eval()


def maps(batch: int = 3, channels: int = CHANNELS, height: int = 8, width: int = 8, seed: int = 1) -> Tensor:
    return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(seed))


def close(actual: Tensor, expected: Tensor, advice: str, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Assert that tensors agree, and say what to do about it where they do not."""
    torch.testing.assert_close(actual, expected, rtol=rtol, atol=atol, msg=lambda text: f"{advice}\n\n{text}")


@every_module
def test_shape_is_kept(name: str) -> None:
    for height, width in ((8, 8), (7, 5), (1, 1), (1, 9)):
        x = maps(height=height, width=width)
        assert make(name)(x).shape == x.shape, "a module gives a map of the shape that it takes, whatever the side"


@every_module
@pytest.mark.parametrize("channels", [4, 24, 33])
def test_any_number_of_channels_works_or_is_refused_with_a_sentence(name: str, channels: int) -> None:
    try:
        module = make(name, channels)
    except AttentionError as error:
        assert str(error).endswith(".") and str(channels) in str(error), "say in a sentence how many channels it takes"
        return
    x = maps(channels=channels)
    assert module(x).shape == x.shape


@every_module
def test_every_weight_passes_a_gate_of_its_declared_kind(name: str) -> None:
    module, x = make(name), maps(2, height=6, width=5)
    fits = {
        "channel": (2, CHANNELS, 1, 1),
        "spatial": (2, 1, 6, 5),
        "rows": (2, CHANNELS, 6, 1),
        "columns": (2, CHANNELS, 1, 5),
        "full": (2, CHANNELS, 6, 5),
    }
    with capture(module) as seen:
        module(x)
    assert list(seen) == list(gates(module)), (
        "a gate was declared that no weight passes: send weights through it in forward, as in x * self.gate(weights)"
    )
    for path, gate in gates(module).items():
        shape = tuple(seen[path].shape)
        if gate.kind == "branch":
            assert shape[0] == 2 and shape[2:] == (CHANNELS, 1, 1), f"{path} is of kind branch: (B, M, C, 1, 1)"
            close(seen[path].sum(1), torch.ones(2, CHANNELS, 1, 1), f"the branches' weights of {path} have to sum to 1")
        elif gate.kind == "matrix":
            assert len(shape) == 3 and shape[0] == 2 and shape[1] == shape[2], f"{path} is of kind matrix: (B, N, N)"
        else:
            assert shape == fits[gate.kind], (
                f"declare another kind for {path}, or give its weights the shape of this kind"
            )


@every_module
def test_neutral_gates_pass_the_input_through(name: str) -> None:
    module, x = make(name), maps()
    if any(gate.neutral is None for gate in gates(module).values()):
        pytest.skip("a softmax choice has no neutral weight")
    with ablate(module, Ablation(kind="neutral")):
        close(module(x), x, NEUTRAL, rtol=1e-5, atol=1e-6)


@every_module
@pytest.mark.parametrize("kind", [None, *get_args(AblationKind)])
def test_batch_mates_do_not_matter(name: str, kind: AblationKind | None) -> None:
    module, x = make(name), maps(4)
    with capture(module) as reference:
        module(maps(1, seed=5))
    references = {"mean": Pictures(images=("one", "two")), "other_image": Pictures(images=("one",))}
    ablation = kind and Ablation(kind=kind, reference=references.get(kind), seed=3)
    if kind == "neutral" and any(gate.neutral is None for gate in gates(module).values()):
        pytest.skip("a softmax choice has no neutral weight")
    with ablate(module, ablation or None, reference), capture(module) as together:
        whole = module(x)
    with ablate(module, ablation or None, reference):
        for number in range(4):
            with capture(module) as alone:
                lone = module(x[number : number + 1])
            close(lone[0], whole[number], MATES)
            for path in alone:
                close(alone[path][0], together[path][number], MATES)


@every_module
def test_gradients_reach_every_trainable_parameter(name: str) -> None:
    module = make(name).train()
    x = maps().requires_grad_()
    (module(x) * maps(seed=7)).sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0, "no gradient reaches the input: is it detached on the way?"
    for path, parameter in module.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, f"no gradient reaches {path}"


@every_module
def test_float32_agrees_with_float64(name: str) -> None:
    module, x = make(name), maps()
    single = module(x)
    advice = "make tensors of the input's dtype and device, as x.new_zeros and torch.zeros_like do"
    close(single, module.double()(x.double()).float(), advice, rtol=1e-3, atol=1e-4)


@every_module
def test_channels_last_agrees(name: str) -> None:
    module, x = make(name), maps()
    usual = module(x)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    advice = "the order of numbers in memory may not matter: flatten and reshape by axes, never view as they lie"
    close(module(x.contiguous(memory_format=torch.channels_last)), usual, advice)


@every_module
def test_autocast_agrees(name: str) -> None:
    module, x = make(name), maps()
    with torch.autocast("cpu", torch.bfloat16):
        rough = module(x)
    close(rough.float(), module(x), "compute sums and exponentials `at_least_float32`", rtol=0.1, atol=0.1)


@pytest.mark.full
@every_module
def test_it_exports_with_a_free_batch_and_equal_logits(name: str) -> None:
    """Write ``x.shape[0]`` or ``unflatten`` where ``len(x)`` or ``reshape`` would make the batch a constant."""
    network = nn.Sequential(make(name), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, 5)).eval()
    exported = torch.export.export(network, (maps(2),), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    with torch.inference_mode():
        for batch in (1, 3, 5):
            close(exported(maps(batch)), network(maps(batch)), "a number of the first batch became a constant")


@every_module
def test_float16_is_finite_and_near_float32_on_large_maps(name: str) -> None:
    """Sums of squares over 56 x 56 pixels pass the 65,504 where float16 ends: take them `at_least_float32`."""
    module = make(name)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.1)
    x = 8 * (1 + maps(1, height=56, width=56))
    with torch.inference_mode():
        single = module(x)
        assert single.isfinite().all(), "not finite in float32 on maps of 56 x 56"
        half = module.half()(x.half()).float()
    assert half.isfinite().all(), "a sum passes 65,504, where float16 ends: take it `at_least_float32`"
    assert (half - single).norm() < 0.01 * single.norm(), "float16 rounds too much: take sums `at_least_float32`"


@every_module
def test_its_documentation_names_its_source_and_every_option_is_described(name: str) -> None:
    module = modules[name]
    assert module.__doc__ and len(module.__doc__.splitlines()[0]) <= 120, "open with one line that users read"
    for option, field in schema(module).get("properties", {}).items():
        assert field.get("description"), f"option {option} has no description"
        assert "default" in field, f"option {option} has no default"


@every_module
def test_it_stands_in_a_network_and_leaves_its_plain_state_dict_alone(name: str) -> None:
    plain = build(Variant.parse("resnet20/none")).state_dict()
    try:
        filled = build(Variant.parse(f"resnet20/{name}")).state_dict()
    except AttentionError as error:
        assert str(error).endswith("."), "a refusal is a sentence for the person who chose the place"
        return
    for key, value in plain.items():
        assert torch.equal(filled[key], value), f"{key} is not that of the plain backbone: draw only your own"


@every_module
def test_one_seed_gives_one_module(name: str) -> None:
    torch.manual_seed(3)
    one = modules[name](CHANNELS).state_dict()
    torch.manual_seed(3)
    two = modules[name](CHANNELS).state_dict()
    same = all(torch.equal(one[key], two[key]) for key in itertools.chain(one, two))
    assert same, "two modules of one seed differ: draw by torch's own generator, in the order of the parameters"
